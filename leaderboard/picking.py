"""Choosing what a page is about: series, task, filters, a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from leaderboard import links, reading
from results.report import Row

if TYPE_CHECKING:
    import pandas as pd

MOST = 6
"""Lines of a picture unless more are asked for."""
FILTERS = ("model", "strategy", "engine", "hardware")


def series(found: pd.DataFrame) -> str:
    """A series of the catalogue, newest first in the list; nothing to choose where there is one."""
    names = reading.series(found)
    return names[0] if len(names) == 1 else str(links.choose("Series", names, "series", reading.first(found)[0]))


def task(found: pd.DataFrame, chosen: str) -> str:
    """A task of the series."""
    return str(links.choose("Task", reading.tasks(found, chosen), "task", reading.largest(found, chosen)))


def series_and_task(found: pd.DataFrame) -> tuple[str, str]:
    """Both, beside each other."""
    if found["series"].nunique() == 1:
        return series(found), task(found, series(found))
    left, right = st.columns(2)
    with left:
        chosen = series(found)
    with right:
        return chosen, task(found, chosen)


def filters(rows: Sequence[Row]) -> list[Row]:
    """The rows that pass the filters: by what tells them apart, and by words in their names."""
    with st.expander("Filters", expanded=any(f"only_{name}" in st.query_params for name in FILTERS) or "find" in st.query_params):
        kept = list(rows)
        for name in FILTERS:
            known = sorted({str(row[name]) for row in rows})
            if len(known) > 1:
                wanted = links.several(name.capitalize(), known, f"only_{name}", placeholder="all")
                kept = [row for row in kept if not wanted or str(row[name]) in wanted]
        find = links.write("Words in model, strategy, engine, hardware or cell", "find").lower().split()
    return [row for row in kept if all(any(word in str(row[f]).lower() for f in (*FILTERS, "cell")) for word in find)]


def lines(found: pd.DataFrame, rows: Mapping[str, Row], label: str) -> pd.DataFrame:
    """The cells whose lines are to be drawn, with `who`, a line's name: those chosen, or the most accurate, as many as a picture holds."""
    several = found["model"].nunique() > 1
    who = [f"{m} {s}" if several else s for m, s in zip(found["model"], found["strategy"], strict=True)]
    reached: dict[str, float] = {}
    for name, cell in zip(who, found["cell"], strict=True):
        reached[name] = max(reached.get(name, 0.0), rows[cell]["accuracy"] or 0.0)
    best = sorted(sorted(reached, key=lambda name: (-reached[name], name))[:MOST])
    chosen = links.several(label, sorted(reached), "lines", best) or best
    return found.assign(who=who)[[name in chosen for name in who]]


def cell(found: pd.DataFrame, key: str, label: str, index: int = 0) -> tuple[str, str] | None:
    """A cell of the catalogue and its series; `key` in the address is CELL or CELL@SERIES."""
    names = [f"{c}@{s}" for c, s in zip(found["cell"], found["series"], strict=True)]
    if not names:
        return None
    fields = ("strategy", *(f for f in ("model", "engine", "hardware", "task", "series") if found[f].nunique() > 1), "cell")
    shown = dict(zip(names, (" · ".join(str(v) for v in own) for own in zip(*(found[f] for f in fields), strict=True)), strict=True))
    picked = links.choose(label, names, key, names[min(index, len(names) - 1)], format_func=lambda name: shown[name])
    name, _, own = str(picked).partition("@")
    return name, own
