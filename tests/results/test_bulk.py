"""Rows through the driver are what SQLAlchemy would have written, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from results import bulk

TABLE: Any = sa.Table(
    "window",  # a reserved word
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("order", sa.String, unique=True),  # another
    sa.Column("data", sa.LargeBinary),
    sa.Column("codes", sa.JSON),
    sa.Column("valid", sa.Boolean),
    sa.Column("energy_j", sa.Float),
    sa.Column("at", sa.BigInteger),
)


def row(name: str, **changes: Any) -> dict[str, Any]:
    return {"order": name, "data": b"\x00\xff", "codes": {"é": [1, None]}, "valid": True, "energy_j": None, "at": 2**40} | changes


ROWS = [row("a"), row("b", codes=None, energy_j=0.25), row("c", data=None, valid=False, codes=[]), row("ü%s?", valid=None)]


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Connection]:
    url = f"sqlite:///{tmp_path / 'a.db'}" if request.param == "sqlite" else request.getfixturevalue("postgres")
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as made:  # never committed
        TABLE.create(made)
        yield made
    engine.dispose()


def stored(connection: sa.Connection, *columns: str) -> list[tuple[Any, ...]]:
    chosen = [TABLE.c[name] for name in columns or TABLE.c.keys()[1:]]
    return [tuple(found) for found in connection.execute(sa.select(*chosen).order_by(TABLE.c.id))]


def test_inserted_rows_are_those_of_sqlalchemy(connection: sa.Connection) -> None:
    connection.execute(sa.insert(TABLE), ROWS)
    expected, texts = stored(connection), connection.execute(sa.select(sa.cast(TABLE.c.codes, sa.Text)).order_by(TABLE.c.id)).all()
    connection.execute(sa.delete(TABLE))
    bulk.insert(connection, TABLE, ROWS)
    assert stored(connection) == expected == [tuple(row.values()) for row in ROWS]
    assert connection.execute(sa.select(sa.cast(TABLE.c.codes, sa.Text)).order_by(TABLE.c.id)).all() == texts  # null, too
    bulk.insert(connection, TABLE, [])


def test_new_rows_only(connection: sa.Connection) -> None:
    bulk.insert(connection, TABLE, ROWS[:2], new=True)
    bulk.insert(connection, TABLE, [row("b", at=1), *ROWS[2:]], new=True)
    assert stored(connection) == [tuple(row.values()) for row in ROWS]


def test_a_row_that_is_there_is_an_error_otherwise(connection: sa.Connection) -> None:
    bulk.insert(connection, TABLE, ROWS[:1])
    with pytest.raises(sa.exc.IntegrityError):
        bulk.insert(connection, TABLE, ROWS[:1])


def test_updates_change_what_they_name(connection: sa.Connection) -> None:
    bulk.insert(connection, TABLE, ROWS)
    changes = [
        {"order": name, "valid": True, "energy_j": joules, "codes": [name]} for name, joules in (("a", 1.5), ("c", None), ("z", 9.0))
    ]
    bulk.update(connection, TABLE, changes[:2], by=("order",))
    bulk.update(connection, TABLE, changes[2:], by=("order", "valid"))  # nobody
    bulk.update(connection, TABLE, [], by=("order",))
    assert stored(connection, "order", "energy_j", "codes", "at") == [
        ("a", 1.5, ["a"], 2**40),
        ("b", 0.25, None, 2**40),
        ("c", None, ["c"], 2**40),
        ("ü%s?", None, {"é": [1, None]}, 2**40),
    ]
    number = stored(connection, "id")[1][0]
    bulk.update(connection, TABLE, [{"id": number, "at": 7}])
    assert [at for (at,) in stored(connection, "at")] == [2**40, 7, 2**40, 2**40]


def test_ids_of_those_that_are_there(connection: sa.Connection) -> None:
    names = [f"n{i}" for i in range(bulk.CHUNK + 10)]
    bulk.insert(connection, TABLE, [row(name) for name in names])
    found = dict(bulk.ids(connection, TABLE, "order", [*names, "missing"]))
    assert set(found) == set(names) and found == dict(stored(connection, "order", "id"))
    assert list(bulk.ids(connection, TABLE, "order", [])) == []


def test_every_column_must_be_given_that_has_a_default() -> None:
    table: Any = sa.Table("t", sa.MetaData(), sa.Column("a", sa.Integer), sa.Column("b", sa.Integer, default=3))
    with sa.create_engine("sqlite://").connect() as connection:
        with pytest.raises(AssertionError, match="defaults"):
            bulk.insert(connection, table, [{"a": 1}])
