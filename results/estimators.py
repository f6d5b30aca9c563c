"""What smaller budgets would have achieved, computed exactly from one pool of N exchangeable samples of a problem.

Each estimator is the mean over all C(N, k) subsets of k samples, without enumerating them. Tests compare them with the enumeration.
`pass_at_k`, `maj_at_k` and `best_of_k` are exact in rational numbers, for one k. The `…_curve` functions give every k from 1 to N at once
in floating point, with an error far below 1e-12; votes are in `results.votes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from fractions import Fraction
from math import comb, isnan
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]


def pass_at_k(n: int, c: int, k: int) -> float:
    """Probability that at least one of k samples is correct, of n of which c are: 1 − C(n − c, k) / C(n, k) (arXiv:2107.03374).

    Raises ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.
    """
    if not 0 <= c <= n:
        raise ValueError(f"{c} correct of {n} samples cannot be")
    _check(n, k)
    return float(1 - Fraction(comb(n - c, k), comb(n, k)))


def maj_at_k(classes: Sequence[Hashable | None], correct: Sequence[bool], k: int) -> float:
    """Probability that the plurality of k samples is correct; ties are broken uniformly among the leading classes.

    classes: each sample's answer class; None is no answer and no vote (k samples without any vote are wrong). correct: whether each
    sample's answer is correct. Raises ValueError when k is not in 1…N, the lengths differ, or one class is both correct and wrong.
    """
    _check_pair(classes, correct, k)
    verdict: dict[Hashable, bool] = {}
    for answer, right in zip(classes, correct, strict=True):
        if answer is not None and verdict.setdefault(answer, bool(right)) != bool(right):
            raise ValueError(f"answer class {answer!r} is both correct and wrong")
    counts = Counter(answer for answer in classes if answer is not None)
    silent = len(classes) - sum(counts.values())
    won = Fraction(0)
    for answer, right in verdict.items():
        if right:
            others = [n for other, n in counts.items() if other != answer]
            won += _plurality(counts[answer], others, silent, k)
    return float(won / comb(len(classes), k))


def best_of_k(scores: Sequence[float | None], correct: Sequence[bool], k: int) -> float:
    """Probability that the best-scored of k samples is correct; equal best scores are broken uniformly. None and NaN rank last.

    Raises ValueError when k is not in 1…N or the lengths differ.
    """
    _check_pair(scores, correct, k)
    left, won = len(scores), Fraction(0)
    for members in _ranked(scores, correct):
        # Subsets whose best score this is; in each, by symmetry, every member of the group is chosen equally often.
        subsets = comb(left, k) - comb(left - len(members), k)
        won += Fraction(subsets * sum(members), len(members))
        left -= len(members)
    return float(won / comb(len(scores), k))


# --- every k at once --------------------------------------------------------------------------------------------------------------------


def pass_curve(n: int, correct: Sequence[int]) -> Numbers:
    """pass@k of problems with n samples each, of which `correct` are right: problems × n, column k − 1 holds k."""
    right, at = _distinct(n, correct)
    return (1 - _shares(n, n - right))[at]


def all_pass_curve(n: int, correct: Sequence[int]) -> Numbers:
    """pass^k, the probability that all k samples are correct, C(c, k) / C(n, k) (arXiv:2406.12045): problems × n."""
    right, at = _distinct(n, correct)
    return _shares(n, right)[at]


def g_pass_curve(n: int, correct: Sequence[int], tau: float) -> Numbers:
    """G-Pass@k_τ, the probability that at least ⌈τk⌉ of k samples, and at least one, are correct (arXiv:2412.13147): problems × n.

    τ → 0 is pass@k, τ = 1 is pass^k. Raises ValueError unless 0 ≤ τ ≤ 1.
    """
    import numpy as np

    if not 0 <= tau <= 1:
        raise ValueError(f"τ must be between 0 and 1, not {tau}")
    exact = Fraction(str(tau))  # 0.07 × 100 is 7, not 7.000000000000001
    right, at = _distinct(n, correct)
    made = np.empty((len(right), n))
    for k, chances in enumerate(_drawn(n, right), 1):
        made[:, k - 1] = chances[:, max(1, -(-exact * k // 1)) :].sum(axis=1)
    return made[at]


def mg_pass_curve(n: int, correct: Sequence[int]) -> Numbers:
    """mG-Pass@k, 2 ∫ G-Pass@k_τ dτ for τ from 0.5 to 1 (arXiv:2412.13147): problems × n.

    G-Pass@k_τ is a step function of τ, so the integral is the mean of max(0, 2j/k − 1) over the number j of correct samples among k. The
    paper's sum is this for even k; for odd k it leaves half a step out.
    """
    import numpy as np

    right, at = _distinct(n, correct)
    made = np.empty((len(right), n))
    for k, chances in enumerate(_drawn(n, right), 1):
        made[:, k - 1] = chances[:, : k + 1] @ np.maximum(0.0, 2 * np.arange(k + 1) / k - 1)
    return made[at]


def best_curve(scores: Sequence[float | None], correct: Sequence[bool]) -> Numbers:
    """`best_of_k` of one problem for every k from 1 to N."""
    import numpy as np

    _check_pair(scores, correct, 1)
    groups = _ranked(scores, correct)
    shares = _shares(len(scores), len(scores) - np.cumsum([0, *map(len, groups)]))
    return np.asarray([sum(members) / len(members) for members in groups] @ (shares[:-1] - shares[1:]))


def _distinct(n: int, correct: Sequence[int]) -> tuple[Any, Any]:
    """The different numbers of correct samples, and where each problem's stands among them."""
    import numpy as np

    right, at = np.unique(np.asarray(correct, dtype=np.int64), return_inverse=True)
    if n < 1 or (len(right) and not 0 <= right[0] <= right[-1] <= n):
        raise ValueError(f"between 0 and {n} samples can be correct, not {right[0]} to {right[-1]}" if len(right) else f"{n} samples")
    return right, at


def _shares(n: int, sizes: Any) -> Numbers:
    """C(m, k) / C(n, k) for the numbers m in `sizes` (rows) and k = 1…n (columns), as products of (m − i) / (n − i)."""
    import numpy as np

    steps = np.arange(n)
    return np.cumprod(np.maximum(0, sizes[:, None] - steps) / (n - steps), axis=1)


def _drawn(n: int, right: Any) -> Iterator[Numbers]:
    """For k = 1…n, the probabilities that j of k samples drawn are correct: a row for each number in `right`, a column for j = 0…n.

    One sample after the other is drawn. All terms are positive, so rounding errors stay near n × 1e-16.
    """
    import numpy as np

    j = np.arange(n + 1)
    chances = np.zeros((len(right), n + 1))
    chances[:, 0] = 1.0
    for k in range(n):
        hit = np.maximum(0, right[:, None] - j) / (n - k)
        miss = np.maximum(0, n - k - np.maximum(0, right[:, None] - j)) / (n - k)
        after = chances * miss
        after[:, 1:] += (chances * hit)[:, :-1]
        chances = after
        yield chances


# --- small things -----------------------------------------------------------------------------------------------------------------------


def _ranked(scores: Sequence[float | None], correct: Sequence[bool]) -> list[list[bool]]:
    """The verdicts of the samples with equal scores, the best score first."""
    groups: dict[float, list[bool]] = {}
    for score, right in zip(scores, correct, strict=True):
        groups.setdefault(float("-inf") if score is None or isnan(score) else float(score), []).append(bool(right))
    return [groups[score] for score in sorted(groups, reverse=True)]


def _plurality(own: int, others: Iterable[int], silent: int, k: int) -> Fraction:
    """Σ over subsets of k samples of the probability that the class with `own` samples wins."""
    rivals = list(others)
    return sum((comb(own, votes) * _ways(rivals, silent, votes, k - votes) for votes in range(1, min(own, k) + 1)), Fraction(0))


def _ways(rivals: Sequence[int], silent: int, votes: int, rest: int) -> Fraction:
    """Ways to draw `rest` samples so that no rival has more than `votes`, each weighed by 1 / (1 + number of rivals that have as many)."""
    ways: dict[tuple[int, int], int] = {(0, 0): 1}  # (drawn, ties) → ways
    for size in rivals:
        following: dict[tuple[int, int], int] = {}
        for (drawn, ties), count in ways.items():
            for taken in range(min(size, votes, rest - drawn) + 1):
                key = (drawn + taken, ties + (taken == votes))
                following[key] = following.get(key, 0) + count * comb(size, taken)
        ways = following
    return sum((Fraction(count * comb(silent, rest - drawn), 1 + ties) for (drawn, ties), count in ways.items()), Fraction(0))


def _check(n: int, k: int) -> None:
    if not 1 <= k <= n:
        raise ValueError(f"k must be between 1 and the number of samples, {n}, not {k}")


def _check_pair(first: Sequence[object], correct: Sequence[bool], k: int) -> None:
    if len(first) != len(correct):
        raise ValueError(f"{len(first)} samples but {len(correct)} verdicts")
    _check(len(first), k)
