"""The estimators equal the enumeration of all subsets."""

from __future__ import annotations

from itertools import combinations
from statistics import mean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.estimators import best_of_k, maj_at_k, pass_at_k


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(correct: list[bool], data: Any) -> None:
    k = data.draw(st.integers(1, len(correct)))
    assert pass_at_k(len(correct), sum(correct), k) == pytest.approx(mean(float(any(s)) for s in combinations(correct, k)))


def majority(subset: tuple[int | None, ...], right: set[int]) -> float:
    votes = [v for v in subset if v is not None]
    most = max((votes.count(v) for v in votes), default=0)
    winners = {v for v in votes if votes.count(v) == most}
    return len(winners & right) / len(winners) if winners else 0.0


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=7), st.sets(st.integers(0, 3)), st.data())
def test_maj_at_k_is_the_mean_over_subsets_with_ties_broken_evenly(classes: list[int | None], right: set[int], data: Any) -> None:
    k = data.draw(st.integers(1, len(classes)))
    expected = mean(majority(s, right) for s in combinations(classes, k))
    assert maj_at_k(classes, [c in right for c in classes], k) == pytest.approx(expected)


def best(subset: tuple[tuple[float | None, bool], ...]) -> float:
    ranked = [(float("-inf") if s is None else s, c) for s, c in subset]
    top = max(s for s, _ in ranked)
    return mean(float(c) for s, c in ranked if s == top)


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3).map(float)), st.booleans()), min_size=1, max_size=7), st.data())
def test_best_of_k_is_the_mean_over_subsets_with_ties_broken_evenly(samples: list[tuple[float | None, bool]], data: Any) -> None:
    k = data.draw(st.integers(1, len(samples)))
    expected = mean(best(s) for s in combinations(samples, k))
    assert best_of_k([s for s, _ in samples], [c for _, c in samples], k) == pytest.approx(expected)


def test_known_values() -> None:
    assert pass_at_k(5, 2, 3) == pytest.approx(0.9)
    assert maj_at_k(["a", "a", "b"], [True, True, False], 3) == 1.0
    assert maj_at_k([None, None], [False, False], 2) == 0.0
    assert best_of_k([float("nan"), 0.1], [True, False], 2) == 0.0


def test_large_pools_are_exact_and_quick() -> None:
    answers = [n % 17 for n in range(128)]
    assert 0 < maj_at_k(answers, [a == 0 for a in answers], 64) < 1
    assert pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pass_at_k(3, 4, 1),
        lambda: pass_at_k(3, 1, 4),
        lambda: pass_at_k(3, 1, 0),
        lambda: maj_at_k(["a"], [True, False], 1),
        lambda: maj_at_k(["a", "a"], [True, False], 1),
        lambda: best_of_k([], [], 1),
    ],
)
def test_what_cannot_be_is_a_value_error(call: Any) -> None:
    with pytest.raises(ValueError):
        call()
