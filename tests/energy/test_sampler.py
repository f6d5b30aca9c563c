"""The sampler on a meter that we set: it reads at both ends, joins its pieces, and lets nothing fold over itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from energy import sampler
from energy.sampler import Sampler
from energy.traces import Quantity, Sense
from energy.windows import Device, Domain, Reading, Source

GPU = Device(Domain.GPU, "GPU-1")


class SetMeter:
    """One GPU: 10 J and 100 W at every reading, a second after the one before."""

    name, version, source = "set", 1, Source.NVML_COUNTER

    def __init__(self) -> None:
        self.clock, self.readings = itertools.count(), 0

    def unavailable(self) -> str | None:
        return None

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> Reading:
        self.readings += 1
        return Reading(float(next(self.clock)), {GPU: 10.0 * self.readings}, self.name, self.version, self.source)

    def sense(self) -> Sequence[Sense]:
        return [Sense(Quantity.POWER, GPU, 100.0)]


def test_it_reads_before_start_returns_and_once_more_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = SetMeter()
    monkeypatch.setattr(sampler, "now", lambda: float(meter.readings))
    at_work = Sampler(meter, period_s=1000)
    at_work.start()
    assert meter.readings == 1
    at_work.stop()
    energy, power = at_work.take()
    assert (energy.quantity, energy.times, energy.values) == (Quantity.ENERGY, (0.0, 1.0), (10.0, 20.0))
    assert (power.quantity, power.values) == (Quantity.POWER, (100.0, 100.0))


def test_pieces_join_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = SetMeter()
    monkeypatch.setattr(sampler, "now", lambda: float(meter.readings))
    at_work = Sampler(meter, period_s=1000)
    for _ in range(3):
        at_work.tick()
    first = at_work.take()[0]
    at_work.tick()
    second = at_work.take()[0]
    assert first.times == (0.0, 1.0, 2.0) and second.times == (2.0, 3.0)


def test_it_keeps_reading_by_itself() -> None:
    meter = SetMeter()
    at_work = Sampler(meter, period_s=0.001)
    at_work.start()
    while meter.readings < 20:
        pass
    at_work.stop()
    assert len(at_work.take()[0].times) == meter.readings


def test_a_clock_that_is_set_back_does_not_fold_the_trace() -> None:
    meter = SetMeter()
    meter.clock = iter([5.0, 4.0, 6.0])  # type: ignore[assignment]
    at_work = Sampler(meter)
    for _ in range(3):
        at_work.tick()
    assert at_work.take()[0].times == (5.0, 6.0)
