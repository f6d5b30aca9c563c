"""What was computed from stored rows and is too dear for every page: read and written by key. See `results.schema.Analysis`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from results import schema
from results.texts import chunks

_T: Any = schema.Analysis.__table__
FIELDS = ("kind", "key", "cell_id", "series", "parameters", "inputs", "result", "computed")


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """`key` names what is analysed, once per database; `inputs` hashes the rows it was computed from: other rows, other inputs."""

    kind: str
    key: str
    inputs: str
    result: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cell_id: int | None = None
    series: str | None = None
    computed: float = field(default_factory=time.time)


def get(connection: sa.Connection, kind: str, keys: Iterable[str] | None = None) -> dict[str, Analysis]:
    """The stored analyses of a kind by key, all or those with these keys; keys that are not stored are absent."""
    query = sa.select(*(_T.c[name] for name in FIELDS)).where(_T.c.kind == kind).order_by(_T.c.id)
    parts: Sequence[Collection[str] | None] = [None] if keys is None else list(chunks(sorted(set(keys))))
    rows = [row for part in parts for row in connection.execute(query if part is None else query.where(_T.c.key.in_(part)))]
    return {row.key: Analysis(**row._asdict()) for row in rows}


def put(connection: sa.Connection, found: Sequence[Analysis]) -> None:
    """Store these, in the place of those that have their keys, inside the caller's transaction."""
    for part in chunks(found):
        connection.execute(sa.delete(_T).where(_T.c.key.in_([one.key for one in part])))
        connection.execute(sa.insert(_T), [{name: _plain(getattr(one, name)) for name in FIELDS} for one in part])


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value
