"""Two cells on the attempts that both have, problem by problem."""

from __future__ import annotations

from typing import Any

import streamlit as st

from leaderboard import data, links, picking, words
from results.axes import MONEY_WORDS
from results.reasons import words as explained
from results.wording import MISSING, money_scale, number, percent, si_scale

AMOUNTS = {"output_tokens": ("tokens", ""), "flop": ("compute", "FLOP"), "energy_j": ("energy", "J"), "latency_s": ("latency", "s")}
"""The name and unit of what is compared, beside the cost."""


def page() -> None:
    """The page that compares two cells."""
    found = data.catalogue()
    series, task = picking.series_and_task(found)
    alike = found[found["task"] == task]
    alike = alike[alike["kind"].isin(alike.loc[alike["series"] == series, "kind"])]
    left, right = st.columns(2)
    with left:
        base = picking.cell(alike, "base", "Base")
    with right:
        head = picking.cell(alike, "head", "Head", index=1)
    if base is None or head is None or base == head:
        st.info("Choose two different cells of this task.")
        return
    made, reason, problems = data.pair(base, head)
    if made is None:
        st.info(words.markdown(f"They cannot be compared: {explained(reason)}."))
        return
    _said(made)
    _amounts(made)
    _problems(problems)


def _said(row: dict[str, Any]) -> None:
    low, high = row["difference_low"], row["difference_high"]
    sure = "better" if low > 0 else "worse" if high < 0 else "not distinguishable"
    points = f"{100 * row['difference']:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f})"
    st.markdown(f"#### {words.markdown(f'Head is {sure}: {points}')}")
    counts = f"on {row['problems']:,} problems and {row['attempts']:,} attempts that both have"
    st.caption(
        words.markdown(f"{percent(row['base_accuracy'])} → {percent(row['head_accuracy'])} {counts}; 95 % interval, resampled by problem.")
    )


def _amounts(row: dict[str, Any]) -> None:
    import pandas as pd

    lines = []
    for field in (*AMOUNTS, "cost_usd"):
        values = [row[f"{field}_{side}"] for side in ("base", "head")]
        if field == "cost_usd":
            scale, unit = money_scale([{field: value} for value in values])
            name = f"cost, {MONEY_WORDS[unit]}"
        else:
            scale, prefix = si_scale(values) if AMOUNTS[field][1] else (1.0, "")
            name = ", ".join(filter(None, [AMOUNTS[field][0], prefix + AMOUNTS[field][1]]))
        ratio, code = row[f"{field}_ratio"], row["reasons"].get(f"{field}_ratio", row["reasons"].get(field))
        text = f"{ratio:.3g}× ({row[f'{field}_ratio_low']:.3g}–{row[f'{field}_ratio_high']:.3g})" if ratio is not None else MISSING
        own = {"mean per attempt": name, "base": number(values[0], scale), "head": number(values[1], scale), "head / base": text}
        lines.append(own | {"note": explained(code) if code else ""})
    st.dataframe(pd.DataFrame(lines), hide_index=True)


def _problems(problems: Any) -> None:
    st.markdown("#### Problem by problem")
    only = links.switch("Only where they differ", "differ", True)
    shown = problems[problems["base"] != problems["head"]] if only else problems
    st.caption(f"{len(shown):,} of {len(problems):,} pairs of attempts. Click a row to read the attempt of the head.")
    event = st.dataframe(shown, hide_index=True, key="pairs", on_select="rerun", selection_mode=links.CLICKS)
    chosen = links.clicked(event)
    if chosen is not None:
        links.go("Attempt", attempt=int(shown["head attempt"].iloc[chosen]))
