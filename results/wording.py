"""Numbers, units and names of cells, as the table, the picture and the sentences below them write them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from results.report import Row

MISSING, INFINITE = "–", "∞"
MONEY = ((1.0, "$"), (1e3, "$/1k"), (1e6, "$/1M"), (1e9, "$/1G"))
PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


def number(value: float | None, scale: float = 1.0) -> str:
    """Three significant digits, thousands separated, no exponents."""
    if value is None:
        return MISSING
    if math.isinf(value):
        return INFINITE
    scaled = value * scale
    if scaled == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:,.{min(digits, 6)}f}"


def percent(share: float) -> str:
    """`84.8 %`."""
    return f"{100 * share:.1f} %"


def si_scale(values: Sequence[float | None]) -> tuple[float, str]:
    """The factor and SI prefix in which the middle one of `values` has one to three digits before the point."""
    known = sorted(v for v in values if v and math.isfinite(v))
    if not known:
        return 1.0, ""
    middle = known[len(known) // 2]
    return next(((1 / size, prefix) for size, prefix in PREFIXES if middle >= size), (1e9, "n"))


def money_scale(rows: Sequence[Row]) -> tuple[float, str]:
    """Dollars per 1, 1,000 or 1,000,000 (items, or correct answers): the same for all dollars of a block."""
    known = sorted(row["cost_usd"] for row in rows if row["cost_usd"])
    middle = known[len(known) // 2] if known else 1.0
    return next(((size, unit) for size, unit in MONEY if middle * size >= 0.1), MONEY[-1])


def same(rows: Sequence[Row], field: str) -> bool:
    """Whether all rows agree on `field`."""
    return all(row[field] == rows[0][field] for row in rows)


def mode(row: Row) -> str:
    """`pooled`, `live@32`."""
    return str(row["mode"]) + (f"@{row['concurrency']}" if row["concurrency"] else "")


def cell_name(row: Row, rows: Sequence[Row], model: bool = True) -> str:
    """As few words as tell the row from the others of its block; without `model` where something else tells the models apart."""
    said = [{**other, "mode": mode(other)} for other in rows]
    own = {**row, "mode": mode(row)}
    fields = [f for f in ("model", "strategy") if f == "strategy" or not same(rows, f)]
    for more in ("mode", "engine", "hardware", "cell"):
        if sum(all(other[f] == own[f] for f in fields) for other in said) > 1 and not same(said, more):
            fields.append(more)
    return " ".join(str(own[f]) for f in fields if model or f != "model")


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """Models without their owner, strategies with only the parameters that tell them apart (`beam(width=4, …)`)."""
    names = {m: m.rpartition("/")[2] for m in dict.fromkeys(row["model"] for row in rows) if not m.startswith("perpass/")}
    short = names if len(set(names.values())) == len(names) else {}
    strategies: dict[str, list[str]] = {}
    for label in dict.fromkeys(row["strategy"] for row in rows):
        strategies.setdefault(label.partition("(")[0], []).append(label)
    for name, labels in strategies.items():
        inside = {label: label.removeprefix(f"{name}(").removesuffix(")").split(", ") for label in labels if "(" in label}
        common = set.intersection(*(set(p) for p in inside.values())) if len(inside) > 1 else set()
        for label, params in inside.items():
            kept = [p for p in params if p not in common] if len(inside) > 1 else params[:1] if len(label) > 24 else params
            short[label] = f"{name}({', '.join([*kept, *(['…'] if len(kept) < len(params) else [])])})"
    return short


def listed(words: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 4 more`."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]])) if words else ""


def energy_mark(row: Row) -> str:
    """`~` for estimated energy, `?` for energy in doubt, else nothing."""
    if row["energy_j"] is None or row["energy_valid"]:
        return ""
    return "~" if row["energy_source"] == "estimated" else "?"
