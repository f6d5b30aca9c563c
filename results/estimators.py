"""What smaller budgets would have achieved, computed exactly from one pool of N exchangeable samples of a problem.

Each estimator is the mean over all C(N, k) subsets of k samples, without enumerating them. Tests compare them with the enumeration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from fractions import Fraction
from math import comb, isnan


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
    groups: dict[float, list[bool]] = {}
    for score, right in zip(scores, correct, strict=True):
        groups.setdefault(float("-inf") if score is None or isnan(score) else float(score), []).append(bool(right))
    left, won = len(scores), Fraction(0)
    for score in sorted(groups, reverse=True):
        members = groups[score]
        # Subsets whose best score this is; in each, by symmetry, every member of the group is chosen equally often.
        subsets = comb(left, k) - comb(left - len(members), k)
        won += Fraction(subsets * sum(members), len(members))
        left -= len(members)
    return float(won / comb(len(scores), k))


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
