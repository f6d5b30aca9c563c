"""Two sides of the same problems: differences, ratios, their intervals, and exact tests. No database, no names.

The problem is what is independent: its trials and items are not, so every test and every draw moves whole problems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from results.intervals import DRAWS, FEWER_DRAWS, MANY_SORTS

FLIPS = 10_000
TAIL = 0.025  # of each side: a 95 % interval
Array = Any  # a numpy array; (problems,) unless said otherwise


@dataclass(frozen=True, eq=False)
class Counts:
    """Correct items of base and head, by problem: arrays of whole numbers, (problems,). `items` counted on either side, at least 1 each.

    Both sides count the same items of the same attempts, so that the difference of a problem is all that a test needs.
    """

    base: Array
    head: Array
    items: Array

    @cached_property
    def change(self) -> Array:
        return np.asarray(self.head, dtype=np.int64) - np.asarray(self.base, dtype=np.int64)

    @property
    def difference(self) -> float:
        """Accuracy of head less accuracy of base, per item: −0.05 is a fall of 5 points."""
        return float(self.change.sum() / self.items.sum())

    @property
    def lost(self) -> int:
        """Problems on which head has fewer correct items than base."""
        return int((self.change < 0).sum())

    @property
    def gained(self) -> int:
        return int((self.change > 0).sum())

    def p_worse(self) -> float:
        """One-sided p of "head is worse". See `_tails`."""
        return self._tails[0]

    def p_two_sided(self) -> float:
        """Twice the smaller tail, at most 1; with one attempt of one item per problem this is McNemar's exact p."""
        return min(1.0, 2 * min(self._tails))

    @cached_property
    def _tails(self) -> tuple[float, float]:
        """The exact sign-flip test: where nothing changed, a problem's two sides could as well be swapped, each with probability 1/2.

        Returns P(head falls at least as far), P(head rises at least as far) over all 2^n swaps, by convolution. One attempt of one item
        per problem makes it McNemar's exact test.
        """
        sizes, counts = np.unique(np.abs(self.change[self.change != 0]), return_counts=True)
        ways = np.ones(1)  # probability of each sum of what head lost
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            wider = np.zeros(len(ways) + size * count)
            for taken, probability in enumerate(_binomial(count)):
                wider[taken * size : taken * size + len(ways)] += probability * ways
            ways = wider
        lost = -int(self.change[self.change < 0].sum())
        return min(1.0, float(ways[lost:].sum())), min(1.0, float(ways[: lost + 1].sum()))

    def interval(self, tail: float = TAIL) -> tuple[float, float]:
        """Bounds of the difference with `tail` outside each: percentiles of a bootstrap that draws problems. Seeded.

        Where no problem fell, no draw can fall either, though others might have: the lower bound is then moved down by Wilson's bound on
        how many of all problems fall when none of these did. Likewise above.
        """
        low, high = (float(x) for x in np.quantile(self._draws, [tail, 1 - tail]))
        z2 = NormalDist().inv_cdf(1 - tail) ** 2
        unseen = z2 / (len(self.change) + z2)
        return max(-1.0, low - (unseen if not self.lost else 0.0)), min(1.0, high + (unseen if not self.gained else 0.0))

    @cached_property
    def _draws(self) -> Array:
        """The difference in each draw. Problems with equal counts are exchangeable: a draw says how many of each sort it took."""
        sorts, counts = np.unique(np.stack([self.change, self.items]), axis=1, return_counts=True)
        draws = DRAWS if len(counts) <= MANY_SORTS else FEWER_DRAWS
        taken = np.random.default_rng(0).multinomial(counts.sum(), counts / counts.sum(), size=draws)
        return (taken @ sorts[0]) / (taken @ sorts[1])


@dataclass(frozen=True, eq=False)
class Amounts:
    """What both sides took (joules, seconds, dollars, …), summed by problem over the same attempts: arrays of floats, (problems,)."""

    base: Array
    head: Array

    @property
    def ratio(self) -> float:
        """Head over base; 1.1 is a rise of 10 %. Infinite when base took nothing."""
        base = float(self.base.sum())
        return float(self.head.sum()) / base if base else math.inf

    def interval(self, tail: float = TAIL) -> tuple[float, float]:
        """Bounds of the ratio with `tail` outside each: percentiles of a bootstrap that draws problems. Seeded."""
        low, high = np.quantile(self._draws, [tail, 1 - tail])
        return float(low), float(high)

    @cached_property
    def _draws(self) -> Array:
        taken = _resamples(len(self.base))
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = _times(taken, self.head) / _times(taken, self.base)
        return np.where(np.isnan(drawn), math.inf, drawn)  # a draw in which base took nothing says nothing good

    def p_worse(self) -> float:
        """One-sided p of "head takes more", by random sign flips of the problems' differences (seeded; the data count as one of them)."""
        change = np.asarray(self.head - self.base, dtype=np.float64)
        seen = change.sum()
        flipped = 2 * _times(_heads(len(change)), change) - seen
        return float((1 + (flipped >= seen - 1e-9 * np.abs(change).sum()).sum()) / (1 + FLIPS))


def _binomial(n: int) -> Array:
    """P(k of n) for a fair coin, k = 0…n."""
    k = np.arange(n)
    return np.exp(np.concatenate([[0.0], np.cumsum(np.log((n - k) / (k + 1)))]) - n * math.log(2))


@lru_cache(maxsize=1)  # cells of one task have equally many problems
def _resamples(n: int) -> Array:
    """How often each draw took each problem, (draws, n)."""
    drawn = np.random.default_rng(0).integers(0, n, size=(FEWER_DRAWS, n))
    places = drawn + n * np.arange(FEWER_DRAWS)[:, None]
    return np.bincount(places.ravel(), minlength=FEWER_DRAWS * n).reshape(FEWER_DRAWS, n).astype(np.uint16)


@lru_cache(maxsize=1)
def _heads(n: int) -> Array:
    """Tossed coins, 0 or 1, (FLIPS, n)."""
    return np.random.default_rng(0).integers(0, 2, size=(FLIPS, n), dtype=np.uint8)


def _times(small: Array, values: Array) -> Array:
    """`small @ values`, in parts: as floats, the whole matrix would take eight times the memory."""
    return np.concatenate([part.astype(np.float64) @ values for part in np.array_split(small, 20)])


def holm(ps: list[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: comparing each with a level keeps the chance of any false alarm at that level."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted
