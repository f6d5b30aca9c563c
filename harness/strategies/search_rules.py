"""Open answers, and the pure rules by which a population of them is reallocated after each step.

A rule is given the open paths of a population, the finished ones, the width and a random stream. It returns the next population: the
finished paths that stay, and each open path as often as it is to be continued. A path without a value (over-long) ranks last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from harness.types import Answer, Sample


@dataclass(frozen=True)
class Path:
    """An answer as far as it is written, piece by piece, with a value of each longer beginning (None: it could not be scored).

    `tree`: which of several independent trees it is of. `ahead`: what the path that particle Gibbs retains will be after each further step.
    """

    samples: tuple[Sample, ...] = ()
    values: tuple[float | None, ...] = ()
    done: bool = False
    tree: int = 0
    ahead: tuple[Path, ...] | None = None

    @property
    def text(self) -> str:
        return "".join(s.text for s in self.samples)

    @property
    def value(self) -> float:
        last = self.values[-1] if self.values else None
        return -math.inf if last is None else last

    @property
    def whole(self) -> Sample:
        """The last piece with the text of all."""
        return replace(self.samples[-1], text=self.text)

    @property
    def answer(self) -> Answer:
        return replace(Answer.of(self.whole), samples=self.samples)

    def again(self) -> Path:
        """The path at its beginning, with all of itself ahead."""
        ends = range(1, len(self.samples) + 1)
        return Path(ahead=tuple(Path(self.samples[:k], self.values[:k], self.done and k == ends[-1]) for k in ends))


Paths = Sequence[Path]
Rule = Callable[[Paths, Paths, int, Random], Paths]


def ranked(paths: Paths) -> list[Path]:
    """The best first; of equals the first."""
    return sorted(paths, key=lambda p: -p.value)


def softmax(values: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Weights that add up to 1. −inf has none, unless there is nothing else."""
    top = max(values)
    raw = [1.0 if top == -math.inf else math.exp((v - top) / temperature) for v in values]
    return [w / sum(raw) for w in raw]


def logit(value: float) -> float:
    """ln(p / (1 − p)) of a value in [0, 1], which is kept 1e-7 away from both ends; −inf stays."""
    p = min(max(value, 1e-7), 1 - 1e-7)
    return value if value == -math.inf else math.log(p / (1 - p))


def pick(items: Sequence[Any], logits: Sequence[float], count: int, rng: Random) -> list[Any]:
    """`count` items without replacement, each next one in proportion to exp(logit): those with the highest logit + Gumbel noise."""
    keys = [x - math.log(max(rng.expovariate(1.0), 1e-300)) for x in logits]
    return [items[i] for i in sorted(range(len(items)), key=lambda i: -keys[i])[:count]]


def survivors(population: Paths, finished: Paths, width: int, rng: Random, *, fan: int, noise: float = 0, distinct: bool = False) -> Paths:
    """Beam: of all paths the width / fan best stay, the open ones `fan` times; `distinct`: equal paths are one.

    With `noise` they are drawn instead, without replacement in proportion to exp(value / noise).
    """
    every, keep = [*finished, *population], max(width // fan, 1)
    every = list({p.text: p for p in every}.values()) if distinct else every
    kept = pick(every, [p.value / noise for p in every], keep, rng) if noise else ranked(every)[:keep]
    return [one for path in kept for one in [path] * (1 if path.done else fan)]


def separate(population: Paths, finished: Paths, width: int, rng: Random, *, fan: int) -> Paths:
    """DVTS: of each tree the best path, `fan` times. Where it has finished its tree is over, with all that finished beside it."""
    following = []
    for tree in sorted({p.tree for p in [*finished, *population]}):
        ended = [p for p in finished if p.tree == tree]
        best = ranked([*ended, *(p for p in population if p.tree == tree)])[0]
        following += ended if best.done else [best] * fan
    return following


def balanced(population: Paths, finished: Paths, width: int, rng: Random, *, temperature: float) -> Paths:
    """REBASE: what finished paths leave of the width goes to open ones by softmax(value / temperature), from the best, rounded up."""
    paths, left = ranked(population), max(width - len(finished), 0)
    weights, following = softmax([p.value for p in paths], temperature), list(finished)
    for i, path in enumerate(paths):
        share = left * weights[i] / (sum(weights[i:]) or 1.0)
        count = math.ceil(round(share, 9))  # 2.0000000000000004 is two
        following, left = [*following, *[path] * count], left - count
    return following


def resampled(population: Paths, finished: Paths, width: int, rng: Random, *, temperature: float) -> Paths:
    """Particles: `width` drawn from all, finished ones included, with replacement in proportion to softmax(logit(value) / temperature).

    A retained path (particle Gibbs) can be drawn like any other, as far as it is walked, and always stays besides.
    """
    every = [*population, *finished]
    held = [p for p in every if p.ahead is not None]
    weights = softmax([logit(p.value) for p in every], temperature)
    return [*rng.choices([replace(p, ahead=None) for p in every], weights, k=width - len(held)), *held]
