"""A comparison, and what the gate says of it, as a table for a terminal, Markdown for a pull request, JSON or CSV."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from typing import Any

from perpass.errors import unknown
from results.compare import AMOUNTS, FIELDS, ON_EQUAL_HARDWARE, Comparison, Row
from results.gate import Check, Gate, alarms
from results.reasons import words
from results.table import FORMATS, Column, aligned, as_csv, marked_down, plain, total_width, wrapped
from results.wording import MISSING, listed, mode, same

ALARM = "!"
LABELS = {"output_tokens": "tokens", "flop": "compute", "energy_j": "energy", "latency_s": "time", "cost_usd": "cost"}
WORTH = {"output_tokens": 40, "flop": 60, "energy_j": 70, "latency_s": 50, "cost_usd": 65}
SIGN = "−"
BETWEEN_RUNS = (
    "Intervals of energy, time and cost are over problems: what moves a whole run (temperature, clocks, neighbours) is not in them, "
    "so a gate needs a margin for it."
)


def render(
    comparison: Comparison, format: str = "table", *, gate: Gate | None = None, checks: Sequence[Check] = (), width: int | None = None
) -> str:
    """The comparison as text; with `gate`, what it says (`checks`, from `results.gate.judge`).

    width   columns of the terminal, for `table` (found when None). Raises UserError for an unknown format.
    """
    if format not in FORMATS:
        raise unknown("format", format, FORMATS, "--format")
    if format == "json":
        return json.dumps(plain(_data(comparison, gate, checks)), indent=2, ensure_ascii=False)
    if format == "csv":
        return as_csv([row | {"alarms": ",".join(_alarmed(row, checks))} for row in comparison.rows], [*FIELDS, "alarms"])
    width = width or shutil.get_terminal_size((120, 40)).columns
    markdown = format == "markdown"
    head = f"{comparison.base} → {comparison.head}"
    parts = [[f"## {head}" if markdown else head], *([verdict(comparison, gate, checks, markdown)] if gate else [])]
    blocks: dict[str, list[Row]] = {}
    for row in comparison.rows:
        blocks.setdefault(row["task"], []).append(row | {"alarms": _alarmed(row, checks)})
    for rows in blocks.values():
        columns = _columns(rows, gate is not None)
        while not markdown and total_width(columns, rows) > width and len(columns) > 4:
            columns.remove(min(columns, key=lambda c: c.worth))
        title = _title(rows)
        parts += [[f"### {title}", "", *marked_down(columns, rows)] if markdown else [title, "", *aligned(columns, rows)]]
    notes = [*_notes(comparison, gate, checks), *_left(comparison)]
    parts.append([f"- {n}" for n in notes] if markdown else [line for n in notes for line in wrapped(n, width)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def name(row: Row) -> str:
    """A cell in words: `arithmetic · cot · perpass/nano · transformers · live@32`."""
    return " · ".join([row["task"], row["strategy"], row["model"], row["engine"], *([mode(row)] if row["concurrency"] else [])])


def sentence(check: Check) -> str:
    """What a check found: `accuracy fell by 5.0 points (80.1 % → 75.1 %; margin 1), p = 0.002`."""
    row, metric = check.pair.row, check.metric
    if check.worse is None or check.p_adjusted is None:
        return f"{metric} is not judged: {words(check.reason or '')}"
    if metric == "accuracy":
        moved = f"{'fell' if check.worse > 0 else 'rose'} by {abs(check.worse):.1f} points"
        between = f"{100 * row['base_accuracy']:.1f} % → {100 * row['head_accuracy']:.1f} %"
    else:
        moved = f"{'rose' if check.worse > 0 else 'fell'} by {100 * abs(check.worse):.1f} %"
        between = f"{row[f'{metric}_base']:.4g} → {row[f'{metric}_head']:.4g}"
    return f"{metric} {moved if check.worse else 'did not change'} ({between}; margin {_margin(check)}), p = {check.p_adjusted:.3g}"


def verdict(comparison: Comparison, gate: Gate, checks: Sequence[Check], markdown: bool = False) -> list[str]:
    """The gate's answer: a line that says whether anything alarms, and a line per alarm."""
    found, total = alarms(checks), len(comparison.pairs)
    worse = len({id(check.pair) for check in found})
    every = f"{total} cell{'s' if total != 1 else ''}"
    said = f"{worse or 'none'} of {every} {'are' if worse > 1 else 'is'} worse" if total else "nothing pairs"
    first, lines = f"Gate at level {gate.level:g}: {said}", [f"{name(check.pair.row)}: {sentence(check)}" for check in found]
    if markdown:
        return [f"**{first}.**", *([""] if lines else []), *(f"- {line}" for line in lines)]
    return [f"{first}.", *(f"{ALARM} {line}" for line in lines)]


# --- the table --------------------------------------------------------------------------------------------------------------------------


def _title(rows: Sequence[Row]) -> str:
    first = rows[0]
    parts = [first["task"], *(str(first[f]) for f in ("model", "engine") if same(rows, f))]
    hardware = {row[f"{side}_hardware"] for row in rows for side in ("base", "head")}
    return " · ".join([*parts, *(hardware if len(hardware) == 1 else [])])


def _columns(rows: Sequence[Row], gated: bool) -> list[Column]:
    found = [Column("", lambda r: ALARM if r["alarms"] else "", 100, left=True)] if gated else []
    found += [Column(f, lambda r, f=f: str(r[f]), 90, left=True) for f in ("model", "engine") if not same(rows, f)]  # type: ignore[misc]
    found.append(Column("strategy", lambda r: str(r["strategy"]), 95, left=True))
    if not same(rows, "mode") or not same(rows, "concurrency"):
        found.append(Column("mode", mode, 88, left=True))
    found.append(Column("problems", _problems, 55))
    found.append(Column("base\n%", lambda r: f"{100 * r['base_accuracy']:.1f}", 92))
    found.append(Column("head\n%", lambda r: f"{100 * r['head_accuracy']:.1f}", 92))
    found.append(Column("change\npoints (95 %)", _change, 99))
    found.append(Column("p\nworse", lambda r: _p(r["p_worse"]), 80))
    for metric in AMOUNTS:
        if any(row[f"{metric}_ratio"] is not None for row in rows):
            found.append(Column(f"{LABELS[metric]}\n% (95 %)", lambda r, m=metric: _rise(r, m), WORTH[metric]))  # type: ignore[misc]
    found.append(Column("cell", lambda r: " → ".join(dict.fromkeys((r["base_cell"], r["head_cell"]))), 30, left=True))
    return found


def _problems(row: Row) -> str:
    trials = row["attempts"] / row["problems"]
    return f"{row['problems']:,}" + (f"×{trials:.3g}" if trials > 1 else "")


def _change(row: Row) -> str:
    low, high = (_signed(100 * row[f"difference_{end}"]) for end in ("low", "high"))
    return f"{_signed(100 * row['difference'])} ({low} to {high})"


def _rise(row: Row, metric: str) -> str:
    ratio = row[f"{metric}_ratio"]
    if ratio is None:
        return MISSING
    low, high = (_signed(100 * (row[f"{metric}_ratio_{end}"] - 1)) for end in ("low", "high"))
    return f"{_signed(100 * (ratio - 1))} ({low} to {high})"


def _signed(value: float) -> str:
    """`+3.1`, `−0.2`, `0.0`."""
    if math.isinf(value):
        return "∞"
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else (SIGN if value < 0 else "+") + text


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


# --- words below ------------------------------------------------------------------------------------------------------------------------


def _notes(comparison: Comparison, gate: Gate | None, checks: Sequence[Check]) -> list[str]:
    rows = comparison.rows
    if not rows:
        return []
    notes = ["change = head − base on the attempts that both have; p worse: one-sided paired test of “head is worse”, not adjusted."]
    if gate is not None:
        notes += [*_shown(checks), *_not_judged(checks)]
    if any(row[f"{metric}_ratio"] is not None for row in rows for metric in ON_EQUAL_HARDWARE):
        notes.append(BETWEEN_RUNS)
    for code in ("hardware_differs", "energy_source_differs"):
        if any(row["reasons"].get(m) == code for row in rows for m in AMOUNTS):
            notes.append(f"{code}: {words(code)}.")
    doubts: dict[str, list[str]] = {}
    for metric in AMOUNTS:
        for code in sorted({row["reasons"][metric] for row in rows if metric in row["reasons"] and row[f"{metric}_ratio"] is not None}):
            doubts.setdefault(code, []).append(LABELS[metric])
    notes += [f"{', '.join(which)} ({code}): {words(code)}." for code, which in doubts.items()]
    left: dict[str, int] = {}
    for row in rows:
        for code, count in row["left_out"].items():
            left[code] = left.get(code, 0) + count
    notes += [f"left out: {', '.join(f'{count:,} attempts {words(code)}' for code, count in left.items())}."] if left else []
    differ = sorted({text for row in rows for text in row["differs"]})
    return notes + ([f"pairs differ in {listed(differ)}."] if differ else [])


def _shown(checks: Sequence[Check]) -> list[str]:
    """For which cells the gate shows that the head is no worse than the margin allows, and for which the data are too few to say."""
    notes = []
    for metric in dict.fromkeys(check.metric for check in checks):
        judged = [check for check in checks if check.metric == metric and check.non_inferior is not None]
        shown = [check for check in judged if check.non_inferior]
        if judged:
            text = f"{metric}: not worse than the margin ({_margin(judged[0])}) is shown for {len(shown)} of {len(judged)} cells"
            open_ = [check.pair.row["strategy"] for check in judged if not check.non_inferior and not check.alarm]
            notes.append(text + (f"; too few data to say for {listed(list(dict.fromkeys(open_)))}." if open_ else "."))
    return notes


def _not_judged(checks: Sequence[Check]) -> list[str]:
    why: dict[tuple[str, str], int] = {}
    for check in checks:
        if check.p is None:
            found = check.metric, check.reason or ""
            why[found] = why.get(found, 0) + 1
    return [f"{metric} is not judged for {count} cell{'s' if count > 1 else ''}: {words(code)}." for (metric, code), count in why.items()]


def _left(comparison: Comparison) -> list[str]:
    rows: dict[tuple[str, str, str | None], list[str]] = {}
    for row in comparison.unpaired:
        rows.setdefault((row["side"], row["reason"], row["detail"]), []).append(f"{name(row)} ({row['cell']})")
    return [
        f"unpaired, only in {side}: {', '.join(cells)}: {words(reason)}{f' ({detail})' if detail else ''}."
        if reason == "no_counterpart"
        else f"unpaired, {side}: {', '.join(cells)}: {words(reason)}{f' ({detail})' if detail else ''}."
        for (side, reason, detail), cells in rows.items()
    ]


def _margin(check: Check) -> str:
    return f"{check.margin:g}" if check.metric == "accuracy" else f"{100 * check.margin:g} %"


# --- data -------------------------------------------------------------------------------------------------------------------------------


def _alarmed(row: Row, checks: Sequence[Check]) -> list[str]:
    return [check.metric for check in checks if check.alarm and check.pair.row["base_cell"] == row["base_cell"]]


def _data(comparison: Comparison, gate: Gate | None, checks: Sequence[Check]) -> dict[str, Any]:
    judged = {id(pair): [check.row() for check in checks if check.pair is pair] for pair in comparison.pairs}
    rows = [pair.row | ({"checks": judged[id(pair)]} if gate else {}) for pair in comparison.pairs]
    said = {"level": gate.level, "margins": {m: gate.margin(m) for m in gate.metrics}, "alarms": len(alarms(checks))} if gate else None
    return {"base": comparison.base, "head": comparison.head, "pairs": rows, "unpaired": list(comparison.unpaired), "gate": said}
