"""Several questions in one prompt: REST's averages, accuracy by their number, and by the position of a question."""

from __future__ import annotations

from typing import Any

import streamlit as st

from leaderboard import charts, data, links, picking, words
from perpass.identity import content_hash
from results import rest_text

KIND = "rest"


def page() -> None:
    """The page of stress."""
    found = data.catalogue()
    found = found[found["kind"] == KIND]
    st.markdown("Several questions are asked in one prompt, each graded by itself. How much accuracy does company cost a question?")
    if found.empty:
        st.info("No results of the task `rest` yet. An experiment asks for it as `{kind: rest, base: arithmetic, s: 3}`.")
        return
    series = picking.series(found)
    found = found[found["series"] == series]
    asked = [content_hash({name: value for name, value in spec.items() if name != "s"}) for spec in found["spec"]]
    found = found.assign(base=asked, s=[spec["s"] for spec in found["spec"]])
    bases = {b: _base(spec) for b, spec in zip(found["base"], found["spec"], strict=True)}
    base = links.choose("Base task", list(bases), "base", format_func=lambda b: bases[b])
    found = found[found["base"] == base]
    rows = {row["cell"]: row for task in sorted(set(found["task"])) for row in data.rows(series, task)}
    every = _ids(found)
    found = picking.lines(found, rows, "Lines")
    _averages(data.averages(_ids(found), every))
    _by_number(found, rows)
    _by_position(found)


def _ids(found: Any) -> tuple[int, ...]:
    return tuple(sorted(int(n) for n in found["id"]))


def _base(spec: dict[str, Any]) -> str:
    base = spec["base"]
    name = str(base.get("kind", "?")) if isinstance(base, dict) else str(base)
    return f"{name}, {spec['prompt']} prompt" if spec.get("prompt", "open") != "open" else name


def _averages(rows: list[Any]) -> None:
    import pandas as pd

    st.markdown("#### One question and several")
    st.dataframe(pd.DataFrame(rest_text.lines(rows)).drop(columns="task"), hide_index=True, key="averages")
    for note in rest_text.notes(rows):
        st.caption(words.markdown(note))


def _by_number(found: Any, rows: dict[str, Any]) -> None:
    series: dict[str, list[dict[str, Any]]] = {}
    for own in found.sort_values("s").to_dict("records"):
        row = rows[own["cell"]]
        if row["accuracy"] is not None:
            point = {"s": own["s"], "accuracy": row["accuracy"], "low": row["accuracy_low"], "high": row["accuracy_high"]}
            series.setdefault(own["who"], []).append(point)
    st.markdown("#### Accuracy by number of questions in the prompt")
    st.plotly_chart(
        charts.lines(series, "s", "questions in one prompt", sorted({p["s"] for own in series.values() for p in own})), key="by_number"
    )
    worst = min((p["accuracy"], who, p["s"]) for who, own in series.items() for p in own) if series else None
    if worst is not None:
        st.caption(words.markdown(f"95 % intervals. Lowest: {worst[1]}, {100 * worst[0]:.1f} % with {worst[2]} questions."))


def _by_position(found: Any) -> None:
    st.markdown("#### Accuracy by position of the question")
    numbers = sorted(set(found["s"]))
    wanted = links.choose("Questions in the prompt", numbers, "s", numbers[-1])
    own = found[found["s"] == wanted]
    table = data.positions(tuple(sorted(int(n) for n in own["id"])))
    who = dict(zip(own["id"], own["who"], strict=True))
    series = {who[cell]: part.dropna(subset="accuracy").to_dict("records") for cell, part in table.groupby("cell_id")}
    st.plotly_chart(charts.lines(series, "position", f"position among {wanted} questions", list(range(1, wanted + 1))), key="by_position")
    st.caption("Every problem of the base task is once the last in a prompt; those that follow it in the task stand before it.")
