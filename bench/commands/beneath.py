"""Tables beneath a report: how far accuracy drops under stress, what abstaining came to, REST's averages, interruptions, token budgets."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
NAMES = ("series", "model", "engine", "hardware", "mode", "concurrency")


def found(
    db: str | None,
    rows: Sequence[Row],
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    common: bool = False,
    targets: Mapping[str, float] | None = None,
) -> dict[str, list[Row]]:
    """The rows of `results.drops` ("stress"), `results.selective` ("abstention"), `results.rest` ("rest", once for each of its cells),
    `results.interruption` ("interruption"), `results.budgets` ("budget") and `results.live` ("live"; `targets` are its goodput's) about the
    cells of a report, which selected so."""
    from results import budgets, database, drops, interruption, live, report, rest, selective

    if not rows:
        return {}
    shown = {(row["cell"], row["series"]) for row in rows}
    engine = database.open_database(db, readonly=True)
    try:
        cells = report.select(engine, experiment=experiment, series=series, task=task)
        made = {
            drops.KIND: drops.rows(engine, experiment=experiment, cells=cells),
            selective.KIND: selective.rows(engine, experiment=experiment, cells=cells),
            rest.KIND: [
                row | {"cell": level["cell"]}
                for row in rest.rows(engine, experiment=experiment, cells=cells, common=common)
                for level in row["levels"]
            ],
            interruption.KIND: interruption.rows(engine, experiment=experiment, cells=cells),
            budgets.KIND: budgets.rows(engine, experiment=experiment, cells=cells),
            live.KIND: live.rows(engine, cells=cells, targets=targets),
        }
    finally:
        engine.dispose()
    kept = {name: [row for row in own if (row["cell"], row["series"]) in shown] for name, own in made.items()}
    return {name: own for name, own in kept.items() if own}


def merged(rows: Sequence[Row], below: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The report's rows with what was found about each, under `stress`, `abstention`, `rest`, `interruption`, `budget`, `live`."""
    own = {(row["cell"], row["series"], name): row for name, more in below.items() for row in more}
    return [row | {name: own[key] for name in below if (key := (row["cell"], row["series"], name)) in own} for row in rows]


def say(below: Mapping[str, Sequence[Row]], format: str) -> None:
    """Print the tables, for `table` and `markdown`."""
    if format not in {"table", "markdown"}:
        return
    if rows := below.get("stress"):
        table(_title("drop under stress", rows), [_drop(row, rows) for row in rows], _drop_notes(rows), format)
    if rows := below.get("abstention"):
        table(_title("abstention", rows), [_abstention(row, rows) for row in rows], _abstention_notes(rows), format)
    if below.get("rest"):
        from results import rest_text

        averages = list({id(row["levels"]): row for row in below["rest"]}.values())
        table("several questions at once (REST)", rest_text.lines(averages), rest_text.notes(averages), format)
    if below.get("interruption"):
        from results import interruption_text

        rows = below["interruption"]
        table("interrupted thinking", interruption_text.lines(rows), interruption_text.notes(rows), format)
    if rows := below.get("budget"):
        from results import budgets

        table("token budgets", budgets.lines(rows), budgets.notes(rows), format)
    if rows := below.get("live"):
        from results import live_text

        table("alone on the device: times, p50 / p99", live_text.lines(rows), [], format)
        table("alone on the device: the steady state", live_text.energy_lines(rows), live_text.notes(rows), format)


def table(title: str, made: Sequence[Row], notes: Sequence[str], format: str) -> None:
    from bench.commands import output

    if format == "markdown":
        print("\n".join([f"\n### {title[0].upper()}{title[1:]}\n", *output.markdown(made), "", *(f"- {note}" for note in notes)]))
    else:
        width = shutil.get_terminal_size((120, 40)).columns
        print("\n".join([f"\n{title}\n", *output.lines(made), "", *output.notes(notes, width)]))


def _names(row: Row, rows: Sequence[Row]) -> Row:
    """What tells the cells apart, their base tasks by kind where that is enough."""
    from bench.anchors import said

    bases = {said(one["base"]): str(one["base"]["kind"]) for one in rows}
    base = bases[said(row["base"])] if len(set(bases.values())) == len(bases) else said(row["base"])
    differ = [name for name in NAMES if len({str(one[name]) for one in rows}) > 1]
    return {name: row[name] for name in differ} | ({"task": base} if len(bases) > 1 else {}) | {"strategy": row["strategy"]}


def _title(words: str, rows: Sequence[Row]) -> str:
    from bench.anchors import said

    bases = {said(row["base"]): str(row["base"]["kind"]) for row in rows}
    return words if len(bases) > 1 else f"{words} · {next(iter(bases.values()))}"


# --- stress -----------------------------------------------------------------------------------------------------------------------------


def _drop(row: Row, rows: Sequence[Row]) -> Row:
    from results.wording import MISSING

    rate = f" {100 * row['rate']:g} %" if row["rate"] is not None else ""
    seed = f", seed {row['seed']}" if row["seed"] else ""
    line = _names(row, rows) | {"change": f"{row['change']}{rate}{seed}"}
    heads = ("problems", "clean %", "stressed %", "drop, points (95 %)", "p worse")
    if row["drop"] is None:
        return line | dict.fromkeys(heads, MISSING)
    trials = row["attempts"] / row["problems"]
    values = (
        f"{row['problems']:,}" + (f"×{trials:.3g}" if trials > 1 else ""),
        f"{100 * row['clean_accuracy']:.1f}",
        f"{100 * row['accuracy']:.1f}",
        f"{_points(row['drop'])} ({_points(row['drop_low'])} to {_points(row['drop_high'])})",
        f"{row['p_worse']:.3f}" if row["p_worse"] >= 0.001 else "<0.001",
    )
    return line | dict(zip(heads, values, strict=True))


def _points(share: float) -> str:
    """`5.0`, `−0.2`, `0.0`."""
    text = f"{100 * share:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "−")


def _drop_notes(rows: Sequence[Row]) -> list[str]:
    notes = ["drop = clean − stressed on the attempts that both cells have; p worse: one-sided paired test, not adjusted."]
    return notes + _reasons(rows, "drop")


# --- abstention -------------------------------------------------------------------------------------------------------------------------


def _abstention(row: Row, rows: Sequence[Row]) -> Row:
    low, high = row["points_low"], row["points_high"]
    between = "" if low is None else f" ({_number(low)} to {_number(high)})"
    return _names(row, rows) | {
        "target": f"{row['target']:g}",
        "answered %": _percent(row["coverage"]),
        "risk %": _percent(row["risk"]),
        "points (95 %)": _number(row["points"]) + between,
        "confidence": row["confidence"] or _number(None),
        "ECE %": _percent(row["ece"]),
        "points above t": _number(row["points_above_target"]),
        "covered at 1−t %": _percent(row["coverage_at_target"]),
    }


def _percent(share: float | None) -> str:
    return _number(None) if share is None else f"{100 * share:.1f}"


def _number(value: float | None) -> str:
    from results.wording import MISSING

    return MISSING if value is None else f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _abstention_notes(rows: Sequence[Row]) -> list[str]:
    notes = [
        "risk: wrong answers of all answers. points: mean per item, 1 for a correct answer, −t/(1−t) for a wrong one, 0 for none.",
        "ECE: expected calibration error of the confidence, in ten bins. points above t: had it answered only where its confidence "
        "exceeds t. covered at 1−t: the largest share of items answered, the most confident first, at a risk of at most 1−t.",
    ]
    return notes[: 2 if any(row["confidence"] for row in rows) else 1] + _reasons(rows, "risk") + _reasons(rows, "confidence")


def _reasons(rows: Sequence[Row], field: str) -> list[str]:
    from results.reasons import words
    from results.wording import MISSING, listed

    why: dict[str, list[str]] = {}
    for row in rows:
        if row[field] is None:
            why.setdefault(row["reasons"][field], []).append(row["strategy"])
    return [f"{MISSING} {field} of {listed(list(dict.fromkeys(names)))} ({code}): {words(code)}." for code, names in why.items()]
