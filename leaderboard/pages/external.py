"""What others measured and published: joules of a token against the time between two, apart from all numbers of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from leaderboard import data, links, words
from leaderboard.charts import LEGEND, MARGIN
from leaderboard.frontier import COLOURS, CONFIG, FADED, MUTED
from results.external import AXES
from results.wording import number

Y, X = AXES  # joules up, time across
COLUMNS = {
    "hardware": "hardware",
    "precision": "precision",
    "batch": "requests in flight",
    "energy_per_token_j": "J/token",
    "itl_p50_ms": "time between tokens, median, ms",
    "tokens_per_s": "tokens/s",
    "power_w": "W",
}
EMPTY = "No imported rows. `bench import ml-energy PATH` reads the tables of ML.ENERGY; they stay apart from cells measured here."


def page() -> None:
    """The page of external rows."""
    rows = data.external()
    if not rows:
        st.info(EMPTY)
        return
    st.markdown("Measured by others, never mixed with cells of ours. A larger batch saves joules per token and lets everybody wait longer.")
    left, right = st.columns(2)
    with left:
        task = links.choose("Task", sorted({row["task"] for row in rows}), "of")
    rows = [row for row in rows if row["task"] == task]
    counts = {name: sum(row["model"] == name for row in rows) for name in sorted({row["model"] for row in rows})}
    with right:
        model = links.choose("Model", list(counts), "model", max(counts, key=counts.__getitem__))
    rows = [row for row in rows if row["model"] == model]
    st.plotly_chart(figure(rows), key="external", config=CONFIG, alt=f"joules per token against time between tokens of {model}")
    on = sum(bool(row["frontier"]) for row in rows)
    st.caption(f"{len(rows)} rows, {on} on the frontier. Numbers beside points are requests in flight.")
    _table(rows)
    _sources(rows)


def figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """A line per hardware and precision, by batch; what another beats is pale, what contradicts itself is not drawn."""
    chart = go.Figure()
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["frontier"] is not None:
            lines.setdefault(f"{row['hardware']}, {row['precision']}", []).append(row)
    for n, (name, own) in enumerate(sorted(lines.items())):
        own = sorted(own, key=lambda row: float(row["batch"] or 0))
        colour = COLOURS[n % len(COLOURS)]
        chart.add_scatter(
            x=[row[X] for row in own],
            y=[row[Y] for row in own],
            mode="lines+markers+text",
            text=[str(row["batch"]) for row in own],
            textposition="top center",
            name=words.markup(name),
            line={"color": colour, "width": 1},
            marker={"size": 9, "opacity": [1.0 if row["frontier"] else FADED for row in own], "color": colour},
            customdata=[[words.markup(name), row["batch"], number(row["tokens_per_s"])] for row in own],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]} in flight · %{customdata[2]} tokens/s<br>"
            "%{y:.3~g} J/token · %{x:.3~g} ms between tokens<extra></extra>",
        )
    best = sorted((row for row in rows if row["frontier"]), key=lambda row: float(row[X]))
    if len(best) > 1:
        line = {"color": MUTED, "dash": "dot", "shape": "hv"}
        chart.add_scatter(x=[r[X] for r in best], y=[r[Y] for r in best], mode="lines", line=line, name="frontier", hoverinfo="skip")
    chart.update_xaxes(title_text=f"{COLUMNS[X]}, logarithmic", type="log", automargin=True, tickformat=",~r", dtick="D2")
    chart.update_yaxes(title_text=f"{COLUMNS[Y]}, logarithmic", type="log", automargin=True, tickformat=",~r", dtick="D2")
    return chart.update_layout(height=460, margin=MARGIN, legend=LEGEND, showlegend=True)


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    import pandas as pd

    mark = {True: "on the frontier", False: "beaten", None: "contradicts itself"}
    lines = [
        {head: number(row.get(name)) if isinstance(row.get(name), float) else row.get(name) for name, head in COLUMNS.items()}
        | {"": mark[row["frontier"]], "codes": ", ".join(row["codes"])}
        for row in rows
    ]
    st.dataframe(pd.DataFrame(lines), hide_index=True, key="rows")


def _sources(rows: Sequence[Mapping[str, Any]]) -> None:
    for said in sorted({f"{row['source']}: " + ", ".join(f"{k} {v}" for k, v in sorted(row["provenance"].items())) for row in rows})[:8]:
        st.caption(words.markdown(said))
