"""The gate's rules, and how often it errs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from results.compare import Comparison, Pair
from results.gate import Check, Gate, alarms, judge
from results.paired import Amounts, Counts
from tests.benchmarks import gate_errors


def pair(lost: int = 0, gained: int = 0, n: int = 1_000, rise: float | None = None, **reasons: str) -> Pair:
    """`n` problems of which some were lost or gained; `rise` of every problem's joules and seconds."""
    base = np.array([1] * lost + [0] * gained + [1] * (n - lost - gained))
    head = np.array([0] * lost + [1] * gained + [1] * (n - lost - gained))
    took = np.random.default_rng(0).gamma(2, 1, n)
    amounts = {} if rise is None else {m: Amounts(took, took * (1 + rise)) for m in ("energy_j", "latency_s")}
    return Pair({"reasons": reasons}, Counts(base, head, np.ones(n, dtype=int)), amounts)


def judged(gate: Gate, *pairs: Pair) -> list[Check]:
    return judge(Comparison("base", "head", list(pairs), []), gate)


def test_a_fall_alarms_and_a_rise_does_not() -> None:
    fallen, risen = judged(Gate(), pair(lost=50), pair(gained=50))
    assert fallen.alarm and fallen.worse == pytest.approx(5.0) and fallen.non_inferior is False
    assert not risen.alarm and risen.worse == pytest.approx(-5.0) and risen.non_inferior is True


@pytest.mark.parametrize(("margin", "alarm"), [(0, True), (4.9, True), (5, False), (6, False)])
def test_a_fall_must_exceed_the_margin(margin: float, alarm: bool) -> None:
    (check,) = judged(Gate(margins={"accuracy": margin}), pair(lost=50))
    assert check.p is not None and check.p < 1e-9 and check.alarm is alarm


def test_a_large_fall_that_chance_explains_does_not_alarm() -> None:
    (check,) = judged(Gate(), pair(lost=3, n=20))
    assert check.worse == pytest.approx(15.0) and check.p == pytest.approx(0.125) and not check.alarm
    assert check.non_inferior is False  # nor is it shown to be as good: that is for the reader to see


def test_non_inferiority_needs_data() -> None:
    gate = Gate(margins={"accuracy": 1})
    assert [check.non_inferior for check in judged(gate, pair(n=30), pair(n=1_319), pair(lost=5, gained=5))] == [False, True, True]


def test_cells_share_the_level() -> None:
    """p = 1/32 alone would alarm; beside another cell Holm makes it 1/16."""
    alone = judged(Gate(), pair(lost=5))
    beside = judged(Gate(), pair(lost=5), pair())
    assert [c.alarm for c in alone] == [True] and [c.alarm for c in beside] == [False, False]
    assert beside[0].p == pytest.approx(1 / 32) and beside[0].p_adjusted == pytest.approx(1 / 16)


def test_metrics_are_judged_when_named() -> None:
    unnamed = judged(Gate(), pair(rise=0.5))
    assert [c.metric for c in unnamed] == ["accuracy"] and not alarms(unnamed)
    named = judged(Gate(margins={"energy_j": 0.1}), pair(rise=0.5))
    assert [(c.metric, c.alarm) for c in named] == [("accuracy", False), ("energy_j", True)]
    assert named[1].worse == pytest.approx(0.5) and named[1].bound == pytest.approx(0.5)
    assert not alarms(judged(Gate(margins={"energy_j": 0.5}), pair(rise=0.5)))
    assert not alarms(judged(Gate(margins={"energy_j": 0.0}), pair(rise=-0.5)))


def test_what_is_not_known_is_not_judged_and_says_why() -> None:
    gate = Gate(margins={"energy_j": 0, "latency_s": 0})
    accuracy, energy, latency = judged(gate, pair(energy_j="hardware_differs", latency_s="hardware_differs"))
    assert accuracy.p == accuracy.p_adjusted == 1.0
    for check in (energy, latency):
        assert (check.worse, check.p, check.bound, check.non_inferior, check.alarm) == (None, None, None, None, False)
        assert check.reason == "hardware_differs"


def test_times_under_shared_load_are_not_judged() -> None:
    gate = Gate(margins={"latency_s": 0, "energy_j": 0})
    found = {c.metric: c for c in judged(gate, pair(rise=0.5, latency_s="shared_load", energy_j="estimated"))}
    assert found["latency_s"].worse is None and found["latency_s"].reason == "shared_load"
    assert found["energy_j"].alarm and found["energy_j"].reason == "estimated"  # judged, with the doubt beside it


def test_nothing_to_judge() -> None:
    assert judged(Gate()) == []


@pytest.mark.parametrize("design", [{"spread": 1.5}, {"spread": 0.0}, {"spread": 1.5, "trials": 2, "items": 3}], ids=str)
def test_the_gate_keeps_its_level_and_sees_a_fall_of_five_points(design: dict[str, Any]) -> None:
    """At most 31 of 400 unchanged pairs alarm at the level of 5 % (its 99.5 % quantile), and at least 90 % of 200 falls of 5 points among
    1,319 problems at 80 % do, even where the sides share nothing (spread 0)."""
    found = gate_errors.simulate(**design)
    assert found.false_alarms <= 31 and found.caught >= 180, found
