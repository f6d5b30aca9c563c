"""An axis of a picture of characters: where a value stands, which values are written beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from results.report import Row
from results.wording import INFINITE, money_scale, number, si_scale

NAMES = {
    "flop": "compute per item",
    "energy_j": "energy per item",
    "cost_usd": "cost per item",
    "latency_p50_s": "median latency",
    "latency_p90_s": "latency, 90th percentile",
    "ttft_p50_s": "median time to first token",
    "unsolved_share": "problems never solved",
    "gco2e": "emissions per item",
    "water_l": "water per item",
}
UNITS = (("flop", "FLOP"), ("gco2e", "gCO2e"), ("water", "L"), ("kwh", "kWh"), ("_j", "J"), ("_s", "s"))  # the first that the field holds
MONEY_WORDS = {"$": "$", "$/1k": "$ per 1,000", "$/1M": "$ per million", "$/1G": "$ per billion"}
STEPS: tuple[tuple[int, tuple[float, ...]], ...] = (  # every how many powers of ten, times what; the first that has room is taken
    *((1, m) for m in ((1, 2, 5), (1,))),
    *((every, (1,)) for every in (2, 3, 5, 10)),
    *((1, tuple(1 + n * step for n in range(round(9 / step)))) for step in (1, 0.5, 0.2, 0.1)),
)
EDGE = 4  # characters between the scale and the places of 0 and ∞, which no logarithmic scale has


@dataclass(frozen=True)
class Axis:
    """`at(value)`: its character, from 0 to `size` - 1. `ticks`: (character, text) of round values, none too near to the next."""

    title: str
    at: Callable[[float], int]
    ticks: list[tuple[int, str]]


def is_share(field: str) -> bool:
    """Shares stand on a linear axis in percent; everything else on a logarithmic one."""
    return field == "accuracy" or field.endswith("_share")


def axis(field: str, values: Sequence[float], rows: Sequence[Row], size: int, upright: bool) -> Axis:
    """The axis of a report field over `values`, in the unit that the table uses for `rows`, over `size` characters. The ticks of an upright
    axis need a free line between them, those of a lying one room for their text."""
    if is_share(field):
        return _linear(NAMES.get(field, field) + ", %", [100 * v for v in values], size, upright)
    scale, title = unit(field, rows)
    if field.startswith(("energy_", "gco2e", "water_")) and any(row["energy_source"] == "estimated" for row in rows):
        title += ", estimated"
    return _logarithmic(title, values, scale, size, upright)


def unit(field: str, rows: Sequence[Row]) -> tuple[float, str]:
    if field == "k":
        return 1.0, "samples per problem, k"
    name = NAMES.get(field, field.removesuffix("_usd").removesuffix("_j").removesuffix("_s").replace("_", " "))
    if field.endswith("_usd"):
        scale, unit = money_scale(rows)
        return scale, f"{name}, {MONEY_WORDS[unit]}"
    if "tokens" in field:
        return 1.0, name if field.endswith(("_of_pass", "_per_correct")) else f"{name} per item"
    scale, prefix = si_scale([row[field] for row in rows])
    return scale, f"{name}, {prefix}{next((unit for part, unit in UNITS if part in field), 's')}"


def _linear(title: str, values: Sequence[float], size: int, upright: bool) -> Axis:
    low, high = min(values), max(values)
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if (high - low) / s <= size / (4 if upright else 10)), 25)
    first, last = math.floor(low / step), max(math.ceil(high / step), math.floor(low / step) + 1)
    span = (last - first) * step

    def at(value: float) -> int:
        return round((100 * value - first * step) / span * (size - 1))

    return Axis(title, at, [(at(n * step / 100), f"{n * step:g}") for n in range(first, last + 1)])


def _logarithmic(title: str, values: Sequence[float], scale: float, size: int, upright: bool) -> Axis:
    finite = [v for v in values if 0 < v < math.inf]
    start = EDGE if 0 in values else 0
    end = size - 1 - (EDGE if math.inf in values else 0)
    low, high = (math.log10(min(finite)), math.log10(max(finite))) if finite else (0.0, 0.0)
    margin = max(0.03 * (high - low), (0.3 - (high - low)) / 2)  # all costs alike: the picture spans a factor of two
    low, high = low - margin, high + margin

    def at(value: float) -> int:
        if value == 0:
            return 0
        return size - 1 if value == math.inf else start + round((math.log10(value) - low) / (high - low) * (end - start))

    ticks = _ticks(10**low * scale, 10**high * scale, lambda v: at(v / scale), upright) if finite else []
    edges = [(at(v), text) for v, text in ((0.0, "0"), (math.inf, INFINITE)) if v in values]
    ticks = [t for t in ticks if all(_room(t, edge, upright) for edge in edges)]
    return Axis(f"{title}, logarithmic", at, sorted(ticks + edges))


def _ticks(low: float, high: float, at: Callable[[float], int], upright: bool) -> list[tuple[int, str]]:
    """Round values from `low` to `high`: the first of STEPS that gives two or more with room between them, else the middle alone."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for every, factors in STEPS:
        values = [v for power in powers if power % every == 0 for f in factors if low <= (v := f * 10.0**power) <= high]
        found = [(at(v), _plain(v)) for v in values]
        if len(found) >= 2 and all(_room(a, b, upright) for a, b in pairwise(found)):
            return found
    middle = math.sqrt(low * high)
    return [(at(middle), _plain(middle))]


def _room(a: tuple[int, str], b: tuple[int, str], upright: bool) -> bool:
    """Whether two ticks leave two characters, or a line, between their texts."""
    return abs(a[0] - b[0]) >= (2 if upright else (len(a[1]) + len(b[1])) / 2 + 2)


def _plain(value: float) -> str:
    """Without trailing zeros: `0.1`, `20`, `1,500`."""
    text = number(value)
    return text.rstrip("0").rstrip(".") if "." in text else text
