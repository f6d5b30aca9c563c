"""GPU energy counters through Zeus.

Zeus's device layer gives each GPU's total energy since the driver was loaded (NVML `nvmlDeviceGetTotalEnergyConsumption`,
millijoules; AMD SMI on AMD), honouring CUDA_VISIBLE_DEVICES. We read those counters, not `ZeusMonitor.begin_window`/`end_window`
pairs: of two such windows in a row, the counter step between the end of one and the beginning of the next is lost, or counted twice
if they overlap. `ZeusMonitor` computes its windows from the very same calls; `tests/energy/test_zeus.py` holds the two equal. Zeus
takes seconds to import, so it is imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from energy.codes import Code
from energy.meters import meters
from energy.traces import Quantity, Sense
from energy.windows import Device, Domain, Reading, Source, now
from perpass.errors import PerPassError

if TYPE_CHECKING:
    from zeus.device.gpu import GPUs
    from zeus.device.gpu.common import GPU

T = TypeVar("T")


@meters.register("zeus")
class ZeusMeter:
    """NVML (or AMD SMI) energy counters of the visible GPUs."""

    name = "zeus"
    version = 1
    source = Source.NVML_COUNTER

    def __init__(self) -> None:
        self._gpus: GPUs | None = None
        self._devices: tuple[Device, ...] = ()
        self._codes: tuple[Code, ...] = ()

    def unavailable(self) -> str | None:
        """No Zeus, no GPU, MIG slices, or a GPU older than Volta (no energy counter)."""
        try:
            gpus = _gpus()
            old = [gpus.get_name(i) for i in range(len(gpus)) if not gpus.supports_get_total_energy_consumption(i)]
        except ImportError as error:
            return f"zeus is not installed ({error})"
        except ValueError:
            return "CUDA_VISIBLE_DEVICES does not list devices by index, which is all that Zeus reads"
        except Exception as error:  # Zeus and the vendor libraries raise many kinds; each of them means that nothing can be read.
            return str(error).rstrip(".") or type(error).__name__
        if not len(gpus):
            return "no GPU is visible"
        return f"{', '.join(sorted(set(old)))} has no energy counter" if old else None

    def open(self) -> None:
        """Finds the visible GPUs and their UUIDs."""
        if reason := self.unavailable():
            raise PerPassError(f"the zeus meter cannot be used: {reason}")
        self._gpus = _gpus()
        uuids = [_uuid(gpu) for gpu in self._gpus.gpus]
        self._devices = tuple(Device(Domain.GPU, uuid or f"index {i}") for i, uuid in enumerate(uuids))
        self._codes = () if all(uuids) else (Code.DEVICE_IDENTITY_MISSING,)

    def read(self) -> Reading:
        """Joules of each GPU since its driver was loaded."""
        if self._gpus is None:
            raise RuntimeError("read before open")
        at_s = now()
        joules = {}
        for index, device in enumerate(self._devices):
            millijoules = _counter(self._gpus, index)
            if millijoules is not None:
                joules[device] = millijoules / 1000.0
        return Reading(at_s, joules, self.name, self.version, self.source, self._codes)

    def sense(self) -> list[Sense]:
        """Instant power (W), temperature (°C), and whether clocks are held back, of each GPU that tells."""
        found = []
        for device, gpu in zip(self._devices, self._gpus.gpus if self._gpus is not None else (), strict=False):
            told = {Quantity.POWER: _watts(gpu), Quantity.TEMPERATURE: _celsius(gpu), Quantity.LIMITED: _limited(gpu)}
            found += [Sense(quantity, device, value) for quantity, value in told.items() if value is not None]
        return found

    def state(self) -> tuple[Code, ...]:
        """What makes these GPUs not ours alone: MIG slices, processes of others."""
        gpus = () if self._gpus is None else self._gpus.gpus
        found = {code for gpu in gpus for code in _shared(gpu)}
        return tuple(code for code in Code if code in found)

    def close(self) -> None:
        """Zeus keeps one handle for the process; nothing to give back."""
        self._gpus = None


def _gpus() -> GPUs:
    from zeus.device import get_gpus

    return get_gpus()


def _counter(gpus: GPUs, index: int) -> float | None:
    """Millijoules; None when the device cannot be read any more (it fell off the bus, the driver is being reloaded)."""
    from zeus.device.exception import ZeusBaseGPUError

    try:
        return float(gpus.get_total_energy_consumption(index))
    except ZeusBaseGPUError:
        return None


def _uuid(gpu: object) -> str | None:
    """The device's UUID by NVML; None where it cannot be had. Zeus itself knows devices by index only."""
    handle = getattr(gpu, "handle", None)
    if handle is None:
        return None
    try:
        import pynvml

        found = pynvml.nvmlDeviceGetUUID(handle)
    except Exception:  # pynvml raises its own hierarchy, and AMD handles are not NVML's.
        return None
    return found.decode() if isinstance(found, bytes) else str(found)


# -- what NVML tells beyond the counter ------------------------------------------------------------------------------------------------


def _watts(gpu: GPU) -> float | None:
    return _told(lambda: gpu.get_instant_power_usage() / 1000.0)


def _celsius(gpu: GPU) -> float | None:
    return _told(lambda: float(gpu.get_gpu_temperature()))


def _limited(gpu: GPU) -> float | None:
    """1 while clocks are held back for power or heat, 0 while not. Idle and user-set clocks hold nothing back."""
    import pynvml

    reasons = _told(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu.handle))  # type: ignore[attr-defined]
    return None if reasons is None else float(bool(int(reasons) & _HELD_BACK))


_HELD_BACK = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""NVML's clocks event reasons: software power cap, hardware slowdown, software and hardware thermal slowdown, power brake (nvml.h)."""


def _shared(gpu: GPU) -> Iterator[Code]:
    import pynvml

    handle = getattr(gpu, "handle", None)
    mode = _told(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    if mode == pynvml.NVML_DEVICE_MIG_ENABLE:
        yield Code.MIG_SHARED
    others = _told(lambda: {p.pid for p in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)} - own_processes())
    if others:
        yield Code.FOREIGN_PROCESS


def own_processes() -> set[int]:
    """Ours and our descendants' process ids. A driver that counts in another namespace (some containers) names others: then say so."""
    import psutil

    own = psutil.Process()
    return {own.pid, *(child.pid for child in own.children(recursive=True))}


def _told(ask: Callable[[], T]) -> T | None:
    """What a device says; None where it does not: old devices, other vendors, a device that is lost. Each library raises its own kinds."""
    try:
        return ask()
    except Exception:
        return None
