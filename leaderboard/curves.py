"""The picture of curves, for the app and for the static board: accuracy against samples and what they take, as lines with bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from leaderboard import words
from leaderboard.frontier import COLOURS
from results import axes, curves_text
from results.curves_text import BESIDE, Row
from results.curves_values import NAMES

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
CROWD = 5  # lines


def named(rows: Sequence[Row]) -> dict[str, Row]:
    """The curves of a task by what tells them apart."""
    several = len({row["model"] for row in rows}) > 1
    return {_name(row, rows, several): row for row in rows}


def _name(row: Row, rows: Sequence[Row], several: bool) -> str:
    """What tells the pools apart."""
    parts = [str(row[f]) for f in ("model", "strategy") if f == "strategy" or several]
    alike = [one for one in rows if all(one[f] == row[f] for f in ("model", "strategy"))]
    parts += [str(row[f]) for f in ("engine", "hardware") if len({one[f] for one in alike}) > 1]
    return " ".join(parts if len(alike) == 1 or len(parts) > 1 + several else [*parts, row["cell"]])


def figure(chosen: Mapping[str, Row], names: Sequence[str], across: str, log: bool, bands: bool) -> go.Figure:
    """A line per curve and estimator: colours tell estimators apart, dashes pools. `bands`: with their intervals, those of self-consistency
    alone where there are more than CROWD lines."""
    points = [
        {across: x, "cost_usd": x if across == "cost_usd" else None, "energy_source": row["energy_source"]}
        for row in chosen.values()
        for x in row[across]
    ]
    scale, title = axes.unit(across, points)
    chart = go.Figure()
    for n, (pool, row) in enumerate(chosen.items()):
        x = [value * scale for value in row[across]]
        for name in (name for name in names if name in row["estimates"]):
            own, colour = row["estimates"][name], COLOURS[list(NAMES).index(name) % len(COLOURS)]
            label = NAMES[name] if len(chosen) == 1 else f"{pool}: {NAMES[name]}"
            if bands and (name == BESIDE or len(chosen) * len(names) <= CROWD):
                chart.add_scatter(
                    x=[*x, *reversed(x)],
                    y=[100 * v for v in (*own["high"], *reversed(own["low"]))],
                    fill="toself",
                    fillcolor=_faint(colour),
                    line={"width": 0},
                    hoverinfo="skip",
                    showlegend=False,
                    legendgroup=label,
                )
            chart.add_scatter(
                x=x,
                y=[100 * v for v in own["value"]],
                mode="lines+markers" if len(x) <= 32 else "lines",
                name=words.markup(label),
                legendgroup=label,
                line={"color": colour, "dash": DASHES[n % len(DASHES)], "width": 3.5 if name == BESIDE else 2},
                marker={"size": 5},
                customdata=[[k, 100 * low, 100 * high] for k, low, high in zip(row["k"], own["low"], own["high"], strict=True)],
                hovertemplate=f"{words.markup(label)}<br>k = %{{customdata[0]}}: %{{y:.1f}} % "
                "(%{customdata[1]:.1f}–%{customdata[2]:.1f})<br>%{x:,.3~g}<extra></extra>",
            )
    ticks: dict[str, Any] = (
        {"tickvals": sorted({k for row in chosen.values() for k in curves_text.powers(row["depth"])})} if across == "k" else {}
    )
    ticks |= {"dtick": "D2", "tickformat": ",~r"} if log and not ticks else {}
    chart.update_xaxes(title_text=words.markup(title), type="log" if log else "linear", automargin=True, **ticks)
    chart.update_yaxes(title_text="accuracy, %", automargin=True)
    legend = {"orientation": "h", "yanchor": "top", "y": -0.2, "x": 0, "title": None}
    return chart.update_layout(height=460, margin={"l": 8, "r": 8, "t": 12, "b": 8}, legend=legend, hovermode="closest")


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[n : n + 2], 16) for n in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
