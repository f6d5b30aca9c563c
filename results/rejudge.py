"""Applying current judges to stored attempts. Nothing is generated: a grader's fix reaches old results by judging stored texts again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from perpass.errors import PerPassError
from results import schema, texts
from results.database import transaction
from results.identities import problem_hash
from results.store import Store
from results.writing import count, judgement_row
from tasks.types import Ask, Judgement, Outcome, Problem, Reply, Task

_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_CELL: Any = schema.Cell.__table__
_TASK: Any = schema.Task.__table__
_PROBLEM: Any = schema.Problem.__table__

BATCH = 500
AT_ONCE = 16
JUDGE_FAILED = "judge: "
"""How the error of an attempt begins whose answer is there and only its judging failed."""
STALE = "stale_extractor"


@dataclass
class Summary:
    """What `bench rejudge` did. `changed`: attempts whose outcomes are other than before; `notes`: what was left out, and why."""

    attempts: int = 0
    judged: int = 0
    changed: int = 0
    failed: int = 0
    stale_cells: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


async def rejudge(
    db: Store | sa.Engine,
    load_task: Callable[[Any], Task],
    *,
    ask: Ask | None = None,
    progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """Judge every stored attempt that its task's current `judge_version` has not judged, and make that judgement the current one.

    load_task: `tasks.load`; a task that cannot be loaded, or whose version or problems are no longer those that were asked, is left as it
    is, with a note. An attempt that a strategy decided by voting keeps its vote: its cell is marked `stale_extractor`, since the vote
    counted answers as the old extractor read them. Safe to interrupt and to repeat.
    """
    engine = db.engine if isinstance(db, Store) else db
    summary = Summary()
    with engine.connect() as connection:
        rows = connection.execute(sa.select(_TASK.c.id, _TASK.c.name, _TASK.c.version, _TASK.c.spec).order_by(_TASK.c.id)).all()
    for row in rows:
        try:
            task = load_task(row.spec)
            if task.version != row.version:
                raise PerPassError(f"it is now version {task.version}, the stored attempts answered version {row.version}")
            await _task(engine, row.id, task, ask, summary, progress)
        except PerPassError as error:
            summary.notes.append(f"task {row.name}: not judged again: {error}")
    return summary


async def _task(
    engine: sa.Engine, task_id: int, task: Task, ask: Ask | None, summary: Summary, progress: Callable[[Summary], None] | None
) -> None:
    with engine.connect() as connection:
        pending = _pending(connection, task_id, task.judge_version)
        known = {
            row.id: row
            for row in connection.execute(sa.select(_PROBLEM.c.id, _PROBLEM.c.key, _PROBLEM.c.hash).where(_PROBLEM.c.task_id == task_id))
        }
    if not pending:
        return
    problems = _same_problems(task, known, summary)
    for part in texts.chunks(pending, BATCH):
        with engine.connect() as connection:
            replies = texts.get(connection, (row.text_id for row in part))
        limit = asyncio.Semaphore(AT_ONCE)
        wanted = [row for row in part if row.problem_id in problems]
        verdicts = await asyncio.gather(*(_judge(task, problems[r.problem_id], r, str(replies[r.text_id]), ask, limit) for r in wanted))
        _store(engine, task.judge_version, list(zip(wanted, verdicts, strict=True)), summary)
        summary.attempts += len(part)
        if progress is not None:
            progress(summary)


def _pending(connection: sa.Connection, task_id: int, judge: str) -> Sequence[Any]:
    """Attempts of the task whose current judgement is not by `judge`, with that judgement."""
    a, j = _ATTEMPT.c, _JUDGEMENT.c
    query = (
        sa.select(a.id, a.cell_id, a.problem_id, a.text_id, a.finish, a.answers, a.error, _CELL.c.name.label("cell"), j.outcomes)
        .join(_CELL, _CELL.c.id == a.cell_id)
        .outerjoin(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.current))
        .where(_CELL.c.task_id == task_id)
        .where(sa.or_(j.judge.is_(None), j.judge != judge, a.error.startswith(JUDGE_FAILED)))
        .where(sa.or_(a.error.is_(None), a.error.startswith(JUDGE_FAILED)))
        .order_by(a.id)
    )
    return connection.execute(query).all()


def _same_problems(task: Task, known: Mapping[int, Any], summary: Summary) -> dict[int, Problem]:
    """The task's problems by database id, those that are still what was asked."""
    now = {problem.key: problem for problem in task.problems()}
    same = {n: now[row.key] for n, row in known.items() if row.key in now and problem_hash(now[row.key]) == row.hash}
    if len(same) < len(known):
        summary.notes.append(
            f"task {task.name}: {len(known) - len(same)} stored problems are not among the task's problems now; left as they are"
        )
    return same


async def _judge(task: Task, problem: Problem, row: Any, text: str, ask: Ask | None, limit: asyncio.Semaphore) -> Judgement | None:
    """The new judgement; None when the judge failed."""
    if row.outcomes and set(row.outcomes) == {str(Outcome.TOO_LONG)}:
        return Judgement((Outcome.TOO_LONG,) * len(row.outcomes))  # the prompt did not fit: there never was an answer to judge
    items = None if row.answers is None else tuple(row.answers)
    async with limit:
        try:
            return await task.judge(problem, Reply(text, row.finish, items), ask)
        except Exception:
            return None


def _store(engine: sa.Engine, judge: str, pairs: Sequence[tuple[Any, Judgement | None]], summary: Summary) -> None:
    done = [(row, verdict) for row, verdict in pairs if verdict is not None]
    summary.failed += len(pairs) - len(done)
    if not done:
        return
    ids = [row.id for row, _ in done]
    with transaction(engine) as connection:
        connection.execute(sa.delete(_JUDGEMENT).where(_JUDGEMENT.c.attempt_id.in_(ids), _JUDGEMENT.c.judge == judge))
        connection.execute(sa.update(_JUDGEMENT).where(_JUDGEMENT.c.attempt_id.in_(ids)).values(current=False))
        rows = [judgement_row(row.id, judge, [str(o) for o in v.items], v.extracted, v.scores) for row, v in done]
        connection.execute(sa.insert(_JUDGEMENT), rows)
        connection.execute(sa.update(_ATTEMPT).where(_ATTEMPT.c.id.in_(ids), _ATTEMPT.c.error.is_not(None)).values(error=None))
        stale = {row.cell_id for row, _ in done if row.answers is not None and row.outcomes and row.error is None}
        for cell_id, codes in connection.execute(sa.select(_CELL.c.id, _CELL.c.codes).where(_CELL.c.id.in_(stale))).all():
            if STALE not in codes:
                connection.execute(sa.update(_CELL).where(_CELL.c.id == cell_id).values(codes=[*codes, STALE]))
        count(connection, {row.cell_id for row, _ in done})
    summary.judged += len(done)
    summary.changed += sum([str(o) for o in v.items] != (row.outcomes or []) for row, v in done)
    summary.stale_cells |= {row.cell for row, _ in done if row.cell_id in stale}
