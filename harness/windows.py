"""Energy windows around the work of a run: they roll, so that a kill loses little; neighbours share a reading, so that nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from energy.hardware import Hardware
from energy.meters import Meter, choose, meters
from energy.windows import Reading, Window, window
from results.energy import headline
from results.records import WindowRecord


def meter_for(places: Sequence[Hardware], require: bool = False) -> Meter:
    """The meter for what these run on: none for hardware that was only declared (it is elsewhere), else the best for its kind.

    Raises UserError when `require` is set and nothing measures it.
    """
    here = [p for p in places if p.found]
    if not here:
        return choose(require=True, kind=None) if require else meters.get("none")()
    return choose(require=require, kind="gpu" if any(p.kind == "gpu" for p in here) else "cpu")


class WindowRecorder:
    """Reads one meter around spans of work and hands each closed window to `add`."""

    def __init__(self, meter: Meter, run_id: int, add: Callable[[Sequence[WindowRecord]], None], roll_s: float = 30.0):
        self.meter, self._run_id, self._add, self._roll_s = meter, run_id, add, roll_s
        self._start: Reading | None = None
        self._closed_j: float | None = None

    @asynccontextmanager
    async def span(self, kind: str, cell_id: int | None = None) -> AsyncIterator[None]:
        """Energy of the work inside the block, in windows of `roll_s` (live cells: one, whatever its length)."""
        await asyncio.to_thread(self.meter.open)
        self._start = await asyncio.to_thread(self.meter.read)
        roller = asyncio.ensure_future(self._roll(kind, cell_id)) if kind == "pooled" else None
        try:
            yield
        finally:
            if roller:
                roller.cancel()
                await asyncio.gather(roller, return_exceptions=True)
            # Not awaited in a thread: the last reading must be taken even while the run is being cancelled.
            self._close(self.meter.read(), kind, cell_id)
            self._start = None
            self.meter.close()

    def joules(self) -> float | None:
        """What this recorder saw so far in its headline domain (GPU if any, else CPU), the open window included; None when not known."""
        if self._start is None:
            return self._closed_j
        return _plus(self._closed_j, headline(window(self._start, self.meter.read())))

    async def _roll(self, kind: str, cell_id: int | None) -> None:
        while True:
            await asyncio.sleep(self._roll_s)
            self._close(self.meter.read(), kind, cell_id)

    def _close(self, end: Reading, kind: str, cell_id: int | None) -> None:
        assert self._start is not None
        closed, self._start = window(self._start, end), end
        self._closed_j = _plus(self._closed_j, headline(closed))
        self._add(self._records(closed, kind, cell_id))

    def _records(self, closed: Window, kind: str, cell_id: int | None) -> list[WindowRecord]:
        # A window without any device still has a row: that nothing was read is a fact with a code, not an absence.
        rows = [(str(d.domain), d.device, d.energy_j) for d in closed.domains] or [("none", "", None)]
        return [
            WindowRecord(
                run_id=self._run_id,
                cell_id=cell_id,
                kind=kind,
                meter=closed.meter,
                meter_version=closed.meter_version,
                source=str(closed.source),
                domain=domain,
                device=device,
                start=closed.start_s,
                end=closed.end_s,
                energy_j=joules,
                valid=closed.valid,
                codes=tuple(str(c) for c in closed.codes),
                parameters=dict(closed.parameters),
            )
            for domain, device, joules in rows
        ]


def _plus(before: float | None, more: float | None) -> float | None:
    return before if more is None else more + (before or 0.0)
