"""What this machine really reaches: power at rest, bytes copied per second, matrix products per second by precision.

Kept as JSON in the user's cache directory, one entry per hardware, so that hardware that the table does not know has peaks for MFU and MBU.
Best and median of several repetitions: the best is the peak that was shown to be possible, the distance tells how busy the machine was.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from energy import rates
from energy.hardware import Hardware
from energy.meters import choose
from energy.rates import Rate
from energy.windows import COUNTERS, Domain, window
from perpass.errors import UserError

VERSION = 1
IDLE_S = 10.0


@dataclass(frozen=True)
class Calibration:
    """What was measured on one machine. Rates are of one device: a GPU, or the CPU with all the cores that may be used."""

    hardware: str
    """The hardware's name, as in `Hardware.identity`."""
    device: str
    kind: str
    count: int
    system: str
    """`platform.platform()`: with the name, what tells this machine from another."""
    date: str
    torch: str
    threads: int | None
    bandwidth: Rate
    """Bytes read and written per second by a copy."""
    peaks: Mapping[str, Rate]
    """Operations per second of dense matrix products, by precision."""
    unavailable: Mapping[str, str] = field(default_factory=dict)
    """Precisions that torch has no product for on this device, with what it said."""
    idle_w: float | None = None
    idle_source: str | None = None
    idle_reason: str | None = None
    """Why `idle_w` is None."""
    version: int = VERSION

    def peak(self, precision: str) -> float | None:
        """Operations per second of all devices; None where it was not measured."""
        found = self.peaks.get(precision)
        return None if found is None else found.best * self.count

    @property
    def bandwidth_best(self) -> float:
        """Bytes per second of all devices."""
        return self.bandwidth.best * self.count


def measure(machine: Hardware, say: Callable[[str], None] = lambda _: None, idle_s: float = IDLE_S) -> Calibration:
    """Measure this machine; `say` is told what comes next. Takes about half a minute and loads every core, or the first GPU.

    Power at rest comes first, before torch wakes the device. Raises UserError where torch is missing.
    """
    try:
        torch = version("torch")
    except PackageNotFoundError:
        raise UserError("calibrating needs torch: pip install 'perpass[local]'") from None
    say("power at rest")
    watts, source, reason = idle(machine, idle_s)
    device, threads = ("cuda", None) if machine.kind == "gpu" else ("cpu", _threads(machine))
    say("memory bandwidth")
    width = rates.bandwidth(device)
    peaks, refused = {}, {}
    for precision in rates.PRECISIONS[device]:
        say(f"{precision} products")
        try:
            peaks[precision] = rates.products(device, precision)
        except (RuntimeError, NotImplementedError) as error:
            refused[precision] = " ".join(str(error).split("\n")[0].split())[:200]
    return Calibration(
        hardware=machine.name,
        device=machine.device,
        kind=machine.kind,
        count=machine.count,
        system=platform.platform(),
        date=datetime.date.today().isoformat(),
        torch=torch,
        threads=threads,
        bandwidth=width,
        peaks=peaks,
        unavailable=refused,
        idle_w=watts,
        idle_source=source,
        idle_reason=reason,
    )


def idle(machine: Hardware, seconds: float) -> tuple[float | None, str | None, str | None]:
    """Watts of all devices at rest, their source, and why there are none."""
    meter = choose(kind=machine.kind)
    if meter.source not in COUNTERS:
        return None, None, "nothing here measures energy; see `bench doctor`"
    meter.open()
    try:
        start = meter.read()
        time.sleep(seconds)
        found = window(start, meter.read())
    finally:
        meter.close()
    joules = found.energy_j(Domain.GPU if machine.kind == "gpu" else Domain.CPU)
    if joules is None:
        return None, None, ", ".join(found.codes) or "the meter gave no reading"
    return joules / found.duration_s, str(meter.source), None


def _threads(machine: Hardware) -> int:
    """Lets torch use the cores that this process may use, and returns how many."""
    import torch

    if machine.cores:
        torch.set_num_threads(machine.cores)
    return torch.get_num_threads()


def path() -> Path:
    """Where calibrations of this machine are kept: $XDG_CACHE_HOME/perpass/calibration.json."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "perpass" / "calibration.json"


def stored() -> dict[str, Calibration]:
    """Calibrations by the hardware's name; empty where there are none, or none that can be read."""
    try:
        raw = json.loads(path().read_text(encoding="utf-8"))
        return {name: read(entry) for name, entry in raw.items() if entry.get("version") == VERSION}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def save(made: Calibration) -> Path:
    """Keep it in place of an older one of the same hardware; returns the file. Raises UserError where it cannot be written."""
    where = path()
    kept = {name: asdict(entry) for name, entry in stored().items()} | {made.hardware: asdict(made)}
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        new = where.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        new.replace(where)
    except OSError as error:
        raise UserError(f"cannot write the calibration to {where}: {error.strerror or error}") from error
    return where


def read(raw: Mapping[str, Any]) -> Calibration:
    """A calibration from its JSON. Raises TypeError or KeyError for another layout."""
    rates = {name: Rate(**rate) for name, rate in raw["peaks"].items()}
    return Calibration(**{**raw, "bandwidth": Rate(**raw["bandwidth"]), "peaks": rates})


def of_machine(machine: Hardware) -> Calibration | None:
    """What was measured here for this hardware; None for hardware that is elsewhere, and where nothing was measured."""
    found = stored().get(machine.name) if machine.found else None
    return found if found is not None and found.system == platform.platform() else None


def of_run(surroundings: Mapping[str, Any], hardware: str) -> Calibration | None:
    """The calibration of the machine of a run: as its environment kept it, else one made later on a machine of that name and system."""
    for raw in surroundings.get("calibration") or ():
        if raw.get("hardware") == hardware and raw.get("version") == VERSION:
            return read(raw)
    later = stored().get(hardware)
    return later if later is not None and later.system == surroundings.get("system") else None
