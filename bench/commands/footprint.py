"""Grams and litres beneath a report that asks for them, by `--region` or on an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
SHOWN = ("kwh_per_1000", "gco2e_per_1000", "water_per_1000_l", "gco2e_of_pass", "water_of_pass_l")


def asked(rows: Sequence[Row], region: str | None) -> bool:
    """Whether the reader wants grams and litres: a region was named, or a frontier is in them."""
    axes = rows[0]["frontier_axes"] if rows else []
    return bool(rows) and (region is not None or any("gco2e" in axis or "water" in axis or "kwh" in axis for axis in axes))


def say(rows: Sequence[Row], region: str | None, format: str) -> None:
    """Print the table and its notes, for `table` and `markdown`, where they are asked for."""
    if format not in {"table", "markdown"} or not asked(rows, region):
        return
    from bench.commands import beneath
    from results import carbon

    beneath.table(f"per 1,000 answers, electricity: {carbon.grid(region).name}", lines(rows), notes(rows, region), format)


def lines(rows: Sequence[Row]) -> list[Row]:
    """A line per cell: Wh, gCO2e and litres per 1,000 answers, and the expected grams and litres per 1,000 correct ones."""
    from results.wording import cell_name, energy_mark

    several = len({row["task"] for row in rows}) > 1
    made = []
    for row in rows:
        mark = energy_mark(row)
        values = [_scaled(row["kwh_per_1000"], 1000), row["gco2e_per_1000"], row["water_per_1000_l"]]
        values += [_scaled(row["gco2e_of_pass"], 1000), _scaled(row["water_of_pass_l"], 1000)]
        heads = ("Wh", "gCO2e", "litres", "gCO2e of 1,000 passes", "litres of 1,000 passes")
        named = ({"task": row["task"]} if several else {}) | {"cell": cell_name(row, rows)}
        made.append(named | {head: _marked(v, mark) for head, v in zip(heads, values, strict=True)})
    return made


def notes(rows: Sequence[Row], region: str | None) -> list[str]:
    """Where the numbers come from, and why some are missing."""
    from results import carbon
    from results.reasons import words
    from results.wording import MISSING, listed

    why: dict[str, list[str]] = {}
    for row in rows:
        for field in SHOWN:
            if row[field] is None:
                why.setdefault(row["reasons"][field], []).append(field)
    found = [
        "an answer: one graded item. of 1,000 passes: what 1,000 correct answers are expected to take, ∞ where a problem stays unsolved."
    ]
    found += ["~ estimated energy, ? energy in doubt."] if any(not row["energy_valid"] for row in rows) else []
    missing = [f"{MISSING} {listed(list(dict.fromkeys(fields)))} ({code}): {words(code)}." for code, fields in why.items()]
    return [*found, *carbon.notes(carbon.grid(region)), *missing]


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _marked(value: float | None, mark: str) -> str:
    import math

    from results.wording import number

    return number(value) if value is None or math.isinf(value) else mark + number(value)
