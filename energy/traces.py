"""Readings over time, from which any window can be computed again, and what they say about a window.

The value of a window is the difference of the device's energy counter. The power readings beside it are a cross-check only: on A100 and
H100 the driver samples power during a quarter of the time (arXiv:2312.02741), so their integral is never the value where a counter exists.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from energy.codes import Code
from energy.windows import Device, Window

LONGEST_GAP_S = 3.0
MOST_DIFFERENCE = 0.05
"""Counter against integral: more than this share apart is a disagreement (zeus issue 181: 187 J against 327 J on one idle window)."""
MOST_DRIFT_C = 10.0


class Quantity(StrEnum):
    """What was read: a cumulative counter, a power, a temperature, or whether the device held itself back (1) or not (0)."""

    ENERGY = "energy_j"
    POWER = "power_w"
    TEMPERATURE = "temperature_c"
    LIMITED = "limited"


@dataclass(frozen=True)
class Sense:
    """One value of one device, now."""

    quantity: Quantity
    device: Device
    value: float


@dataclass(frozen=True)
class Trace:
    """One quantity of one device over time. `times`: Unix seconds, rising; `values`: as many, in the quantity's unit."""

    quantity: Quantity
    device: Device
    times: tuple[float, ...]
    values: tuple[float, ...]

    def covers(self, start_s: float, end_s: float) -> bool:
        """Whether there is a reading at or before the start and one at or after the end."""
        return bool(self.times) and self.times[0] <= start_s and self.times[-1] >= end_s

    def at(self, at_s: float) -> float | None:
        """The value at a time, between readings by straight line; None outside of them."""
        if not self.covers(at_s, at_s):
            return None
        index = bisect_left(self.times, at_s)
        if self.times[index] == at_s:
            return self.values[index]
        (t0, t1), (v0, v1) = self.times[index - 1 : index + 1], self.values[index - 1 : index + 1]
        return v0 + (v1 - v0) * (at_s - t0) / (t1 - t0)

    def difference(self, start_s: float, end_s: float) -> float | None:
        """Of a counter: what it advanced; None outside of the readings or where it fell."""
        low, high = self.at(start_s), self.at(end_s)
        return None if low is None or high is None or high < low else high - low

    def integral(self, start_s: float, end_s: float) -> float | None:
        """Value × seconds by the trapezoid rule, the edges by straight line; None outside of the readings."""
        low, high = self.at(start_s), self.at(end_s)
        if low is None or high is None:
            return None
        inside = slice(bisect_right(self.times, start_s), bisect_left(self.times, end_s))
        points = [(start_s, low), *zip(self.times[inside], self.values[inside], strict=True), (end_s, high)]
        return sum((t1 - t0) * (v0 + v1) / 2 for (t0, v0), (t1, v1) in pairwise(points))

    def within(self, start_s: float, end_s: float) -> Sequence[float]:
        """The readings from start to end, both included."""
        return self.values[bisect_left(self.times, start_s) : bisect_right(self.times, end_s)]

    def longest_gap(self, start_s: float, end_s: float) -> float:
        """Seconds without a reading, at most, between start and end; the edges count as readings only where there is one."""
        inside = self.times[max(bisect_right(self.times, start_s) - 1, 0) : bisect_left(self.times, end_s) + 1]
        return max((b - a for a, b in pairwise([*inside])), default=end_s - start_s)


def doubts(window: Window, traces: Iterable[Trace]) -> tuple[Code, ...]:
    """What the readings beside a window have against it, in the order of the codes; nothing where there are no readings."""
    start, end = window.start_s, window.end_s
    found: set[Code] = set()
    counted = {(row.domain, row.device): row.energy_j for row in window.domains}
    for trace in traces:
        if trace.quantity is Quantity.ENERGY:
            continue
        if not trace.covers(start, end):
            found.add(Code.WINDOW_NOT_BRACKETED)
        if trace.longest_gap(start, end) > LONGEST_GAP_S:
            found.add(Code.SAMPLING_GAP)
        if trace.quantity is Quantity.POWER and disagree(counted.get((trace.device.domain, trace.device.id)), trace.integral(start, end)):
            found.add(Code.COUNTER_INTEGRAL_MISMATCH)
        if trace.quantity is Quantity.TEMPERATURE and (values := trace.within(start, end)) and max(values) - min(values) > MOST_DRIFT_C:
            found.add(Code.THERMAL_DRIFT)
        if trace.quantity is Quantity.LIMITED and any(trace.within(start, end)):
            found.add(Code.POWER_CAPPED)
    return tuple(code for code in Code if code in found)


def disagree(counter_j: float | None, integral_j: float | None) -> bool:
    """Whether two measures of the same joules are more than `MOST_DIFFERENCE` apart; one alone cannot disagree."""
    if counter_j is None or integral_j is None:
        return False
    return abs(counter_j - integral_j) > MOST_DIFFERENCE * max(abs(counter_j), abs(integral_j))
