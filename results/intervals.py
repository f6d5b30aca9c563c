"""95 % intervals. The unit of resampling is the problem, then the attempt within it (hierarchical percentile bootstrap)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

DRAWS = 10_000
MANY_SORTS = 400  # problems that all differ (several items × several trials) are drawn one by one: there, 2,000 draws must do
FEWER_DRAWS = 2_000
LONGEST = 1 << 20  # correct items of a draw up to which the exact distribution is computed
Z = 1.959963984540054  # 97.5 % quantile of the normal distribution

Attempt = tuple[int, int]  # (correct items, items that count)


def wilson(correct: float, n: int) -> tuple[float, float]:
    """Wilson's score interval for `correct` of `n`; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    p = correct / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def accuracy(problems: Sequence[Sequence[Attempt]], draws: int = DRAWS, seed: int = 0) -> tuple[float, float]:
    """Interval of Σ correct / Σ items, where `problems` holds each problem's attempts.

    Each draw takes problems with replacement, then attempts of each taken problem with replacement. Where all attempts have as many items
    and all problems as many attempts, the distribution over all draws is computed exactly; else draws are made. Problems with equal
    attempts are exchangeable, so a draw counts how many of each sort were taken: the same distribution in a fraction of the time.
    When every attempt ended alike (all correct, or none), resampling cannot vary: then Wilson's interval on the number of problems, which
    are what is independent. Seeded: the same data always give the same interval. Problems without items are left out; (0, 1) without any.
    """
    import numpy as np

    sorts = Counter(tuple(sorted(attempt for attempt in problem if attempt[1])) for problem in problems)
    sorts.pop((), None)
    n = sum(sorts.values())
    if n == 0:
        return 0.0, 1.0
    rates = {correct / items for sort in sorts for correct, items in sort}
    if rates in ({0.0}, {1.0}):
        return wilson(n * rates.pop(), n)
    exact = _exact(sorts, n)
    if exact is not None:
        return exact
    draws = min(draws, FEWER_DRAWS) if len(sorts) > MANY_SORTS else draws
    rng = np.random.default_rng(seed)
    taken = rng.multinomial(n, [count / n for count in sorts.values()], size=draws)
    correct, items = np.zeros(draws), np.zeros(draws)
    for column, sort in enumerate(sorts):
        more_correct, more_items = _attempts(rng, sort, taken[:, column])
        correct += more_correct
        items += more_items
    low, high = np.quantile(correct / items, [0.025, 0.975])
    return float(low), float(high)


def crossed(parts: Sequence[float], first: Sequence[int], second: Sequence[int]) -> float:
    """Variance of the sum of `parts`, each with mean 0, that depend on each other where they share their `first` or their `second`.

    Two-way clusters, each with its factor for few of them; never less than either way alone (Cameron, Gelbach and Miller 2011). As parts
    take the influences of the observations on an estimate: the delta method.
    """
    import numpy as np

    def one_way(clusters: Any) -> float:
        _, at = np.unique(clusters, return_inverse=True, axis=-1)
        sums = np.bincount(at.ravel(), weights=parts)
        return float((sums**2).sum() * len(sums) / max(len(sums) - 1, 1))

    ways = one_way(np.asarray(first)), one_way(np.asarray(second))
    return max(*ways, sum(ways) - one_way(np.array([first, second])))


def _exact(sorts: Mapping[tuple[Attempt, ...], int], n: int) -> tuple[float, float] | None:
    """The quantiles over all draws, for whole counts of which every draw has the same Σ items: there, Σ correct is a sum of n independent,
    equally distributed parts, whose distribution is the n-fold convolution of that of one taken problem. None for anything else.
    """
    import numpy as np

    shapes = {(len(sort), items) for sort in sorts for _, items in sort}
    whole = all(float(correct).is_integer() for sort in sorts for correct, _ in sort)
    if len(shapes) > 1 or not whole:
        return None
    ((attempts, items),) = shapes
    most = attempts * items
    length = 1 << (n * most).bit_length()  # room for Σ correct from 0 to n × most: circular convolution then never wraps around
    if length > LONGEST:
        return None
    one = np.zeros(most + 1)
    for sort, count in sorts.items():
        attempt = np.bincount([int(correct) for correct, _ in sort], minlength=items + 1) / attempts
        one += count / n * (np.fft.irfft(np.fft.rfft(attempt, 2 * most) ** attempts, 2 * most)[: most + 1] if most > 1 else attempt)
    sums = np.cumsum(np.fft.irfft(np.fft.rfft(one, length) ** n, length))
    low, high = (int(np.argmax(sums >= q)) for q in (0.025, 0.975))
    return low / (n * most), high / (n * most)


def _attempts(rng: np.random.Generator, sort: Sequence[Attempt], problems: Any) -> tuple[Any, Any]:
    """Σ correct and Σ items of as many resampled problems of one sort as each draw took."""
    kinds: dict[Attempt, int] = defaultdict(int)
    for attempt in sort:
        kinds[attempt] += 1
    attempts = problems * len(sort)
    if len(kinds) == 1:
        ((correct, items),) = kinds
        return attempts * correct, attempts * items
    if len(kinds) == 2:
        (first, count), (second, _) = kinds.items()
        drawn = rng.binomial(attempts, count / len(sort))
        return drawn * first[0] + (attempts - drawn) * second[0], drawn * first[1] + (attempts - drawn) * second[1]
    drawn = rng.multinomial(attempts, [count / len(sort) for count in kinds.values()])
    return drawn @ [correct for correct, _ in kinds], drawn @ [items for _, items in kinds]
