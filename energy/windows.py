"""Readings of cumulative energy counters, and the windows between two of them.

Two windows that follow each other share a reading, so nothing is lost or counted twice between them. Times are Unix seconds as
`time.time()` gives them, the clock that Zeus uses too: calls that are to be matched to windows are stamped with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from energy.codes import Code

SHORTEST_S = 5.0
"""Counters step about every 100 ms: below this a window's joules are coarse (ML.ENERGY, `shared/reference/measurement.md`)."""

now = time.time
"""The clock of all readings, in Unix seconds. Stamp calls with it."""


class Source(StrEnum):
    """Where a number of joules comes from. Rankings never mix sources without showing which is which."""

    NVML_COUNTER = "nvml_counter"
    RAPL_COUNTER = "rapl_counter"
    POWER_INTEGRAL = "power_integral"
    REPLAY = "replay"
    ESTIMATED = "estimated"
    NONE = "none"


COUNTERS = frozenset({Source.NVML_COUNTER, Source.RAPL_COUNTER, Source.REPLAY})


class Domain(StrEnum):
    """What drew the energy. Domains are separate rows and are never summed silently."""

    GPU = "gpu"
    CPU = "cpu"
    DRAM = "dram"
    SOC = "soc"


class Device(NamedTuple):
    """One counter: a domain and the device's own id (a GPU's UUID, a CPU package's name)."""

    domain: Domain
    id: str


@dataclass(frozen=True)
class Reading:
    """A snapshot of cumulative counters. Only differences mean anything; the zero is the driver's or the meter's."""

    at_s: float
    """Unix seconds."""
    joules: Mapping[Device, float]
    """Cumulative joules by device; a device that could not be read is absent, never 0."""
    meter: str
    meter_version: int
    source: Source
    codes: tuple[Code, ...] = ()
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    """What an estimate was computed from, so that it can be computed again. `*_s` parameters are cumulative like joules."""


@dataclass(frozen=True)
class DomainEnergy:
    """One device's energy in one window. None where it is not known; a code on the window says why."""

    domain: Domain
    device: str
    energy_j: float | None


@dataclass(frozen=True)
class Window:
    """Energy between two readings, by device, as it is stored."""

    start_s: float
    end_s: float
    domains: tuple[DomainEnergy, ...]
    source: Source
    codes: tuple[Code, ...] = ()
    meter: str = "none"
    meter_version: int = 1
    parameters: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Measured, and nothing against it: no code at all. An estimate is not valid, and says so."""
        return not self.codes

    @property
    def duration_s(self) -> float:
        """Seconds from the first reading to the second."""
        return self.end_s - self.start_s

    def energy_j(self, domain: Domain) -> float | None:
        """Joules of one domain over all its devices; None when there are none or one of them is not known."""
        values = [row.energy_j for row in self.domains if row.domain == domain]
        known = [value for value in values if value is not None]
        return sum(known) if values and len(known) == len(values) else None


def window(start: Reading, end: Reading) -> Window:
    """The window between two readings of one meter. Raises ValueError when they are of different meters."""
    if (start.meter, start.meter_version, start.source) != (end.meter, end.meter_version, end.source):
        raise ValueError(f"readings of two meters ({start.meter}, {end.meter}) make no window")
    codes = {*start.codes, *end.codes}
    rows = []
    for device in sorted({*start.joules, *end.joules}):
        energy, code = _difference(start.joules.get(device), end.joules.get(device))
        codes |= {code} if code else set()
        rows.append(DomainEnergy(device.domain, device.id, energy))
    if end.at_s < start.at_s:
        codes.add(Code.CLOCK_STEPPED)
    if start.source in COUNTERS and end.at_s - start.at_s < SHORTEST_S:
        codes.add(Code.WINDOW_TOO_SHORT)
    return Window(
        start_s=start.at_s,
        end_s=end.at_s,
        domains=tuple(rows),
        source=start.source,
        codes=tuple(code for code in Code if code in codes),
        meter=start.meter,
        meter_version=start.meter_version,
        parameters=_parameters(start, end),
    )


def _difference(start: float | None, end: float | None) -> tuple[float | None, Code | None]:
    if start is None or end is None:
        return None, Code.DEVICE_COUNT_MISMATCH
    if end < start:
        return None, Code.COUNTER_RESET
    return end - start, None


def _parameters(start: Reading, end: Reading) -> dict[str, float | str]:
    """The end's parameters, cumulative seconds as differences."""
    found: dict[str, float | str] = {}
    for key, value in end.parameters.items():
        before = start.parameters.get(key)
        cumulative = key.endswith("_s") and isinstance(value, float) and isinstance(before, float)
        found[key] = value - before if cumulative else value  # type: ignore[operator]
    return found
