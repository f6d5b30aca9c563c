"""CPU package and DRAM energy counters: Linux powercap (RAPL), Intel and AMD.

Read from sysfs directly: Zeus reads the same files but starts one helper process per counter, each importing our main module again,
to notice that a counter wrapped. Here a thread reads often enough that at most one wrap can lie between two reads. Source of the
layout: Linux, Documentation/power/powercap/powercap.rst.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from energy.meters import meters
from energy.windows import Device, Domain, Reading, Source, now
from perpass.errors import PerPassError

ROOTS = (Path("/sys/class/powercap/intel-rapl"), Path("/zeus_sys/class/powercap/intel-rapl"))
"""The second is where Zeus's container instructions mount the host's."""

MOST_W = 1000.0
"""No package draws more: sets how often a counter must be read."""


@dataclass
class Counter:
    """One `energy_uj` file, unwrapped."""

    device: Device
    path: Path
    range_uj: int
    last_uj: int
    total_uj: int = 0

    def advance(self) -> None:
        """Adds what the counter moved since the last read; falling means that it wrapped. Raises OSError."""
        value = int(self.path.read_text())
        self.total_uj += value - self.last_uj if value >= self.last_uj else value + self.range_uj - self.last_uj
        self.last_uj = value


@meters.register("rapl")
class RaplMeter:
    """All packages of the machine, whoever uses them, and their DRAM where the CPU reports it. Cores are inside the package."""

    name = "rapl"
    version = 1
    source = Source.RAPL_COUNTER

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or next((root for root in ROOTS if root.is_dir()), ROOTS[0])
        self._counters: list[Counter] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def unavailable(self) -> str | None:
        """No powercap (virtual machines, other systems), or not readable (root only since Linux 5.10)."""
        if not self._root.is_dir():
            return f"there is no {self._root} (most virtual machines have no RAPL)"
        try:
            found = _counters(self._root)
        except PermissionError as error:
            return f"{error.filename} is readable by root only"
        except (OSError, ValueError) as error:
            return f"{self._root} cannot be read ({error})"
        return None if found else f"{self._root} has no CPU package"

    def open(self) -> None:
        """Finds the counters and keeps reading them in the background."""
        if reason := self.unavailable():
            raise PerPassError(f"the rapl meter cannot be used: {reason}")
        self.close()
        self._counters = _counters(self._root)
        self._stop.clear()
        period_s = min(60.0, min(c.range_uj for c in self._counters) / 1e6 / MOST_W / 2)
        self._thread = threading.Thread(target=self._keep_reading, args=(period_s,), name="perpass-rapl", daemon=True)
        self._thread.start()

    def read(self) -> Reading:
        """Joules of each package and its DRAM since `open`."""
        if self._thread is None:
            raise RuntimeError("read before open")
        with self._lock:
            at_s = now()
            joules = {c.device: c.total_uj / 1e6 for c in self._counters if _advanced(c)}
        return Reading(at_s, joules, self.name, self.version, self.source)

    def _keep_reading(self, period_s: float) -> None:
        while not self._stop.wait(period_s):
            with self._lock:
                for counter in self._counters:
                    _advanced(counter)

    def close(self) -> None:
        """Stops the background reads."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None


def _advanced(counter: Counter) -> bool:
    try:
        counter.advance()
    except (OSError, ValueError):
        return False
    return True


def _counters(root: Path) -> list[Counter]:
    """Package and DRAM zones under `root`. Raises OSError or ValueError when one is there and cannot be read."""
    found = []
    for package in sorted(root.glob("intel-rapl:*")):
        name = (package / "name").read_text().strip()
        if not name.startswith("package"):  # psys covers the packages once more
            continue
        found.append(_counter(package, Device(Domain.CPU, name)))
        for zone in sorted(package.glob("intel-rapl:*")):
            if (zone / "name").read_text().strip() == "dram":
                found.append(_counter(zone, Device(Domain.DRAM, name)))
    return found


def _counter(zone: Path, device: Device) -> Counter:
    path = zone / "energy_uj"
    return Counter(device, path, int((zone / "max_energy_range_uj").read_text()), int(path.read_text()))
