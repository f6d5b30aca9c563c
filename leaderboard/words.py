"""How names and numbers are written on pages: escaped for where they stand, in the units of the terminal's table."""

from __future__ import annotations

import html
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from results import axes
from results.report import Row
from results.wording import INFINITE, MISSING, energy_mark, mode, number, percent

AXES: dict[str, str] = {
    "accuracy": "accuracy",
    "cost_usd": "dollars per item",
    "cost_per_correct_usd": "dollars per correct answer",
    "cost_of_pass_usd": "cost of pass (dollars)",
    "energy_j": "joules per item",
    "energy_per_correct_j": "joules per correct answer",
    "energy_of_pass_j": "energy of pass (joules)",
    "latency_p50_s": "latency, median",
    "latency_p90_s": "latency, 90th percentile",
    "latency_per_correct_s": "seconds per correct answer",
    "latency_of_pass_s": "latency of pass (seconds)",
    "flop": "FLOPs per item",
    "flop_per_correct": "FLOPs per correct answer",
    "flop_of_pass": "FLOPs of pass",
    "output_tokens": "output tokens per item",
    "serial_tokens": "serial tokens per item",
    "tokens_per_correct": "tokens per correct answer",
    "tokens_of_pass": "tokens of pass",
    "unsolved_share": "problems never solved",
}
"""The fields of the report that can be an axis, and their names."""

MEASURED = {"nvml_counter", "rapl_counter", "power_integral"}


def markdown(text: object) -> str:
    """Text that a Markdown renderer shows as it is: every character with a meaning is escaped, line ends become spaces."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(text).split()))


def sentence(text: str) -> str:
    """A sentence of ours as Markdown: what it has in backticks is code, all else is shown as it is."""
    return re.sub(r"\\`(.*?)\\`", lambda code: "`" + re.sub(r"\\(.)", r"\1", code[1]) + "`", markdown(text))


def markup(text: object) -> str:
    """Text that Plotly, or HTML, shows as it is. A dollar is written as an entity, so that no two of them are ever taken for a formula."""
    return html.escape(str(text), quote=True).replace("$", "&#36;")


class Writer:
    """Names and numbers of the cells of a task, each name as short as tells it from the others, all numbers of a field in one unit."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = rows
        self._units: dict[str, tuple[float, str]] = {}
        self._counts: dict[tuple[str, ...], Counter[tuple[Any, ...]]] = {}

    def name(self, row: Row) -> str:
        """`results.wording.cell_name`, which looks at all rows for every name, made quick for all of them."""
        fields: tuple[str, ...] = tuple(f for f in ("model", "strategy") if f == "strategy" or not self._alike(f))
        for more in ("mode", "engine", "hardware", "cell"):
            if self._count(fields)[tuple(row[f] for f in fields)] > 1 and not self._alike(more):
                fields = (*fields, more)
        return " ".join(mode(row) if f == "mode" else str(row[f]) for f in fields)

    def value(self, field: str, row: Row) -> str:
        """A field of a row with its unit; `~` and `?` mark energy that is estimated or in doubt."""
        found = row[field]
        if found is None:
            return MISSING
        if axes.is_share(field):
            return percent(found)
        if field not in self._units:
            self._units[field] = axes.unit(field, self.rows)
        scale, title = self._units[field]
        unit = title.rpartition(", ")[2] if ", " in title else "tokens"
        mark = energy_mark(row) if of_energy(field, row) else ""
        if math.isinf(found):
            return INFINITE
        text = number(found, scale)
        return f"{mark}${text} {unit.removeprefix('$').strip()}".strip() if field.endswith("_usd") else f"{mark}{text} {unit}"

    def _count(self, fields: tuple[str, ...]) -> Counter[tuple[Any, ...]]:
        if fields not in self._counts:
            self._counts[fields] = Counter(tuple(row[f] for f in fields) for row in self.rows)
        return self._counts[fields]

    def _alike(self, field: str) -> bool:
        return len(self._count((field,))) == 1


def interval(row: Row) -> str:
    """`84.8 % (78.8–90.5)`."""
    if row["accuracy"] is None:
        return MISSING
    return f"{percent(row['accuracy'])} ({100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f})"


def of_energy(field: str, row: Row) -> bool:
    """Whether a field's number rests on an energy reading."""
    return field.startswith("energy") or (field.endswith("_usd") and row["cost_basis"] == "energy")


def energy_kind(row: Row) -> str:
    """`measured energy`, `estimated energy`, `measured energy, in doubt`, …: kinds that a picture must tell apart."""
    source = row["energy_source"]
    if source == "none":
        return "unknown energy"
    kind = "measured" if source in MEASURED else str(source)
    doubt = ", in doubt" if kind == "measured" and not row["energy_valid"] else ""
    return f"{kind} energy{doubt}"


def when(seconds: float | None) -> str:
    """A time of the database, in UTC."""
    from datetime import UTC, datetime

    return MISSING if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def tree(value: Any, depth: int = 0) -> str:
    """Nested mappings as indented lines."""
    lines = []
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            lines += [f"{'  ' * depth}{key}:", tree(inner, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{key}: {inner if inner not in (None, {}, []) else MISSING}")
    return "\n".join(lines)
