"""Readings over time: interpolation, integrals, and each code that they can raise against a window."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.codes import Code
from energy.traces import Quantity, Trace, disagree, doubts
from energy.windows import Device, Domain, DomainEnergy, Source, Window

GPU = Device(Domain.GPU, "GPU-1")


def trace(quantity: Quantity, points: dict[float, float]) -> Trace:
    return Trace(quantity, GPU, tuple(points), tuple(points.values()))


def every(step: float, until: float, value: float) -> dict[float, float]:
    return {i * step: value for i in range(int(until / step) + 1)}


def window(start: float, end: float, joules: float | None) -> Window:
    return Window(start, end, (DomainEnergy(Domain.GPU, "GPU-1", joules),), Source.NVML_COUNTER)


def test_between_readings_by_straight_line_and_nothing_outside() -> None:
    counter = trace(Quantity.ENERGY, {10: 100, 12: 300, 13: 350})
    assert [counter.at(t) for t in (9.99, 10, 11, 12.5, 13, 13.01)] == [None, 100, 200, 325, 350, None]
    assert counter.difference(11, 12.5) == 125
    assert counter.difference(9, 12) is None
    assert trace(Quantity.ENERGY, {0: 5, 1: 2}).difference(0, 1) is None  # it was reset


def test_an_integral_by_hand() -> None:
    power = trace(Quantity.POWER, {0: 100, 2: 300, 4: 300})
    # 1 to 2: mean of 200 and 300; 2 to 3: 300.
    assert power.integral(1, 3) == pytest.approx(250 + 300)
    assert power.integral(0, 4) == pytest.approx(400 + 600)
    assert power.integral(-1, 3) is None


@given(st.lists(st.floats(0, 1000), min_size=3, max_size=30), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_integrals_of_neighbours_add_up(values: list[float], a: float, b: float) -> None:
    power = trace(Quantity.POWER, dict(enumerate(values)))
    end = float(len(values) - 1)
    low, high = sorted((a * end, b * end))
    parts = [power.integral(0, low), power.integral(low, high), power.integral(high, end)]
    assert math.fsum(parts) == pytest.approx(power.integral(0, end), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "traces, code",
    [
        ([trace(Quantity.POWER, every(0.1, 20, 100.0))], None),
        ([trace(Quantity.POWER, {0: 100, 8: 100, 20: 100})], Code.SAMPLING_GAP),
        ([trace(Quantity.POWER, {t: v for t, v in every(0.1, 20, 100.0).items() if t >= 6})], Code.WINDOW_NOT_BRACKETED),
        ([trace(Quantity.POWER, {t: v for t, v in every(0.1, 20, 100.0).items() if t <= 14})], Code.WINDOW_NOT_BRACKETED),
        ([trace(Quantity.POWER, every(0.1, 20, 94.0))], Code.COUNTER_INTEGRAL_MISMATCH),
        ([trace(Quantity.POWER, every(0.1, 20, 106.0))], Code.COUNTER_INTEGRAL_MISMATCH),
        ([trace(Quantity.TEMPERATURE, {t: 40 + t for t in every(0.1, 20, 0)})], None),  # exactly ten degrees
        ([trace(Quantity.TEMPERATURE, {t: 40 + 1.1 * t for t in every(0.1, 20, 0)})], Code.THERMAL_DRIFT),
        ([trace(Quantity.LIMITED, {t: float(7 < t < 7.5) for t in every(0.1, 20, 0)})], Code.POWER_CAPPED),
        ([trace(Quantity.LIMITED, {t: float(t > 16) for t in every(0.1, 20, 0)})], None),  # after the window
    ],
)
def test_each_doubt_and_its_absence(traces: list[Trace], code: Code | None) -> None:
    found = doubts(window(5, 15, 1000.0), traces)
    assert found == (() if code is None else (code,))


def test_five_percent_and_no_more() -> None:
    assert not disagree(100, 95) and disagree(100, 94.9) and disagree(187, 327)
    assert not disagree(None, 5) and not disagree(5, None) and not disagree(0.0, 0.0)


def test_the_mismatch_of_a_known_case_is_flagged() -> None:
    """zeus issue 181: one idle window, 187 J by the counter and 327 J by the power readings."""
    power = trace(Quantity.POWER, every(0.1, 20, 32.7))
    assert doubts(window(5, 15, 187.0), [power]) == (Code.COUNTER_INTEGRAL_MISMATCH,)
