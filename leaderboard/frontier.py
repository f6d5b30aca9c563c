"""The picture of a frontier, for the app and for the static board. What is on it is what the report's rows say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from leaderboard import words
from results import axes as units
from results.report import Row, apart
from results.wording import INFINITE

COLOURS = ("#3b82f6", "#e8772e", "#22a06b", "#a855f7", "#d6336c", "#0d9aa8", "#b7891b", "#7c6f64", "#6366f1", "#84a92c")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star")
PLAIN = "circle"
CROWD = 12  # with more cells than this, only the frontier has intervals
FADED = 0.4
CONFIG = {"displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d"], "responsive": True}
MUTED = "#8a8f98"  # readable on white and on black


@dataclass(frozen=True)
class Wanted:
    """What to draw: two report fields, their scales, what colours tell apart, and whether intervals are drawn."""

    x: str = "flop"
    y: str = "accuracy"
    log_x: bool = True
    log_y: bool = False
    colour: str = "strategy"
    intervals: bool = True


def drawable(rows: Sequence[Row], wanted: Wanted) -> list[Row]:
    """The complete rows that have a value on both axes."""
    return [row for row in rows if not row["partial"] and row[wanted.x] is not None and row[wanted.y] is not None]


def left_out(rows: Sequence[Row], wanted: Wanted) -> dict[str, list[Row]]:
    """The other rows, by the code that says why."""
    drawn = {id(row) for row in drawable(rows, wanted)}
    found: dict[str, list[Row]] = {}
    for row in rows:
        if id(row) not in drawn:
            missing = next((f for f in (wanted.x, wanted.y) if row[f] is None), "")
            code = row["reasons"]["partial"] if row["partial"] else f"{missing}: {row['reasons'].get(missing, 'unknown')}"
            found.setdefault(code, []).append(row)
    return found


def kind(row: Row, wanted: Wanted) -> str:
    """What a marker's shape says: how energy was come by, and how the cell was timed, where an axis shows that."""
    parts = [words.energy_kind(row)] if any(words.of_energy(f, row) for f in (wanted.x, wanted.y)) else []
    parts += [f"timed {'alone' if row['mode'] == 'live' else 'under shared load'}"] if apart((wanted.x, wanted.y)) else []
    return ", ".join(parts)


def on_it(rows: Sequence[Row], wanted: Wanted) -> list[Row]:
    """The cells on the frontier, the least of what goes across first: the order of their numbers."""
    return sorted((row for row in rows if row["frontier"]), key=lambda row: (row[wanted.x], row[wanted.y], row["cell"]))


def figure(rows: Sequence[Row], wanted: Wanted, height: int = 460, numbered: bool = False) -> go.Figure:
    """Points coloured by `wanted.colour`, the frontier joined by a line, dominated points faded, infinite values at the edge. `numbered`:
    the cells of the frontier have their numbers (`on_it`).

    customdata of a point: its hover text (escaped), cell and series.
    """
    drawn = drawable(rows, wanted)
    across, up = (_Scale(field, drawn, log) for field, log in ((wanted.x, wanted.log_x), (wanted.y, wanted.log_y)))
    chart = go.Figure()
    for part in _frontiers(drawn, wanted):
        ordered = sorted(part, key=lambda row: (row[wanted.x], row[wanted.y]))
        chart.add_scatter(
            x=[across.at(r) for r in ordered],
            y=[up.at(r) for r in ordered],
            mode="lines",
            name="frontier",
            line={"color": MUTED, "width": 1.5, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
    numbers = {id(row): str(n) for n, row in enumerate(on_it(drawn, wanted) if numbered else (), start=1)}
    _points(chart, drawn, words.Writer(rows), wanted, across, up, numbers)
    _shapes(chart, drawn, wanted)
    chart.update_xaxes(**across.layout())
    chart.update_yaxes(**up.layout())
    for edge, place in (("x", across.edge), ("y", up.edge)):
        if place is not None:
            _mark_edge(chart, edge, place, wanted.log_x if edge == "x" else wanted.log_y)
    legend = {"orientation": "h", "yanchor": "top", "y": -0.22, "x": 0, "title": None, "itemsizing": "constant"}
    return chart.update_layout(height=height, margin={"l": 8, "r": 8, "t": 12, "b": 8}, legend=legend, hovermode="closest", dragmode="zoom")


def _frontiers(drawn: Sequence[Row], wanted: Wanted) -> list[list[Row]]:
    """The cells on the frontier; by mode where each mode has a frontier of its own."""
    modes = sorted({row["mode"] for row in drawn}) if apart((wanted.x, wanted.y)) else [None]
    return [[row for row in drawn if row["frontier"] and mode in (None, row["mode"])] for mode in modes]


def _points(
    chart: go.Figure, drawn: Sequence[Row], writer: words.Writer, wanted: Wanted, across: _Scale, up: _Scale, numbers: dict[int, str]
) -> None:
    groups = list(dict.fromkeys(str(row[wanted.colour]) for row in drawn))
    kinds = sorted({kind(row, wanted) for row in drawn})
    for n, group in enumerate(groups):  # entries of the legend, which a pale point would make pale
        marker = {"color": COLOURS[n % len(COLOURS)], "size": 12}
        chart.add_scatter(
            x=[None], y=[None], mode="markers", name=words.markup(group), legendgroup=group, legendrank=n, marker=marker, hoverinfo="skip"
        )
    for on in (False, True):
        for row_kind in kinds:
            for n, group in enumerate(groups):
                own = [r for r in drawn if r["frontier"] == on and kind(r, wanted) == row_kind and str(r[wanted.colour]) == group]
                if not own:
                    continue
                chart.add_scatter(
                    x=[across.at(r) for r in own],
                    y=[up.at(r) for r in own],
                    mode="markers+text" if on and numbers else "markers",
                    text=[numbers[id(r)] for r in own] if on and numbers else None,
                    textposition="top left",
                    name=words.markup(group),
                    legendgroup=group,
                    showlegend=False,
                    marker={
                        "color": COLOURS[n % len(COLOURS)],
                        "size": 12 if on else 9,
                        "symbol": SYMBOLS[kinds.index(row_kind) % len(SYMBOLS)],
                    },
                    opacity=1 if on else FADED,
                    cliponaxis=False,
                    customdata=[[hover(r, writer, wanted), r["cell"], r["series"]] for r in own],
                    hovertemplate="%{customdata[0]}<extra></extra>",
                    **_intervals(own, wanted, on or len(drawn) <= CROWD),
                )


def _intervals(own: Sequence[Row], wanted: Wanted, here: bool) -> dict[str, Any]:
    """Error bars on the axis of accuracy."""
    side = "y" if wanted.y == "accuracy" else "x" if wanted.x == "accuracy" else ""
    if not (side and here and wanted.intervals):
        return {}
    above = [100 * (r["accuracy_high"] - r["accuracy"]) for r in own]
    below = [100 * (r["accuracy"] - r["accuracy_low"]) for r in own]
    return {f"error_{side}": {"type": "data", "array": above, "arrayminus": below, "thickness": 1, "width": 3}}


def _shapes(chart: go.Figure, drawn: Sequence[Row], wanted: Wanted) -> None:
    """Legend entries for the markers' shapes."""
    kinds = sorted({kind(row, wanted) for row in drawn})
    for n, name in enumerate(kinds):
        if name:
            marker = {"color": MUTED, "size": 10, "symbol": SYMBOLS[n % len(SYMBOLS)]}
            chart.add_scatter(x=[None], y=[None], mode="markers", name=words.markup(name), marker=marker, hoverinfo="skip")


def hover(row: Row, writer: words.Writer, wanted: Wanted) -> str:
    """The essentials of a cell, escaped, as lines."""
    shown = dict.fromkeys(["accuracy", wanted.x, wanted.y, "cost_usd", "energy_j", "output_tokens"])
    lines = [f"<b>{words.markup(writer.name(row))}</b>", words.markup(row["model"])]
    for field in shown:
        text = words.interval(row) if field == "accuracy" else writer.value(field, row)
        lines.append(f"{words.markup(words.AXES.get(field, field))}: {words.markup(text)}")
    lines.append(f"{row['problems']:,} problems, {row['attempts']:,} attempts · {words.markup(kind(row, wanted) or row['mode'])}")
    return "<br>".join([*lines, "on the frontier" if row["frontier"] else "dominated"])


class _Scale:
    """Where values stand on an axis, in the unit of the table. On a logarithmic axis zero stands left of all values; infinity stands right
    of them on any."""

    def __init__(self, field: str, rows: Sequence[Row], log: bool):
        self.field, self.log = field, log
        self.share = units.is_share(field)
        self.factor, self.title = (100.0, f"{words.AXES.get(field, field)}, %") if self.share else units.unit(field, rows)
        finite = [row[field] * self.factor for row in rows if math.isfinite(row[field]) and (row[field] > 0 or not log)]
        low, high = (min(finite), max(finite)) if finite else (1.0, 1.0)
        step = max(math.log10(high / low) * 0.15, 0.15) if log and low > 0 else max((high - low) * 0.15, abs(high) * 0.05, 1e-9)
        self.beyond = high * 10**step if log else high + step
        self.before = low / 10**step if log else 0.0
        self.edge = self.beyond if any(math.isinf(row[field]) for row in rows) else None

    def at(self, row: Row) -> float:
        value = row[self.field] * self.factor
        if math.isinf(value):
            return self.beyond
        return self.before if self.log and value <= 0 else float(value)

    def layout(self) -> dict[str, Any]:
        found: dict[str, Any] = {"title_text": words.markup(self.title), "type": "log" if self.log else "linear", "automargin": True}
        return found | ({"dtick": "D2", "tickformat": ",~r"} if self.log else {"rangemode": "tozero"})


def _mark_edge(chart: go.Figure, side: str, place: float, log: bool) -> None:
    """A line at which infinite values stand."""
    (chart.add_vline if side == "x" else chart.add_hline)(place, line={"color": MUTED, "width": 1, "dash": "dash"})
    at = math.log10(place) if log else place  # annotations of a logarithmic axis stand at exponents, lines do not
    beside: dict[str, Any] = {"text": INFINITE, "font": {"size": 16, "color": MUTED}, "showarrow": False}
    if side == "x":
        chart.add_annotation(beside, x=at, yref="paper", y=1, yanchor="top", xshift=-10)
    else:
        chart.add_annotation(beside, y=at, xref="paper", x=1, xanchor="right", yshift=12)
