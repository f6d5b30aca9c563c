"""One answer from one prompt."""

from __future__ import annotations

from harness import prompts
from harness.context import Context
from harness.strategy import strategy
from harness.types import Answer


@strategy(name="direct", version=1, family="prompting", budget=1, pool="full", fixes={"temperature": 0.0})
async def direct(ctx: Context) -> Answer:
    """Answer at once, greedily, without reasoning: the floor of every frontier."""
    return Answer.of(await ctx.one(ctx.compose(system=prompts.DIRECT_SYSTEM)))


@strategy(name="cot", version=1, family="prompting", paper="arXiv:2201.11903", budget=1, pool="full", prompt="question")
async def cot(ctx: Context) -> Answer:
    """Chain of thought: one sample that reasons step by step. Its mean over trials is pass@1 of the pool that voting shares.

    Zero-shot instruction (arXiv:2205.11916) in one stage, where the paper used few-shot examples.
    """
    return Answer.of(await ctx.one(ctx.compose(prompts.STEP_BY_STEP)))
