"""Reasoning that is stopped when its answer does not change any more."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from harness import prompts
from harness.context import Context
from harness.strategies.voting import pooled_only
from harness.strategy import Count, Tokens, strategy
from harness.types import Answer, Sample

PROBE = "... Oh, I suddenly got the answer to the whole problem, **Final Answer**\n\n\\[ \\boxed{"  # quoted from arXiv:2412.20993
UNSURE = re.compile(r"\b(?:wait|hold|but|okay|no|hmm)\b", re.IGNORECASE)


async def same(ctx: Context, answers: Sequence[Sequence[str | None]]) -> bool:
    """Whether all of `answers`, each with one per item of the problem, are there and equivalent, item by item."""
    for item in zip(*answers, strict=True):
        if None in item or len(set(await ctx.classes(item))) > 1:
            return False
    return True


@strategy(
    name="answer_convergence", version=1, family="stopping", paper="arXiv:2412.20993", needs={"prefix", "token_ids"}, budget=1,
    pool="first stage", prompt="question", obstacle=pooled_only,
)  # fmt: skip
async def answer_convergence(ctx: Context, k: Count = 3, chunk: Tokens = 64) -> Answer:
    r"""Dynasor: after every `chunk` tokens of the pool's chain of thought a probe begins the final answer, 20 tokens long; the trace ends
    where the last k probes gave one answer and none hesitated behind it.

    (k, chunk) of the paper: mild (8, 64), low (5, 64), mid (3, 64), high (2, 64), crazy (2, 32). Probes up to the end are charged, of the
    trace what stands before it. Ours: a probe is waited for, so serial tokens hold all of them; the paper's run beside the next chunk."""
    ask, beginnings, found = ctx.compose(prompts.STEP_BY_STEP), list[str](), list[tuple[str | None, ...]]()

    def chunked(whole: Sample, first: Callable[[int], Sample]) -> Sample:
        beginnings.extend(first(n).text for n in range(chunk, len(whole.token_ids), chunk))
        return whole

    trace = await ctx.one(ask, keep=chunked)
    for number, text in enumerate(beginnings, 1):
        (probe,) = await ctx.gather(ctx.one(ask.extend(text + PROBE), max_tokens=20))
        found.append(() if UNSURE.search(probe.text.partition("}")[2]) else ctx.extract("\\boxed{" + probe.text))
        if number >= k and all(found[-k:]) and await same(ctx, found[-k:]):
            kept = ctx.trim(trace, number * chunk)
            return Answer(text=kept.text + PROBE + probe.text, items=found[-1], samples=(kept, probe))
    return Answer.of(trace)
