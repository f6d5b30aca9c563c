"""Which hardware does the work: found on this machine, or declared in an experiment. Its profile is looked up; its price is never known
here.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from energy import profiles
from energy.profiles import Kind, Profile
from perpass.errors import UserError, unknown

CPUINFO = Path("/proc/cpuinfo")
NODES = Path("/sys/devices/system/node")
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Hardware:
    """Device type × count."""

    name: str
    """The profile's name where there is one, else the device's own: `H100`, `AMD EPYC (2 cores)`."""
    kind: Kind
    device: str
    """The name as the driver or the operating system gives it."""
    count: int
    """GPUs; 1 for a CPU machine, whose cores are in its name."""
    uuids: tuple[str, ...] = ()
    """Of GPUs found here. Provenance, not identity."""
    profile: Profile | None = field(default=None, compare=False)
    cores: int | None = None
    """Logical CPUs that this process may use; for CPU machines."""
    memory_gb: float | None = None
    """Memory of one GPU or of the machine, in GiB, as found."""
    found: bool = field(default=False, compare=False)
    """Detected on this machine, so that its energy can be metered here; False where it was only declared. Provenance, not identity."""

    def identity(self) -> dict[str, str | int]:
        """What enters hashes: equal for equal hardware, whichever of its devices were used, found or declared."""
        return {"name": self.name, "count": self.count}

    @property
    def label(self) -> str:
        """For people: `H100x1`, `AMD EPYC (2 cores)`."""
        return f"{self.name}x{self.count}" if self.kind == "gpu" else self.name


def detect(kind: Kind | None = None) -> Hardware:
    """What an engine on this machine runs on: the visible CUDA devices if there are any, else the CPU.

    kind: "cpu" for an engine that uses no GPU even where there is one. "gpu" raises UserError where no GPU is visible.
    """
    found = gpus() if kind != "cpu" else []
    if found:
        return _gpu_hardware(found)
    if kind == "gpu":
        raise UserError("no GPU is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES)")
    return _cpu_hardware()


def declared(text: str) -> Hardware:
    """Hardware named in an experiment as `name` or `name x count`: `H100x1`, `RTX4090`, `a100-80gb x 8`.

    Raises UserError with the nearest known name: without a profile neither a price nor utilisation could be looked up.
    """
    profile, count = profiles.by_name(text), 1
    split = re.fullmatch(r"(.+?)\s*[x×]\s*(\d+)", text.strip(), re.IGNORECASE)
    if profile is None and split is not None:
        profile, count = profiles.by_name(split[1]), int(split[2])
    if profile is None or count < 1:
        # Lower case on both sides, or the nearest name would not be found; declared names ignore case anyway.
        raise unknown("hardware", split[1] if split else text, [name.lower() for name in profiles.names()])
    if profile.kind == "gpu":
        return Hardware(profile.name, "gpu", profile.name, count, profile=profile)
    if profile.cores is None:
        raise UserError(f"hardware {text!r}: its number of cores is not known")
    cores = int(profile.cores.value) * count
    return Hardware(f"{profile.name} ({cores} cores)", "cpu", profile.name, 1, profile=profile, cores=cores)


@dataclass(frozen=True)
class Gpu:
    """One GPU as NVML shows it."""

    name: str
    uuid: str
    memory_gb: float


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs that this process may use, by NVML, CUDA_VISIBLE_DEVICES honoured; empty where no driver answers."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, no library: all mean that no CUDA device can be used here
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        found = [
            Gpu(_text(pynvml.nvmlDeviceGetName(h)), _text(pynvml.nvmlDeviceGetUUID(h)), pynvml.nvmlDeviceGetMemoryInfo(h).total / 2**30)
            for h in handles
        ]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()
    return _visible(found, os.environ.get("CUDA_VISIBLE_DEVICES"))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _visible(found: list[Gpu], variable: str | None) -> list[Gpu]:
    """CUDA's rule: indices or UUID prefixes in order; the first entry that names no device ends the list."""
    if variable is None:
        return found
    chosen: list[Gpu] = []
    for entry in (part.strip() for part in variable.split(",")):
        by_index = [found[int(entry)]] if entry.isdigit() and int(entry) < len(found) else []
        matches = by_index or [gpu for gpu in found if entry and gpu.uuid.startswith(entry)]
        if len(matches) != 1:
            break
        chosen += matches
    return chosen


def _gpu_hardware(found: list[Gpu]) -> Hardware:
    """All visible GPUs. Unlike ones are named together, and have no profile."""
    kinds = sorted({gpu.name for gpu in found})
    known = [profiles.by_report(kind, "gpu") for kind in kinds]
    return Hardware(
        name=" + ".join(profile.name if profile else kind for profile, kind in zip(known, kinds, strict=True)),
        kind="gpu",
        device=" + ".join(kinds),
        count=len(found),
        uuids=tuple(gpu.uuid for gpu in found),
        profile=known[0] if len(kinds) == 1 else None,
        memory_gb=found[0].memory_gb if len(kinds) == 1 else None,
        found=True,
    )


def _cpu_hardware() -> Hardware:
    device, cores = cpu_name(), usable_cpus()
    profile = profiles.by_report(device, "cpu")
    name = f"{profile.name if profile else device} ({cores} core{'s' if cores != 1 else ''})"
    return Hardware(name, "cpu", device, 1, profile=profile, cores=cores, memory_gb=_memory_gb(), found=True)


@dataclass(frozen=True)
class Machine:
    """The computer itself, whatever runs on it. None: the operating system does not tell. Provenance, never identity."""

    cpu: str
    sockets: int | None
    """Packages that hold the processors."""
    cores: int | None
    """Physical cores of all of them."""
    logical: int | None
    usable: int
    """Logical CPUs that this process may use."""
    numa_nodes: int | None
    """Parts of the memory that are nearer to some cores than to others."""
    memory_gb: float | None
    """GiB."""

    @property
    def label(self) -> str:
        """In words: `AMD EPYC, 1 socket, 2 cores (2 usable), 1 NUMA node, 23 GiB`."""
        counts = [(self.sockets, "socket"), (self.cores, "core"), (self.numa_nodes, "NUMA node")]
        parts = [f"{n} {name}{'s' if n != 1 else ''}" for n, name in counts if n is not None]
        parts.append(f"{self.usable} of {self.logical or '?'} logical CPUs usable")
        return ", ".join([self.cpu, *parts, *([f"{self.memory_gb:.0f} GiB"] if self.memory_gb else [])])


def machine() -> Machine:
    """This computer: sockets and cores by /proc/cpuinfo, NUMA nodes by /sys; never raises."""
    sockets, cores = _packages()
    nodes = len(list(NODES.glob("node[0-9]*"))) or None
    return Machine(cpu_name(), sockets, cores, os.cpu_count(), usable_cpus(), nodes, _memory_gb())


def _packages() -> tuple[int | None, int | None]:
    """Sockets and physical cores; None where /proc/cpuinfo does not name them (other systems, ARM)."""
    text = CPUINFO.read_text(errors="replace") if CPUINFO.is_file() else ""
    found: set[tuple[str, str]] = set()
    for block in text.split("\n\n"):
        ids = dict(re.findall(r"^(physical id|core id)\s*:\s*(\d+)", block, re.MULTILINE))
        if len(ids) == 2:
            found.add((ids["physical id"], ids["core id"]))
    return (len({socket for socket, _ in found}), len(found)) if found else (None, None)


def cpu_name() -> str:
    """The processor's model, without trademark signs and clock rates: `AMD EPYC`, `Intel Xeon`, `Apple M2`."""
    if sys.platform == "darwin":
        import subprocess

        text = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False).stdout
    else:
        lines = CPUINFO.read_text(errors="replace").splitlines() if CPUINFO.is_file() else []
        text = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")
    text = re.sub(r"\((R|TM|C)\)|\bCPU\b|@.*$|\b\d+-Core\b|\bProcessor\b", " ", text, flags=re.IGNORECASE)
    return " ".join(text.split()) or platform.processor() or platform.machine() or "unknown CPU"


def usable_cpus() -> int:
    """Logical CPUs that this process may use: its affinity, cut by a container's CPU quota (cgroup v2), at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return max(1, min(count, -(-int(quota) // int(period))))
    except (OSError, ValueError):  # no cgroup v2, or the quota is "max"
        return count


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return None
