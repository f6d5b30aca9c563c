"""All cells of a task as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from leaderboard import data, links, picking, words
from results import axes as units
from results import table as tables
from results.reasons import words as explained
from results.report import Row

NAMES = ("model", "strategy", "engine", "hardware")
NUMBERS = (
    *("output_tokens", "flop", "energy_j", "cost_usd", "cost_per_correct_usd", "cost_of_pass_usd", "unsolved_share"),
    *("latency_p50_s", "latency_p90_s", "serial_tokens"),
)

Scales = dict[str, tuple[float, str]]  # by field: the factor of its unit, and the head of its column


def page() -> None:
    """The page of cells."""
    import pandas as pd

    found = data.catalogue()
    series, task = picking.series_and_task(found)
    rows = data.rows(series, task)
    kept = picking.filters(rows)
    scales = {name: units.unit(name, rows) for name in NUMBERS if not units.is_share(name)}
    alike = [name for name in NAMES if name != "strategy" and len({row[name] for row in rows}) == 1]
    frame = pd.DataFrame([_line(row, scales) for row in kept]).drop(columns=alike, errors="ignore")
    st.caption(
        f"{len(kept)} of {len(rows)} cells. Click a row to open its cell, a head to sort; * is on the frontier of accuracy and FLOPs."
    )
    if alike:
        st.caption(words.markdown("Of all: " + ", ".join(f"{name} {rows[0][name]}" for name in alike)))
    if len(frame):
        event = st.dataframe(
            frame, hide_index=True, key="cells", on_select="rerun", selection_mode=links.CLICKS, column_config=_columns(scales)
        )
        chosen = links.clicked(event)
        if chosen is not None:
            links.go("Cell", cell=f"{kept[chosen]['cell']}@{series}")
    st.download_button("Download CSV", tables.render(kept, "csv") + "\n", f"{task}-{series}.csv", "text/csv", on_click="ignore")
    notes(kept)


def notes(rows: Sequence[Row]) -> None:
    """What the codes of these rows mean."""
    codes = {code for row in rows for code in (*row["codes"], row["reasons"].get("energy_valid"), row["reasons"].get("partial")) if code}
    for code in sorted(codes):
        st.caption(words.markdown(f"{code}: {explained(code)}"))


def _line(row: Row, scales: Scales) -> dict[str, Any]:
    """A row of the table, its numbers in the units that the heads name."""
    mark = "*" if row["frontier"] else "p" if row["partial"] else ""
    names = {name: str(row[name]) for name in NAMES}
    share = {f: None if row[f] is None else 100 * row[f] for f in ("accuracy", "accuracy_low", "accuracy_high", "unsolved_share")}
    numbers = {f: share[f] if f in share else None if row[f] is None else row[f] * scales[f][0] for f in NUMBERS}
    shares = {"accuracy": share["accuracy"], "low": share["accuracy_low"], "high": share["accuracy_high"]}
    counts = {name: row[name] for name in ("problems", "attempts", "mode", "energy_source", "cost_basis", "cell")}
    return {"": mark, **names, **shares, **numbers, **counts}


def _columns(scales: Scales) -> dict[str, Any]:
    column = st.column_config
    percent = {name: column.NumberColumn(name, format="%.1f %%") for name in ("accuracy", "low", "high")}
    numbers = {name: column.NumberColumn(title, format="%.3g") for name, (_, title) in scales.items()}
    never = column.NumberColumn("never solved", format="%.1f %%")
    return {"": column.TextColumn("", width=20), **percent, **numbers, "unsolved_share": never}
