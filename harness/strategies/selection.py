"""Many samples, the best-scored one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness import prompts
from harness.context import Context
from harness.strategy import Count, strategy
from harness.types import Answer, Sample


@strategy(
    name="best_of_n",
    version=1,
    family="selection",
    paper="arXiv:2110.14168",
    needs={"logprobs"},
    budget="n",
    pool="full",
    prompt="question",
)
async def best_of_n(ctx: Context, n: Count = 16) -> Answer:
    """n samples; the one with the highest mean log-probability per token wins (no verifier, unlike the paper, so no further cost)."""
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return best(samples, [s.mean_logprob for s in samples])


@strategy(
    name="best_of_n_judge",
    version=1,
    family="selection",
    paper="arXiv:2207.05221",
    needs={"prompt_logprobs", "judge"},
    budget="n",
    pool="first stage",
)
async def best_of_n_judge(ctx: Context, n: Count = 16) -> Answer:
    """n samples; the one that the judge (the model itself unless an experiment says otherwise) most probably calls correct wins.

    P(yes) against P(no) by teacher forcing after each whole answer, as P(True) in the paper; each sample is judged alone.
    """
    prompt = ctx.compose(prompts.STEP_BY_STEP)
    samples = await ctx.sample(prompt, n)

    async def belief(sample: Sample) -> float:
        verdict = prompts.judge(prompt, sample.text)
        yes, no = await ctx.logprob(verdict, "yes", role="judge"), await ctx.logprob(verdict, "no", role="judge")
        return 1 / (1 + math.exp(min(no.total - yes.total, 700.0)))

    return best(samples, await ctx.gather(*(belief(s) for s in samples)))


def best(samples: Sequence[Sample], scores: Sequence[float | None]) -> Answer:
    """The sample with the highest score; None ranks last, the first drawn wins a tie."""
    ranked = max(range(len(samples)), key=lambda i: (-math.inf if scores[i] is None else scores[i], -i))
    return Answer.of(samples[ranked])
