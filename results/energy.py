"""Settling: who took which joules. Computed from stored windows and calls, so it can be computed again at any time.

A pooled call takes its share of each window that it spans by the FLOPs it executed there (`energy.attribution`); an attempt is charged
Σ share × the joules of the samples it used. A live cell takes its energy from its longest valid window of kind `whole`; what it did
outside that window has no joules, code `resumed`. Device-seconds are shared in the same way and counted once per device of the hardware.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import fsum
from typing import Any

import sqlalchemy as sa

from energy import attribution
from energy.codes import Code
from energy.windows import SHORTEST_S, Domain, DomainEnergy, Source, Window
from results import bulk, schema
from results.database import transaction
from results.texts import chunks

_SAMPLE: Any = schema.Sample.__table__
_ATTEMPT: Any = schema.Attempt.__table__
_USE: Any = schema.AttemptSample.__table__
_LEDGER: Any = schema.Ledger.__table__
_WINDOW: Any = schema.Window.__table__
_RUN: Any = schema.Run.__table__
_CELL: Any = schema.Cell.__table__
_HARDWARE: Any = schema.Hardware.__table__

QUIET_S = 600.0
"""A run that calls itself running but has written nothing for so long was killed."""

HEADLINE = (Domain.GPU, Domain.CPU, Domain.SOC)
SEVERITY = (Code.WINDOW_LOST, Code.UNKNOWN_ARCHITECTURE, Code.NO_METER, Code.COUNTER_RESET, Code.DEVICE_COUNT_MISMATCH, Code.CLOCK_STEPPED)
MILD = (Code.WINDOW_TOO_SHORT, Code.ESTIMATED)
OVERLAP = "windows_overlap"
RESUMED = "resumed"


@dataclass(frozen=True)
class Settled:
    """What settling a run came to, in its headline domains: Σ windows = attributed + idle + withheld (calls whose joules are null)."""

    calls: int = 0
    windows_j: float = 0.0
    attributed_j: float = 0.0
    idle_j: float = 0.0


@dataclass(frozen=True)
class Share:
    """Of one call. None with the code that says why."""

    energy_j: float | None
    device_s: float | None
    source: str | None
    code: str | None


def headline(window: Window) -> float | None:
    """The joules that stand for a window in rankings: all GPUs if any GPU was read, else the CPU packages, else the SoC.

    This is the one place of that rule. Domains are never summed: DRAM beside a CPU, or the CPU beside a GPU, stay rows of their own. None
    when a device of the chosen domain is not known, however well another domain is.
    """
    present = {row.domain for row in window.domains}
    domain = next((d for d in HEADLINE if d in present), None)
    return None if domain is None else window.energy_j(domain)


def headline_rows(rows: Sequence[Any]) -> float | None:
    """The same of the stored rows of one window, one for each domain and device."""
    return headline(_window(rows))


def settle(engine: sa.Engine, run_id: int) -> Settled:
    """Attribute this run's windows to its calls, then charge every attempt that used one of them. Recomputes all; marks it settled."""
    with transaction(engine) as connection:
        done = _settle(connection, run_id)
        connection.execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(settled=True))
    return done


def settle_all(engine: sa.Engine) -> list[int]:
    """Settle what earlier runs left unsettled; returns their ids. Whoever opens a database for writing does this.

    A run that still calls itself running is computed, but stays unsettled: it may be at work elsewhere. After QUIET_S without a trace it
    was killed; it is then closed as interrupted.
    """
    with engine.connect() as connection:
        open_runs = connection.execute(sa.select(_RUN.c.id, _RUN.c.status, _RUN.c.started).where(~_RUN.c.settled).order_by(_RUN.c.id)).all()
    for run_id, status, started in open_runs:
        with transaction(engine) as connection:
            _settle(connection, run_id)
            seen = max(started, _last_trace(connection, run_id))
            if status == "running" and time.time() - seen < QUIET_S:
                continue
            values = {"settled": True} | ({"status": "interrupted", "ended": seen} if status == "running" else {})
            connection.execute(sa.update(_RUN).where(_RUN.c.id == run_id).values(values))
    return [run_id for run_id, _, _ in open_runs]


def _last_trace(connection: sa.Connection, run_id: int) -> float:
    sample = connection.execute(sa.select(sa.func.max(_SAMPLE.c.last)).where(_SAMPLE.c.run_id == run_id)).scalar()
    window = connection.execute(sa.select(sa.func.max(_WINDOW.c.ended)).where(_WINDOW.c.run_id == run_id)).scalar()
    return max(sample or 0.0, window or 0.0)


def _settle(connection: sa.Connection, run_id: int) -> Settled:
    live = _live_cells(connection, run_id)
    shares, done = share_out(*_pooled(connection, run_id, live), str(Code.WINDOW_LOST))
    touched = {run_id}
    for cell_id in sorted(set(live.values())):
        more, runs = _settle_live(connection, cell_id)
        shares |= more
        touched |= runs
    _store_shares(connection, shares)
    _charge(connection, touched)
    return done


def spans(connection: sa.Connection, cell_id: int) -> list[tuple[list[Window], list[Any], list[Any], str]]:
    """What a cell's joules are shared out from: (windows, calls to share them, calls that lie outside, the code of what lies outside).

    Of a pooled cell one for each run, with all its calls, since other cells' took their shares too.
    """
    mode = connection.execute(sa.select(_CELL.c.mode).where(_CELL.c.id == cell_id)).scalar_one()
    if mode.startswith("live"):
        windows, calls, outside = _live(connection, cell_id)
        inside = _within(windows, calls)
        known = {c.id for c in inside}
        return [(windows, inside, [c for c in calls if c.id not in known], outside)]
    used = sa.select(_USE.c.sample_id).join(_ATTEMPT, _ATTEMPT.c.id == _USE.c.attempt_id).where(_ATTEMPT.c.cell_id == cell_id)
    runs = connection.execute(sa.select(_SAMPLE.c.run_id).where(_SAMPLE.c.id.in_(used)).distinct()).scalars().all()
    return [(*_pooled(connection, run, _live_cells(connection, run)), [], str(Code.WINDOW_LOST)) for run in runs]


# --- windows and calls ------------------------------------------------------------------------------------------------------------------


def _calls() -> sa.Select[Any]:
    s = _SAMPLE.c
    flop = (s.flop_linear + s.flop_attention + s.flop_head).label("flop")
    devices = _HARDWARE.c.identity["count"].as_integer().label("devices")
    # Between send and first token a call may only have waited in the engine's queue: it works while its tokens come (docs/decisions.md, 6).
    began = sa.func.coalesce(s.first, s.sent).label("began")
    return sa.select(s.id, s.run_id, s.sent, began, s.last, flop, devices).join(_HARDWARE, _HARDWARE.c.id == s.hardware_id).order_by(s.id)


def _live_cells(connection: sa.Connection, run_id: int) -> dict[int, int]:
    """Live cell by sample, for this run's samples of live cells."""
    query = (
        sa.select(_USE.c.sample_id, _CELL.c.id)
        .join(_ATTEMPT, _ATTEMPT.c.id == _USE.c.attempt_id)
        .join(_CELL, _CELL.c.id == _ATTEMPT.c.cell_id)
        .join(_SAMPLE, _SAMPLE.c.id == _USE.c.sample_id)
        .where(_CELL.c.mode.like("live%"), _SAMPLE.c.run_id == run_id)
    )
    return dict(connection.execute(query).tuples().all())


def _pooled(connection: sa.Connection, run_id: int, live: Mapping[int, int]) -> tuple[list[Window], list[Any]]:
    """A run's rolling windows, and its calls but those of live cells."""
    rows = connection.execute(_calls().where(_SAMPLE.c.run_id == run_id)).all()
    windows = _windows(connection, _WINDOW.c.run_id == run_id, _WINDOW.c.kind == "pooled")
    return windows, [row for row in rows if row.id not in live]


def _live(connection: sa.Connection, cell_id: int) -> tuple[list[Window], list[Any], str]:
    """A live cell's longest valid window, if any, all its calls, and the code of those outside of it."""
    used = sa.select(_USE.c.sample_id).join(_ATTEMPT, _ATTEMPT.c.id == _USE.c.attempt_id).where(_ATTEMPT.c.cell_id == cell_id)
    calls = connection.execute(_calls().where(_SAMPLE.c.id.in_(used))).all()
    windows = _windows(connection, _WINDOW.c.cell_id == cell_id, _WINDOW.c.kind == "whole")
    best = max(windows, key=lambda w: (w.valid, w.duration_s), default=None)
    return [best] if best else [], list(calls), RESUMED if len(windows) > 1 else str(Code.WINDOW_LOST)


def _within(windows: Sequence[Window], calls: Sequence[Any]) -> list[Any]:
    """The calls that lie in a window from send to last token."""
    hair = attribution.TOLERANCE_S
    return [c for c in calls if any(c.sent >= w.start_s - hair and c.last <= w.end_s + hair for w in windows)]


def _windows(connection: sa.Connection, *conditions: Any) -> list[Window]:
    """Stored windows with their rows of domains put together again."""
    order = ("run_id", "kind", "meter", "meter_version", "started", "ended")
    rows = connection.execute(sa.select(_WINDOW).where(*conditions).order_by(*(_WINDOW.c[name] for name in order), _WINDOW.c.id)).all()
    return [_window(list(group)) for _, group in groupby(rows, key=lambda row: tuple(getattr(row, name) for name in order))]


def _window(rows: Sequence[Any]) -> Window:
    first = rows[0]
    known = {str(d) for d in Domain}
    domains = tuple(DomainEnergy(Domain(r.domain), r.device, r.energy_j) for r in rows if r.domain in known)
    codes = {str(code) for r in rows for code in r.codes}
    return Window(
        start_s=first.started,
        end_s=first.ended,
        domains=domains,
        source=Source(first.source),
        codes=tuple(c for c in Code if str(c) in codes),
        meter=first.meter,
        meter_version=first.meter_version,
    )


def _long_enough(windows: Sequence[Window]) -> list[Window]:
    """Drop `window_too_short` where neighbours that share a reading make the span long enough.

    A run's last window is often short. Over a chain of windows the counter's coarse steps cancel: the sum is as good as one long window's.
    """
    ordered = sorted(windows, key=lambda w: w.start_s)
    chains: list[list[Window]] = []
    for window in ordered:
        if chains and abs(window.start_s - chains[-1][-1].end_s) < 1e-6 and window.meter == chains[-1][-1].meter:
            chains[-1].append(window)
        else:
            chains.append([window])
    return [_without_short(w) if chain[-1].end_s - chain[0].start_s >= SHORTEST_S else w for chain in chains for w in chain]


def _without_short(window: Window) -> Window:
    return _with(window, window.domains, tuple(c for c in window.codes if c is not Code.WINDOW_TOO_SHORT))


def _with(window: Window, domains: tuple[DomainEnergy, ...], codes: tuple[Code, ...]) -> Window:
    return Window(window.start_s, window.end_s, domains, window.source, codes, window.meter, window.meter_version)


# --- shares -----------------------------------------------------------------------------------------------------------------------------


def share_out(windows: Sequence[Window], calls: Sequence[Any], outside: str) -> tuple[dict[Any, Share], Settled]:
    """Each call's share, by its id. calls: with id, began, last, flop, devices.  outside: the code of a call that no window covers."""
    # One domain per window, the headline's: the CPU windows of one engine and the GPU windows of the next then go through one attribution.
    ready = [_with(w, (DomainEnergy(Domain.GPU, "headline", headline(w)),), w.codes) for w in _long_enough(windows)]
    timed = [c for c in calls if c.began <= c.last]
    try:
        found = attribution.attribute(ready, [attribution.Call(c.id, c.began, c.last, c.flop) for c in timed])
    except ValueError:
        return {c.id: Share(None, None, None, OVERLAP) for c in calls}, Settled(len(calls))
    sources = _sources(ready)
    shares = {c.id: Share(None, None, None, str(Code.CLOCK_STEPPED)) for c in calls if c.began > c.last}
    for call in timed:
        share = found.calls[call.id]
        energy_j = share.energy_j.get(Domain.GPU)
        code = _primary(share.codes, outside)
        device_s = None if share.device_s is None else share.device_s * (call.devices or 1)
        if energy_j is None and code is None:
            code = str(Code.NO_METER)  # a window whose domains can stand for nothing, such as DRAM alone
        shares[call.id] = Share(energy_j, device_s, sources(call.began, call.last), code)
    attributed = fsum(s.energy_j for s in shares.values() if s.energy_j is not None)
    total = fsum(j for w in ready if (j := w.energy_j(Domain.GPU)) is not None)
    return shares, Settled(len(calls), total, attributed, found.unattributed_j.get(Domain.GPU, 0.0))


@lru_cache(maxsize=256)  # of the few sets of codes that there are
def _primary(codes: tuple[Code, ...], outside: str) -> str | None:
    """The code that says most: what made joules null first, an estimate last."""
    present = set(codes)
    if Code.WINDOW_LOST in present:
        return outside
    ranked = [*SEVERITY, *(c for c in Code if c not in SEVERITY and c not in MILD), *MILD]
    return next((str(c) for c in ranked if c in present), None)


def _sources(windows: Sequence[Window]) -> Callable[[float, float], str | None]:
    """Which meter's source a call's joules come from: `mixed` where its windows have several, None where it has no window."""
    kinds = {str(w.source) for w in windows}
    if len(kinds) <= 1:
        only = next(iter(kinds), None)
        return lambda start, end: only

    def several(start: float, end: float) -> str | None:
        found = {str(w.source) for w in windows if w.start_s <= end and w.end_s >= start}
        return next(iter(found)) if len(found) == 1 else "mixed" if found else None

    return several


def _settle_live(connection: sa.Connection, cell_id: int) -> tuple[dict[int, Share], set[int]]:
    """Shares of a live cell's calls in its longest valid window, and the runs that they belong to."""
    windows, calls, outside = _live(connection, cell_id)
    shares, _ = share_out(windows, _within(windows, calls), outside)
    lost = {c.id: Share(None, None, None, outside) for c in calls if c.id not in shares}
    return shares | lost, {c.run_id for c in calls}


def _store_shares(connection: sa.Connection, shares: dict[int, Share]) -> None:
    rows = [
        {"id": n, "energy_j": s.energy_j, "device_s": s.device_s, "energy_source": s.source, "energy_code": s.code}
        for n, s in shares.items()
    ]
    bulk.update(connection, _SAMPLE, rows)


# --- charging attempts ------------------------------------------------------------------------------------------------------------------


def _charge(connection: sa.Connection, runs: Iterable[int]) -> None:
    """Fill the ledgers and attempts that belong to these runs or used a sample of theirs."""
    wanted = sorted(runs)
    own = sa.select(_ATTEMPT.c.id).where(_ATTEMPT.c.run_id.in_(wanted))
    users = sa.select(_USE.c.attempt_id).join(_SAMPLE, _SAMPLE.c.id == _USE.c.sample_id).where(_SAMPLE.c.run_id.in_(wanted))
    ids = sorted(set(connection.execute(own).scalars()) | set(connection.execute(users.distinct()).scalars()))
    for part in chunks(ids):
        _charge_ledger(connection, part)
        _charge_attempts(connection, part)
        _forgo(connection, part)


def _sums(*by: Any) -> sa.Select[Any]:
    """Charged joules and device-seconds, grouped: null as soon as one part is."""
    e, d = _SAMPLE.c.energy_j, _SAMPLE.c.device_s
    every = sa.func.count()
    lost = sa.case((e.is_(None), sa.func.coalesce(_SAMPLE.c.energy_code, "unsettled")))
    return (
        sa.select(
            *by,
            sa.case((every == sa.func.count(e), sa.func.sum(e * _USE.c.share))).label("j"),
            sa.case((every == sa.func.count(d), sa.func.sum(d * _USE.c.share))).label("s"),
            sa.func.coalesce(sa.func.max(lost), sa.func.max(_SAMPLE.c.energy_code)).label("code"),
            sa.func.min(_SAMPLE.c.energy_source).label("source"),
            sa.func.max(_SAMPLE.c.energy_source).label("other"),
        )
        .join(_SAMPLE, _SAMPLE.c.id == _USE.c.sample_id)
        .group_by(*by)
    )


def _charge_ledger(connection: sa.Connection, ids: Sequence[int]) -> None:
    grouped = (_USE.c.attempt_id, _USE.c.role, _SAMPLE.c.model_id, _SAMPLE.c.kind)
    rows = connection.execute(_sums(*grouped).where(_USE.c.attempt_id.in_(ids))).all()
    by = ("attempt_id", "role", "model_id", "kind")
    values = [dict(zip(by, row, strict=False)) | {"energy_j": row.j, "device_s": row.s, "energy_code": row.code} for row in rows]
    bulk.update(connection, _LEDGER, values, by=by)


def _charge_attempts(connection: sa.Connection, ids: Sequence[int]) -> None:
    sums = {r.attempt_id: r for r in connection.execute(_sums(_USE.c.attempt_id).where(_USE.c.attempt_id.in_(ids)))}
    codes = connection.execute(sa.select(_ATTEMPT.c.id, _ATTEMPT.c.codes).where(_ATTEMPT.c.id.in_(ids)))
    bulk.update(connection, _ATTEMPT, [{"id": n, **_charged(sums.get(n), own)} for n, own in codes])


def _forgo(connection: sa.Connection, ids: Sequence[int]) -> None:
    """What an attempt replayed from elsewhere used was another engine's: its ledger has no joules either."""
    own = connection.execute(sa.select(_ATTEMPT.c.id, _ATTEMPT.c.codes).where(_ATTEMPT.c.id.in_(ids)))
    for number, codes in [(n, c) for n, c in own if "energy_j" in c]:
        values = {"energy_j": None, "device_s": None, "energy_code": codes["energy_j"]}
        connection.execute(sa.update(_LEDGER).where(_LEDGER.c.attempt_id == number).values(values))


def _charged(sums: Any, own: dict[str, str]) -> dict[str, Any]:
    """An attempt's energy columns. Its own code (`other_engine`: replayed from elsewhere) makes its joules null; no call took no joules."""
    if "energy_j" in own:
        return {"energy_j": None, "device_s": None, "energy_source": None, "energy_code": own["energy_j"]}
    if sums is None:
        return {"energy_j": 0.0, "device_s": 0.0, "energy_source": None, "energy_code": None}
    source = sums.source if sums.source == sums.other else "mixed"
    return {"energy_j": sums.j, "device_s": sums.s, "energy_source": source, "energy_code": sums.code}
