"""Many rows at once, straight through the database driver: SQLAlchemy's own handling of a row costs several times what SQLite's does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

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
    if rows:
        _execute(connection, _insert(connection.dialect, table, tuple(rows[0]), new), rows)


def update(connection: sa.Connection, table: Any, rows: Sequence[Mapping[str, Any]], *, by: tuple[str, ...] = ("id",)) -> None:
    """Set columns of the rows that the columns `by` name. All rows have the first one's columns."""
    if rows:
        _execute(connection, _update(connection.dialect, table, tuple(rows[0]), by), rows)


class _Statement(NamedTuple):
    """parameters: their names in the SQL's order; columns: which one each is; writers: place of those that are not written as they are."""

    sql: str
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    writers: tuple[tuple[int, Callable[[Any], Any]], ...]


def _execute(connection: sa.Connection, statement: _Statement, rows: Sequence[Mapping[str, Any]]) -> None:
    in_order = itemgetter(*statement.columns)  # there are several
    plain = [[*in_order(row)] for row in rows]
    for place, write in statement.writers:
        for values in plain:
            values[place] = write(values[place])
    if connection.dialect.positional:
        connection.exec_driver_sql(statement.sql, [tuple(values) for values in plain])
    else:
        connection.exec_driver_sql(statement.sql, [dict(zip(statement.parameters, values, strict=True)) for values in plain])


@lru_cache(maxsize=256)
def _insert(dialect: sa.Dialect, table: Any, columns: tuple[str, ...], new: bool) -> _Statement:
    statement = _on_new(dialect.name, table) if new else sa.insert(table)
    return _compiled(dialect, table, statement.compile(dialect=dialect, column_keys=list(columns)), {name: name for name in columns})


@lru_cache(maxsize=256)
def _update(dialect: sa.Dialect, table: Any, columns: tuple[str, ...], by: tuple[str, ...]) -> _Statement:
    given = {name: sa.bindparam(f"given_{name}", type_=table.c[name].type) for name in columns}
    statement = sa.update(table).where(*(table.c[name] == given[name] for name in by))
    statement = statement.values({name: given[name] for name in columns if name not in by})
    return _compiled(dialect, table, statement.compile(dialect=dialect), {f"given_{name}": name for name in columns})


def _compiled(dialect: sa.Dialect, table: Any, compiled: Any, columns: Mapping[str, str]) -> _Statement:
    """`columns`: by name of the parameter."""
    parameters = tuple(compiled.positiontup or columns)
    assert set(parameters) == set(columns), f"{table.name} has defaults that SQLAlchemy would fill in: {set(parameters) ^ set(columns)}"
    names = tuple(columns[parameter] for parameter in parameters)
    found = ((place, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for place, name in enumerate(names))
    return _Statement(str(compiled), parameters, names, tuple((place, write) for place, write in found if write is not None))


def ids(connection: sa.Connection, table: Any, column: str, values: Sequence[Any]) -> Iterator[tuple[Any, int]]:
    """`column` and `id` of the rows in which `column` is one of `values`."""
    quote = connection.dialect.identifier_preparer
    name = quote.quote(column)
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    for part in chunks(values):
        marks = ",".join([mark] * len(part))
        sql = f"SELECT {name}, id FROM {quote.format_table(table)} WHERE {name} IN ({marks})"
        yield from connection.exec_driver_sql(sql, tuple(part)).tuples()
