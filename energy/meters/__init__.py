"""Meters: what can be read about energy on this machine, behind one protocol, one file each.

A meter reads cumulative counters; `energy.windows.window` makes windows of two readings. A new meter is a class with the decorator
`@meters.register("<name>")`, or an installed package's entry point in the group `perpass.meters`. Its `version` is raised by hand
whenever the same physical energy would give another number: windows keep it, identities do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from energy.windows import Reading, Source
from perpass.errors import UserError
from perpass.registry import Registry


class Meter(Protocol):
    """One way to know energy. `open` before the first `read`; `close` when done. Reads take milliseconds and never wait for the device."""

    name: str
    version: int
    source: Source

    def unavailable(self) -> str | None:
        """Why this meter cannot be used here, in one sentence; None when it can."""

    def open(self) -> None:
        """Take hold of the devices. Raises PerPassError when the meter is unavailable."""

    def read(self) -> Reading:
        """Counters now. A device that fails is absent from the reading; the reading itself never fails."""

    def close(self) -> None:
        """Let go of the devices."""


meters: Registry[Callable[..., Meter]] = Registry(
    "meter",
    "perpass.meters",
    builtin=("energy.meters.zeus", "energy.meters.rapl", "energy.meters.estimate", "energy.meters.none", "energy.meters.replay"),
)

Kind = Literal["gpu", "cpu"]

MEASURED: dict[Kind | None, tuple[str, ...]] = {"gpu": ("zeus",), "cpu": ("rapl",), None: ("zeus", "rapl")}
"""Meters that measure, by the kind of device that does the work, best first."""


def choose(require: bool = False, kind: Kind | None = None) -> Meter:
    """The best meter available here, not yet opened: GPU counters, else RAPL, else an estimate from CPU time, else `none`.

    kind: what the engine runs on (`Hardware.kind`), when it is known: a CPU engine on a machine with a GPU is not metered by the idle GPU,
    and a GPU's energy is not estimated from CPU time. For hardware elsewhere (an API) take `meters.get("none")()`.
    Raises UserError when `require` is set and nothing is measured, with each meter's reason.
    """
    reasons = []
    for name in MEASURED[kind]:
        meter = meters.get(name)()
        reason = meter.unavailable()
        if reason is None:
            return meter
        reasons.append(f"{name}: {reason}")
    if require:
        raise UserError(f"energy is required and nothing here measures it ({'; '.join(reasons)}); see `bench doctor`")
    estimate = meters.get("estimate")()
    return estimate if kind != "gpu" and estimate.unavailable() is None else meters.get("none")()
