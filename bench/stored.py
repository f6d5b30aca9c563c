"""What the database holds of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

import tasks
from bench.plan import Plan
from harness.cell import Cell
from perpass.errors import UserError
from perpass.identity import content_hash
from results import report, schema
from results.database import as_engine, open_database


def rows(plan: Plan, db: str | None) -> list[dict[str, Any]]:
    """The report's rows of the plan's own cells; none where nothing is stored yet."""
    engine = open_database(db, readonly=True)
    try:
        own = set(_cell_ids(engine, plan))
        if not own:
            return []
        found = report.rows(engine, experiment=plan.experiment.name, series=plan.series)
        names = {identity[:10] for identity in own}
        return [row for row in found if row["cell"] in names]
    finally:
        engine.dispose()


def wrong_attempt(plan: Plan, db: str | None) -> int | None:
    """The id of one attempt whose answer is wrong, the first of the plan's last cell that has one; None when there is none."""
    attempt, judgement = schema.Attempt, schema.Judgement
    engine = open_database(db, readonly=True)
    try:
        ids = list(_cell_ids(engine, plan).values())
        query = (
            sa.select(attempt.id)
            .join(judgement, judgement.attempt_id == attempt.id)
            .where(attempt.cell_id.in_(ids), judgement.current, judgement.wrong > 0)
            .order_by(attempt.cell_id.desc(), attempt.id)
            .limit(1)
        )
        with engine.connect() as connection:
            return connection.execute(query).scalar()
    finally:
        engine.dispose()


def older_judges(plan: Plan, db: str | None) -> list[Cell]:
    """The plan's cells with attempts that another version than the task's own judged."""
    attempt, judgement = schema.Attempt, schema.Judgement
    engine = open_database(db, readonly=True)
    try:
        ids = _cell_ids(engine, plan)
        query = sa.select(attempt.cell_id, judgement.judge).join(judgement, judgement.attempt_id == attempt.id)
        query = query.where(judgement.current, attempt.cell_id.in_(ids.values()), attempt.error.is_(None)).distinct()
        with engine.connect() as connection:
            judged = [(cell_id, judge) for cell_id, judge in connection.execute(query)]
    finally:
        engine.dispose()
    return [c for c in plan.cells if any(n == ids.get(c.identity) and judge != c.task.judge_version for n, judge in judged)]


def judged_by_older(rows: Sequence[Mapping[str, Any]], db: str | None) -> bool:
    """Whether a row of the report was judged by another version than its task's own now. A task that cannot be loaded here says nothing."""
    engine = open_database(db, readonly=True)
    try:
        query = sa.select(schema.Cell.name, schema.Task.spec).join(schema.Task, schema.Task.id == schema.Cell.task_id)
        with engine.connect() as connection:
            specs: dict[str, Any] = dict(connection.execute(query).tuples().all())
    finally:
        engine.dispose()
    current: dict[str, str | None] = {}
    for row in rows:
        spec = specs[row["cell"]]
        key = content_hash(spec)
        if key not in current:
            try:
                current[key] = tasks.load(spec).judge_version  # reads no data
            except UserError:
                current[key] = None
        if row["judge"] and current[key] and row["judge"] != current[key]:
            return True
    return False


def _cell_ids(engine: sa.Engine, plan: Plan) -> dict[str, int]:
    """Database ids of the plan's cells by identity, of those that are stored."""
    query = sa.select(schema.Cell.identity, schema.Cell.id).where(schema.Cell.series == plan.series)
    with as_engine(engine).connect() as connection:
        known = {row.identity: row.id for row in connection.execute(query)}
    return {c.identity: known[c.identity] for c in plan.cells if c.identity in known}
