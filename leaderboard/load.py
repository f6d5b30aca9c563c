"""The pictures of live cells: joules, tokens and times against how much was asked at once, and one against the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from leaderboard import words
from leaderboard.charts import LEGEND, MARGIN
from leaderboard.frontier import COLOURS, MUTED
from results import live_text, pareto
from results.live import Row
from results.wording import listed, mode, number

CLOSED, OPEN = "calls in flight", "arrivals per second"
FIELDS = {
    "steady_j_per_token": ("energy, mJ per output token", 1e3),
    "output_tokens_per_s": ("output tokens per second", 1.0),
    "ttft_s": ("time to first token, ms", 1e3),
    "tpot_s": ("time per output token, ms", 1e3),
}
"""What is drawn against the load: title, and the factor to its unit."""
TIMED = ("ttft_s", "tpot_s")
"""Those of them that are times: medians, with the 99th percentile above."""
SAID = {"output_tokens_per_s": "tokens per second", "steady_j_per_token": "joules per token", "tpot_s_p50": "time between tokens"}
KINDS = {"measured": "circle", "estimated": "diamond-open", "in doubt": "x-open"}
"""How a steady state's energy was come by, and what a marker of it looks like."""
MARKS = {
    "measured": "filled circles are measured",
    "estimated": "diamonds are estimated, not measured",
    "in doubt": "crosses are in doubt",
}


def loads(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by what their load is counted in; closed loops first."""
    made = {CLOSED: [row for row in rows if row["concurrency"]], OPEN: [row for row in rows if rate(row) is not None]}
    return {name: own for name, own in made.items() if own}


def rate(row: Mapping[str, Any]) -> float | None:
    """Arrivals per second of an open loop (mode `live@0.5/s`); None of another."""
    text = str(row["mode"]).partition("@")[2]
    return float(text.removesuffix("/s")) if text.endswith("/s") else None


def lines(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows by the name of their line, each by load."""
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=_load):
        found.setdefault(" · ".join(live_text.names(row, rows).values()), []).append(row)
    return found


def kind(row: Row) -> str:
    """How the steady state's energy was come by. In doubt: a code says what is wrong with it, beyond that it is an estimate."""
    if set(row["steady_codes"]) - {"estimated"}:
        return "in doubt"
    return "estimated" if row["steady_source"] == "estimated" else "measured"


def sentences(rows: Sequence[Row]) -> Iterator[str]:
    """For each line what its highest load does beside its lowest."""
    unit = next(iter(loads(rows)), CLOSED)
    for name, own in lines(rows).items():
        low, high = own[0], own[-1]
        times = [f"{high[f] / low[f]:.2g}× the {what}" for f, what in SAID.items() if low.get(f) and high.get(f)]
        if len(own) > 1 and times:
            kinds = {kind(row) for row in (low, high) if row["steady_j_per_token"] is not None} - {"measured"}
            doubt = f" (joules are {' and '.join(sorted(kinds))})" if kinds else ""
            yield f"{name}: {_load(high):g} {unit} instead of {_load(low):g} give {listed(times)}{doubt}."


def against_load(rows: Sequence[Row], field: str) -> go.Figure | None:
    """A field of FIELDS against the load, a line per name; None where no row has it."""
    chart, (title, scale), timed = go.Figure(), FIELDS[field], field in TIMED
    middle = f"{field}_p50" if timed else field
    for n, (name, own) in enumerate(lines(rows).items()):
        known = [row for row in own if row[middle] is not None]
        above = [scale * (row[f"{field}_p99"] - row[middle]) for row in known] if timed else None
        _line(chart, n, name, known, [_load(row) for row in known], [scale * row[middle] for row in known], field, above=above)
    made = _finished(chart, next(iter(loads(rows)), CLOSED), title, ticks=sorted({_load(row) for row in rows}))
    if made and timed:  # the slowest of a hundred may have waited ten times as long
        made.update_yaxes(type="log", title_text=f"{title}, logarithmic", dtick="D2", tickformat=",~r")
    return made


def trade_off(rows: Sequence[Row]) -> go.Figure | None:
    """Joules of a token against the time between two: what more at once saves in energy, it takes from whoever waits. The frontier of all
    rows is a line; a steady state in doubt is drawn and is not on it."""
    chart = go.Figure()
    for n, (name, own) in enumerate(lines(rows).items()):
        known = [row for row in own if row["steady_j_per_token"] is not None and row["tpot_s_p50"] is not None]
        x, y = ([scale * row[f] for row in known] for f, scale in (("tpot_s_p50", 1e3), ("steady_j_per_token", 1e3)))
        _line(chart, n, name, known, x, y, "steady_j_per_token", text=[mode(row).removeprefix("live@") for row in known])
    on = frontier(rows)
    if len(on) > 1:
        x, y = ([1e3 * row[f] for row in on] for f in ("tpot_s_p50", "steady_j_per_token"))
        chart.add_scatter(
            x=x, y=y, mode="lines", line={"color": MUTED, "dash": "dot", "shape": "hv"}, name="frontier", hoverinfo="skip", zorder=-1
        )
    return _finished(chart, "median time per output token, ms", FIELDS["steady_j_per_token"][0])


def frontier(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other beats in both joules per token and time between tokens, the fastest first (`results.pareto.frontier`)."""
    known = [row for row in rows if kind(row) != "in doubt" and row["steady_j_per_token"] is not None]
    if not known or len({kind(row) for row in known}) > 1:  # estimated and measured joules cannot be weighed against each other
        return []
    points = pd.DataFrame([{f: row[f] for f in ("tpot_s_p50", "steady_j_per_token")} for row in known], dtype=float)
    mask = pareto.frontier(points, {"tpot_s_p50": "min", "steady_j_per_token": "min"})
    return sorted((row for row, on in zip(known, mask, strict=True) if on), key=lambda row: float(row["tpot_s_p50"]))


def notes(rows: Sequence[Row]) -> Iterator[str]:
    """What markers mean, and which steady states are not what they should be."""
    seen = {kind(row) for row in rows if row["steady_j_per_token"] is not None}
    if said := [text for name, text in MARKS.items() if name in seen and (len(seen) > 1 or name != "measured")]:
        yield "Energy: " + "; ".join(said) + "."
    if any(row["steady_j_per_token"] is not None for row in rows) and not frontier(rows):
        yield "No frontier is drawn: there are measured and estimated joules, or all are in doubt."


def _load(row: Row) -> float:
    own = rate(row)
    return float(row["concurrency"] or 0) if own is None else own


def _line(
    chart: go.Figure,
    n: int,
    name: str,
    rows: Sequence[Row],
    x: Sequence[float],
    y: Sequence[float],
    field: str,
    *,
    text: Sequence[str] = (),
    above: Sequence[float] | None = None,
) -> None:
    """A line of rows, with words beside its points or with whiskers that end so far above them."""
    if not rows:
        return
    colour, said = COLOURS[n % len(COLOURS)], words.markup(name)
    energy = field == "steady_j_per_token"
    custom = [[f"{words.markup(name)}, {mode(row)}", _told(row)] for row in rows]
    chart.add_scatter(
        x=x,
        y=y,
        mode="lines+markers" + ("+text" if text else ""),
        name=said,
        text=[words.markup(t) for t in text],
        textposition="top center",
        error_y=None if above is None else {"type": "data", "array": above, "arrayminus": [0] * len(above)},
        line={"color": colour, "width": 2},
        marker={"size": 10, "symbol": [KINDS[kind(row)] if energy else "circle" for row in rows], "color": colour},
        customdata=custom,
        hovertemplate="<b>%{customdata[0]}</b><br>%{y:,.3~g}<br>%{customdata[1]}<extra></extra>",
    )


def _told(row: Row) -> str:
    """What a hover says beside the value."""
    parts = [f"{number(row['output_tokens_per_s'])} tokens/s", f"steady for {number(row['steady_duration_s'])} s"]
    parts += [kind(row)] if row["steady_j_per_token"] is not None else []
    return words.markup(" · ".join([*parts, *row["steady_codes"]]))


def _finished(chart: go.Figure, across: str, up: str, ticks: Sequence[float] = ()) -> go.Figure | None:
    if not chart.data:
        return None
    places: dict[str, Any] = {"type": "log", "tickvals": list(ticks), "ticktext": [f"{t:g}" for t in ticks]} if ticks else {}
    chart.update_xaxes(title_text=across, automargin=True, **places)
    chart.update_yaxes(title_text=up, rangemode="tozero", automargin=True)
    return chart.update_layout(height=340, margin=MARGIN, legend=LEGEND, showlegend=True)
