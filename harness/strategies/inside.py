"""Strategies that look inside the model or change it: for engines that run its layers themselves."""

from __future__ import annotations

from typing import Any, Literal

from harness import prompts
from harness.context import Context
from harness.engines.inside import no_such_experts
from harness.strategies.selection import best
from harness.strategies.voting import plurality
from harness.strategy import Count, strategy
from harness.types import Answer, Sample

INSIDE: dict[str, Any] = {"family": "inside", "budget": "n", "prompt": "question"}
SIGNALS = {"net": (0, 1), "cumulative": (1, -1), "aligned": (2, 1)}  # place in Sample.signals, and the sign that right answers have


@strategy(name="latent_trajectory", version=1, paper="arXiv:2510.10494", needs={"hidden_states"}, **INSIDE)
async def latent_trajectory(ctx: Context, n: Count = 16, signal: Literal["net", "cumulative", "aligned"] = "aligned") -> Answer:
    """n samples; the one whose hidden states move best wins: farthest (net), least (cumulative) or straightest to their end (aligned).

    Ours: the best of n, where the paper stops at a threshold calibrated on solved problems; signals as in harness/engines/signals.py.
    """
    samples, (place, sign) = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n), SIGNALS[signal]
    return best(samples, [sign * s.signals[place] if s.signals else None for s in samples])


@strategy(name="dynamic_experts", version=1, paper="arXiv:2509.22572", needs={"experts"}, pool="full", obstacle=no_such_experts, **INSIDE)
async def dynamic_experts(ctx: Context, n: Count = 16, low: Count = 6, high: Count = 10) -> Answer:
    """n samples spread evenly over `low` … `high` active experts per token, each keeping its number throughout; they vote.

    Ours: a vote over whole samples in place of the paper's search with a verifier; defaults about the 8 of Qwen3-30B-A3B.
    """
    prompt, given, samples = ctx.compose(prompts.STEP_BY_STEP), ctx.cell.strategy.sampling.extra, list[Sample]()
    for first, experts in enumerate(range(low, min(high, low + n - 1) + 1)):
        samples += await ctx.sample(prompt, len(range(first, n, high - low + 1)), extra={**given, "experts": experts})
    return await plurality(ctx, samples)
