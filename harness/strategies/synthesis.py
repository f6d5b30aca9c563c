"""A new answer from several earlier ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from harness import prompts
from harness.context import Context
from harness.strategies.voting import ballots, plurality
from harness.strategy import Count, strategy
from harness.types import Answer, Sample
from tasks.answers import without_thinking

MERGE = "Compare the candidates above, keep what is right, and reason step by step to one answer; where all are wrong find another."
HINT = "(Hint: The answer is near to {hint})."  # of progressive-hint prompting, arXiv:2304.09797
OWN: dict[str, Any] = {"family": "synthesis", "budget": "n", "pool": "first stage"}


@strategy(name="synthesizer", version=1, paper="arXiv:2501.01668", **OWN)
async def synthesizer(ctx: Context, n: Count = 5) -> Answer:
    """n samples; one more call reads them all and reasons to an answer of its own, which may be none of theirs.

    Ours: the model itself, untrained, is the synthesizer; the paper trains one. It does not see the candidates' thinking.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    texts = [without_thinking(s.text) for s in samples]
    return Answer.of(await ctx.one(prompts.candidates(ctx.problem.question, texts, f"{MERGE} {ctx.problem.answer_format}")))


@strategy(name="hint_marginalization", version=1, paper="arXiv:2412.13292", **OWN)
async def hint_marginalization(ctx: Context, n: Count = 16, rounds: Annotated[int, Field(ge=1, le=100)] = 2) -> Answer:
    """P(y) from n samples; then in each round P(y) ← Σ P(h) P(y | h) over the answers h, given as hints; the mode of the last wins.

    A hint gets n P(h) samples, rounded, at least one. Ours: two rounds; several items make one hint; samples without answer are left out.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    weights = [1.0] * n
    for _ in range(rounds):
        hints = await _distribution(ctx, samples, weights)
        hinted = [ctx.compose(f"{prompts.STEP_BY_STEP} {HINT.format(hint=hint)}") for hint in hints]
        drawn = await ctx.gather(*(ctx.sample(ask, max(1, round(n * p))) for ask, p in zip(hinted, hints.values(), strict=True)))
        said = [[s for s in group if None not in ctx.extract(s.text)] for group in drawn]
        if not any(said):
            break
        weights = [p / len(group) for p, group in zip(hints.values(), said, strict=True) for _ in group]
        samples = [s for group in said for s in group]
    return await plurality(ctx, samples, weights)


async def _distribution(ctx: Context, samples: Sequence[Sample], weights: Sequence[float]) -> dict[str, float]:
    """The probability of each distinct answer, in order of appearance, written as the first sample wrote it."""
    mass, shown = dict[tuple[int, ...], list[float]](), dict[tuple[int, ...], str]()
    for sample, weight, ballot in zip(samples, weights, zip(*await ballots(ctx, samples), strict=True), strict=True):
        if min(ballot) >= 0:
            mass.setdefault(ballot, []).append(weight)
            shown.setdefault(ballot, ", ".join(map(str, ctx.extract(sample.text))))
    total = math.fsum(w for found in mass.values() for w in found)
    return {shown[ballot]: math.fsum(found) / total for ballot, found in mass.items()}
