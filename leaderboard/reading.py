"""What pages read first, without Streamlit, so that it can begin while the server starts."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from results import database, report, schema
from results.report import Row

if TYPE_CHECKING:
    import pandas as pd

State = tuple[Any, ...]

_begun: dict[tuple[Any, ...], Future[Any]] = {}


def state(address: str) -> State:
    """Changes when the database does. Raises DatabaseError, the sentence of `bench report`, when it cannot be read."""
    path = database.sqlite_path(address)
    if path is None:
        return _counts(address)
    found = []
    for name in (str(path), f"{path}-wal"):
        try:
            stat = os.stat(name)
        except FileNotFoundError:
            stat = None
        # A reader makes an empty log, and takes it away again: that is no change.
        found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size) if stat and stat.st_size else (0, 0, 0))
    if not found[0][0]:
        opened(address).dispose()  # says what is missing
    return tuple(found)


@lru_cache(maxsize=4)
def _server(address: str) -> sa.Engine:
    """One engine for a server's database, whose connections are worth keeping."""
    return opened(address)


def _counts(address: str) -> State:
    newest = [sa.func.max(t.id) for t in (schema.Attempt, schema.Judgement, schema.Run, schema.Window, schema.Analysis, schema.External)]
    settled = sa.select(sa.func.count()).where(schema.Run.settled).scalar_subquery()
    with _server(address).connect() as connection:
        row = tuple(connection.execute(sa.select(*(sa.select(n).scalar_subquery() for n in newest), settled)).one())
        return row


def opened(address: str) -> sa.Engine:
    """The database, for reading."""
    return database.open_database(address, readonly=True)


def catalogue(address: str) -> pd.DataFrame:
    """All cells, oldest first: id, cell, series, task (label within its series), kind (the task's own name), spec, and labels."""
    import pandas as pd

    engine = opened(address)
    try:
        every = report.select(engine, series="all")
        parts = [report.select(engine, series=name) for name in dict.fromkeys(every["series"])]
    finally:
        engine.dispose()
    found = pd.concat(parts).sort_values("created", kind="stable") if parts else every
    return found.assign(kind=[t["name"] for t in found["task_identity"]], spec=[t.get("spec") for t in found["task_identity"]]).reset_index(
        drop=True
    )


def rows(address: str, series: str, task: str) -> list[Row]:
    """The rows of `bench report --series SERIES` that are of this task."""
    engine = opened(address)
    try:
        cells = report.select(engine, series=series)
        return report.rows(engine, cells=cells[cells["task"] == task])
    finally:
        engine.dispose()


def series(found: pd.DataFrame) -> list[str]:
    """The names of the series of a catalogue, newest first."""
    return list(dict.fromkeys(reversed(found["series"].tolist())))


def tasks(found: pd.DataFrame, chosen: str) -> list[str]:
    """The tasks of a series."""
    return sorted(set(found.loc[found["series"] == chosen, "task"]))


def first(found: pd.DataFrame) -> tuple[str, str]:
    """The series and the task that a page opens on: as in `bench report`, series `main`, or else the newest; and its task of most cells."""
    names = series(found)
    chosen = "main" if "main" in names else names[0]
    return chosen, largest(found, chosen)


def largest(found: pd.DataFrame, chosen: str) -> str:
    """The task of a series that has most cells."""
    counts = found.loc[found["series"] == chosen, "task"].value_counts()
    return max(tasks(found, chosen), key=counts.__getitem__)


# --- before a page asks -----------------------------------------------------------------------------------------------------------------


def begin(address: str) -> threading.Thread:
    """Read, in the thread returned, what the first page will ask for. What goes wrong, the page that asks says."""
    now, cells = state(address), Future[Any]()
    _begun[now, "catalogue"] = cells
    thread = threading.Thread(target=_begin, args=(address, now, cells), daemon=True)
    thread.start()
    return thread


def _begin(address: str, now: State, cells: Future[Any]) -> None:
    numbers = Future[Any]()
    try:
        found = catalogue(address)
        wanted = None if found.empty else first(found)
        if wanted:
            _begun[now, *wanted] = numbers  # before anybody knows the catalogue, or its reader would compute them too
        cells.set_result(found)
        if wanted:
            numbers.set_result(rows(address, *wanted))
    except Exception as error:
        (numbers if cells.done() else cells).set_exception(error)


def begun(now: State, *what: str) -> Future[Any] | None:
    """What is being read, or was: the `catalogue`, or the rows of a series and task. Each is given once."""
    return _begun.pop((now, *what), None)
