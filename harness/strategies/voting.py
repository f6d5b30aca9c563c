"""Many samples, one vote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from harness import prompts
from harness.cell import Cell
from harness.context import Context
from harness.strategies.selection import Aggregate, belief, rewards
from harness.strategy import Count, strategy
from harness.types import Answer, Sample

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
CISC = "arXiv:2502.06233"
VOTE: dict[str, Any] = {"family": "voting", "budget": "n"}
SHARED: dict[str, Any] = {**VOTE, "prompt": "question"}  # it samples what `cot` samples and writes no prompt of its own


@strategy(name="self_consistency", version=1, paper="arXiv:2203.11171", pool="full", **SHARED)
async def self_consistency(ctx: Context, n: Count = 16) -> Answer:
    """n samples of the chain-of-thought prompt; the most frequent answer wins, item by item. Samples without an answer do not vote.

    Answers are counted by equivalence class. A tie goes to the class drawn first: samples are exchangeable, so this is as fair as a coin.
    """
    return await plurality(ctx, await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n))


@strategy(name="weighted_vote", version=1, paper=CISC, needs={"logprobs"}, pool="full", **SHARED)
async def weighted_vote(ctx: Context, n: Count = 16, softmax: Positive = 1.0) -> Answer:
    """Votes weigh exp(c / softmax), c being the sample's length-normalised probability: confidence-informed self-consistency (CISC).

    Ours: `softmax`, the paper's temperature, is 1; the paper tunes it for each model on held-out questions.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return await plurality(ctx, samples, [math.exp((math.exp(s.mean_logprob or 0.0) - 1) / softmax) for s in samples])


@strategy(name="belief_vote", version=1, paper=CISC, needs={"prompt_logprobs", "judge"}, pool="first stage", **VOTE)
async def belief_vote(ctx: Context, n: Count = 16, softmax: Positive = 1.0) -> Answer:
    """As `weighted_vote`, c being the judge's P(yes) that the sample is correct (see `best_of_n_judge`): the best of CISC's confidences."""
    prompt = ctx.compose(prompts.STEP_BY_STEP)
    samples = await ctx.sample(prompt, n)
    beliefs = await ctx.gather(*(belief(ctx, prompts.judge(prompt, s.text)) for s in samples))
    return await plurality(ctx, samples, [math.exp((p - 1) / softmax) for p in beliefs])


@strategy(name="reward_vote", version=1, paper="arXiv:2206.02336", needs={"reward"}, pool="full", **SHARED)
async def reward_vote(ctx: Context, n: Count = 16, agg: Aggregate = "last", step: str = "\n\n") -> Answer:
    """Every sample votes with its reward (see `best_of_n_reward`); over-long ones, without a reward, decide only among themselves."""
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return await plurality(ctx, samples, await rewards(ctx, samples, agg, step))


def pooled_only(cell: Cell) -> str | None:
    """The obstacle of strategies that decide afterwards what of a trace the engine would have made."""
    named = f"strategy {cell.strategy.name} cuts traces that were made whole"
    return f"{named}, so live energy and time would be the whole traces'; run it pooled" if cell.mode == "live" else None


@strategy(name="short_m_at_k", version=1, paper="arXiv:2505.17813", needs={"token_ids"}, pool="full", obstacle=pooled_only, **SHARED)
async def short_m_at_k(ctx: Context, n: Count = 16, m: Count = 3) -> Answer:
    """n samples at once (the paper's k); as soon as m have ended all others are stopped, and those m vote. A tie goes to the shortest.

    All tokens count as equally fast; the stopped are charged what they had by then; samples cut at max_tokens have not ended.
    Ours: the whole sample counts, where the paper waits for the end of thinking and then lets the m answer.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    ordered = sorted(samples, key=lambda s: (s.finish == "length", s.usage.output))
    for late in ordered[m:]:
        ctx.trim(late, ordered[m - 1].usage.output)
    return await plurality(ctx, ordered[:m])


async def plurality(ctx: Context, samples: Sequence[Sample], weights: Sequence[float | None] | None = None) -> Answer:
    """The plurality answer of each item; a sample votes with its weight (without `weights` 1, None is 0).

    The text is that of the first sample that voted with the first item's winner.
    """
    known = [w or 0.0 for w in weights] if weights else [1.0] * len(samples)
    voted = [ctx.extract(s.text) for s in samples]
    winners = [_winner(classes, known) for classes in await ballots(ctx, samples)]
    shown = samples[next((i for i in winners if i is not None), 0)]
    items = tuple(None if winner is None else voted[winner][item] for item, winner in enumerate(winners))
    return Answer(text=shown.text, finish=shown.finish, items=items, samples=(shown,))


async def ballots(ctx: Context, samples: Sequence[Sample]) -> list[list[int]]:
    """Item by item the answer class of each sample; −1 for a sample without an answer."""
    return [await ctx.classes(answers) for answers in zip(*(ctx.extract(s.text) for s in samples), strict=True)]


def _winner(classes: Sequence[int], weights: Sequence[float]) -> int | None:
    """Index of the first sample in the class that weighs most; None when nobody answered. Sums are exact, so that equal ones tie."""
    votes = {c: math.fsum(w for other, w in zip(classes, weights, strict=True) if other == c) for c in set(classes) if c >= 0}
    return next((i for i, c in enumerate(classes) if c >= 0 and votes[c] == max(votes.values())), None)
