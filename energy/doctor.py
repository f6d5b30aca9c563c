"""What can be known about energy on this machine, and the command that would make more of it known: for `bench doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from energy import calibrate, hardware, profiles
from energy.hardware import Hardware
from energy.meters import choose, meters
from energy.sampler import PERIOD_S
from energy.windows import COUNTERS, Domain

Status = Literal["measured", "estimated", "missing", "absent"]
"""`missing`: could be had; `absent`: this machine cannot have it."""

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
    """GPU, CPU and DRAM energy, the readings beside them, peaks for utilisation. Opens nothing for long and never raises."""
    machine = hardware.detect()
    return [_gpu(machine), _cpu(), _dram(), _sampler(machine), _idle(machine), _peaks(machine)]


def _gpu(machine: Hardware) -> Finding:
    if machine.kind == "cpu":
        return Finding("GPU energy", "absent", "no GPU is visible here (nvidia-smi, CUDA_VISIBLE_DEVICES)")
    try:
        zeus = version("zeus")
    except PackageNotFoundError:
        return Finding(
            "GPU energy", "missing", f"{machine.label} has energy counters, and zeus, which reads them, is missing", "pip install zeus"
        )
    reason = meters.get("zeus")().unavailable()
    if reason is None:
        return Finding("GPU energy", "measured", f"energy counters of {machine.label}, read through zeus {zeus}")
    return Finding("GPU energy", "missing", reason, "list devices in CUDA_VISIBLE_DEVICES by index, not by UUID or MIG slice")


def _cpu() -> Finding:
    reason = meters.get("rapl")().unavailable()
    if reason is None:
        return Finding("CPU energy", "measured", "RAPL counters of the whole package, so of everything that runs on the machine")
    from energy.meters.estimate import watts_per_cpu

    if missing := meters.get("estimate")().unavailable():
        return Finding("CPU energy", "missing", f"{reason}; {missing}", "pip install psutil")
    watts = watts_per_cpu()
    detail = f"CPU time of our processes × {watts.value:.3g} W per CPU ({watts.source}), marked ~ everywhere. No counter: {reason}"
    return Finding("CPU energy", "estimated", detail, _rapl_fix(reason))


def _dram() -> Finding:
    reason = _dram_reason()
    if reason is None:
        return Finding("memory energy", "measured", "RAPL DRAM counters, a row of their own beside the CPU's")
    fix = _rapl_fix(reason)
    return Finding("memory energy", "missing" if fix else "absent", reason, fix)


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


def _sampler(machine: Hardware) -> Finding:
    source = choose(kind=machine.kind).source
    if source in COUNTERS:
        more = "power, temperature, limits and counters" if machine.kind == "gpu" else "counters"
        detail = f"{more} {1 / PERIOD_S:g} times a second beside every window: they check it, and cut out the steady state of live cells"
        return Finding("power readings", "measured", detail)
    if source == "estimated":
        detail = "our processes' CPU time twice a second in live cells; their steady state is cut out of that, and nothing can check it"
        return Finding("power readings", "estimated", detail)
    return Finding("power readings", "missing", "nothing here can be read")


def _idle(machine: Hardware) -> Finding:
    if choose(kind=machine.kind).source in COUNTERS:
        return Finding("idle power", "measured", "every run first reads the device at rest for 30 s: leave the machine alone meanwhile")
    return Finding("idle power", "absent", "needs a counter; joules of live cells are shown without the power at rest beside them")


def _peaks(machine: Hardware) -> Finding:
    """What MFU and MBU are computed with."""
    own, profile = calibrate.of_machine(machine), machine.profile
    if profile is not None and profile.bandwidth is not None and profile.peak_flops:
        return Finding("MFU and MBU", "measured", f"with the published peaks of {profile.name} (table of {profiles.as_of()})")
    if own is None:
        detail = f"no published peaks for {machine.label}, and this machine is not calibrated: shares of its peak are left out"
        return Finding("MFU and MBU", "missing", detail, "bench calibrate")
    fp32 = own.peaks.get("fp32")
    rates = [f"copies {own.bandwidth_best / 1e9:.3g} GB/s", *([f"{fp32.best * own.count / 1e9:.3g} GFLOP/s in fp32"] if fp32 else [])]
    fix = "bench calibrate" if fp32 and fp32.median < 0.8 * fp32.best else None
    busy = "; it was busy then, so measure again when it is quiet" if fix else ""
    return Finding("MFU and MBU", "measured", f"with what this machine reached on {own.date}: {', '.join(rates)}{busy}", fix)
