"""What fewer samples would have come to: accuracy against k, tokens, FLOPs, joules and dollars, from the pools that strategies share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from leaderboard import curves as pictures
from leaderboard import data, links, picking, words
from leaderboard.frontier import CONFIG
from results import curves, curves_text
from results.curves_text import BESIDE, Row
from results.curves_values import NAMES

AXES = {"k": "samples per problem, k"} | {f: words.AXES[f] for f in ("output_tokens", "flop", "energy_j", "cost_usd")}
FIRST = ("pass", "best_logprob", "weighted_logprob")
SEVERAL = 3  # curves of a task that are drawn at once unless more are asked for
COMMAND = "`bench curves`"


def page() -> None:
    """The page of curves."""
    st.markdown(
        "What would fewer samples have come to? Every k up to the depth of the stored pools, as the mean over all subsets of k samples. "
        "Self-consistency is always drawn beside: what cannot beat a plain vote is not worth its trouble."
    )
    found = data.catalogue()
    series, task = picking.series_and_task(found)
    rows, absent = _read(data.state(), series, task)
    if not rows:
        _empty(absent)
        return
    named = pictures.named(rows)
    chosen = links.several("Pools of", list(named), "pools", list(named)[:SEVERAL]) or list(named)[:SEVERAL]
    known = [name for name in NAMES if any(name in row["estimates"] for row in rows)]
    offered = [name for name in known if name != BESIDE]
    first = [name for name in FIRST if name in offered]
    left, right = st.columns(2)
    with left:
        beside = links.several("Beside self-consistency", offered, "estimators", first, format_func=NAMES.__getitem__)
    with right:
        across = links.choose("Across", list(AXES), "by", "k", format_func=AXES.__getitem__)
        log = links.switch("Logarithmic", "log", True)
        bands = links.switch("95 % intervals", "bands", True)
    names = [name for name in known if name in beside or name == BESIDE]
    _draw({name: named[name] for name in chosen}, names, across, log, bands)
    said = {name: curves_text.notes(named[name], names) for name in chosen}
    shared = [note for note in said[chosen[0]] if len(chosen) > 1 and all(note in own for own in said.values())]
    for name in chosen:
        _below(name, named[name], names, [note for note in said[name] if note not in shared])
    for note in shared:
        st.caption(words.markdown(note))
    if absent:
        st.caption(f"Not all pools of this task have a curve yet ({absent} have none); {COMMAND} computes it.")


@st.cache_data(show_spinner="Reading the curves …", max_entries=16)
def _read(state: data.State, series: str, task: str) -> tuple[list[Row], int]:
    """The computed curves of a task, and how many are missing."""
    from results import database, report

    engine = database.open_database(state[0], readonly=True)
    try:
        cells = report.select(engine, series=series)
        every = curves.stored(engine, cells=cells[cells["task"] == task])
    finally:
        engine.dispose()
    return curves.told(every), sum(curve.result is None for curve in every)


def _empty(absent: int) -> None:
    if absent:
        st.info(f"There are pools of samples here, but no curves yet: {COMMAND} computes them from what is stored, and generates nothing.")
    else:
        st.info("No pools of samples here: `cot` with several trials, or `self_consistency(n=16)`, draws one.")


def _draw(chosen: dict[str, Row], names: Sequence[str], across: str, log: bool, bands: bool) -> None:
    drawable = {name: row for name, row in chosen.items() if row[across] is not None}
    for name in chosen.keys() - drawable.keys():
        st.caption(words.markdown(f"Not drawn: {name} ({across} is not known: {chosen[name]['reasons'].get(across, 'no_common_basis')})"))
    if not drawable:
        return
    chart = pictures.figure(drawable, names, across, log, bands)
    said = f"accuracy against {AXES[across]}: {', '.join(NAMES[n] for n in names)} of {', '.join(drawable)}"
    st.plotly_chart(chart, key="curves", config=CONFIG, alt=said)


def _below(name: str, row: Row, names: Sequence[str], notes: Sequence[str]) -> None:
    """Its numbers, what they mean, and its cell."""
    import pandas as pd

    st.markdown(f"##### {words.markdown(curves_text.title(row))}")
    if row["stale"]:
        st.warning(f"The database holds other samples or judgements now; {COMMAND} computes this curve anew.")
    lines: list[dict[str, Any]] = curves_text.lines(row, names)
    ks = curves_text.powers(row["depth"])
    shown = [{"": line["name"]} | {f"k = {k}": line[str(k)] for k in ks} for line in lines]
    st.dataframe(pd.DataFrame(shown), hide_index=True, key=f"table_{row['cell']}")
    for note in notes:
        st.caption(words.markdown(note))
    links.link("Cell", f"Open {name} ({row['cell']})", icon=":material/open_in_new:", cell=f"{row['cell']}@{row['series']}")
