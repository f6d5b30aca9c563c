"""The other pictures: a cell's latencies and problem grid, accuracy by number of questions, by position, by kind of problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from leaderboard import words
from leaderboard.frontier import COLOURS, MUTED
from results.frames import OUTCOMES

if TYPE_CHECKING:
    import pandas as pd

OUTCOME_COLOURS = dict(
    zip((*OUTCOMES, "mixed"), ("#22a06b", "#d6336c", "#8a8f98", "#b7891b", "#e8772e", "#a855f7", "#3f3f46", "#84a92c"), strict=True)
)
OUTCOME_SYMBOLS = dict(
    zip((*OUTCOMES, "mixed"), ("square", "x", "circle", "diamond", "triangle-up", "triangle-right", "cross", "square-open"), strict=True)
)
WIDE = 40  # problems beside each other in the grid
MARGIN = {"l": 8, "r": 8, "t": 28, "b": 8}
LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "title": None}


def outcome_of(attempt: Mapping[Any, Any]) -> str:
    """An attempt's outcome: that of all its items, or `mixed`."""
    found = [name for name in OUTCOMES if attempt[name]]
    return found[0] if len(found) == 1 else "mixed" if found else "error"


def grid(attempts: pd.DataFrame) -> go.Figure:
    """Problem × trial, coloured and shaped by outcome: problems go right in blocks of WIDE, the trials of a problem stand below each other.

    customdata of a point: hover text (escaped) and attempt number.
    """
    order = {p: n for n, p in enumerate(dict.fromkeys(attempts.sort_values("ordinal")["problem_id"]))}
    trials = sorted(set(attempts["trial"]))
    places: dict[str, list[tuple[int, int, str, int]]] = {}
    for own in attempts.to_dict("records"):
        at, outcome = order[own["problem_id"]], outcome_of(own)
        line = at // WIDE * (len(trials) + 1) + trials.index(own["trial"])
        right = f" · {own['correct']} of {own['items']} right" if own["items"] > 1 else ""
        text = f"<b>{words.markup(own['problem'])}</b><br>trial {own['trial']} · {outcome}{right}<br>attempt {own['attempt']}"
        places.setdefault(outcome, []).append((at % WIDE, line, text, own["attempt"]))
    chart = go.Figure()
    for outcome in [name for name in OUTCOME_COLOURS if name in places]:
        x, y, texts, numbers = zip(*places[outcome], strict=True)
        marker = {"color": OUTCOME_COLOURS[outcome], "symbol": OUTCOME_SYMBOLS[outcome], "size": 8}
        custom = [list(pair) for pair in zip(texts, numbers, strict=True)]
        count = f"{outcome} ({len(numbers):,})"
        chart.add_scatter(
            x=x, y=y, mode="markers", name=count, marker=marker, customdata=custom, hovertemplate="%{customdata[0]}<extra></extra>"
        )
    lines = ((len(order) - 1) // WIDE + 1) * (len(trials) + 1)
    chart.update_xaxes(visible=False, range=[-1, WIDE])
    chart.update_yaxes(visible=False, range=[lines, -1])
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}
    return chart.update_layout(height=max(120, 13 * lines + 70), margin=MARGIN, legend=legend, clickmode="event+select", dragmode=False)


def latencies(attempts: pd.DataFrame) -> go.Figure | None:
    """How long attempts took; None where no time was recorded."""
    import numpy as np

    known = attempts["latency_s"].dropna().to_numpy(dtype=float)
    if not len(known):
        return None
    counts, edges = np.histogram(known, bins=min(40, max(8, len(known) // 8)))
    chart = go.Figure(
        go.Bar(x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges) * 0.95, marker_color=COLOURS[0], name="attempts")
    )
    for share, name in ((0.5, "p50"), (0.9, "p90")):
        place = float(np.quantile(known, share))
        text = {"text": f"{name} {place:.3g} s", "font": {"size": 12}, "yref": "paper", "y": 1.0 if share == 0.5 else 0.9}
        chart.add_vline(place, line={"color": MUTED, "dash": "dot", "width": 1.5}, annotation=text)
    chart.update_xaxes(title_text="latency of an attempt, s", automargin=True)
    chart.update_yaxes(title_text="attempts", automargin=True, range=[0, 1.3 * int(counts.max())])  # the marks' words stand above the bars
    return chart.update_layout(height=260, margin=MARGIN, showlegend=False)


def lines(
    series: Mapping[str, Sequence[Mapping[Any, Any]]], x: str, title: str, ticks: Sequence[Any] | None = None, up: str = "accuracy"
) -> go.Figure:
    """Accuracy, or what `up` calls it, with intervals against `x`, a line per name; `ticks`: the values of a categorical axis in order."""
    chart = go.Figure()
    for n, (name, points) in enumerate(series.items()):
        colour = COLOURS[n % len(COLOURS)]
        chart.add_scatter(
            x=[p[x] for p in points],
            y=[100 * p["accuracy"] for p in points],
            error_y=_bars(points),
            mode="lines+markers",
            name=words.markup(name),
            line={"color": colour},
            hovertemplate=f"{words.markup(name)}<br>%{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    return _finish(chart, title, ticks, up)


def bars(series: Mapping[str, Sequence[Mapping[Any, Any]]], x: str, title: str, ticks: Sequence[Any], up: str = "accuracy") -> go.Figure:
    """Accuracy, or what `up` calls it, with intervals for each value of `x`, a group of bars, a colour per name."""
    chart = go.Figure()
    for n, (name, points) in enumerate(series.items()):
        chart.add_bar(
            x=[words.markup(p[x]) for p in points],
            y=[100 * p["accuracy"] for p in points],
            error_y=_bars(points),
            name=words.markup(name),
            marker_color=COLOURS[n % len(COLOURS)],
            hovertemplate=f"{words.markup(name)}<br>%{{x}}: %{{y:.1f}} %<extra></extra>",
        )
    return _finish(chart, title, [words.markup(t) for t in ticks], up)


def _bars(points: Sequence[Mapping[Any, Any]]) -> dict[str, Any]:
    above = [100 * (p["high"] - p["accuracy"]) for p in points]
    below = [100 * (p["accuracy"] - p["low"]) for p in points]
    return {"type": "data", "array": above, "arrayminus": below, "thickness": 1, "width": 3}


def _finish(chart: go.Figure, title: str, ticks: Sequence[Any] | None, up: str) -> go.Figure:
    chart.update_xaxes(title_text=title, automargin=True)
    if ticks is not None:
        chart.update_xaxes(type="category", categoryorder="array", categoryarray=list(ticks))
    chart.update_yaxes(title_text=f"{up}, %", rangemode="tozero", automargin=True)
    return chart.update_layout(height=380, margin=MARGIN, legend=LEGEND)
