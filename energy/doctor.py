"""What can be known about energy on this machine, and the command that would make more of it known: for `bench doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from energy import hardware, profiles
from energy.hardware import Hardware
from energy.meters import meters
from energy.windows import Domain

Status = Literal["measured", "estimated", "missing"]

READABLE = "sudo chmod -R a+r /sys/class/powercap"
"""RAPL is root-only since Linux 5.10 (CVE-2020-8694); zeusd is the alternative without opening it to all users."""


@dataclass(frozen=True)
class Finding:
    """One line of `bench doctor`."""

    what: str
    status: Status
    detail: str
    fix: str | None = None
    """A command or step that would improve the status; None when there is none or nothing to improve."""


def findings() -> list[Finding]:
    """GPU, CPU and DRAM energy, the hardware's profile, Zeus. Opens nothing for long and never raises."""
    machine = hardware.detect()
    return [_zeus(), _gpu(machine), _cpu(), _dram(), _profile(machine)]


def _zeus() -> Finding:
    try:
        return Finding("zeus", "measured", f"zeus {version('zeus')} is installed")
    except PackageNotFoundError:
        return Finding("zeus", "missing", "zeus is not installed: no GPU energy", "pip install zeus")


def _gpu(machine: Hardware) -> Finding:
    reason = meters.get("zeus")().unavailable()
    if reason is None:
        return Finding("GPU energy", "measured", f"energy counters of {machine.label} through Zeus")
    fix = None if machine.kind == "cpu" else "pip install zeus; list devices in CUDA_VISIBLE_DEVICES by index, not by UUID or MIG slice"
    return Finding("GPU energy", "missing", reason, fix)


def _cpu() -> Finding:
    reason = meters.get("rapl")().unavailable()
    if reason is None:
        return Finding("CPU energy", "measured", "RAPL package counters, of everything that runs on the machine")
    from energy.meters.estimate import watts_per_cpu

    if missing := meters.get("estimate")().unavailable():
        return Finding("CPU energy", "missing", f"{reason}; {missing}", "pip install psutil")
    watts = watts_per_cpu()
    detail = f"{reason}; CPU time of our processes × {watts.value:.3g} W per CPU ({watts.source})"
    return Finding("CPU energy", "estimated", detail, _rapl_fix(reason))


def _dram() -> Finding:
    reason = _dram_reason()
    if reason is None:
        return Finding("DRAM energy", "measured", "RAPL DRAM counters")
    return Finding("DRAM energy", "missing", reason, _rapl_fix(reason))


def _dram_reason() -> str | None:
    meter = meters.get("rapl")()
    if reason := meter.unavailable():
        return reason
    meter.open()
    try:
        devices = meter.read().joules
    finally:
        meter.close()
    return None if any(device.domain == Domain.DRAM for device in devices) else "this CPU has no DRAM counter"


def _rapl_fix(reason: str) -> str | None:
    """Permission can be given; a counter that the (virtual) machine does not have cannot."""
    return READABLE if "root only" in reason else None


def _profile(machine: Hardware) -> Finding:
    if machine.profile is not None:
        return Finding("hardware profile", "measured", f"{machine.label}: {machine.profile.name} in the table of {profiles.as_of()}")
    status: Status = "estimated" if machine.kind == "cpu" else "missing"
    detail = f"{machine.label} is not in the table of {profiles.as_of()}: no peak FLOP/s, no design power"
    return Finding("hardware profile", status, detail, f"add {machine.device!r} with its sources to energy/data/hardware.yaml")
