"""Energy windows around the work of a run: they roll, so that a kill loses little; neighbours share a reading, so that nothing is lost.

Beside them a sampler reads counters, power, temperature and limits: they check each window, and any window can be computed again from them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from energy.codes import Code
from energy.hardware import Hardware
from energy.meters import Meter, choose, meters
from energy.sampler import PERIOD_S, Sampler
from energy.steady import Request, Steady, find
from energy.traces import Quantity, Trace, doubts
from energy.windows import COUNTERS, DomainEnergy, Reading, Source, Window, window
from harness.types import Sample
from results.energy import headline
from results.records import PowerRecord, WindowRecord

ESTIMATE_PERIOD_S = 0.5
"""An estimate walks over our processes at each reading: on a CPU that is work that the engine does not get."""


class Add(Protocol):
    """Where closed windows and readings go: the writer's queue."""

    def __call__(self, *, windows: Sequence[WindowRecord] = (), power: Sequence[PowerRecord] = ()) -> None: ...


def meter_for(places: Sequence[Hardware], require: bool = False) -> Meter:
    """The meter for what these run on: none for hardware that was only declared (it is elsewhere), else the best for its kind.

    Raises UserError when `require` is set and nothing measures it.
    """
    here = [p for p in places if p.found]
    if not here:
        return choose(require=True, kind=None) if require else meters.get("none")()
    return choose(require=require, kind="gpu" if any(p.kind == "gpu" for p in here) else "cpu")


class WindowRecorder:
    """Reads one meter around spans of work and hands each closed window, and the readings beside it, to `add`."""

    def __init__(self, meter: Meter, run_id: int, add: Add, roll_s: float = 30.0):
        self.meter, self._run_id, self._add, self._roll_s = meter, run_id, add, roll_s
        self._start: Reading | None = None
        self._closed_j: float | None = None
        self._sampler: Sampler | None = None
        self._traces: list[Trace] = []  # of the last closed window
        self._shared: set[Code] = set()

    @asynccontextmanager
    async def span(self, kind: str, cell_id: int | None = None) -> AsyncIterator[None]:
        """Energy of the work inside the block, in windows of `roll_s` (live cells: one, whatever its length)."""
        await asyncio.to_thread(self._open, kind)
        roller = asyncio.ensure_future(self._roll(kind, cell_id)) if kind == "pooled" else None
        try:
            yield
        finally:
            if roller:
                roller.cancel()
                await asyncio.gather(roller, return_exceptions=True)
            # Not awaited in a thread: the last reading must be taken even while the run is being cancelled.
            end = self.meter.read()
            if self._sampler:
                self._sampler.stop()
            self._close(end, kind, cell_id)
            self._start = self._sampler = None
            self.meter.close()

    async def idle(self, seconds: float) -> bool:
        """Read the devices at rest for so long, as a window of kind `idle`; False, at once, where nothing measures."""
        if self.meter.source not in COUNTERS:
            return False
        async with self.span("idle"):
            await asyncio.sleep(seconds)
        return True

    def steady(self, cell_id: int, calls: Sequence[Sample], problems: int) -> None:
        """The steady part of the span that has just ended, of a live cell whose calls these are; nothing where there is none.

        Its batch is the most requests that were in flight at once; `problems` were, which is the cell's concurrency.
        """
        requests = [Request(t.sent, t.first, t.last, call.usage.output, t.chunks) for call in calls if (t := call.timing).first is not None]
        found = find(requests, most_at_once(requests)) if requests else None
        counters = [t for t in self._traces if t.quantity is Quantity.ENERGY]
        if found is None or not counters:
            return
        rows = tuple(DomainEnergy(t.device.domain, t.device.id, t.difference(found.start_s, found.end_s)) for t in counters)
        meter = self.meter
        own = (Code.ESTIMATED,) if meter.source is Source.ESTIMATED else ()
        made = Window(found.start_s, found.end_s, rows, meter.source, own, meter.name, meter.version, _described(found, problems))
        codes = {*own, *found.codes, *self._shared, *doubts(made, self._traces)}
        self._add(windows=self._records(_coded(made, codes), "steady", cell_id))

    def joules(self) -> float | None:
        """What this recorder saw so far in its headline domain (GPU if any, else CPU), the open window included; None when not known."""
        if self._start is None:
            return self._closed_j
        return _plus(self._closed_j, headline(window(self._start, self.meter.read())))

    def _open(self, kind: str) -> None:
        self.meter.open()
        self._shared = set(_state(self.meter))
        measured = self.meter.source in COUNTERS
        if measured or (self.meter.source is Source.ESTIMATED and kind == "whole"):  # a steady part is cut out of the readings
            self._sampler = Sampler(self.meter, PERIOD_S if measured else ESTIMATE_PERIOD_S)
            self._sampler.start()
        self._start = self.meter.read()

    async def _roll(self, kind: str, cell_id: int | None) -> None:
        while True:
            await asyncio.sleep(self._roll_s)
            end = self.meter.read()
            if self._sampler:
                self._sampler.tick()
            self._close(end, kind, cell_id)

    def _close(self, end: Reading, kind: str, cell_id: int | None) -> None:
        assert self._start is not None
        closed, self._start = window(self._start, end), end
        self._traces = self._sampler.take() if self._sampler else []
        self._shared |= set(_state(self.meter))
        closed = _coded(closed, {*closed.codes, *self._shared, *doubts(closed, self._traces)})
        if kind != "idle":
            self._closed_j = _plus(self._closed_j, headline(closed))
        self._add(windows=self._records(closed, kind, cell_id), power=list(self._powers(self._traces)))

    def _powers(self, traces: Sequence[Trace]) -> Iterator[PowerRecord]:
        for trace in traces:
            started = trace.times[0]
            # Only differences of a counter mean anything, and its full height would not fit the digits that are kept.
            zero = trace.values[0] if trace.quantity is Quantity.ENERGY else 0.0
            yield PowerRecord(
                run_id=self._run_id,
                meter=self.meter.name,
                quantity=str(trace.quantity),
                domain=str(trace.device.domain),
                device=trace.device.id,
                started=started,
                ended=trace.times[-1],
                times=tuple(t - started for t in trace.times),
                values=tuple(v - zero for v in trace.values),
            )

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


def most_at_once(requests: Sequence[Request]) -> int:
    """The most requests that were in flight at one time; one that begins as another ends takes its place."""
    changes = sorted([(r.sent, 1) for r in requests] + [(r.last, -1) for r in requests], key=lambda change: (change[0], change[1]))
    running = most = 0
    for _, change in changes:
        running += change
        most = max(most, running)
    return most


def _described(found: Steady, problems: int) -> dict[str, Any]:
    counts = {"requests_in_flight": found.batch, "problems_in_flight": problems, "requests": found.requests}
    return {**counts, "output_tokens": found.tokens, "running_share": found.running}


def _coded(made: Window, codes: set[Code]) -> Window:
    return replace(made, codes=tuple(code for code in Code if code in codes))


def _state(meter: Meter) -> tuple[Code, ...]:
    """What the meter says of who else is at work on its devices."""
    ask = getattr(meter, "state", None)
    return ask() if ask else ()


def _plus(before: float | None, more: float | None) -> float | None:
    return before if more is None else more + (before or 0.0)
