"""What the pages read, kept in memory until the database changes. Every number comes from `results`."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

from leaderboard import charts, reading
from leaderboard.reading import State
from results import breakdown, compare, database, frames, report, rest
from results import external as published
from results import live as timed
from results import show as stored
from results.report import Row

if TYPE_CHECKING:
    import pandas as pd

PATIENCE = 5
"""While a run keeps changing the database, numbers are read again at the earliest after this many times what reading them took."""


@dataclass
class _Seen:
    state: State
    at: float = 0.0
    took: float = 0.0


_seen: dict[str, _Seen] = {}
_lock = threading.Lock()


def url() -> str:
    """The database of this process (see `results.database.resolve`)."""
    return database.resolve()


def state() -> State:
    """Changes when the database does. Raises DatabaseError, the sentence of `bench report`, when it cannot be read."""
    address = url()
    now = reading.state(address)
    with _lock:
        seen = _seen.setdefault(address, _Seen(now))
        if now != seen.state and time.monotonic() - seen.at >= PATIENCE * seen.took:
            seen.state = now
        return (address, *seen.state)


# --- cells ------------------------------------------------------------------------------------------------------------------------------


def catalogue() -> pd.DataFrame:
    """All cells, oldest first: id, cell, series, task (label within its series), kind (the task's own name), spec, and labels."""
    return _catalogue(state())


@st.cache_data(show_spinner="Reading the list of cells …", max_entries=4)
def _catalogue(state: State) -> pd.DataFrame:
    begun = reading.begun(state[1:], "catalogue")
    return begun.result() if begun else reading.catalogue(state[0])


def rows(series: str, task: str, axes: tuple[str, ...] = report.AXES) -> list[Row]:
    """The rows of `bench report --series SERIES --axes AXES` that are of this task."""
    return report.reranked(_rows(state(), series, task), axes)


@st.cache_data(show_spinner="Computing numbers from the attempts …", max_entries=64)
def _rows(state: State, series: str, task: str) -> list[Row]:
    begin = time.monotonic()
    begun = reading.begun(state[1:], series, task)
    found = begun.result() if begun else reading.rows(state[0], series, task)
    with _lock:
        seen = _seen.setdefault(state[0], _Seen(state[1:]))
        seen.at, seen.took = time.monotonic(), time.monotonic() - begin
    return found


def row(cell: str, series: str) -> Row | None:
    """A cell's row of the report, compared with the others of its task and series."""
    found = catalogue()
    own = found[(found["cell"] == cell) & (found["series"] == series)]
    if own.empty:
        return None
    return next((r for r in rows(series, own["task"].iloc[0]) if r["cell"] == cell), None)


# --- one cell, one attempt --------------------------------------------------------------------------------------------------------------


def cell(name: str, series: str | None) -> dict[str, Any]:
    """Everything about a cell (`results.show.cell`), its joules by phase by FLOPs."""
    return _cell(state(), name, series)


@st.cache_data(show_spinner="Reading the cell …", max_entries=16)
def _cell(state: State, name: str, series: str | None) -> dict[str, Any]:
    return stored.cell(state[0], name, series, row(name, series) if series else None, ("flop",))


@st.cache_data(show_spinner="Reading its attempts …", max_entries=16)
def _attempts(state: State, cell_id: int) -> pd.DataFrame:
    return frames.attempts(state[0], cell_ids=[cell_id])


def attempts(cell_id: int) -> pd.DataFrame:
    """The attempts of a cell (`results.frames.attempts`)."""
    return _attempts(state(), cell_id)


@st.cache_data(show_spinner="Reading the attempt …", max_entries=64)
def _attempt(state: State, number: int) -> dict[str, Any]:
    return stored.attempt(state[0], number)


def attempt(number: int) -> dict[str, Any]:
    """Everything about an attempt (`results.show.attempt`)."""
    return _attempt(state(), number)


# --- breakdowns -------------------------------------------------------------------------------------------------------------------------


@st.cache_data(show_spinner="Computing accuracy by position …", max_entries=16)
def _positions(state: State, cell_ids: tuple[int, ...]) -> pd.DataFrame:
    return breakdown.by_position(state[0], cell_ids)


def positions(cell_ids: tuple[int, ...]) -> pd.DataFrame:
    """Accuracy by position of the question (`results.breakdown.by_position`)."""
    return _positions(state(), cell_ids)


@st.cache_data(show_spinner="Computing averages …", max_entries=16)
def _averages(state: State, cell_ids: tuple[int, ...], among: tuple[int, ...]) -> list[Row]:
    engine = reading.opened(state[0])
    try:
        every = frames.cells(engine, cell_ids=among)
        return rest.rows(engine, cells=every[every["id"].isin(cell_ids)], among=every)
    finally:
        engine.dispose()


def averages(cell_ids: tuple[int, ...], among: tuple[int, ...]) -> list[Row]:
    """REST's averages over these cells (`results.rest.rows`)."""
    return _averages(state(), cell_ids, among)


@st.cache_data(show_spinner="Computing accuracy by kind of problem …", max_entries=16)
def _by_meta(state: State, cell_ids: tuple[int, ...], key: str, scores: tuple[str, ...]) -> pd.DataFrame:
    return breakdown.by_meta(state[0], cell_ids, key, scores)


def by_meta(cell_ids: tuple[int, ...], key: str, scores: tuple[str, ...]) -> pd.DataFrame:
    """Accuracy and scores by procedure, steps or length (`results.breakdown.by_meta`)."""
    return _by_meta(state(), cell_ids, key, scores)


@st.cache_data(show_spinner="Computing times and steady states …", max_entries=16)
def _live(state: State, cell_ids: tuple[int, ...]) -> list[Row]:
    return timed.rows(state[0], cells=frames.cells(state[0], cell_ids=cell_ids))


def live(cell_ids: tuple[int, ...]) -> list[Row]:
    """Times and steady energy of live cells (`results.live.rows`)."""
    return _live(state(), cell_ids)


@st.cache_data(show_spinner="Reading what was imported …", max_entries=2)
def _external(state: State) -> list[dict[str, Any]]:
    return published.rows(state[0])


def external() -> list[dict[str, Any]]:
    """The rows that others measured (`results.external.rows`)."""
    return _external(state())


# --- two cells --------------------------------------------------------------------------------------------------------------------------

Place = tuple[str, str]  # a cell's name and its series


def pair(base: Place, head: Place) -> tuple[dict[str, Any] | None, str, pd.DataFrame]:
    """The comparison of two cells (`results.compare.two`): its row or None, why not, and the attempts that were paired: problem, trial,
    base and head (outcomes), base attempt and head attempt (numbers)."""
    found = catalogue()
    ids = [int(found.loc[(found["cell"] == name) & (found["series"] == series), "id"].iloc[0]) for name, series in (base, head)]
    return _pair(state(), ids[0], ids[1])


@st.cache_data(show_spinner="Comparing the two cells …", max_entries=16)
def _pair(state: State, base: int, head: int) -> tuple[dict[str, Any] | None, str, pd.DataFrame]:
    engine = reading.opened(state[0])
    try:
        made, reason, both = compare.two(engine, base, head)
    finally:
        engine.dispose()
    table = both[["problem", "trial"]].copy()
    for side in ("base", "head"):
        counts = both[[f"{name}_{side}" for name in frames.OUTCOMES]].set_axis(list(frames.OUTCOMES), axis=1)
        table[side] = [charts.outcome_of(own) for own in counts.to_dict("records")]
        table[f"{side} attempt"] = both[f"attempt_{side}"]
    return None if made is None else made.row, reason, table
