"""Votes of k samples for every k at once, from one pool of N exchangeable samples of a problem: plurality, and weighted by a score.

A class of m samples gives v of k votes in C(m, v) ways. The product over classes, as polynomials in the number of samples drawn, counts
the subsets in which one class wins; 1 / (1 + number of classes that tie with it) = ∫ y^ties dy for y from 0 to 1, which Gauss's rule gives
exactly from a few values of y. All terms are positive, so nothing cancels. Tests compare with the enumeration of all subsets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import zip_longest
from math import comb, isfinite, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

Voter = tuple[Hashable, bool, float]  # class, whether correct, weight
Profile = tuple[tuple[int, float], ...]
"""Of each answer class, in descending order: how many samples gave it, and the share of them that is correct (0 or 1 in a sound task)."""

LARGEST = 1_000  # samples; C(N, k) is a finite float up to 1,029
ROWS = 8_192  # polynomials held at once
STATES = 512  # different sums of weights up to which a weighted vote is computed exactly
GRID = 1 << 40  # weights are whole multiples of the largest one over this in Monte Carlo: sums are exact, so that ties are


def profile(classes: Sequence[Hashable | None], correct: Sequence[bool]) -> Profile:
    """The profile of a pool. None is a sample without an answer: it does not vote. Raises ValueError when the lengths differ."""
    counts, right = Counter[Hashable](), Counter[Hashable]()
    for answer, good in zip(classes, correct, strict=True):
        if answer is not None:
            counts[answer] += 1
            right[answer] += bool(good)
    return tuple(sorted(((size, right[answer] / size) for answer, size in counts.items()), reverse=True))


def maj_curves(n: int, profiles: Sequence[Profile]) -> Numbers:
    """maj@k, the probability that the plurality of k of n samples is correct, ties broken evenly: problems × n, column k − 1 holds k.

    Problems with equal profiles are computed once. Raises ValueError for a profile of more than n samples, or n above LARGEST.
    """
    import numpy as np

    if not 1 <= n <= LARGEST:
        raise ValueError(f"votes are counted over 1 to {LARGEST} samples, not {n}")
    distinct = {p: at for at, p in enumerate(dict.fromkeys(profiles))}
    if any(sum(size for size, _ in p) > n for p in distinct):
        raise ValueError(f"a profile has more than {n} samples")
    rows = sorted((row for p, at in distinct.items() for row in _rows(n, p, at)), key=lambda row: -row.votes)
    made = np.zeros((len(distinct), n + 1))
    for start in range(0, len(rows), ROWS):
        _count(made, rows[start : start + ROWS], n)
    made /= _binomials(n)[n]
    return made[[distinct[p] for p in profiles], 1:] if profiles else made[:, 1:]


class _Row(NamedTuple):
    """Subsets in which a class wins with `votes`: every other class that could have as many (`rivals`: their sizes) has at most as many,
    each tie weighed by y; all further samples (`free`) may be drawn in any number. `ways` to choose the votes, with the row's weight."""

    votes: int
    at: int
    ways: float
    free: int
    rivals: tuple[int, ...]
    y: float


def _rows(n: int, classes: Profile, at: int) -> Iterator[_Row]:
    sizes = [size for size, _ in classes]
    winners: dict[int, float] = {}
    for size, right in classes:
        winners[size] = winners.get(size, 0.0) + right  # classes of one size meet the same rivals
    for own, right in winners.items():
        if not right:
            continue
        others = sizes.copy()
        others.remove(own)
        for votes in range(1, own + 1):
            rivals = tuple(others[: bisect_left(others, 1 - votes, key=lambda size: -size)])
            free = n - own - sum(rivals)
            for y, weight in _gauss(min(len(rivals), n // votes - 1)):
                yield _Row(votes, at, weight * right * comb(own, votes), free, rivals, y)


def _count(made: Numbers, rows: Sequence[_Row], n: int) -> None:
    """Add to `made` (problems × 0…n drawn) what `rows`, in descending order of votes, count."""
    import numpy as np

    table = _binomials(n)
    votes = np.array([row.votes for row in rows])
    y = np.array([row.y for row in rows])
    product = table[[row.free for row in rows]]
    for sizes in zip_longest(*(row.rivals for row in rows), fillvalue=0):
        own = np.flatnonzero(sizes)
        factor = table[np.array(sizes)[own]]
        factor[np.arange(len(own)), votes[own]] *= y[own]
        product[own] = _times(product[own], factor, votes[own])
    product *= np.array([row.ways for row in rows])[:, None]
    at = np.array([row.at for row in rows])
    for v in np.unique(votes):
        own = np.flatnonzero(votes == v)
        np.add.at(made, (at[own, None], np.arange(v, n + 1)), product[own, : n + 1 - v])


def _times(product: Numbers, factor: Numbers, degrees: Any) -> Numbers:
    """Products of polynomials, row by row: those of `factor`, which begin with 1, up to `degrees`, which descend."""
    made = product.copy()
    for power in range(1, degrees[0] + 1):
        rows = int((degrees >= power).sum())
        made[:rows, power:] += factor[:rows, power, None] * product[:rows, :-power]
    return made


@cache
def _gauss(ties: int) -> tuple[tuple[float, float], ...]:
    """(y, weight) of Gauss's rule on 0…1, exact for polynomials of degree `ties`."""
    import numpy as np

    y, weight = np.polynomial.legendre.leggauss(ties // 2 + 1)
    return tuple(zip(((y + 1) / 2).tolist(), (weight / 2).tolist(), strict=True))


@cache
def _binomials(n: int) -> Numbers:
    """C(m, k) for m and k from 0 to n."""
    import numpy as np

    return np.array([[float(comb(m, k)) for k in range(n + 1)] for m in range(n + 1)])


# --- weighted -----------------------------------------------------------------------------------------------------------------------------


def weighted_curve(
    classes: Sequence[Hashable | None], correct: Sequence[bool], weights: Sequence[float | None], draws: int = 1_000, seed: int = 0
) -> tuple[Numbers, Numbers]:
    """The vote in which every sample adds its weight to its class: for k = 1…N, the probability that the winner is correct, and its
    standard error. Ties are broken evenly.

    weights: not negative; None and NaN count as 0, so that they decide only among themselves. Where weights are equal, or have few
    different sums (STATES), exact, with an error of 0; else over `draws` random orders of the pool, seeded. Raises ValueError when the
    lengths differ or a weight is negative.
    """
    import numpy as np

    known = [0.0 if w is None or w != w else float(w) for w in weights]
    if any(w < 0 or not isfinite(w) for w in known):
        raise ValueError("weights of votes must be finite and not negative")
    voters = [(c, bool(r), w) for c, r, w in zip(classes, correct, known, strict=True) if c is not None]
    n = len(classes)
    if len({c for c, _, _ in voters}) <= 1 or ({w for _, _, w in voters} == {voters[0][2]} and voters[0][2] > 0):
        return maj_curves(n, [profile(classes, correct)])[0], np.zeros(n)
    blocks = _blocks(voters)
    return _sampled(n, voters, draws, seed) if blocks is None else (_exact(n, blocks), np.zeros(n))


class _Block(NamedTuple):
    """One class: its different sums of weights over non-empty sets of its samples, ascending, and how many sets of each size have each
    (sums × sizes from 0)."""

    right: float
    sums: list[int]
    ways: Numbers

    def upto(self, total: int) -> tuple[Numbers, Numbers | None]:
        """Sets by size whose sum is less than `total`, the empty one with them; and those with just this sum, None without any."""
        at = bisect_left(self.sums, total)
        less = self.ways[:at].sum(axis=0)
        less[0] += 1
        return less, self.ways[at] if at < len(self.sums) and self.sums[at] == total else None


def _blocks(voters: Sequence[Voter]) -> list[_Block] | None:
    """The classes, weights as whole multiples of what divides them all; None where they have more than STATES sums."""
    exact = [Fraction(weight) for _, _, weight in voters]
    unit = lcm(*(weight.denominator for weight in exact))
    members: dict[Hashable, list[tuple[bool, int]]] = {}
    for (name, right, _), weight in zip(voters, exact, strict=True):
        members.setdefault(name, []).append((right, int(weight * unit)))
    blocks: list[_Block] = []
    left = STATES
    for own in members.values():
        counted = _sets([weight for _, weight in own], left)
        if counted is None:
            return None
        blocks.append(_block(sum(right for right, _ in own) / len(own), counted, len(own)))
        left -= len(blocks[-1].sums)
    return blocks


def _sets(weights: Sequence[int], most: int) -> Counter[tuple[int, int]] | None:
    """How many sets of samples have which (size, sum); None as soon as there are more than `most` sums."""
    counted: Counter[tuple[int, int]] = Counter({(0, 0): 1})
    for weight in weights:
        counted += Counter({(size + 1, total + weight): ways for (size, total), ways in counted.items()})
        if len({total for size, total in counted if size}) > most:
            return None
    return counted


def _block(right: float, counted: Counter[tuple[int, int]], samples: int) -> _Block:
    import numpy as np

    sums = sorted({total for size, total in counted if size})
    place = {total: at for at, total in enumerate(sums)}
    ways = np.zeros((len(sums), samples + 1))
    for (size, total), count in counted.items():
        if size:
            ways[place[total], size] = count
    return _Block(right, sums, ways)


def _exact(n: int, blocks: Sequence[_Block]) -> Numbers:
    import numpy as np

    silent = n - sum(b.ways.shape[1] - 1 for b in blocks)
    made = np.zeros(n + 1)
    free = np.array([float(comb(silent, k)) for k in range(silent + 1)])
    for own in blocks:
        if not own.right:
            continue
        others = [b for b in blocks if b is not own]
        for total, ways in zip(own.sums, own.ways, strict=True):
            rivals = [b.upto(total) for b in others]
            ties = sum(equal is not None for _, equal in rivals)
            for y, weight in _gauss(ties):
                product = np.convolve(free, ways) * (weight * own.right)
                for less, equal in rivals:
                    product = np.convolve(product, less if equal is None else less + y * equal)
                made += product
    return (made / np.array([float(comb(n, k)) for k in range(n + 1)]))[1:]


def _sampled(n: int, voters: Sequence[Voter], draws: int, seed: int) -> tuple[Numbers, Numbers]:
    """Over random orders of the pool: the first k samples of each are a random set of k. All orders go forward together, sample by sample;
    the leading total never falls, so only the class that has just got a vote can overtake it or draw level."""
    import numpy as np

    names = {name: at for at, name in enumerate(dict.fromkeys(name for name, _, _ in voters))}
    top = max(weight for _, _, weight in voters)
    silent = len(names)
    own = np.array([names[name] for name, _, _ in voters] + [silent] * (n - len(voters)))
    ballot = np.array([float(round(weight / top * GRID)) if top else 0.0 for _, _, weight in voters] + [0.0] * (n - len(voters)))
    size = np.bincount(own, minlength=silent + 1)
    right = np.bincount(own[: len(voters)], [good for _, good, _ in voters], silent + 1) / np.maximum(1, size)
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    each, values = np.arange(draws), np.empty((draws, n))
    totals, seen = np.zeros((draws, silent + 1)), np.zeros((draws, silent + 1), dtype=bool)
    best, leaders, good = np.full(draws, -1.0), np.zeros(draws), np.zeros(draws)
    for k in range(n):
        name, weight = own[orders[:, k]], ballot[orders[:, k]]
        total = totals[each, name] + weight
        voted = name != silent
        ahead = voted & (total > best)
        level = voted & (total == best) & ((weight > 0) | ~seen[each, name])  # a weight of 0 joins once
        totals[each, name], seen[each, name] = total, True
        best = np.where(ahead, total, best)
        leaders = np.where(ahead, 1, leaders + level)
        good = np.where(ahead, right[name], good + level * right[name])
        values[:, k] = good / np.maximum(1, leaders)
    curve, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(draws)
    curve[0], error[0] = float(right @ size) / n, 0.0  # whichever comes first, it wins
    return curve, error
