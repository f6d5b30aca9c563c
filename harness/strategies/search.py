"""Step search: one driver for many open answers, guided by values of their steps; what differs is the rule that reallocates them.

All steps, rewards and rollouts are charged, those of abandoned paths too. An answer has `max_tokens` in all, as a single sample has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from harness import prompts
from harness.context import Context, Score
from harness.strategies import search_rules as rules
from harness.strategies.search_rules import Path, Paths, Rule, ranked
from harness.strategies.selection import Aggregate, rewards
from harness.strategies.voting import Positive, plurality
from harness.strategy import Count, strategy
from harness.types import Answer, Sample
from tasks.extraction import explicitly_marked

IMPROVE = "A grader gives this answer {score:.2f} out of 1. Write a better one, from the beginning."
GUIDED: dict[str, Any] = {"needs": {"prefix", "reward"}, "budget": "width", "pool": "first stage", "prompt": "question"}
STEPS: dict[str, Any] = {"family": "step search", **GUIDED}
WHOLE: dict[str, Any] = {"needs": {"reward"}, "budget": "n", "pool": "first stage"}


def _divides(fan: int, info: ValidationInfo) -> int:
    if info.data.get("width", fan) % fan:
        raise PydanticCustomError("fan", "must divide width={width}", info.data)
    return fan


Fan = Annotated[Count, Field(validate_default=True), AfterValidator(_divides)]
Pair = Annotated[int, Field(ge=2, le=100_000)]
Chance = Annotated[float, Field(gt=0, lt=1)]
Noise = Annotated[float, Field(ge=0)]
Step = Annotated[str, Field(min_length=1)]
Valued = Callable[[Paths], Awaitable[list[Score]]]


def rewarded(ctx: Context, step: str, agg: Aggregate = "last") -> Valued:
    """Paths are worth the reward of their steps."""
    return lambda paths: rewards(ctx, [p.whole for p in paths], agg, step)


async def write(ctx: Context, paths: Paths, step: str, max_steps: int, **sampling: Any) -> list[Path]:
    """Open paths of equal length one step longer, the step number `max_steps` to the end; finished ones stay as they are.

    A path is done at its end, with a marked answer to every item, and without tokens left. All searches share a pool of first steps.
    """
    ask, given, free = ctx.compose(prompts.STEP_BY_STEP), ctx.cell.strategy.sampling, [p for p in paths if not p.done and p.ahead is None]
    last = len(free[0].samples) + 1 >= max_steps if free else False
    stop = given.stop if last else (step, *given.stop)

    def room(path: Path) -> int:
        return given.max_tokens - sum(s.usage.output for s in path.samples)

    def longer(path: Path, sample: Sample) -> Path:
        grown = replace(path, samples=(*path.samples, sample))
        answered = explicitly_marked(grown.text) is not None and None not in ctx.extract(grown.text)
        going = sample.finish == "stop" and sample.text.endswith(step) and room(grown) > 0
        return replace(grown, done=last or answered or not going)

    if free and not free[0].samples:
        made = iter(await ctx.sample(ask, len(free), stop=stop, **sampling))
    else:
        made = iter(await ctx.gather(*(ctx.one(ask.extend(p.text), stop=stop, max_tokens=room(p), **sampling) for p in free)))
    return [p if p.done else replace(p.ahead[0], ahead=p.ahead[1:]) if p.ahead else longer(p, next(made)) for p in paths]


async def valued(paths: Paths, value: Valued) -> list[Path]:
    """Paths with the value of their last piece; of equal paths one is asked about."""
    new = {p.text: p for p in paths if len(p.values) < len(p.samples)}
    found = dict(zip(new, await value(list(new.values())), strict=True))
    return [replace(p, values=(*p.values, found[p.text])) if len(p.values) < len(p.samples) else p for p in paths]


async def grow(ctx: Context, paths: Paths, value: Valued, step: str, max_steps: int) -> list[Path]:
    """Paths one step longer (see `write`), valued all at once."""
    return await valued(await write(ctx, paths, step, max_steps), value)


async def search(ctx: Context, rule: Rule, start: Paths, value: Valued, step: str, max_steps: int) -> list[Path]:
    """The finished paths of a population that begins as `start`: every open path grows, the rule reallocates, and again."""
    population, finished = list(start), list[Path]()
    while population:
        every = [*finished, *await grow(ctx, population, value, step, max_steps)]
        finished, population = [p for p in every if p.done], [p for p in every if not p.done]
        following = rule(population, finished, len(start), ctx.rng) if population else finished
        finished, population = [p for p in following if p.done], [p for p in following if not p.done]
    return finished


async def settle(ctx: Context, paths: Paths, select: Literal["best", "vote"] = "best") -> Answer:
    """The best path; by `vote`, item by item, the answer whose paths have the highest sum of values."""
    if select == "best":
        return ranked(paths)[0].answer
    vote = await plurality(ctx, [p.whole for p in paths], [max(p.value, 0.0) for p in paths])
    return replace(next(p.answer for p in paths if p.text == vote.text), items=vote.items)


async def whole(ctx: Context, n: int, value: Valued, better: Path | None = None) -> list[Path]:
    """n whole answers, valued: from the pool of chains of thought, or to improve on an earlier one."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    if better is not None:
        ask = ask.then(better.text, f"{IMPROVE.format(score=max(better.value, 0.0))} {ctx.problem.answer_format}")
    return await valued([Path((s,), done=True) for s in await ctx.sample(ask, n)], value)


@strategy(name="beam", version=1, paper="arXiv:2408.03314", **STEPS)
async def beam(
    ctx: Context, width: Count = 16, fan: Fan = 4, agg: Aggregate = "last", step: Step = "\n\n", max_steps: Count = 40
) -> Answer:
    """Beam search by process reward: `width` candidates a step, of which the width / fan best go on, `fan` times each.

    search-and-learn's numbers; finished paths keep their place while they are among the best, as in its_hub.
    """
    rule = partial(rules.survivors, fan=fan)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, rewarded(ctx, step, agg), step, max_steps))


@strategy(name="lookahead", version=1, paper="arXiv:2408.03314", **STEPS)
async def lookahead(ctx: Context, width: Count = 16, fan: Fan = 4, k: Count = 1, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """Beam search that values a candidate by the reward at the end of a greedy rollout of `k` steps, which is charged and dropped."""

    async def value(paths: Paths) -> list[Score]:
        for _ in range(k):
            paths = await write(ctx, paths, step, max_steps, temperature=0.0)
        return await rewarded(ctx, step)(paths)

    return await settle(ctx, await search(ctx, partial(rules.survivors, fan=fan), [Path()] * width, value, step, max_steps))


@strategy(name="dvts", version=1, paper="arXiv:2502.06703", **STEPS)
async def dvts(ctx: Context, width: Count = 16, fan: Fan = 4, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """Diverse verifier tree search (search-and-learn): width / fan trees apart, each of which goes on from the best of `fan` children.

    Ours: a tree ends when its best child has finished.
    """
    start = [Path(tree=i // fan) for i in range(width)]
    return await settle(ctx, await search(ctx, partial(rules.separate, fan=fan), start, rewarded(ctx, step), step, max_steps))


@strategy(name="step_best_of_n", version=1, paper="arXiv:2410.13639", **STEPS)
async def step_best_of_n(ctx: Context, width: Count = 4, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """Step-wise best-of-N: of `width` next steps the one with the best reward is kept, until it ends the answer. A DVTS of one tree."""
    rule = partial(rules.separate, fan=width)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, rewarded(ctx, step), step, max_steps))


@strategy(name="rebase", version=1, paper="arXiv:2408.00724", **STEPS)
async def rebase(ctx: Context, width: Count = 16, balance: Positive = 0.2, step: Step = "\n\n", max_steps: Count = 25) -> Answer:
    """Reward-balanced search: every open path goes on, in proportion to softmax(reward / balance); the finished ones vote by reward."""
    rule = partial(rules.balanced, temperature=balance)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, rewarded(ctx, step), step, max_steps), "vote")


@strategy(name="particle_filter", version=1, paper="arXiv:2502.01618", **STEPS)
async def particle_filter(ctx: Context, width: Pair = 4, softmax: Positive = 1.0, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """Particle filtering: after each step all `width` particles are drawn anew by softmax(logit(reward) / softmax), finished ones too."""
    rule = partial(rules.resampled, temperature=softmax)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, rewarded(ctx, step), step, max_steps))


@strategy(name="particle_gibbs", version=1, paper="arXiv:2502.01618", **STEPS)
async def particle_gibbs(
    ctx: Context, width: Pair = 4, rounds: Count = 2, softmax: Positive = 1.0, step: Step = "\n\n", max_steps: Count = 40
) -> Answer:
    """Particle Gibbs: `rounds` of particle filtering, each given one path of the round before, drawn by its weight, that always survives.

    The best of the last round is the answer, as in its_hub. The retained path is neither written nor scored again. No ancestor sampling.
    """
    rule, retained, found = partial(rules.resampled, temperature=softmax), list[Path](), list[Path]()
    for _ in range(rounds):
        start = [*[Path()] * (width - len(retained)), *retained]
        found = await search(ctx, rule, start, rewarded(ctx, step), step, max_steps)
        retained = [ctx.rng.choices(found, rules.softmax([rules.logit(p.value) for p in found], softmax))[0].again()]
    return await settle(ctx, found)


@strategy(name="compute_optimal", version=1, family="adaptive", paper="arXiv:2408.03314", **{**WHOLE, "needs": {"prefix", "reward"}})
async def compute_optimal(
    ctx: Context, n: Count = 16, probes: Count = 4, easy: Chance = 0.8, hard: Chance = 0.4, step: Step = "\n\n", max_steps: Count = 40
) -> Answer:
    """Compute by difficulty: the mean reward of the first `probes` answers decides what the rest of `n` are; the best of all wins.

    From `easy` on one revision after another, below `hard` a beam search (a fan of 4), between them more samples. The probes are charged.
    Ours: thresholds, where the paper learns bins from 2,048 samples of each problem, and a policy that was not trained to revise.
    """
    value = rewarded(ctx, step)
    paths = await whole(ctx, min(probes, n), value)
    mean, rest = sum(max(p.value, 0.0) for p in paths) / len(paths), n - len(paths)
    if mean < hard:
        paths += await search(ctx, partial(rules.survivors, fan=min(4, max(rest, 1))), [Path()] * rest, value, step, max_steps)
    elif mean < easy and rest:
        paths += await whole(ctx, rest, value)
    for _ in range(rest if mean >= easy else 0):
        paths += await whole(ctx, 1, value, better=ranked(paths)[0])
    return await settle(ctx, paths)


@strategy(name="iad", version=1, family="refinement", paper="arXiv:2504.01931", **WHOLE)
async def iad(ctx: Context, n: Count = 4, noise: Noise = 0.0, step: Step = "\n\n") -> Answer:
    """Iterative agent decoding: each of `n` answers is to improve on the best so far, told its reward; the best is the answer.

    `noise`: standard deviation of an error added to every reward, the paper's study of bad verifiers. Ours: the wording.
    """

    async def value(paths: Paths) -> list[Score]:
        return [None if s is None else s + ctx.rng.gauss(0.0, noise) for s in await rewarded(ctx, step)(paths)]

    paths = await whole(ctx, 1, value)
    for _ in range(n - 1):
        paths += await whole(ctx, 1, value, better=ranked(paths)[0])
    return await settle(ctx, paths)
