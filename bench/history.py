"""What stored cells of the same model took per call: the ground of an estimate. Reads only; no database, no history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from harness.cell import Cell
from perpass.errors import DatabaseError
from perpass.identity import content_hash
from results import database, schema


@dataclass(frozen=True)
class Rate:
    """Means per call. Seconds (of a device) and joules are None where no stored call has them."""

    calls: float
    prompt: float
    output: float
    seconds: float | None
    joules: float | None


Key = tuple[str, ...]


@dataclass(frozen=True)
class History:
    """Means per call by (model, hardware, role, kind) and, finer, by task and strategy; finished attempts by cell identity."""

    rates: Mapping[Key, Rate] = field(default_factory=dict)
    finished: Mapping[str, int] = field(default_factory=dict)
    source: str = ""

    def rate(self, cell: Cell, role: str, kind: str) -> Rate | None:
        """The finest known mean: of the same strategy and task, of the same task, of the same model; None when the model has no history."""
        place = cell.roles.get(role, cell.policy)
        base = (content_hash(place.model.identity()), place.hardware.name, role, kind)
        finer = ((*base, cell.task.name, cell.strategy.name), (*base, cell.task.name), base)
        return next((self.rates[key] for key in finer if key in self.rates), None)


def read(cells: Iterable[Cell], series: str, db: str | None = None) -> History:
    """The history that the database holds of the models of `cells`; empty when there is no database, or none that can be read."""
    try:
        engine = database.open_database(db, readonly=True)
    except DatabaseError:
        return History()
    try:
        with engine.connect() as connection:
            models = {content_hash(d.model.identity()) for c in cells for d in (c.policy, *c.roles.values())}
            return History(_rates(connection, models), _finished(connection, series), database.show(database.resolve(db)))
    finally:
        engine.dispose()


def _rates(connection: sa.Connection, models: set[str]) -> dict[Key, Rate]:
    ledger, attempt, cell, model = schema.Ledger, schema.Attempt, schema.Cell, schema.Model
    by = (model.hash, schema.Hardware.name, ledger.role, ledger.kind, schema.Task.name, schema.Strategy.name)
    known = [sa.func.sum(sa.case((column.is_not(None), ledger.calls), else_=0)) for column in (ledger.device_s, ledger.energy_j)]
    query = (
        sa.select(
            *by,
            *(sa.func.sum(c) for c in (ledger.calls, ledger.prompt, ledger.output, ledger.device_s, ledger.energy_j)),
            *known,
        )
        .join(attempt, attempt.id == ledger.attempt_id)
        .join(cell, cell.id == attempt.cell_id)
        .join(model, model.id == ledger.model_id)
        .join(schema.Hardware, schema.Hardware.id == cell.hardware_id)
        .join(schema.Task, schema.Task.id == cell.task_id)
        .join(schema.Strategy, schema.Strategy.id == cell.strategy_id)
        .where(model.hash.in_(models))
        .group_by(*by)
    )
    sums: dict[Key, list[float]] = {}
    for row in connection.execute(query):
        names, numbers = tuple(map(str, row[:6])), [float(x or 0) for x in row[6:]]
        for length in (4, 5, 6):
            held = sums.setdefault(names[:length], [0.0] * len(numbers))
            held[:] = [a + b for a, b in zip(held, numbers, strict=True)]
    return {key: _mean(*numbers) for key, numbers in sums.items() if numbers[0]}


def _mean(calls: float, prompt: float, output: float, seconds: float, joules: float, timed: float, metered: float) -> Rate:
    return Rate(calls, prompt / calls, output / calls, seconds / timed if timed else None, joules / metered if metered else None)


def _finished(connection: sa.Connection, series: str) -> dict[str, int]:
    """Stored attempts without an error, by cell identity."""
    count: Any = sa.func.count(schema.Attempt.id)
    query = (
        sa.select(schema.Cell.identity, count)
        .join(schema.Attempt, schema.Attempt.cell_id == schema.Cell.id)
        .where(schema.Cell.series == series, schema.Attempt.error.is_(None))
        .group_by(schema.Cell.identity)
    )
    return {identity: int(n) for identity, n in connection.execute(query)}
