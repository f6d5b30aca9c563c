"""Times and steady energy of live cells: what the calls of a cell that had its devices to itself took.

Definitions are vLLM's (vllm/benchmarks/serve.py): TTFT = first token − send; E2E = last token − send; TPOT = (E2E − TTFT) / (output
tokens − 1), per call; ITL = gaps between the pieces of a stream, whatever they hold. Latency is an attempt's critical path. Makespan = last
token − first send. Goodput = correct or not, calls per second that kept every target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from results import report, schema, texts, utilisation
from results.database import Db, as_engine, reading
from results.energy import headline_rows
from results.matching import concurrency

if TYPE_CHECKING:
    import pandas as pd

_S: Any = schema.Sample.__table__
_A: Any = schema.Attempt.__table__
_U: Any = schema.AttemptSample.__table__
_W: Any = schema.Window.__table__
Row = dict[str, Any]

KIND = "live"
NAMES = ("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode", "concurrency")
TIMES = ("ttft_s", "tpot_s", "itl_s", "e2e_s", "latency_s")
SHARES = (0.5, 0.9, 0.99)
STEADY = ("j_per_token", "w", "tokens_per_s", "running_share", "requests_in_flight", "duration_s")

NO_STREAM = "no_stream"
ONE_TOKEN = "one_token"
NO_STEADY = "no_steady_state"
NO_IDLE = "idle_not_read"
SMALLER_UNSTABLE = "smaller_batch_unstable"
RESUMED = "resumed"


@dataclass(frozen=True)
class Span:
    """One call of a live cell. `pieces`: seconds after send of each piece of its stream."""

    sent: float
    first: float | None
    last: float
    output: int
    pieces: tuple[float, ...] = ()

    @property
    def ttft_s(self) -> float | None:
        return None if self.first is None else self.first - self.sent

    @property
    def tpot_s(self) -> float | None:
        return None if self.first is None or self.output < 2 else (self.last - self.first) / (self.output - 1)

    @property
    def e2e_s(self) -> float:
        return self.last - self.sent


def rows(
    db: Db,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    cells: pd.DataFrame | None = None,
    targets: Mapping[str, float] | None = None,
) -> list[Row]:
    """One row per live cell among what the report shows (`results.report.select`, or among `cells`): NAMES, calls, makespan_s,
    output_tokens_per_s, calls_per_s, goodput_per_s (with `targets`, seconds by `ttft_s`, `tpot_s`, `e2e_s`), `{time}_p50` … of TIMES,
    the fields of `utilisation.of_cell`, `steady_{…}` of STEADY with `steady_valid`, `steady_codes` and `steady_source`, `idle_w`, and
    `reasons` for what is None.
    """
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        chosen = chosen[[str(mode).startswith("live") for mode in chosen["mode"]]]
        with reading(engine) as connection:
            made = [_row(connection, cell, targets or {}) for cell in chosen.to_dict("records")]
    finally:
        if engine is not db:
            engine.dispose()
    made.sort(key=lambda row: (*(str(row[name]) for name in NAMES[2:7]), row["mode"], row["concurrency"] or 0))
    return _unstable(made)


def _row(connection: sa.Connection, cell: Mapping[Any, Any], targets: Mapping[str, float]) -> Row:
    row: Row = {name: cell[name] for name in NAMES} | {"concurrency": concurrency(cell), "reasons": {}}
    spans, latencies = _spans(connection, int(cell["id"])), _latencies(connection, int(cell["id"]))
    if "resumed" in cell["codes"]:  # between two runs there was a pause that is nobody's time
        row["reasons"] |= dict.fromkeys(("makespan_s", "output_tokens_per_s", "calls_per_s"), RESUMED)
    row |= throughput(spans, targets, pauses="resumed" in cell["codes"])
    row |= times(spans, latencies, row["reasons"])
    used = utilisation.of_cell(connection, int(cell["id"]), "resumed" in cell["codes"])
    row["reasons"] |= used.pop("reasons")
    row |= used
    return row | _steady(connection, int(cell["id"]), row["reasons"])


def throughput(spans: Sequence[Span], targets: Mapping[str, float], pauses: bool = False) -> Row:
    """Calls, makespan and rates; with `pauses` only the counts are known."""
    row: Row = {"calls": len(spans), "output_tokens": sum(s.output for s in spans)}
    total = max(s.last for s in spans) - min(s.sent for s in spans) if spans else 0.0
    known = total > 0 and not pauses
    row["makespan_s"] = total if known else None
    row["output_tokens_per_s"] = row["output_tokens"] / total if known else None
    row["calls_per_s"] = len(spans) / total if known else None
    if targets:
        kept = sum(all((v := getattr(s, name)) is None or v <= most for name, most in targets.items()) for s in spans)
        row["goodput_per_s"] = kept / total if known else None
        row["kept_targets"] = kept / len(spans) if spans else None
    return row


def times(spans: Sequence[Span], latencies: Sequence[float], reasons: dict[str, str]) -> Row:
    """Percentiles of each time over calls, `latency_s` over attempts. ITL is over all gaps of all streams."""
    gaps = [b - a for s in spans for a, b in pairwise(s.pieces)]
    values = {
        "ttft_s": [v for s in spans if (v := s.ttft_s) is not None],
        "tpot_s": [v for s in spans if (v := s.tpot_s) is not None],
        "itl_s": gaps,
        "e2e_s": [s.e2e_s for s in spans],
        "latency_s": list(latencies),
    }
    why = {"itl_s": NO_STREAM, "tpot_s": ONE_TOKEN}
    row: Row = {}
    for name in TIMES:
        found = _quantiles(values[name])
        row |= {f"{name}_p{100 * share:g}": value for share, value in zip(SHARES, found, strict=True)}
        if not values[name]:
            reasons[name] = why.get(name, "no_attempts")
    return row


def _quantiles(values: Sequence[float]) -> list[float | None]:
    import numpy as np

    return [float(v) for v in np.quantile(values, SHARES)] if values else [None] * len(SHARES)


# --- steady energy ----------------------------------------------------------------------------------------------------------------------


def _steady(connection: sa.Connection, cell_id: int, reasons: dict[str, str]) -> Row:
    """Of the longest steady window: joules per token over all that was streamed in it, and the power beside the idle one."""
    found = connection.execute(sa.select(_W).where(_W.c.cell_id == cell_id, _W.c.kind == "steady")).all()
    row: Row = dict.fromkeys([*(f"steady_{name}" for name in STEADY), "steady_valid", "steady_source"]) | {"steady_codes": []}
    row["idle_w"] = _idle_w(connection, cell_id)
    if row["idle_w"] is None:
        reasons["idle_w"] = NO_IDLE
    if not found:
        reasons["steady_j_per_token"] = NO_STEADY
        return row
    best = max(found, key=lambda w: w.ended - w.started)
    alike = [w for w in found if (w.started, w.ended) == (best.started, best.ended)]
    joules, parameters, seconds = headline_rows(alike), best.parameters, best.ended - best.started
    row |= {"steady_codes": list(best.codes), "steady_valid": bool(best.valid), "steady_source": best.source}
    row |= {f"steady_{name}": parameters[name] for name in ("running_share", "requests_in_flight")}
    row |= {"steady_duration_s": seconds, "steady_tokens_per_s": parameters["output_tokens"] / seconds}
    if joules is None:
        reasons["steady_j_per_token"] = best.codes[0] if best.codes else "no_meter"
        return row
    return row | {"steady_w": joules / seconds, "steady_j_per_token": joules / parameters["output_tokens"]}


def _idle_w(connection: sa.Connection, cell_id: int) -> float | None:
    """Watts at rest, read by the newest of the cell's runs that read them."""
    runs = sa.select(_A.c.run_id).where(_A.c.cell_id == cell_id).distinct()
    found = connection.execute(sa.select(_W).where(_W.c.kind == "idle", _W.c.run_id.in_(runs)).order_by(_W.c.started.desc())).all()
    if not found:
        return None
    newest = [w for w in found if w.started == found[0].started]
    joules = headline_rows(newest)
    return None if joules is None else joules / (newest[0].ended - newest[0].started)


def _unstable(made: list[Row]) -> list[Row]:
    """By ML.ENERGY's rule a steady state does not count where a smaller batch of the same was already unstable."""
    failed: set[tuple[Any, ...]] = set()
    for row in made:
        same = tuple(str(row[name]) for name in NAMES[1:7])
        if row["concurrency"] is None or row["steady_valid"] is None:
            continue
        if same in failed:
            row["steady_valid"] = False
            row["steady_codes"] = [*row["steady_codes"], SMALLER_UNSTABLE]
        elif "batch_underfilled" in row["steady_codes"] or "window_too_short" in row["steady_codes"]:
            failed.add(same)
    return made


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def _spans(connection: sa.Connection, cell_id: int) -> list[Span]:
    query = sa.select(_S.c.sent, _S.c.first, _S.c.last, _S.c.output_tokens, _S.c.chunks_id).distinct()
    query = query.join(_U, _U.c.sample_id == _S.c.id).join(_A, _A.c.id == _U.c.attempt_id)
    found = connection.execute(query.where(_A.c.cell_id == cell_id, _S.c.kind == "generate", _A.c.error.is_(None))).all()
    pieces = texts.get(connection, (row.chunks_id for row in found))
    return [Span(r.sent, r.first, r.last, r.output_tokens, tuple(pieces.get(r.chunks_id, ()))[::2]) for r in found]  # type: ignore[arg-type]


def _latencies(connection: sa.Connection, cell_id: int) -> list[float]:
    query = sa.select(_A.c.latency_s).where(_A.c.cell_id == cell_id, _A.c.error.is_(None), _A.c.latency_s.is_not(None))
    return list(connection.execute(query).scalars())
