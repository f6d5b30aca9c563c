"""Accuracy intervals: the grouped bootstrap is the plain hierarchical one, and what cannot vary gets Wilson's."""

from __future__ import annotations

import random

import pytest

from results import intervals
from results.intervals import accuracy, wilson


def plain(problems: list[list[tuple[int, int]]], draws: int = 4000) -> tuple[float, float]:
    """The hierarchical bootstrap as it is defined: problems, then attempts within them."""
    rng = random.Random(1)
    means = []
    for _ in range(draws):
        taken = [rng.choices(p, k=len(p)) for p in rng.choices(problems, k=len(problems))]
        means.append(sum(c for p in taken for c, _ in p) / sum(n for p in taken for _, n in p))
    means.sort()
    return means[int(0.025 * draws)], means[int(0.975 * draws)]


@pytest.mark.parametrize(
    "problems",
    [
        [[(int(n % 3 == 0), 1)] for n in range(40)],
        [[(int((n + t) % (n % 4 + 1) == 0), 1) for t in range(4)] for n in range(30)],
        [[((n * t) % 4, 3) if (n * t) % 4 < 4 else (3, 3) for t in range(3)] for n in range(25)],
        [[(1, 1)], [(0, 1), (1, 1), (0, 1)], [(0, 2)], [(2, 3), (1, 3)]] * 5,
    ],
)
def test_it_equals_the_definition(problems: list[list[tuple[int, int]]]) -> None:
    low, high = accuracy(problems)
    expected = plain(problems)
    assert (low, high) == pytest.approx(expected, abs=0.03)


def test_it_is_the_same_every_time_and_holds_the_mean() -> None:
    problems = [[(int(n % 5 < 2), 1) for _ in range(2)] for n in range(50)]
    low, high = accuracy(problems)
    assert (low, high) == accuracy(list(reversed(problems)))
    assert low < 0.4 < high


def test_more_trials_of_the_same_problems_do_not_pretend_to_be_more_problems() -> None:
    few = [[(int(n % 2), 1)] for n in range(20)]
    many = [[(int(n % 2), 1)] * 50 for n in range(20)]
    width = lambda pair: pair[1] - pair[0]  # noqa: E731
    assert width(accuracy(many)) == pytest.approx(width(accuracy(few)), rel=0.15)


def test_all_alike_is_wilsons_interval_on_the_problems() -> None:
    assert accuracy([[(1, 1)] * 8] * 10) == wilson(10, 10)
    assert accuracy([[(0, 3)]] * 10) == wilson(0, 10)
    assert wilson(10, 10)[0] == pytest.approx(0.7225, abs=1e-3) and wilson(0, 10)[1] == pytest.approx(0.2775, abs=1e-3)


def test_errors_leave_and_nothing_is_everything() -> None:
    assert accuracy([[(0, 0)], []]) == (0.0, 1.0) == wilson(0, 0)
    assert accuracy([[(1, 1), (0, 0)], [(1, 1)]]) == wilson(2, 2)


def test_many_different_problems_stay_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MANY_SORTS", 10)
    problems = [[((n * 7 + t * 3) % 6, 5) if (n * 7 + t * 3) % 6 < 6 else (5, 5) for t in range(5)] for n in range(60)]
    low, high = accuracy(problems)
    assert low < high
