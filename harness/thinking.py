"""Thinking and what is said behind it: where in a sample its thinking stands, counted in tokens, and what a model says without it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from harness.context import Context
from harness.types import Sample
from tasks.extraction import without_thinking
from tasks.types import Prompt


def part(whole: Sample, first: Callable[[int], Sample], think: tuple[str, str], fraction: float) -> Sample:
    """The sample up to `fraction` of its thinking tokens, rounded, at least one; the markers `think` do not count. Whole without thinking.

    `first(n)`: its first n tokens (see `Context.sample`, `keep`). A cut within a character falls back to before it.
    """
    if not whole.usage.reasoning:
        return whole

    def tokens(characters: int) -> int:
        """The most tokens whose text is no longer."""
        return bisect_right(range(len(whole.token_ids)), characters, key=lambda n: len(first(n + 1).text))

    end = whole.text.find(think[1])
    end = len(whole.text) if end < 0 else end
    begin = whole.text.find(think[0], 0, end)
    start = tokens(begin + len(think[0])) if begin >= 0 else 0
    length = tokens(end) - start
    kept = start + min(max(round(fraction * length), 1), length)
    while kept > start and first(kept).text.endswith("\ufffd"):
        kept -= 1
    return first(kept)


async def said(ctx: Context, prompt: Prompt, **sampling: Any) -> str:
    """What one completion of `prompt` says behind its thinking, stripped, to go into another prompt. `sampling` as for `Context.one`."""
    return without_thinking((await ctx.one(prompt, **sampling)).text).strip()
