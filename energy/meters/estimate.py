"""Energy of our own processes from their CPU time, where nothing can be measured. Always marked `estimated`.

The rule, as codecarbon has it (package power from a table × our share of the machine):

    joules = CPU seconds of this process and all its descendants × watts per CPU

    watts per CPU = TDP / physical cores / threads per core    where the table knows the model (SMT siblings share a core's power)
                  = the table's generic constant               where it does not (virtual machines often say no more than "AMD EPYC")

Idle power, memory and other processes are not in it. Every window keeps `watts_per_cpu`, its source, the CPU seconds, the CPUs and
the threads per core, so that it can be computed again with better numbers; utilisation = cpu_s / (window seconds × cpus).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from energy import hardware, profiles
from energy.codes import Code
from energy.meters import meters
from energy.profiles import Value
from energy.windows import Device, Domain, Reading, Source, now

if TYPE_CHECKING:
    import psutil


@meters.register("estimate")
class EstimateMeter:
    """CPU time × watts per CPU."""

    name = "estimate"
    version = 1
    source = Source.ESTIMATED

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._cpu_s = 0.0
        self._watts = 0.0
        self._fixed: dict[str, float | str] = {}

    def unavailable(self) -> str | None:
        """psutil is not installed."""
        try:
            import psutil  # noqa: F401
        except ImportError as error:
            return f"psutil is not installed ({error})"
        return None

    def open(self) -> None:
        """Fixes the watts and begins to follow this process and its descendants."""
        import psutil

        self._process = psutil.Process()
        self._cpu_s = 0.0
        watts = watts_per_cpu()
        self._watts = watts.value
        self._fixed = {
            "watts_per_cpu": watts.value,
            "watts_source": watts.source,
            "cpus": float(hardware.usable_cpus()),
            "threads_per_core": float(threads_per_core()),
        }

    def read(self) -> Reading:
        """Estimated joules since our processes began."""
        if self._process is None:
            raise RuntimeError("read before open")
        # A child that ends between our looks at its parent and at itself is missing once and comes back in its parent's sum: never go down.
        self._cpu_s = max(self._cpu_s, cpu_seconds(self._process))
        return Reading(
            now(),
            {Device(Domain.CPU, "own processes"): self._cpu_s * self._watts},
            self.name,
            self.version,
            self.source,
            codes=(Code.ESTIMATED,),
            parameters={**self._fixed, "cpu_s": self._cpu_s},
        )

    def close(self) -> None:
        """Nothing to give back."""
        self._process = None


def watts_per_cpu() -> Value:
    """Watts of one busy logical CPU of this machine, with the reasoning as its source."""
    device = hardware.cpu_name()
    profile = profiles.by_report(device, "cpu")
    if profile is None or profile.tdp_w is None or profile.cores is None:
        generic = profiles.generic_watts_per_cpu()
        return Value(generic.value, f"generic, {device!r} is not in the table of {profiles.as_of()}: {generic.source}")
    threads = threads_per_core()
    watts = profile.tdp_w.value / profile.cores.value / threads
    return Value(watts, f"{profile.tdp_w.value:g} W / {profile.cores.value:g} cores / {threads} threads: {profile.tdp_w.source}")


def threads_per_core() -> int:
    """Logical CPUs per physical core as the operating system shows them; 1 where it does not tell."""
    import psutil

    logical, physical = psutil.cpu_count(), psutil.cpu_count(logical=False)
    return max(1, logical // physical) if logical and physical else 1


def cpu_seconds(process: psutil.Process) -> float:
    """User and system seconds of `process` and its descendants, ended and reaped ones included."""
    import psutil

    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        total += times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
    return total
