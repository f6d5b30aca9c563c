"""Many samples, one vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness import prompts
from harness.context import Context
from harness.strategy import Count, strategy
from harness.types import Answer, Sample


@strategy(name="self_consistency", version=1, family="voting", paper="arXiv:2203.11171", budget="n", pool="full", prompt="question")
async def self_consistency(ctx: Context, n: Count = 16) -> Answer:
    """n samples of the chain-of-thought prompt; the most frequent answer wins, item by item. Samples without an answer do not vote.

    Answers are counted by equivalence class. A tie goes to the class drawn first: samples are exchangeable, so this is as fair as a coin.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return await plurality(ctx, samples)


async def plurality(ctx: Context, samples: Sequence[Sample]) -> Answer:
    """The plurality answer of each item. The text is that of the first sample that voted with the first item's winner."""
    voted = [ctx.extract(s.text) for s in samples]
    winners = [await _winner(ctx, [answers[item] for answers in voted]) for item in range(len(voted[0]))]
    shown = samples[next((i for i in winners if i is not None), 0)]
    items = tuple(None if winner is None else voted[winner][item] for item, winner in enumerate(winners))
    return Answer(text=shown.text, finish=shown.finish, items=items, samples=(shown,))


async def _winner(ctx: Context, answers: Sequence[str | None]) -> int | None:
    """Index of the first sample in the largest class; None when nobody answered."""
    classes = await ctx.classes(answers)
    votes = Counter(c for c, answer in zip(classes, answers, strict=True) if answer is not None)
    if not votes:
        return None
    top = max(votes.values())
    return next(i for i, c in enumerate(classes) if answers[i] is not None and votes[c] == top)
