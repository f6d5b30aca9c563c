"""Votes and cuts by the confidences of tokens: −mean log-probability of the 20 likeliest, high where the model is sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from statistics import fmean
from typing import Any, Literal

from harness import prompts
from harness.context import Context
from harness.strategies.voting import Positive, Share, plurality
from harness.strategy import Count, strategy
from harness.types import Answer, Sample

SURE: dict[str, Any] = {"family": "confidence", "budget": "n", "pool": "full", "prompt": "question"}


@strategy(name="deepconf_offline", version=1, paper="arXiv:2508.15260", needs={"confidence"}, **SURE)
async def deepconf_offline(
    ctx: Context, n: Count = 512, measure: Literal["mean", "tail", "bottom", "lowest"] = "bottom", keep: Share = 0.1, group: Count = 2048
) -> Answer:
    """n samples; of those with an answer the most confident share `keep` vote, each with its confidence.

    mean: of all tokens; tail: of the last `group`; lowest: of the least confident `group` tokens in a row; bottom: mean of the lowest tenth
    of such groups. Published: 512 samples, keep 0.1 or 0.9, groups of 2048.
    """
    drawn = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    samples = [s for s in drawn if any(a is not None for a in ctx.extract(s.text))] or drawn
    confidences = [_measured(s, measure, group) for s in samples]
    return await _confident(ctx, samples, confidences, _percentile(confidences, 1 - keep))


@strategy(name="deepconf_online", version=1, paper="arXiv:2508.15260", needs={"confidence", "token_ids"}, **SURE)
async def deepconf_online(
    ctx: Context, n: Count = 256, warmup: Count = 16, keep: Share = 0.1, group: Count = 2048, every: Count = 32
) -> Answer:
    """The `warmup` samples set a bar, which the share `keep` of them reaches; each further one is stopped once a group falls below it.

    All that never fell below it vote, weighing as much as their lowest group; the stopped are charged what they had made. On stored traces
    an exact truncation. As in the authors' program, which does not stop at a consensus; ours: it is looked every `every` tokens.
    """
    prompt, warm = ctx.compose(prompts.STEP_BY_STEP), min(warmup, n)
    samples = await ctx.sample(prompt, warm)
    bar = _percentile([min(_groups(s, group)) for s in samples], 1 - keep)
    if n > warm:
        falls = lambda made: len(made.token_ids) >= group and min(_groups(made, group, every)) < bar  # noqa: E731
        samples += await ctx.sample(prompt, n - warm, watch=falls, every=every)
    return await _confident(ctx, samples, [min(_groups(s, group)) for s in samples], bar)


@strategy(name="self_certainty", version=1, paper="arXiv:2502.18581", needs={"confidence"}, **SURE)
async def self_certainty(ctx: Context, n: Count = 16, power: Positive = 0.5) -> Answer:
    """Borda vote: the sample of rank r by certainty votes with (n − r + 1)^power: near 0 a plain vote, a large power takes the best.

    Ours: certainty is over the 20 likeliest tokens, which engines observe, not over the whole vocabulary.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    certain = [fmean(s.confidence or [0.0]) for s in samples]
    return await plurality(ctx, samples, [(n - sum(other > own for other in certain)) ** power for own in certain])


async def _confident(ctx: Context, samples: Sequence[Sample], confidences: Sequence[float], bar: float) -> Answer:
    """The vote of the samples at or above the bar, weighed by confidence."""
    kept = [(s, c) for s, c in zip(samples, confidences, strict=True) if c >= bar]
    return await plurality(ctx, *zip(*kept, strict=True))


def _measured(sample: Sample, measure: str, group: int) -> float:
    tokens, groups = sample.confidence or (0.0,), sorted(_groups(sample, group))
    if measure in ("mean", "tail"):
        return fmean(tokens if measure == "mean" else tokens[-group:])
    return groups[0] if measure == "lowest" else fmean(groups[: math.ceil(len(groups) / 10)])


def _groups(sample: Sample, size: int, last: int = 0) -> list[float]:
    """Mean confidence of every `size` tokens in a row, of all tokens where there are fewer; with `last` only that many last ones."""
    sums = [0.0, *accumulate(sample.confidence or (0.0,))]
    size = min(size, len(sums) - 1)
    return [(high - low) / size for low, high in zip(sums[:-size][-last:], sums[size:][-last:], strict=True)]


def _percentile(values: Sequence[float], share: float) -> float:
    """Linear between neighbours, as numpy's; never above the largest."""
    ordered = sorted(values)
    at, part = divmod(share * (len(values) - 1), 1)
    low, high = ordered[int(at)], ordered[min(int(at) + 1, len(values) - 1)]
    return min(low + part * (high - low), high)
