"""Paired tests and intervals against enumeration, against scipy, and against what must not happen."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from results.paired import FLIPS, Amounts, Counts, holm


def counts(base: list[int], head: list[int], items: int = 1) -> Counts:
    return Counts(np.array(base), np.array(head), np.full(len(base), items))


changes = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


@given(changes)
def test_the_exact_test_is_all_swaps_enumerated(change: list[int]) -> None:
    found = counts([4] * len(change), [4 + c for c in change], 8)
    sums = [sum(sign * c for sign, c in zip(signs, change, strict=True)) for signs in itertools.product((-1, 1), repeat=len(change))]
    worse = sum(s <= sum(change) for s in sums) / len(sums)
    better = sum(s >= sum(change) for s in sums) / len(sums)
    assert found.p_worse() == pytest.approx(worse)
    assert found.p_two_sided() == pytest.approx(min(1.0, 2 * min(worse, better)))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200))
def test_one_attempt_of_one_item_is_mcnemars_exact_test(lost: int, gained: int, same: int) -> None:
    found = counts([1] * lost + [0] * (gained + same + 1), [0] * lost + [1] * gained + [0] * (same + 1))
    discordant = lost + gained
    assert (found.lost, found.gained) == (lost, gained)
    assert found.p_worse() == pytest.approx(binomtest(lost, discordant, alternative="greater").pvalue if discordant else 1.0)
    assert found.p_two_sided() == pytest.approx(binomtest(lost, discordant).pvalue if discordant else 1.0)


def test_trials_of_a_problem_are_not_independent() -> None:
    """Forty attempts that fell together on five problems are five falls, not forty."""
    together = counts([8] * 5 + [4] * 95, [0] * 5 + [4] * 95, 8)
    apart = counts([1] * 40 + [0] * 760, [0] * 800)
    assert together.p_worse() == pytest.approx(0.5**5) and apart.p_worse() < 1e-9


@given(changes)
def test_better_and_worse_are_mirror_images(change: list[int]) -> None:
    there, back = counts([4] * len(change), [4 + c for c in change], 8), counts([4 + c for c in change], [4] * len(change), 8)
    assert there.difference == -back.difference
    low, high = there.interval()
    assert low - 1e-9 <= there.difference <= high + 1e-9


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        rate = rng.beta(4, 1, 200)
        found = Counts(rng.binomial(2, rate), rng.binomial(2, rate * 0.95), np.full(200, 2))
        low, high = found.interval()
        covered += low <= -0.05 * 0.8 <= high
    assert 0.92 <= covered / 300 <= 0.98


@pytest.mark.parametrize(("n", "unseen"), [(10, 0.2775), (1_319, 0.002904)])
def test_nothing_changed_is_not_certainty(n: int, unseen: float) -> None:
    """No discordant problem among n: as many as Wilson's bound allows might still fall."""
    low, high = counts([1] * n, [1] * n).interval()
    assert (low, high) == pytest.approx((-unseen, unseen), rel=1e-3)
    assert counts([1] * n, [1] * n).p_worse() == 1.0


def test_gains_alone_do_not_exclude_falls() -> None:
    low, high = counts([0] * 50, [1] + [0] * 49).interval()
    assert low < 0 < high < 0.12


def test_the_same_data_give_the_same_interval() -> None:
    base, head = [1, 0, 1, 1, 0, 1], [1, 1, 0, 1, 0, 0]
    assert counts(base, head).interval() == counts(base, head).interval()
    took = Amounts(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 4.0]))
    again = Amounts(np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 4.0]))
    assert (took.interval(), took.p_worse()) == (again.interval(), again.p_worse())


def test_a_narrower_tail_is_a_wider_interval() -> None:
    found = counts([1, 0] * 40, [0, 1, 1, 0] * 20)
    assert found.interval(0.005)[0] < found.interval(0.05)[0] < found.difference < found.interval(0.05)[1] < found.interval(0.005)[1]


def test_a_ratio_and_its_interval() -> None:
    rng = np.random.default_rng(1)
    base = rng.gamma(2, 50, 400)
    took = Amounts(base, base * 1.2 * rng.normal(1, 0.1, 400))
    low, high = took.interval()
    assert took.ratio == pytest.approx(1.2, rel=0.02) and low < took.ratio < high and 1.15 < low < high < 1.25
    assert took.p_worse() == pytest.approx(1 / (1 + FLIPS)) and Amounts(took.head, took.base).p_worse() == pytest.approx(1.0)


def test_equal_amounts_are_no_rise() -> None:
    same = Amounts(np.array([1.5, 0.1, 0.7]), np.array([1.5, 0.1, 0.7]))
    assert (same.ratio, same.interval(), same.p_worse()) == (1.0, (1.0, 1.0), 1.0)


def test_random_flips_come_to_what_all_flips_come_to() -> None:
    base, head = np.arange(10.0), np.arange(10.0) + np.array([1, 2, -1, 3, 0.5, -2, 1, 1, 2, 0.25])
    change = head - base
    sums = [np.dot(signs, change) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean([s >= change.sum() - 1e-9 for s in sums])
    assert Amounts(base, head).p_worse() == pytest.approx(exact, abs=4 * math.sqrt(exact / FLIPS))


def test_amounts_keep_the_level_when_nothing_changed() -> None:
    rng = np.random.default_rng(5)
    ps = [Amounts(rng.gamma(2, 1, 60), rng.gamma(2, 1, 60)).p_worse() for _ in range(300)]
    assert 3 <= sum(p < 0.05 for p in ps) <= 26


def test_a_base_that_took_nothing() -> None:
    assert Amounts(np.zeros(3), np.ones(3)).ratio == math.inf


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == [] and holm([0.2]) == [0.2]
