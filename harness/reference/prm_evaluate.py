"""Measure `perpass/prm` on problems kept from training and write the result on its card: `python -m harness.reference.prm_evaluate`."""

from __future__ import annotations

import argparse
import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from harness.models import resolve
from harness.reference import prm_card
from harness.reference.prm_export import write_accuracy
from harness.reference.solutions import POLICIES, SEPARATOR, Asked, Solution, policy, procedure, sampled, story
from harness.reference.train import HERE
from harness.rewards.transformers import TransformersReward
from tasks.extraction import boxes
from tasks.procbench.procedures import REFERENCE
from tasks.procbench.procedures import problems as procedures
from tasks.stories import stories

N = 8
TEMPERATURE, TOP_P = 0.8, 0.95  # what strategies sample with by default
DRAWS = 2000  # of the bootstrap over problems
KINDS = {"word problems of 3 to 6 operations": "story", "procedures of 2 to 8 steps": "procedure"}


@dataclass(frozen=True)
class Judged:
    """N solutions of one problem with the reward's score of each step."""

    solutions: tuple[Solution, ...]
    scores: tuple[tuple[float, ...], ...]

    @property
    def right(self) -> list[bool]:
        """Whether each states the right answer."""
        gold = _answer(self.solutions[0].right)
        return [_answer(s.steps) == gold for s in self.solutions]


def _answer(steps: Sequence[str]) -> str | None:
    found = boxes(SEPARATOR.join(steps))
    return found[-1] if found else None


def held_out(size: int, seed: int) -> list[Asked]:
    """`size` problems of each kind that training never asks."""
    made = []
    for place in range(size):
        rng = random.Random(f"prm/evaluate/{seed}/{place}")
        made.append(story(*next(stories(rng, 3 + place % 4, held_out=True))))
        name = REFERENCE[place % len(REFERENCE)]
        made.append(procedure(next(procedures(rng, name, rng.randint(2, 8), held_out=True))))
    return made


async def judged(name: str, problems: Sequence[Asked], reward: TransformersReward) -> list[Judged]:
    """N solutions of each problem by one policy, each judged."""
    engine = policy(name)
    await engine.open()

    async def one(place: int, problem: Asked) -> Judged:
        drawn = await asyncio.gather(*(sampled(engine, problem, f"prm/{name}/{place}/{i}", TEMPERATURE, TOP_P) for i in range(N)))
        found = await asyncio.gather(*(reward.steps(s.question, s.steps) for s in drawn))
        return Judged(tuple(drawn), tuple(tuple(0.0 if x is None else x for x in f.scores) for f in found))

    try:
        return list(await asyncio.gather(*(one(place, problem) for place, problem in enumerate(problems))))
    finally:
        await engine.close()


def auc(verdicts: Sequence[bool], scores: Sequence[float]) -> float:
    """The probability that a right step scores above a wrong one (Mann and Whitney), ties half; NaN where there are not both."""
    true = np.asarray(verdicts)
    n, m = int(true.sum()), int((~true).sum())
    return float((rankdata(scores)[true].sum() - n * (n + 1) / 2) / (n * m)) if n and m else math.nan


Choose = Callable[[Judged], float]


def single(made: Judged) -> float:
    """The mean of N: what one sample is expected to do."""
    return sum(made.right) / N


def majority(made: Judged) -> float:
    """The most frequent answer; of ties the one drawn first."""
    return _voted(made, [1.0] * N)


def weighted(made: Judged) -> float:
    """The answer with the largest sum of last scores."""
    return _voted(made, [scores[-1] if scores else 0.0 for scores in made.scores])


def best(aggregate: Callable[[Sequence[float]], float]) -> Choose:
    """The solution with the largest score."""

    def choose(made: Judged) -> float:
        values = [aggregate(scores) if scores else -1.0 for scores in made.scores]
        return float(made.right[values.index(max(values))])

    return choose


def _voted(made: Judged, weights: Sequence[float]) -> float:
    sums: dict[str, float] = {}
    answers = [_answer(s.steps) for s in made.solutions]
    for answer, weight in zip(answers, weights, strict=True):
        if answer is not None:
            sums[answer] = sums.get(answer, 0.0) + weight
    if not sums:
        return 0.0
    return float(max(sums, key=lambda a: sums[a]) == _answer(made.solutions[0].right))


RULES: dict[str, Choose] = {
    "one sample": single,
    f"majority of {N}": majority,
    f"best of {N}, last score": best(lambda s: s[-1]),
    f"best of {N}, smallest score": best(min),
    f"best of {N}, product": best(math.prod),
    f"vote of {N} weighted by last score": weighted,
    f"any of {N}": lambda made: float(any(made.right)),
}


def _interval(values: NDArray[np.float64]) -> str:
    """A mean in percent with its 95 % bootstrap interval over problems."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.1%} ({low:.1%} to {high:.1%})"


def _auc_cell(made: Sequence[Judged]) -> str:
    """AUC per step with its 95 % bootstrap interval over problems, and how many steps are wrong."""
    per = [([v for s in m.solutions for v in s.verdicts], [x for scores in m.scores for x in scores]) for m in made]

    def of(chosen: Sequence[int]) -> float:
        return auc([v for i in chosen for v in per[i][0]], [x for i in chosen for x in per[i][1]])

    rng = np.random.default_rng(0)
    draws = [of(rng.integers(len(per), size=len(per)).tolist()) for _ in range(200)]
    low, high = np.nanquantile(draws, (0.025, 0.975))  # a draw of problems without a wrong step says nothing
    verdicts = [v for vs, _ in per for v in vs]
    return f"{of(range(len(per))):.3f} ({low:.3f} to {high:.3f}; {verdicts.count(False):,} of {len(verdicts):,} wrong)"


async def measure(size: int, seed: int = 0) -> dict[str, Any]:
    """AUC per step, and what it does as a chooser, for each policy and kind of problem."""
    problems = held_out(size, seed)
    reward = TransformersReward(resolve("perpass/prm", device="cpu"), device="cpu", threads=1)
    await reward.open()
    try:
        found = {name: await judged(name, problems, reward) for name in POLICIES}
    finally:
        await reward.close()
    tables = [
        {
            "title": "AUC of a step's verdict, right so far against not",
            "columns": ["", *POLICIES],
            "rows": [[title, *(_auc_cell(_of(found[name], kind)) for name in POLICIES)] for title, kind in KINDS.items()],
        }
    ]
    for title, kind in KINDS.items():
        chosen = {name: _of(found[name], kind) for name in POLICIES}
        done = {name: {rule: np.array([choose(m) for m in made]) for rule, choose in RULES.items()} for name, made in chosen.items()}
        rows = [[rule, *(_interval(done[name][rule]) for name in POLICIES)] for rule in RULES]
        last, vote = list(RULES)[2], list(RULES)[1]
        rows.append([f"{last} − {vote}, paired", *(_interval(done[name][last] - done[name][vote]) for name in POLICIES)])
        tables.append({"title": f"Accuracy on {size} {title}", "columns": ["", *POLICIES], "rows": rows})
    note = f"Problems kept from training; samples at temperature {TEMPERATURE}, top_p {TOP_P}; 95 % bootstrap intervals over problems."
    return {"tables": tables, "note": note}


def _of(made: Sequence[Judged], kind: str) -> list[Judged]:
    return [m for m in made if m.solutions[0].kind == kind]


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.reference.prm_evaluate", description="Measure perpass/prm; writes its card.")
    parser.add_argument("--size", type=int, default=200, help="problems of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dry", action="store_true", help="print the tables, write nothing")
    given = parser.parse_args(arguments)
    found = asyncio.run(measure(given.size, given.seed))
    print(prm_card.measured(found))
    if not given.dry:
        write_accuracy(HERE / "prm", found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
