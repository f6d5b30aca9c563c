"""Readings of a meter at a steady pace beside the work: its counters, and what else its devices tell (power, temperature, limits)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from energy.meters import Meter
from energy.traces import Quantity, Sense, Trace
from energy.windows import Device, now

PERIOD_S = 0.1
"""Ten a second: counters step about every 100 ms, so more would repeat them."""


@runtime_checkable
class Senses(Protocol):
    """A meter whose devices tell more than their counters."""

    def sense(self) -> Sequence[Sense]:
        """Power, temperature and limits now. A device that fails is absent; it never raises."""


class Sampler:
    """A thread that reads `meter`, which is open, every `period_s` until it is stopped. `take` gives what it read so far."""

    def __init__(self, meter: Meter, period_s: float = PERIOD_S) -> None:
        self._meter, self._period_s = meter, period_s
        self._read: dict[tuple[Quantity, Device], tuple[list[float], list[float]]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_reading, name="perpass-sampler", daemon=True)

    def start(self) -> None:
        """The first reading is taken before this returns."""
        self.tick()
        self._thread.start()

    def stop(self) -> None:
        """The last reading is taken before this returns."""
        self._stop.set()
        self._thread.join()
        self.tick()

    def tick(self) -> None:
        """One reading of everything, now."""
        with self._lock:
            reading = self._meter.read()
            for device, joules in reading.joules.items():
                self._add(Quantity.ENERGY, device, reading.at_s, joules)
            if isinstance(self._meter, Senses):
                at_s, sensed = now(), self._meter.sense()
                for sense in sensed:
                    self._add(sense.quantity, sense.device, at_s, sense.value)

    def take(self) -> list[Trace]:
        """The readings since the last `take`, whose last one is given again, so that traces join without a gap."""
        with self._lock:
            taken = [Trace(quantity, device, tuple(t), tuple(v)) for (quantity, device), (t, v) in self._read.items()]
            self._read = {key: (t[-1:], v[-1:]) for key, (t, v) in self._read.items()}
        return taken

    def _add(self, quantity: Quantity, device: Device, at_s: float, value: float) -> None:
        times, values = self._read.setdefault((quantity, device), ([], []))
        if not times or at_s > times[-1]:  # a clock that was set back must not make a trace fold over itself
            times.append(at_s)
            values.append(value)

    def _keep_reading(self) -> None:
        while not self._stop.wait(self._period_s):
            self.tick()
