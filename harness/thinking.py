"""Where in a finished sample its thinking stands, counted in tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

from harness.types import Sample


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
