"""Dominance."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.pareto import frontier

AXES = {"accuracy": "max", "cost": "min"}
POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12)


def frame(*points: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(points, columns=["accuracy", "cost"])


def test_a_worked_example_keeps_ties_and_drops_the_dominated() -> None:
    points = frame((0.9, 10), (0.5, 1), (0.5, 1), (0.5, 2), (0.4, 1), (0.95, 20))
    assert list(frontier(points, AXES)) == [True, True, True, False, False, True]


def test_rows_that_cannot_be_compared_neither_win_nor_beat() -> None:
    assert list(frontier(frame((math.nan, 0), (0.1, 5), (1.0, math.nan)), AXES)) == [False, True, False]


def test_infinity_is_the_worst_cost_but_a_value() -> None:
    assert list(frontier(frame((0.5, math.inf), (0.5, 1), (0.9, math.inf)), AXES)) == [False, True, True]


def test_the_mask_keeps_the_index() -> None:
    points = frame((0.5, 1), (0.4, 2)).set_axis(["x", "y"])
    assert frontier(points, AXES).to_dict() == {"x": True, "y": False}
    assert frontier(points.iloc[:0], AXES).empty


def test_wrong_axes_are_value_errors() -> None:
    for axes in ({}, {"speed": "min"}, {"cost": "low"}):
        with pytest.raises(ValueError):
            frontier(frame((1, 1)), axes)  # type: ignore[arg-type]


def dominates(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """By definition, a being minimised on every axis."""
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


@settings(deadline=None)
@given(POINTS)
def test_on_the_frontier_is_exactly_what_nothing_dominates(points: list[tuple[int, int, int]]) -> None:
    mask = frontier(pd.DataFrame(points, columns=list("abc")), {"a": "min", "b": "min", "c": "min"})
    assert list(mask) == [not any(dominates(other, point) for other in points) for point in points]


@settings(deadline=None)
@given(POINTS)
def test_everything_off_the_frontier_is_dominated_by_something_on_it(points: list[tuple[int, int, int]]) -> None:
    mask = frontier(pd.DataFrame(points, columns=list("abc")), {"a": "min", "b": "min", "c": "min"})
    kept = [p for p, on in zip(points, mask, strict=True) if on]
    assert kept and all(on or any(dominates(k, p) for k in kept) for p, on in zip(points, mask, strict=True))


@settings(deadline=None)
@given(POINTS)
def test_turning_an_axis_round_turns_its_direction(points: list[tuple[int, int, int]]) -> None:
    table = pd.DataFrame(points, columns=list("abc"))
    turned = table.assign(a=-table["a"])
    assert list(frontier(table, {"a": "min", "b": "min"})) == list(frontier(turned, {"a": "max", "b": "min"}))
