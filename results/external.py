"""Rows that others measured and published: kept in a table of their own, checked by their own numbers, always shown apart from ours."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from perpass.errors import unknown
from perpass.identity import content_hash
from results import pareto, schema
from results.database import Db, reading, transaction
from results.texts import chunks

_EXTERNAL: Any = schema.External.__table__
AXES: Mapping[str, pareto.Direction] = {"energy_per_token_j": "min", "itl_p50_ms": "min"}
"""What a frontier weighs: joules of a token against the time between two (ML.ENERGY's own trade-off, made by the batch size)."""
OUTSIDE = ("request_energy_mismatch", "power_mismatch", "incomplete")
"""Codes that keep a row off the frontier: its numbers contradict each other or are not there."""


@dataclass(frozen=True)
class Row:
    """One published row. identity: what was measured; the same identity replaces its values when imported again."""

    source: str
    identity: Mapping[str, Any]
    task: str
    model: str
    hardware: str
    values: Mapping[str, Any]
    """Numbers with units in their names, and `codes`."""
    provenance: Mapping[str, Any]

    @property
    def key(self) -> str:
        return content_hash(self.identity)


@dataclass(frozen=True)
class Imported:
    """What an import came to."""

    rows: int
    new: int
    changed: int
    codes: Mapping[str, int]
    """How many rows have each code."""


def store(engine: sa.Engine, rows: Sequence[Row]) -> Imported:
    """Write rows; those that are there already keep their place and take new values. Importing the same again changes nothing."""
    now = time.time()
    made = [{c: getattr(r, c) for c in ("source", "key", "task", "model", "hardware")} | _content(r) for r in rows]
    with transaction(engine) as connection:
        query = sa.select(_EXTERNAL).where(_EXTERNAL.c.source.in_({r.source for r in rows}))
        known = {(row["source"], row["key"]): row for row in connection.execute(query).mappings()}
        new = [row for row in made if (row["source"], row["key"]) not in known]
        changed = [row for row in made if (old := known.get((row["source"], row["key"]))) and any(old[c] != v for c, v in row.items())]
        for part in chunks(new):
            connection.execute(sa.insert(_EXTERNAL), [row | {"imported": now} for row in part])
        for row in changed:
            own = sa.and_(_EXTERNAL.c.source == row["source"], _EXTERNAL.c.key == row["key"])
            connection.execute(sa.update(_EXTERNAL).where(own).values(**row, imported=now))
    return Imported(len(rows), len(new), len(changed), dict(Counter(code for r in rows for code in r.values["codes"])))


def _content(row: Row) -> dict[str, Any]:
    return {"values": dict(row.values), "provenance": dict(row.provenance)}


def rows(
    db: Db, *, source: str | None = None, task: str | None = None, model: str | None = None, hardware: str | None = None
) -> list[dict[str, Any]]:
    """The stored rows as flat dictionaries: external (number), source, task, model, hardware, their values, `frontier`, provenance.

    frontier: not dominated on AXES among all rows of its source, task and model; None where a code of OUTSIDE says that it cannot be known.
    model, hardware: whole names, or `hardware` a device's (`H100`); case does not matter. Raises UserError for one that no row has.
    """
    with reading(db) as connection:
        found = [dict(row) for row in connection.execute(sa.select(_EXTERNAL)).mappings()]
    made = [
        {"external": r["id"], **{c: r[c] for c in ("source", "task", "model", "hardware")}, **r["values"], "provenance": r["provenance"]}
        for r in found
    ]
    made = _with_frontiers(made)
    for name, wanted in {"source": source, "task": task, "model": model}.items():
        made = _having(made, name, wanted, lambda row, n=name: {str(row[n]).lower()})
    made = _having(made, "hardware", hardware, lambda row: {row["hardware"].lower(), str(row.get("device")).lower()})
    order = ("source", "task", "model", "hardware", "precision", "batch", "external")
    return sorted(made, key=lambda row: tuple(row[name] for name in order))


def _having(rows: list[dict[str, Any]], kind: str, wanted: str | None, names: Any) -> list[dict[str, Any]]:
    if wanted is None:
        return rows
    if kept := [row for row in rows if wanted.lower() in names(row)]:
        return kept
    raise unknown(kind, wanted, {name for row in rows for name in names(row)}, "external rows")


def _with_frontiers(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    import pandas as pd

    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["source"], row["task"], row["model"]), []).append(row)
    made = []
    for members in groups.values():
        usable = [not set(row["codes"]) & set(OUTSIDE) for row in members]
        points = pd.DataFrame(
            [{axis: row.get(axis) if able else None for axis in AXES} for row, able in zip(members, usable, strict=True)], dtype=float
        )
        on = pareto.frontier(points, AXES)
        made += [row | {"frontier": bool(mark) if able else None} for row, mark, able in zip(members, on, usable, strict=True)]
    return made
