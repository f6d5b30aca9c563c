"""The tables as pandas DataFrames, for notebooks and for the report. Numbers only: no text is read unless asked for.

`db` is an engine, a path or a URL. Units are in the column names; times are seconds since the epoch. What is not known is NaN or None.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from results import labels, schema
from results.database import Db, reading

if TYPE_CHECKING:
    import pandas as pd

_CELL: Any = schema.Cell.__table__
_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_LEDGER: Any = schema.Ledger.__table__
_SAMPLE: Any = schema.Sample.__table__
_WINDOW: Any = schema.Window.__table__
_PROBLEM: Any = schema.Problem.__table__
IDENTITIES: dict[str, Any] = {
    name: getattr(schema, name.capitalize()).__table__ for name in ("model", "engine", "hardware", "strategy", "task")
}

GRADER = "grader"
"""The ledger role of a metered judge model that grades an answer: kept, but no part of what the answer cost."""

OUTCOMES = ("correct", "wrong", "abstained", "unparsable", "truncated", "too_long", "error")


def cells(
    db: Db, *, experiment: str | None = None, series: str | None = None, task: str | None = None, cell_ids: Collection[int] | None = None
) -> pd.DataFrame:
    """One row per cell: id, cell (public name), series, experiments, labels of model, engine, hardware, strategy and task, sampling, mode,
    concurrency, seed, codes, created, and the counters problems, attempts, items, correct, errors.

    The identity mappings stand in `<name>_identity`, the ids in `<name>_id`. `task` is a task's name; None never restricts.
    """
    import pandas as pd

    query = sa.select(_CELL).order_by(_CELL.c.id)
    query = query if series is None else query.where(_CELL.c.series == series)
    with reading(db) as connection:
        frame = pd.read_sql(_within(query, _CELL.c.id, cell_ids), connection)
        identities = {name: dict(_pairs(connection, table)) for name, table in IDENTITIES.items()}
    if experiment is not None:
        frame = frame[[experiment in e for e in frame["experiments"]]]
    if task is not None:
        frame = frame[[labels.named(identities["task"][n]) == task for n in frame["task_id"]]]
    return _labelled(frame.rename(columns={"name": "cell"}).reset_index(drop=True), identities)


def _labelled(frame: pd.DataFrame, identities: dict[str, dict[int, Any]]) -> pd.DataFrame:
    """With short labels, which need to tell apart only what is in this frame, and the identities themselves."""
    base = {"strategy": labels.strategy, "hardware": labels.hardware}
    for name, known in identities.items():
        used = {number: known[number] for number in sorted(set(frame[f"{name}_id"]))}
        found = labels.distinct(used, base.get(name, labels.named))
        frame[name] = [found[n] for n in frame[f"{name}_id"]]
        frame[f"{name}_identity"] = [used[n] for n in frame[f"{name}_id"]]
    frame["strategy"] = _told_apart(frame)
    frame["sampling"] = [identity.get("sampling") for identity in frame["strategy_identity"]]
    return frame


def _told_apart(frame: pd.DataFrame) -> list[str]:
    """Strategy labels; where cells of a series differ only by their roles' models or their seed, with those."""
    known: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for row in frame.to_dict("records"):
        place = tuple(str(row[f]) for f in ("series", "model", "engine", "hardware", "strategy", "task", "mode", "concurrency"))
        models = {role: labels.named(identity.get("model", {})) for role, identity in row["roles"].items()}
        known.setdefault(place, {})[row["id"]] = {"name": row["strategy"], "seed": row["seed"], **models}
    found = {number: label for alike in known.values() for number, label in labels.distinct(alike).items()}
    return [found[number] for number in frame["id"]]


def _pairs(connection: sa.Connection, table: Any) -> list[tuple[int, Any]]:
    return [(number, identity) for number, identity in connection.execute(sa.select(table.c.id, table.c.identity))]


def attempts(db: Db, *, cell_ids: Collection[int] | None = None) -> pd.DataFrame:
    """One row per attempt with its current judgement: attempt, cell_id, cell, series, problem_id, problem (key), ordinal, trial, run_id,
    judge, items, a count per outcome (`error` counts items), failed (an infrastructure error), finish, serial_tokens, latency_s, ttft_s,
    latency_code, energy_j, device_s, energy_source, energy_code, started, ended."""
    import pandas as pd

    a, j = _ATTEMPT.c, _JUDGEMENT.c
    judged = [j["items"], *(j[name] for name in OUTCOMES)]  # `.items` is a method of column collections
    names = ("trial", "run_id", "finish", "serial_tokens", "latency_s", "ttft_s", "energy_j", "device_s", "energy_source", "energy_code")
    query = (
        sa.select(
            a.id.label("attempt"),
            a.cell_id,
            a.problem_id,
            *(a[name] for name in names),
            a.started,
            a.ended,
            a.error.is_not(None).label("failed"),
            a.codes["latency_s"].as_string().label("latency_code"),
            j.judge,
            *judged,
        )
        .outerjoin(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.current))
        .order_by(a.id)
    )
    with reading(db) as connection:
        frame = pd.read_sql(_within(query, a.cell_id, cell_ids), connection)
        problems = pd.read_sql(
            sa.select(_PROBLEM.c.id.label("problem_id"), _PROBLEM.c.key.label("problem"), _PROBLEM.c.ordinal), connection
        )
        named = pd.read_sql(sa.select(_CELL.c.id.label("cell_id"), _CELL.c.name.label("cell"), _CELL.c.series), connection)
    counts = [*OUTCOMES, "items"]
    frame[counts] = frame[counts].fillna(0).astype("int64")
    frame["failed"] = frame["failed"].astype(bool)
    return frame.merge(problems, on="problem_id", how="left").merge(named, on="cell_id", how="left")


def ledger(db: Db, *, cell_ids: Collection[int] | None = None, roles_out: Sequence[str] = (GRADER,)) -> pd.DataFrame:
    """One row per attempt, role, model and kind: attempt, cell_id, role, model_id, kind, calls, prompt, cached, output, reasoning, scored
    (tokens), flop, energy_j, device_s. `roles_out` are left out: what grading took is no part of the answer."""
    import pandas as pd

    entry, a = _LEDGER.c, _ATTEMPT.c
    counts = ("calls", "prompt", "cached", "output", "reasoning", "scored", "energy_j", "device_s")
    flop = (entry.flop_linear + entry.flop_attention + entry.flop_head).label("flop")
    query = sa.select(
        entry.attempt_id.label("attempt"), a.cell_id, entry.role, entry.model_id, entry.kind, *(entry[c] for c in counts), flop
    )
    query = query.join(_ATTEMPT, a.id == entry.attempt_id).where(entry.role.not_in(list(roles_out)))
    with reading(db) as connection:
        return pd.read_sql(_within(query, a.cell_id, cell_ids), connection)


def samples(db: Db, *, cell_ids: Collection[int] | None = None, pool: str | None = None, text: bool = False) -> pd.DataFrame:
    """One row per engine call: every number of the sample table, with `flop`. `cell_ids`: those that attempts of these cells used, with the
    attempt and what it is charged. `text`: read prompt and text too, which is slow on many."""
    import pandas as pd

    s = _SAMPLE.c
    flop = (s.flop_linear + s.flop_attention + s.flop_head).label("flop")
    query = sa.select(*(c for c in s if not c.name.endswith(("token_ids_id", "logprobs_id", "confidence_id", "chunks_id"))), flop)
    if pool is not None:
        query = query.where(s.pool == pool)
    if cell_ids is not None:
        use: Any = schema.AttemptSample.__table__
        query = query.add_columns(use.c.attempt_id.label("attempt"), use.c.output.label("charged_output"), use.c.share, use.c.chosen)
        query = query.join(use, use.c.sample_id == s.id).join(_ATTEMPT, _ATTEMPT.c.id == use.c.attempt_id)
        query = _within(query, _ATTEMPT.c.cell_id, cell_ids)
    with reading(db) as connection:
        frame = pd.read_sql(query, connection)
        if text:
            from results import texts

            found = texts.get(connection, {*frame["prompt_id"], *frame["text_id"]})
            frame["prompt"], frame["text"] = frame["prompt_id"].map(found), frame["text_id"].map(found)
    return frame.drop(columns=["prompt_id", "text_id"])


def windows(db: Db, *, run_id: int | None = None, cell_id: int | None = None) -> pd.DataFrame:
    """One row per window, domain and device: run_id, cell_id, kind, meter, source, domain, device, started, ended, energy_j, valid, codes,
    parameters, and the derived seconds and watts."""
    import pandas as pd

    query = sa.select(_WINDOW).order_by(_WINDOW.c.started, _WINDOW.c.id)
    for column, wanted in ((_WINDOW.c.run_id, run_id), (_WINDOW.c.cell_id, cell_id)):
        query = query if wanted is None else query.where(column == wanted)
    with reading(db) as connection:
        frame = pd.read_sql(query, connection)
    frame["duration_s"] = frame["ended"] - frame["started"]
    frame["power_w"] = frame["energy_j"] / frame["duration_s"].where(frame["duration_s"] > 0)
    return frame


def _within(query: Any, column: Any, wanted: Collection[int] | None) -> Any:
    return query if wanted is None else query.where(column.in_(sorted(int(n) for n in wanted)))
