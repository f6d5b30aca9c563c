"""Live cells: what a deployment gives and takes while so many calls are in flight, or so many arrive in a second."""

from __future__ import annotations

import streamlit as st

from leaderboard import data, links, load, picking, words
from leaderboard.frontier import CONFIG
from results import live_text
from results.live import Row


def page() -> None:
    """The page of live cells."""
    st.markdown(
        "Cells that had their devices to themselves, at a stated load. More calls at once share their passes over the weights: a token "
        "costs less energy, and takes longer."
    )
    found = data.catalogue()
    found = found[[str(mode).startswith("live") for mode in found["mode"]]]
    if found.empty:
        st.info("No live cells yet. `bench run live-cpu` runs some here; in any experiment, `mode: live` and `concurrency: [1, 8, 32]`.")
        return
    series, task = picking.series_and_task(found)
    own = found[(found["series"] == series) & (found["task"] == task)]
    rows = data.live(tuple(sorted(int(n) for n in own["id"])))
    kinds = load.loads(rows)
    if not kinds:
        st.info("Nothing was run yet.")
        return
    chosen = next(iter(kinds)) if len(kinds) == 1 else links.choose("Load", list(kinds), "load")
    for n, said in enumerate(load.sentences(kinds[chosen])):
        (st.caption if n else st.markdown)(("" if n else "##### ") + words.markdown(said))
    _draw(kinds[chosen])
    _tables(kinds[chosen])


def _draw(rows: list[Row]) -> None:
    missing = []
    left, right = st.columns(2)
    for n, field in enumerate(load.FIELDS):
        chart = load.against_load(rows, field)
        if chart is None:
            missing.append(load.FIELDS[field][0])
            continue
        with (left, right)[n % 2]:
            st.plotly_chart(chart, key=field, config=CONFIG, alt=f"{load.FIELDS[field][0]} against load")
    if chart := load.trade_off(rows):
        st.markdown("#### Energy against waiting")
        st.plotly_chart(chart, key="trade_off", config=CONFIG, alt="joules per token against time per output token")
    for note in load.notes(rows):
        st.caption(words.markdown(note))
    for title in missing:
        st.caption(words.markdown(f"Not drawn: {title}; the reason is below."))


def _tables(rows: list[Row]) -> None:
    import pandas as pd

    for title, lines in (("Times, p50 / p99", live_text.lines(rows)), ("The steady state", live_text.energy_lines(rows))):
        st.markdown(f"#### {title}")
        event = st.dataframe(pd.DataFrame(lines), hide_index=True, key=title, on_select="rerun", selection_mode=links.CLICKS)
        at = links.clicked(event)
        if at is not None:
            links.go("Cell", cell=f"{rows[at]['cell']}@{rows[at]['series']}")
    for note in live_text.notes(rows):
        st.caption(words.markdown(note))
