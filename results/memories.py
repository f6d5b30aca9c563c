"""What strategies with memory carried on, problem by problem."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from results import texts
from results.records import AttemptRecord
from results.schema import Memory
from results.texts import chunks, on_new

_MEMORY: Any = Memory.__table__


def write(connection: sa.Connection, attempts: Sequence[AttemptRecord]) -> None:
    """The snapshots that new attempts left."""
    left = [(a, *a.memory) for a in attempts if a.memory is not None]
    if not left:
        return
    ids = texts.put(connection, (("text", text) for _, _, text in left))
    rows = [
        {"cell_id": a.cell_id, "trial": a.trial, "ordinal": place, "problem_id": a.problem_id, "text_id": ids[("text", text)]}
        for a, place, text in left
    ]
    for part in chunks(rows):
        connection.execute(on_new(connection, _MEMORY), part)


def order(connection: sa.Connection, cell_id: int) -> dict[int, list[int]]:
    """The ids of the problems that the memory of each trial has met, in order."""
    query = sa.select(Memory.trial, Memory.problem_id).where(Memory.cell_id == cell_id).order_by(Memory.trial, Memory.ordinal)
    met: dict[int, list[int]] = {}
    for trial, problem_id in connection.execute(query):
        met.setdefault(trial, []).append(problem_id)
    return met


def after(connection: sa.Connection, cell_id: int, trial: int, ordinal: int) -> str | None:
    """What the memory held after the problem at this place of the order; None where nothing is stored."""
    query = sa.select(Memory.text_id).where(Memory.cell_id == cell_id, Memory.trial == trial, Memory.ordinal == ordinal)
    text_id = connection.execute(query).scalar_one_or_none()
    return None if text_id is None else str(texts.get(connection, [text_id])[text_id])
