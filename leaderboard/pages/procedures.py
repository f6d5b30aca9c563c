"""ProcBench: how well procedures are followed, by procedure and by their number of steps."""

from __future__ import annotations

from typing import Any

import streamlit as st

from leaderboard import charts, data, links, picking, words
from results.wording import listed

KIND = "procbench"
LENGTHS = ("short", "medium", "long")
SCORES = ("PA", "SM", "FM")
MEASURES = {
    "accuracy": "accuracy: the answer is right",
    "PA": "PA: share of the states that are right before the first wrong one",
    "SM": "SM: all states are right",
    "FM": "FM: the final state is right",
}
KEYS = {"procedure": "procedure", "steps": "number of steps", "length": "length class"}


def page() -> None:
    """The page of procedures."""
    found = data.catalogue()
    found = found[found["kind"] == KIND]
    st.markdown("A procedure is given in words; the model has to carry it out step by step and write every state down.")
    if found.empty:
        st.info("No results of the task `procbench` yet. An experiment asks for it as `{kind: procbench, source: generated}`.")
        return
    series, task = picking.series_and_task(found)
    own = found[(found["series"] == series) & (found["task"] == task)]
    rows = {row["cell"]: row for row in data.rows(series, task)}
    own = picking.lines(own, rows, "Cells")
    left, right = st.columns(2)
    with left:
        measure = links.choose("Measure", list(MEASURES), "measure", format_func=MEASURES.__getitem__)
    with right:
        key = links.choose("By", list(KEYS), "by", format_func=KEYS.__getitem__)
    _draw(own, measure, key)


def _draw(own: Any, measure: str, key: str) -> None:
    table = data.by_meta(tuple(sorted(int(n) for n in own["id"])), key, SCORES)
    table = table[(table["measure"] == measure) & table["accuracy"].notna()]
    if table.empty:
        st.info(f"No attempt of these cells has the measure {measure}: a strategy that votes writes no states of its own.")
        return
    who = dict(zip(own["id"], own["who"], strict=True))
    series = {who[cell]: part.to_dict("records") for cell, part in table.groupby("cell_id")}
    order = {name: n for n, name in enumerate(LENGTHS)}
    ticks = sorted(set(table[key]), key=lambda v: (order.get(v, 0), int(v) if str(v).isdigit() else 0, str(v)))
    draw = charts.lines if key == "steps" else charts.bars
    if key == "steps":
        series = {name: sorted(points, key=lambda p: int(p[key])) for name, points in series.items()}
    st.plotly_chart(draw(series, key, KEYS[key], ticks, measure), key="by_meta")
    absent = sorted(name for cell, name in who.items() if cell not in set(table["cell_id"]))
    without = f" Not drawn: {listed(absent)}; a strategy that votes writes no states of its own." if absent else ""
    st.caption(words.markdown(f"95 % intervals, resampled by problem.{without}"))
    with st.expander("The numbers"):
        st.dataframe(
            table.assign(cell=[who[c] for c in table["cell_id"]])[["cell", key, "items", "accuracy", "low", "high"]], hide_index=True
        )
