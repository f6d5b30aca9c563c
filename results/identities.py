"""Rows of the small identity tables and of problems: found by content hash, made when missing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from perpass.errors import PerPassError
from perpass.identity import canonical, content_hash
from results import schema, texts
from results.texts import chunks, on_new
from tasks.types import Problem

TABLES: dict[str, Any] = {
    "model": schema.Model.__table__,
    "engine": schema.Engine.__table__,
    "hardware": schema.Hardware.__table__,
    "strategy": schema.Strategy.__table__,
    "task": schema.Task.__table__,
}


def row_id(connection: sa.Connection, table: str, identity: Mapping[str, Any]) -> int:
    """The id of the identity in `table` (model, engine, hardware, strategy or task), made if it is new."""
    target = TABLES[table]
    key = content_hash(identity)
    find = sa.select(target.c.id).where(target.c.hash == key)
    found = connection.execute(find).scalar()
    if found is None:
        connection.execute(on_new(connection, target), [{"hash": key, "identity": canonical(identity), **_readable(table, identity)}])
        found = connection.execute(find).scalar_one()
    return int(found)


def _readable(table: str, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that people read, taken from the identity itself."""
    plain = canonical(identity)
    columns: dict[str, Any] = {"name": str(plain.get("name") or plain.get("kind") or "unknown")}
    wanted = {"model": ("revision", "dtype"), "strategy": ("version", "params", "sampling"), "task": ("version", "revision", "spec")}
    return columns | {name: plain.get(name) for name in wanted.get(table, ())}


def problem_hash(problem: Problem) -> str:
    """Covers all that is asked and the gold answers. Raises PerPassError when a gold answer is not plain data."""
    asked = {f.name: getattr(problem, f.name) for f in dataclasses.fields(problem) if f.name not in ("key", "meta")}
    if not problem.scored:  # a field that came later counts only where it is used: older databases keep their problems
        del asked["scored"]
    try:
        return content_hash(asked)
    except TypeError as error:
        raise PerPassError(f"problem {problem.key!r}: its gold answer is not plain data ({error})") from error


def problem_ids(connection: sa.Connection, task_id: int, problems: Sequence[Problem]) -> dict[str, int]:
    """Ids by problem key; `problems` come in the task's fixed order (all of it, or its beginning), which becomes their `ordinal`.

    Raises PerPassError when a known key now hides another problem: its old attempts would be judged against a question nobody asked.
    """
    table: Any = schema.Problem.__table__
    hashes = {p.key: problem_hash(p) for p in problems}
    if len(hashes) != len(problems):
        raise PerPassError(f"task {_task(connection, task_id)} has two problems under one key; keys must be unique")
    stored = _stored(connection, table, task_id)
    for key, new in hashes.items():
        if key in stored and stored[key].hash != new:
            raise PerPassError(
                f"problem {key!r} of task {_task(connection, task_id)} is not what it was when its stored attempts were made; "
                "raise the task's version, or use the data it was run with"
            )
    _insert(connection, table, task_id, [(n, p, hashes[p.key]) for n, p in enumerate(problems) if p.key not in stored])
    moved = [{"row": stored[p.key].id, "place": n} for n, p in enumerate(problems) if p.key in stored and stored[p.key].ordinal != n]
    if moved:
        connection.execute(sa.update(table).where(table.c.id == sa.bindparam("row")).values(ordinal=sa.bindparam("place")), moved)
    found = _stored(connection, table, task_id)
    return {key: found[key].id for key in hashes}


def _insert(connection: sa.Connection, table: Any, task_id: int, new: Sequence[tuple[int, Problem, str]]) -> None:
    for part in chunks(new):
        questions = {p.key: _question(p) for _, p, _ in part}
        ids = texts.put(connection, [("text", q) for q in questions.values()])
        rows = [
            {
                "task_id": task_id,
                "key": p.key,
                "ordinal": ordinal,
                "hash": key_hash,
                "items": len(p.gold),
                "request": p.request,
                "question_id": ids[("text", questions[p.key])],
                "gold": canonical(p.gold),
                "meta": canonical(p.meta),
            }
            for ordinal, p, key_hash in part
        ]
        connection.execute(on_new(connection, table), rows)


def _question(problem: Problem) -> str:
    asked = {"question": problem.question, "answer_format": problem.answer_format, "fixed": canonical(problem.fixed)}
    return json.dumps(asked, ensure_ascii=False)


def _stored(connection: sa.Connection, table: Any, task_id: int) -> dict[str, Any]:
    rows = connection.execute(sa.select(table.c.id, table.c.key, table.c.hash, table.c.ordinal).where(table.c.task_id == task_id))
    return {row.key: row for row in rows}


def _task(connection: sa.Connection, task_id: int) -> str:
    return repr(connection.execute(sa.select(schema.Task.name).where(schema.Task.id == task_id)).scalar())
