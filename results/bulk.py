"""Many rows at once, straight through the database driver: SQLAlchemy's own handling of a row costs several times what SQLite's does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
CHUNK = 5_000  # bound parameters per statement; SQLite allows 32,766


def chunks(values: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """`values` in pieces of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def on_new(connection: sa.Connection, table: Any) -> Any:
    """INSERT … ON CONFLICT DO NOTHING for the connection's database."""
    return _on_new(connection.dialect.name, table)


def _on_new(dialect: str, table: Any) -> Any:
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_postgresql

        return insert_postgresql(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_sqlite

    return insert_sqlite(table).on_conflict_do_nothing()


def insert(connection: sa.Connection, table: Any, rows: Sequence[Mapping[str, Any]], *, new: bool = False) -> None:
    """Insert rows that all have the first one's columns. `new`: rows that break a uniqueness are left out."""
    if not rows:
        return
    sql, names, writers = _statement(connection.dialect, table, tuple(rows[0]), new)
    in_order = itemgetter(*names)  # every table has several columns
    plain = [[*in_order(row)] for row in rows]
    for place, write in writers:
        for values in plain:
            values[place] = write(values[place])
    connection.exec_driver_sql(
        sql, list(map(tuple, plain)) if connection.dialect.positional else [dict(zip(names, v, strict=True)) for v in plain]
    )


@lru_cache(maxsize=256)
def _statement(
    dialect: sa.Dialect, table: Any, columns: tuple[str, ...], new: bool
) -> tuple[str, tuple[str, ...], tuple[tuple[int, Callable[[Any], Any]], ...]]:
    """The SQL, the order of its columns, and for those that are not written as they are: their place and how."""
    compiled: Any = (_on_new(dialect.name, table) if new else sa.insert(table)).compile(dialect=dialect, column_keys=list(columns))
    names = tuple(compiled.positiontup or columns)
    assert set(names) == set(columns), f"{table.name} has defaults that SQLAlchemy would fill in: {set(names) ^ set(columns)}"
    found = ((place, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for place, name in enumerate(names))
    return str(compiled), names, tuple((place, write) for place, write in found if write is not None)


def ids(connection: sa.Connection, table: Any, column: str, values: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """`column` and `id` of the rows in which `column` is one of `values`."""
    quote = connection.dialect.identifier_preparer
    name = quote.quote(column)
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    for part in chunks(values):
        marks = ",".join([mark] * len(part))
        sql = f"SELECT {name}, id FROM {quote.format_table(table)} WHERE {name} IN ({marks})"
        yield from connection.exec_driver_sql(sql, tuple(part)).tuples()
