"""One cell: its settings, environment, numbers, and every attempt as a square."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from leaderboard import charts, data, links, picking, words
from leaderboard.pages import table
from results.reasons import words as explained
from results.wording import MISSING, energy_mark, number

FIGURES = ("output_tokens", "flop", "energy_j", "cost_usd", "cost_per_correct_usd", "cost_of_pass_usd", "latency_p50_s")


def page() -> None:
    """The page of one cell."""
    found = data.catalogue()
    picked = picking.cell(found, "cell", "Cell")
    if picked is None:
        return
    name, series = picked
    told = data.cell(name, series)
    st.markdown(f"### {words.markdown(told['label'])}")
    experiments = ", ".join(sorted(told["experiments"])) or "none"
    st.caption(words.markdown(f"cell {name} · series {series} · {told['identity']['mode']} · experiments: {experiments}"))
    row = told["report"]
    if row is not None:
        _numbers(row)
    own = found[(found["cell"] == name) & (found["series"] == series)].iloc[0]
    _attempts(int(own["id"]))
    _phases(told["phases"], row)
    _settings(told)


def _numbers(row: dict[str, Any]) -> None:
    writer = words.Writer([row])
    st.metric("accuracy (95 % interval)", words.interval(row))
    with st.container(horizontal=True):
        for field in FIGURES:
            text = writer.value(field, row)
            st.metric(words.AXES[field], words.markdown(text), width="content", help=_why(field, row))
    counts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in row["outcomes"].items())
    text = f"{row['problems']:,} problems, {row['attempts']:,} attempts, {row['items']:,} items: {counts}"
    st.caption(words.markdown(text + (f" · partial: {explained(row['reasons']['partial'])}" if row["partial"] else "")))
    table.notes([row])


def _why(field: str, row: dict[str, Any]) -> str | None:
    if code := row["reasons"].get(field):
        return words.markdown(explained(code))
    if row[field] is not None and math.isinf(row[field]):
        return (
            f"{words.percent(row['unsolved_share'])} of the problems were not solved in any trial: no price buys a correct answer to them."
        )
    return None


def _phases(rows: list[dict[str, Any]], reported: dict[str, Any] | None) -> None:
    """Where an attempt's tokens and joules go: reading prompts, and making tokens, by role."""
    import pandas as pd

    if not rows:
        return
    st.markdown("#### Joules per attempt by role and phase")
    mark = energy_mark(reported) if reported else ""
    shown = [
        {
            "role": r["role"],
            "phase": r["phase"],
            "tokens": number(r["tokens"]),
            "J by FLOPs": MISSING if r["flop_j"] is None else mark + number(r["flop_j"]),
        }
        for r in rows
    ]
    st.dataframe(pd.DataFrame(shown), hide_index=True, key="phases")
    first = rows[0]
    if reason := first["reasons"].get("flop_j"):
        st.caption(words.markdown(f"Not known: {explained(reason)}"))
    elif first["attempts"]["flop"] < first["of"]:
        st.caption(f"Of {first['attempts']['flop']:,} of {first['of']:,} attempts; the others used a call whose joules are not known.")


def _attempts(cell_id: int) -> None:
    attempts = data.attempts(cell_id)
    st.markdown("#### Problems and trials")
    if attempts.empty:
        st.info("Nothing was run yet.")
        return
    st.caption("Each mark is an attempt; a problem's trials stand below each other. Click one to read it.")
    event = st.plotly_chart(charts.grid(attempts), key="grid", on_select="rerun", selection_mode="points", config={"displayModeBar": False})
    chosen = [p for p in event["selection"]["points"] if p.get("customdata")]
    if chosen:
        links.go("Attempt", attempt=list(chosen[0]["customdata"])[1])
    with st.container(horizontal=True):
        for outcome, own in _examples(attempts).items():
            links.link("Attempt", f"a {outcome.replace('_', ' ')} one: {own}", attempt=own)
    st.markdown("#### Latency")
    chart = charts.latencies(attempts)
    if chart is None:
        st.info("No time was recorded.")
    else:
        st.plotly_chart(chart, key="latencies", config={"displayModeBar": False})
        codes = sorted(set(attempts["latency_code"].dropna()))
        for code in codes:
            st.caption(words.markdown(explained(code)))


def _examples(attempts: Any) -> dict[str, int]:
    """The first attempt of each outcome."""
    found: dict[str, int] = {}
    for own in attempts.to_dict("records"):
        found.setdefault(charts.outcome_of(own), int(own["attempt"]))
    return found


def _settings(told: dict[str, Any]) -> None:
    import pandas as pd

    st.markdown("#### The same again")
    st.code(told["command"] or "nothing was run yet", language=None, wrap_lines=True)
    st.markdown("#### Settings")
    st.code(words.tree(told["identity"]), language=None, wrap_lines=True)
    st.markdown("#### Energy windows")
    if told["windows"]:
        kept = ("kind", "meter", "source", "domain", "device", "energy_j", "valid", "codes")
        lines = [
            {
                "started": words.when(w["started"]),
                "seconds": w["ended"] - w["started"],
                **{k: w[k] for k in kept},
                "codes": ", ".join(w["codes"]),
            }
            for w in told["windows"]
        ]
        st.dataframe(pd.DataFrame(lines), hide_index=True, height=min(320, 38 + 35 * len(lines)))
        for code in sorted({code for w in told["windows"] for code in w["codes"]}):
            st.caption(words.markdown(f"{code}: {explained(code)}"))
    else:
        st.info("No energy was read.")
    st.markdown("#### Runs and their environment")
    for run in reversed(told["runs"]):
        with st.expander(
            words.markdown(f"run {run['id']} · {words.when(run['started'])} · {run['status']} · experiment {run['experiment']}")
        ):
            st.code(words.tree(run["environment"] or {}), language=None, wrap_lines=True)
            st.code(run["text"], language=None, wrap_lines=True)
