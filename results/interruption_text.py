"""Interruptions in words: the rows of `results.interruption` as lines of a table, and the notes below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.interruption import LEAK, NAMES, OTHER_MODE, PANIC, SCORES
from results.reasons import words
from results.wording import MISSING, listed

Row = dict[str, Any]

APART = tuple(name for name in NAMES if name not in ("cell", "strategy"))
HEADS = {"accuracy": "A(X) %", "whole_accuracy": "whole %", "leakage": "leakage ×", "leaked": "leaked %", "panic": "panic %"}
HEADS |= {"self_doubt": "self-doubt %"}


def lines(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line per row: what tells it from the others, mode and fraction, and the scores that any row has, with their intervals."""
    differ = [name for name in APART if len({str(row[name]) for row in rows}) > 1]
    places = [(row["interruption"], row["fraction"], *(str(row[name]) for name in differ)) for row in rows]
    differ += ["strategy"] if len(set(places)) < len(places) else []
    shown = [score for score in SCORES if any(row[score] is not None or row["reasons"][score] != OTHER_MODE for row in rows)]
    return [
        {name: MISSING if row[name] is None else str(row[name]) for name in differ}
        | {"mode": row["interruption"], "X": f"{row['fraction']:g}", "cut": f"{row['interrupted']:,} of {row['attempts']:,}"}
        | {HEADS[score]: _value(row, score) for score in shown}
        for row in rows
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """What the columns mean, and why something is missing."""
    found = [
        "A(X): accuracy when the thinking is cut at a share X of its tokens; cut: attempts that had thinking to cut; whole: accuracy of "
        "their whole traces. leakage: tokens of the answers over those of the whole traces' answers; leaked: the share of attempts above "
        f"{LEAK} times as many."
    ]
    modes = {row["interruption"] for row in rows}
    if "soft" in modes:
        found.append(
            f"panic: of the attempts whose whole trace was right, those that are wrong after at most {100 * PANIC:g} % of the thinking "
            "that it still had."
        )
    if "update" in modes:
        found.append("self-doubt: of the attempts whose whole trace was right before the update, those that are wrong after it.")
    for score in SCORES:
        why: dict[str, list[str]] = {}
        for row in rows:
            if row[score] is None and row["reasons"][score] != OTHER_MODE:
                why.setdefault(row["reasons"][score], []).append(f"{row['interruption']} at {row['fraction']:g}")
        name = HEADS[score].split()[0]
        found += [f"{MISSING} {name} of {listed(list(dict.fromkeys(own)))} ({code}): {words(code)}." for code, own in why.items()]
    return found


def _value(row: Row, score: str) -> str:
    if row[score] is None:
        return MISSING
    scale, form = (1, ".2f") if score == "leakage" else (100, ".1f")
    value, low, high = (f"{scale * row[f'{score}{end}']:{form}}" for end in ("", "_low", "_high"))
    return f"{value} ({low}–{high})"
