"""Many samples, the best-scored or the chosen one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field

from harness import prompts
from harness.context import Context, Score
from harness.strategy import Count, strategy
from harness.types import Answer, Sample
from tasks.answers import without_thinking
from tasks.types import Prompt

Summary = Callable[[Sequence[float]], float]
Aggregate = Literal["last", "min", "prod", "mean"]  # how the scores of steps become one
_AGGREGATES: dict[str, Summary] = {"last": lambda s: s[-1], "min": min, "prod": math.prod, "mean": fmean}
_LIKELIHOODS: dict[str, Summary] = {"mean": lambda x: fmean(map(math.exp, x)), "min": min, "prod": math.fsum}  # of logarithms
BEST = "Compare the candidates above step by step and find the one that is most likely correct."
CONSISTENT = "Read the candidates above and select the most consistent response based on majority consensus."  # from arXiv:2311.17311
NUMBER = "End with its number in \\boxed{}."
PICK: dict[str, Any] = {"family": "selection", "budget": "n"}
SHARED: dict[str, Any] = {**PICK, "prompt": "question"}  # it samples what `cot` samples and writes no prompt of its own


@strategy(name="best_of_n", version=1, paper="arXiv:2110.14168", needs={"logprobs"}, pool="full", **SHARED)
async def best_of_n(ctx: Context, n: Count = 16) -> Answer:
    """n samples; the one with the highest mean log-probability per token wins (no verifier, unlike the paper, so no further cost)."""
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return best(samples, [s.mean_logprob for s in samples])


@strategy(name="soft_self_consistency", version=1, paper="arXiv:2402.13212", needs={"logprobs"}, pool="full", **SHARED)
async def soft_self_consistency(ctx: Context, n: Count = 16, agg: Literal["mean", "min", "prod"] = "mean") -> Answer:
    """n samples; the one whose token probabilities have the highest mean (or minimum, or product) wins.

    Ours: the whole sample is scored, reasoning included; the paper scores the actions of agents, and has a variant that stops early.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return best(samples, [_LIKELIHOODS[agg](s.logprob) if s.logprob else None for s in samples])


@strategy(name="best_of_n_judge", version=1, paper="arXiv:2207.05221", needs={"prompt_logprobs", "judge"}, pool="first stage", **PICK)
async def best_of_n_judge(ctx: Context, n: Count = 16) -> Answer:
    """n samples; the one that the judge (the model itself unless an experiment says otherwise) most probably calls correct wins.

    P(yes) against P(no) by teacher forcing after each whole answer, as P(True) in the paper; each sample is judged alone.
    """
    prompt = ctx.compose(prompts.STEP_BY_STEP)
    samples = await ctx.sample(prompt, n)
    return best(samples, await ctx.gather(*(belief(ctx, prompts.judge(prompt, s.text)) for s in samples)))


@strategy(name="best_of_n_reward", version=1, paper="arXiv:2305.20050", needs={"reward"}, pool="full", **SHARED)
async def best_of_n_reward(ctx: Context, n: Count = 16, agg: Aggregate = "last", step: str = "\n\n") -> Answer:
    """n samples; the one with the highest reward wins, over-long ones last.

    Steps are divided at `step`, their scores become one by `agg`: the paper multiplies, an outcome reward is the last.
    """
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    return best(samples, await rewards(ctx, samples, agg, step))


@strategy(name="genselect", version=1, paper="arXiv:2504.16891", needs={"judge"}, pool="first stage", **PICK)
async def genselect(ctx: Context, n: Count = 8, group: Annotated[int, Field(ge=2)] = 8) -> Answer:
    """n samples; the judge (by default the model itself) reads up to `group` at once and names the best one; winners of groups meet again.

    Ours: it is untrained, greedy, reads whole answers without their thinking, and a reply that names none chooses the first; the paper
    trains one on summaries.
    """
    rivals = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    while len(rivals) > 1:
        rivals = await ctx.gather(*(_chosen(ctx, rivals[i : i + group], BEST, "judge") for i in range(0, len(rivals), group)))
    return Answer.of(rivals[0])


@strategy(name="universal_self_consistency", version=1, paper="arXiv:2311.17311", pool="first stage", **PICK)
async def universal_self_consistency(ctx: Context, n: Count = 8) -> Answer:
    """n samples; the model reads all of them and greedily names the one that most agree with: a vote that extracts no answers.

    Ours: most of the wording; a reply that names none of them chooses the first.
    """
    return Answer.of(await _chosen(ctx, await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n), CONSISTENT, "policy"))


async def _chosen(ctx: Context, samples: Sequence[Sample], wanted: str, role: str) -> Sample:
    """The sample whose number, from 1, comes last in the reply."""
    if len(samples) == 1:
        return samples[0]
    asked = prompts.candidates(ctx.problem.question, [without_thinking(s.text) for s in samples], f"{wanted} {NUMBER}")
    reply = await ctx.one(asked, role=role, temperature=0.0)
    named = [int(digits) for digits in re.findall(r"\d+", without_thinking(reply.text)) if len(digits) < 7]
    return samples[next((i for i in reversed(named) if 1 <= i <= len(samples)), 1) - 1]


def best(samples: Sequence[Sample], scores: Sequence[Score]) -> Answer:
    """The sample with the highest score; None ranks last, the first drawn wins a tie."""
    known = [-math.inf if score is None else score for score in scores]
    return Answer.of(samples[known.index(max(known))])


async def belief(ctx: Context, verdict: Prompt, role: str = "judge") -> float:
    """P(yes) against P(no) as the reply to a question, by teacher forcing."""
    yes, no = await ctx.logprob(verdict, "yes", role=role), await ctx.logprob(verdict, "no", role=role)
    return 1 / (1 + math.exp(min(no.total - yes.total, 700.0)))


async def rewards(ctx: Context, samples: Sequence[Sample], agg: Aggregate, step: str) -> list[Score]:
    """The reward of each sample, its text divided into steps at `step`; None where its end has none (an outcome reward has only that)."""
    divided = [[part for part in s.text.split(step) if part.strip()] or [s.text] for s in samples]
    scored = await ctx.gather(*(ctx.reward(steps) for steps in divided))
    return [_AGGREGATES[agg]([x for x in scores if x is not None]) if scores[-1] is not None else None for scores in scored]
