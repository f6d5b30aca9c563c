"""Everything about one cell or one attempt, as plain dictionaries: what `bench show` prints."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from perpass.errors import UserError, unknown
from results import budgets, labels, phases, reading, report, schema, texts
from results.database import Db
from results.database import reading as connected
from results.frames import IDENTITIES

_CELL: Any = schema.Cell.__table__
_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_LEDGER: Any = schema.Ledger.__table__
_PROBLEM: Any = schema.Problem.__table__
_RUN: Any = schema.Run.__table__
_SAMPLE: Any = schema.Sample.__table__
_WINDOW: Any = schema.Window.__table__

MOST_WINDOWS = 200


def cell(
    db: Db, name: str, series: str | None = None, reported: report.Row | None = None, bases: Sequence[str] = phases.BASES
) -> dict[str, Any]:
    """A cell by its public name or the beginning of it (4 digits at least): identities, report row, runs with environment, windows, joules
    by role and phase (`results.phases`), attempts by outcome, and the command that runs it again.

    `series` None: main, or else the newest. `reported`: its row of the report, where that is at hand already. `bases`: by what joules are
    divided among phases. Raises UserError when there is none, or several begin so.
    """
    with connected(db) as connection:
        row = _find_cell(connection, name, series)
        identities = _identities(connection, row)
        runs = _runs(connection, sa.select(_ATTEMPT.c.run_id).where(_ATTEMPT.c.cell_id == row.id).distinct())
        run_ids = [run["id"] for run in runs]
        related = sa.and_(_WINDOW.c.run_id.in_(run_ids), sa.or_(_WINDOW.c.cell_id == row.id, _WINDOW.c.cell_id.is_(None)))
        windows = _windows(connection, related)
        examples = _examples(connection, row.id)
        split = phases.of_cell(connection, row.id, bases)
    rows = [reported] if reported else [r for r in report.rows(db, series=row.series) if r["cell"] == row.name]
    return {
        "cell": row.name,
        "series": row.series,
        "label": _label(identities),
        "identity": {**identities, "roles": row.roles, "seed": row.seed, "mode": row.mode, "concurrency": row.concurrency},
        "experiments": row.experiments,
        "codes": row.codes,
        "report": rows[0] if rows else None,
        "attempts": examples,
        "runs": runs,
        "windows": windows,
        "phases": split,
        "command": command(runs[-1], row.series) if runs else None,
    }


def attempt(db: Db, number: int) -> dict[str, Any]:
    """An attempt by its id: problem, prompt, every sample with its charge, answer, all judgements, ledger, windows, run and command.

    Raises UserError when there is none.
    """
    with connected(db) as connection:
        row = connection.execute(sa.select(_ATTEMPT).where(_ATTEMPT.c.id == number)).mappings().one_or_none()
        if row is None:
            last = connection.execute(sa.select(sa.func.max(_ATTEMPT.c.id))).scalar()
            raise UserError(
                f"there is no attempt {number}" + (f"; they are numbered up to {last}" if last else "; the database has none yet")
            )
        own = connection.execute(sa.select(_CELL).where(_CELL.c.id == row["cell_id"])).one()
        identities = _identities(connection, own)
        samples, ledger = _samples(connection, number), _ledger(connection, number)
        runs = _runs(connection, sa.select(sa.literal(row["run_id"])))
        spans = sa.and_(_WINDOW.c.run_id == row["run_id"], _WINDOW.c.started <= row["ended"], _WINDOW.c.ended >= row["started"])
        times = {k: row[k] for k in ("started", "ended", "latency_s", "ttft_s", "serial_tokens")}
        energy = {k: row[k] for k in ("energy_j", "device_s", "energy_source", "energy_code")}
        return {
            "attempt": number,
            "cell": own.name,
            "series": own.series,
            "label": _label(identities),
            "trial": row["trial"],
            "problem": _problem(connection, row["problem_id"]),
            "prompt": samples[0]["prompt"] if samples else None,
            "answer": {"text": texts.get_text(connection, row["text_id"]), "items": row["answers"], "finish": row["finish"]},
            "error": row["error"],
            "judgements": _rows(
                connection, sa.select(_JUDGEMENT).where(_JUDGEMENT.c.attempt_id == number).order_by(_JUDGEMENT.c.current.desc())
            ),
            "ledger": ledger,
            "budget": _budget(identities, ledger),
            "samples": samples,
            **times,
            **energy,
            "codes": row["codes"],
            "windows": _windows(connection, spans),
            "run": runs[0] if runs else None,
            "command": command(runs[0], own.series) if runs else None,
        }


def command(run: Mapping[str, Any], series: str) -> str:
    """The command that runs it again, in this series of another database: the one that was given, without what names a place or a limit.

    A run from Python has no command line; then it is the experiment's text in a file.
    """
    given = list(run["argv"])
    kept = given[1:] if given[1:2] == ["run"] else ["run", "experiment.yaml"]
    kept = _without(kept, {"--db", "--data", "--series", "--max-usd", "--max-joules", "--max-seconds"}, {"--fresh"})
    return shlex.join(["bench", *kept, *([] if series == "main" else ["--series", series])])


def _without(words: Sequence[str], with_value: set[str], alone: set[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip or word in alone:
            skip = False
        elif word in with_value:
            skip = True
        elif word.partition("=")[0] not in with_value:
            kept.append(word)
    return kept


# --- pieces -----------------------------------------------------------------------------------------------------------------------------


def _find_cell(connection: sa.Connection, name: str, series: str | None) -> Any:
    query = sa.select(_CELL).order_by(_CELL.c.series != "main", _CELL.c.created.desc())
    if len(name) >= 4:
        found = connection.execute(query.where(_CELL.c.name.startswith(name.lower(), autoescape=True))).all()
        if len({row.name for row in found}) > 1:
            raise UserError(f"several cells begin with {name!r}: {', '.join(sorted({row.name for row in found})[:5])}")
        rows = [row for row in found if series in (None, row.series)]
        if rows:
            return rows[0]
        if found:
            raise unknown("series", series, {row.series for row in found}, f"cell {found[0].name}")
    names = set(connection.execute(sa.select(_CELL.c.name)).scalars())
    if not names:
        raise UserError("the database has no cells yet")
    raise unknown("cell", name, names if len(names) <= 12 else sorted(names)[:12])


def _identities(connection: sa.Connection, row: Any) -> dict[str, Any]:
    return {
        name: connection.execute(sa.select(table.c.identity).where(table.c.id == getattr(row, f"{name}_id"))).scalar_one()
        for name, table in IDENTITIES.items()
    }


def _label(identities: Mapping[str, Any]) -> str:
    names = [labels.named(identities["model"]), labels.named(identities["engine"]), labels.hardware(identities["hardware"])]
    return " · ".join([*names, labels.strategy(identities["strategy"]), labels.named(identities["task"])])


def _rows(connection: sa.Connection, query: Any, without: Sequence[str] = ("id", "attempt_id")) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in without} for row in connection.execute(query).mappings()]


def _runs(connection: sa.Connection, ids: Any) -> list[dict[str, Any]]:
    return _rows(connection, sa.select(_RUN).where(_RUN.c.id.in_(ids)).order_by(_RUN.c.id), without=())


def _windows(connection: sa.Connection, condition: Any) -> list[dict[str, Any]]:
    return _rows(
        connection, sa.select(_WINDOW).where(condition).order_by(_WINDOW.c.started, _WINDOW.c.id).limit(MOST_WINDOWS), without=("id",)
    )


def _examples(connection: sa.Connection, cell_id: int) -> dict[str, list[int]]:
    """Up to five attempt ids by the outcome of their first item."""
    query = sa.select(_ATTEMPT.c.id, _JUDGEMENT.c.outcomes)
    query = query.join(_JUDGEMENT, sa.and_(_JUDGEMENT.c.attempt_id == _ATTEMPT.c.id, _JUDGEMENT.c.current))
    found: dict[str, list[int]] = {}
    for number, outcomes in connection.execute(query.where(_ATTEMPT.c.cell_id == cell_id).order_by(_ATTEMPT.c.id)):
        numbers = found.setdefault(outcomes[0] if outcomes else "none", [])
        if len(numbers) < 5:
            numbers.append(number)
    return found


def _problem(connection: sa.Connection, number: int) -> dict[str, Any]:
    row = connection.execute(sa.select(_PROBLEM).where(_PROBLEM.c.id == number)).mappings().one()
    asked = json.loads(texts.get_text(connection, row["question_id"]))
    return {"key": row["key"], "ordinal": row["ordinal"], **asked, "gold": row["gold"], "meta": row["meta"]}


def _ledger(connection: sa.Connection, number: int) -> list[dict[str, Any]]:
    names = dict(connection.execute(sa.select(schema.Model.id, schema.Model.name)).tuples().all())
    rows = _rows(connection, sa.select(_LEDGER).where(_LEDGER.c.attempt_id == number).order_by(_LEDGER.c.id))
    return [{"model": names[row.pop("model_id")], **row} for row in rows]


def _budget(identities: Mapping[str, Any], ledger: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The token budget that the strategy states, and what was used of it; None where it states none."""
    if (found := budgets.stated(identities["strategy"])) is None:
        return None
    tokens, counted = found
    used = budgets.used(ledger, counted)
    known = not budgets.unknown(identities["engine"], counted, used)
    return {"tokens": tokens, "counted": counted, "used": used if known else None, "over": max(0, used - tokens) if known else None}


def _samples(connection: sa.Connection, number: int) -> list[dict[str, Any]]:
    """What the attempt used, in call order: the record, what is charged of it, and its joules."""
    pairs = reading.attempt_samples(connection, number)
    columns = (_SAMPLE.c.key, _SAMPLE.c.energy_j, _SAMPLE.c.device_s, _SAMPLE.c.energy_code)
    energy: dict[str, Any] = {}
    for part in texts.chunks([use.sample_key for use, _ in pairs]):
        energy |= {row.key: row for row in connection.execute(sa.select(*columns).where(_SAMPLE.c.key.in_(part)))}
    made = []
    for use, record in pairs:
        charge = {"output": use.output, "cached": use.cached, "share": use.share, "chosen": use.chosen}
        own = energy[use.sample_key]
        joules = {"energy_j": own.energy_j, "device_s": own.device_s, "energy_code": own.energy_code}
        made.append({**vars(record), "role": use.role, "charged": charge, **joules})
    return made
