"""Which cell to take: the cheapest, the most frugal and the fastest among those that are as accurate as the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from results.reasons import words
from results.report import Row
from results.wording import cell_name, listed, money_scale, number, percent, si_scale

MANY = {"$": "correct answer", "$/1k": "thousand correct answers", "$/1M": "million correct answers", "$/1G": "billion correct answers"}


@dataclass(frozen=True)
class Choice:
    """A resource, and who needs the least of it per correct answer. `winners` are empty where that is not known; `why` says why."""

    title: str  # cheapest, most frugal, …
    what: str  # money, energy, …
    winners: list[Row]
    price: str = ""
    why: str = ""
    least: float = math.nan
    field: str = ""


def level(rows: Sequence[Row]) -> tuple[Row, float] | None:
    """The most accurate complete cell and the accuracy from which on a cell counts as no worse: the lower end of that cell's 95 % interval,
    as the table shows it, in tenths of a percent. None without a correct answer. Cells share their problems, so a paired test would find
    some of these worse after all: the rule is generous towards cheap cells and needs nothing but the numbers of the table.
    """
    complete = [row for row in rows if not row["partial"] and row["accuracy"]]
    if not complete:
        return None
    best = max(complete, key=lambda row: (row["accuracy"], row["accuracy_low"]))
    return best, round(best["accuracy_low"], 3)


def choices(rows: Sequence[Row]) -> list[Choice]:
    """Who is cheapest, most frugal and fastest per correct answer at `level`; [] without a level. Where dollars are not known, who computes
    least is said too.

    All complete cells are looked at, whatever the axes of the frontier: the least per correct answer at or above an accuracy is always on
    the frontier of accuracy and that resource, as whatever dominates a cell there also needs no more per correct answer.
    """
    found = level(rows)
    if found is None:
        return []
    fit = [row for row in rows if not row["partial"] and row["accuracy"] and round(row["accuracy"], 3) >= found[1]]
    factor, unit = money_scale(rows)
    money = _least("cheapest", "money", fit, "cost_per_correct_usd", lambda v: f"${number(v, factor)} per {MANY[unit]}")
    compute = [] if money.winners else [_least("least to compute", "compute", fit, "flop", _each(fit, "flop", "FLOP"))]
    return [money, *compute, _energy(fit), _time(fit)]


def sentences(rows: Sequence[Row]) -> list[str]:
    """The choices in words, and how the level was chosen; nothing to say about a single cell."""
    found = level(rows)
    if len([row for row in rows if not row["partial"]]) < 2:
        return []
    if found is None:
        return ["No cell gave a correct answer: there is nothing to choose from."]
    best, from_ = found
    made = choices(rows)
    known = [c for c in made if c.winners]
    parts = []
    for winners in dict.fromkeys(tuple(w["cell"] for w in c.winners) for c in known):
        own = [c for c in known if tuple(w["cell"] for w in c.winners) == winners]
        verb = "is" if len(winners) == 1 else "are equally"
        titles = listed([f"{'the ' if len(winners) == 1 else ''}{c.title} ({c.price})" for c in own], len(own))
        parts.append(f"{listed([cell_name(w, rows) for w in own[0].winners])} {verb} {titles}")
    parts += [f"the {c.title} is not known: {c.why}" if not c.winners else f"the {c.title} leaves out {c.why}" for c in made if c.why]
    said = f"At ≥ {percent(from_)} accuracy, {'; '.join(parts)}."
    top = [row for row in rows if not row["partial"] and row["accuracy"] == best["accuracy"]]
    names = listed([cell_name(row, rows) for row in top])
    how = f"{percent(from_)} is where the 95 % interval of the most accurate begins: {names}, {percent(best['accuracy'])}"
    return [said, f"{how}{_more(best, known) if len(top) == 1 else ''}."]


def _more(best: Row, known: Sequence[Choice]) -> str:
    """What the most accurate cell takes beside the winners."""
    parts = []
    for choice in known:
        value = _per_correct(best, choice.field)
        if value is not None and choice.least and best["cell"] not in {w["cell"] for w in choice.winners}:
            parts.append(f"{number(value / choice.least)}× the {choice.what}")
    return f", for {listed(parts)}" if parts else ""


def _energy(fit: Sequence[Row]) -> Choice:
    title, what = "most frugal", "energy"
    sources = {row["energy_source"] for row in fit if row["energy_j"] is not None}
    if len(sources) > 1:
        return Choice(title, what, [], why=f"energy comes from different sources ({', '.join(sorted(sources))})")
    choice = _least(title, what, fit, "energy_j", _each(fit, "energy_j", "J"))
    doubts = sorted({row["reasons"]["energy_valid"] for row in choice.winners if not row["energy_valid"]})
    mark = "estimated" if sources == {"estimated"} else f"in doubt: {', '.join(doubts)}" if doubts else ""
    return replace(choice, price=f"{choice.price}, {mark}") if mark and choice.winners else choice


def _time(fit: Sequence[Row]) -> Choice:
    """By the median latency of one attempt, over accuracy. What was timed beside other work says how busy the device was, not how fast the
    cell is: such times are not ranked."""
    alone = [row for row in fit if row["mode"].startswith("live") and row["reasons"].get("latency_p50_s") is None]
    if alone:
        choice = _least("fastest", "time", alone, "latency_p50_s", _each(alone, "latency_p50_s", "s"), untimed=len(fit) - len(alone))
        return replace(choice, price=f"{choice.price} by median latency") if choice.winners else choice
    codes = sorted({row["reasons"].get("latency_p50_s", "not_measured") for row in fit})
    said = {"shared_load": "times were taken while other work ran beside (`--set mode=live` times each cell alone)"}
    return Choice("fastest", "time", [], why="; ".join(said.get(code, words(code)) for code in codes))


def _least(title: str, what: str, fit: Sequence[Row], field: str, price: Callable[[float], str], untimed: int = 0) -> Choice:
    """Values that read alike, in their three digits, are a tie."""
    values = [(value, row) for row in fit if (value := _per_correct(row, field)) is not None and math.isfinite(value)]
    lacking = [row for row in fit if row[field] is None]
    codes = sorted({row["reasons"].get(field, "no_attempts") for row in lacking})
    if not values:
        return Choice(title, what, [], why="; ".join(words(code) for code in codes) or "it is infinite")
    why = [f"{_cells(len(lacking))} whose {what} is not known ({', '.join(codes)})"] if lacking else []
    why += [f"{_cells(untimed)} not timed alone"] if untimed else []
    least = min(value for value, _ in values)
    winners = [row for value, row in values if price(value) == price(least)]
    return Choice(title, what, winners, price(least), " and ".join(why), least, field)


def _per_correct(row: Row, field: str) -> float | None:
    """`field` per correct answer: itself where it is that already, else its mean per item over accuracy."""
    value: float | None = row[field]
    return value if value is None or field == "cost_per_correct_usd" else value / row["accuracy"]


def _each(rows: Sequence[Row], field: str, unit: str) -> Callable[[float], str]:
    factor, prefix = si_scale([_per_correct(row, field) for row in rows])
    return lambda value: f"{number(value, factor)} {prefix}{unit} per correct answer"


def _cells(count: int) -> str:
    return f"{count} cell{'s' if count != 1 else ''}"
