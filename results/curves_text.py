"""A curve in the terminal: a table of what k samples come to and take, sentences below it, and the lines as a picture of characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perpass.errors import unknown
from results.axes import Axis, axis
from results.curves import COSTS, Row
from results.curves_pools import TOO_LONG
from results.curves_values import NAMES
from results.picture import COLOURS, INTERVAL, MARKS, NARROWEST, SCALE, WIDEST, ansi, filled
from results.reasons import words
from results.table import Column, aligned, marked_down, total_width
from results.wording import MISSING, money_scale, number, si_scale

BESIDE = "self_consistency"
"""Drawn and listed whatever else is: a rule that cannot beat it is not worth its trouble."""
DRAWN = ("pass", BESIDE, "best_logprob", "weighted_logprob", "best_confidence", "weighted_confidence")
AXES = {"k": "k", "tokens": "output_tokens"} | {"energy": "energy_j", "joules": "energy_j", "cost": "cost_usd", "usd": "cost_usd"}
"""What a picture can have across, by the word of `--by`; the fields' own names will do too."""


def chosen(names: Sequence[str] | None) -> list[str]:
    """The estimators that were asked for, in our order, self-consistency always among them; all for None. Raises UserError."""
    for name in names or ():
        if name not in NAMES:
            raise unknown("estimator", name, NAMES, "--estimators")
    return [name for name in NAMES if names is None or name in names or name == BESIDE]


def field(by: str) -> str:
    """The field of an axis. Raises UserError for an unknown one."""
    if by in AXES:
        return AXES[by]
    if by not in COSTS:
        raise unknown("axis", by, (*AXES, *COSTS), "--by")
    return by


def title(row: Row) -> str:
    """`arithmetic · perpass/nano · cot · 40 problems × 16 samples`."""
    series = [f"series {row['series']}"] if row["series"] != "main" else []
    items = f" × {row['items']} items" if row["items"] > 1 else ""
    count = f"{_problems(row['problems'])}{items} × {row['depth']} samples"
    return " · ".join([row["task"], *series, row["model"], row["strategy"], count])


def table(row: Row, names: Sequence[str], width: int | None = None, markdown: bool = False) -> list[str]:
    """A line per estimator and per amount, a column per k: powers of two and N, as many as `width` holds."""
    own, ks = lines(row, names), powers(row["depth"])
    while True:
        columns = [Column("", lambda line: str(line["name"]), 100, left=True), *(_column(k) for k in ks)]
        if width is None or total_width(columns, own) <= width or len(ks) <= 2:
            return marked_down(columns, own) if markdown else aligned(columns, own)[1:]  # one line of header is enough
        del ks[len(ks) // 2]


def lines(row: Row, names: Sequence[str]) -> list[Row]:
    """The table's lines as texts: `name`, and a text under each k."""
    known = [name for name in names if name in row["estimates"]]
    return [{"name": NAMES[name]} | _accuracies(row, name) for name in known] + _amounts(row)


def powers(depth: int) -> list[int]:
    """The k that are written out and marked: powers of two, and all samples."""
    return sorted({1 << n for n in range(depth.bit_length()) if 1 << n <= depth} | {depth})


def _column(k: int) -> Column:
    return Column("k = 1" if k == 1 else str(k), lambda line: str(line[str(k)]), 90)


def _accuracies(row: Row, name: str) -> Row:
    own = row["estimates"][name]
    return {str(k): _percents(own["value"][k - 1], own["low"][k - 1], own["high"][k - 1]) for k in row["k"]}


def _percents(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} ({100 * low:.1f}–{100 * high:.1f})"


def _amounts(row: Row) -> list[Row]:
    money, dollars = money_scale([{"cost_usd": x} for x in row["cost_usd"] or ()])
    made = []
    for name, word, unit in (("output_tokens", "output tokens", ""), ("flop", "compute", "FLOP"), ("energy_j", "energy", "J")):
        scale, prefix = si_scale(row[name] or []) if unit else (1.0, "")
        mark = "~" if unit == "J" and row["energy_source"] == "estimated" else ""
        made.append(_amount(row, name, f"{word}, {prefix}{unit}" if unit else word, scale, mark))
    return [*made, _amount(row, "cost_usd", f"cost, {dollars}", money, "")]


def _amount(row: Row, name: str, head: str, scale: float, mark: str) -> Row:
    values = row[name]
    return {"name": head} | {str(k): MISSING if values is None else mark + number(values[k - 1], scale) for k in row["k"]}


def notes(row: Row, names: Sequence[str]) -> list[str]:
    """What the lines mean, the law that coverage follows, what was left out, and why something is missing."""
    found = [
        "% of items (95 % interval over problems), over all subsets of k of the samples. self-consistency, best-of-k and weighted votes "
        "choose without knowing the answer; pass@k (one of k is right), G-Pass@k (at least τk are) and pass^k (all are) know it."
    ]
    if law := row["power_law"]:
        a, b = (f"{_signed(law[x])} ({_signed(law[f'{x}_low'])} to {_signed(law[f'{x}_high'])})" for x in ("a", "b"))
        found.append(f"pass@k ≈ exp(a·k^b) with a = {a} and b = {b}; {100 * law['error']:.1f} points off on average.")
    elif "power_law" in row["reasons"]:
        found.append(f"No law of coverage ({row['reasons']['power_law']}): {words(row['reasons']['power_law'])}.")
    if errors := [own["error"] for name, own in row["estimates"].items() if name in names and "error" in own]:
        worst = 100 * max(max(own) for own in errors)
        found.append(f"Weighted votes are sampled over random orders of the pools: standard error at most {worst:.2f} points.")
    if row["energy_source"] == "estimated":
        found.append(f"~ energy is estimated, not measured: {words('estimated')}.")
    if row["too_long"]:
        found.append(f"Wrong at every k, since the prompt did not fit: {_problems(row['too_long'])} ({TOO_LONG}).")
    found += [f"Left out: {_problems(count)} ({code}): {words(code)}." for code, count in row["left_out"].items()]
    if row["mixed_classes"]:
        found.append(f"Answer classes with right and wrong samples count by their share: {row['mixed_classes']:,}.")
    return found + _missing(row, names)


def _problems(count: int) -> str:
    return f"{count:,} problem{'s' if count != 1 else ''}"


def _signed(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _missing(row: Row, names: Sequence[str]) -> list[str]:
    why: dict[str, list[str]] = {}
    shown = {name: NAMES[name] for name in names if "confidence" not in name} | {"flop": "FLOPs", "energy_j": "joules"}
    for name, word in shown.items():
        if name in row["reasons"]:
            why.setdefault(row["reasons"][name], []).append(word)
    return [f"{MISSING} {', '.join(own)} ({code}): {words(code)}." for code, own in why.items()]


# --- the picture --------------------------------------------------------------------------------------------------------------------------


def picture(row: Row, names: Sequence[str], by: str, width: int, colour: bool = False) -> list[str]:
    """Accuracy against `by` (a field), a line per estimator in at most `width` columns; one sentence where none can be drawn."""
    drawn = [name for name in names if name in row["estimates"]]
    across = row[by]
    if across is None:
        return [f"No picture: no {by} ({row['reasons'].get(by, 'no_common_basis')})."]
    if row["depth"] < 2 or not drawn:
        return []
    width = max(NARROWEST, min(width, WIDEST))
    estimates = {name: row["estimates"][name] for name in drawn}
    heights = [v for own in estimates.values() for v in own["value"]]
    heights += [v for name, own in estimates.items() if name == BESIDE for v in (*own["low"], *own["high"])]
    points = [{by: x, "cost_usd": x if by.endswith("_usd") else None, "energy_source": row["energy_source"]} for x in across]
    up = axis("accuracy", heights, [], SCALE, upright=True)
    gutter = max(len(text) for _, text in up.ticks) + 1
    flat = axis(by, across, points, width - gutter - 1, upright=False)
    grid = _grid(row, estimates, across, flat, up, width - gutter - 1)
    return _written(grid, drawn, flat, up, gutter, colour)


Grid = list[list[tuple[str, str]]]


def _grid(row: Row, estimates: Mapping[str, Any], across: Sequence[float], flat: Axis, up: Axis, width: int) -> Grid:
    """Lines first, then the marks, self-consistency's last."""
    grid: Grid = [[(" ", "")] * width for _ in range(SCALE)]
    ordered = sorted(estimates, key=lambda name: name == BESIDE)
    styles = {name: COLOURS[n % len(COLOURS)] for n, name in enumerate(estimates)}
    for name in ordered:
        values = estimates[name]["value"]
        for k in range(1, len(across)):
            _join(grid, flat.at(across[k - 1]), flat.at(across[k]), up.at(values[k - 1]), up.at(values[k]), styles[name])
    if BESIDE in estimates:
        for k in powers(row["depth"]):
            low, high = (up.at(estimates[BESIDE][end][k - 1]) for end in ("low", "high"))
            for line in range(low, high + 1):
                if grid[SCALE - 1 - line][flat.at(across[k - 1])][0] == " ":
                    grid[SCALE - 1 - line][flat.at(across[k - 1])] = (INTERVAL, styles[BESIDE])
    for name in ordered:
        for k in powers(row["depth"]):
            mark = MARKS[list(estimates).index(name) % len(MARKS)][0]
            grid[SCALE - 1 - up.at(estimates[name]["value"][k - 1])][flat.at(across[k - 1])] = (mark, f"bold {styles[name]}")
    return grid


def _join(grid: Grid, left: int, right: int, start: int, end: int, style: str) -> None:
    steps = max(right - left, abs(end - start), 1)
    for n in range(steps + 1):
        column, line = left + round((right - left) * n / steps), start + round((end - start) * n / steps)
        grid[SCALE - 1 - line][column] = ("·", style)


def _written(grid: Grid, names: Sequence[str], flat: Axis, up: Axis, gutter: int, colour: bool) -> list[str]:
    width, ticks = len(grid[0]), {SCALE - 1 - at: text for at, text in up.ticks}
    made: list[list[tuple[str, str]]] = [[(up.title, "")]]
    for n, cells in enumerate(grid):
        made.append([(f"{ticks.get(n, ''):>{gutter - 1}} {'┤' if n in ticks else '│'}", ""), *cells])
    rule, texts = list("─" * width), [" "] * width
    for at, text in flat.ticks:
        rule[at] = "┬"
        start = min(max(0, at - len(text) // 2), width - len(text))
        texts[start : start + len(text)] = list(text)
    made += [[(f"{'':{gutter}}└{''.join(rule)}", "")], [(f"{'':{gutter}} {''.join(texts)}", "")]]
    made.append([(f"{flat.title:>{gutter + 1 + width}}", "")])
    marks = [MARKS[n % len(MARKS)][0] for n in range(len(names))]
    legend = [f"{mark} {NAMES[name]}" for mark, name in zip(marks, names, strict=True)]
    styles = {mark: f"bold {COLOURS[n % len(COLOURS)]}" for n, mark in enumerate(marks)}
    bars = [f"{INTERVAL} 95 % interval of {NAMES[BESIDE]}"] if BESIDE in names else []
    made += [[(char, styles.get(char, "")) for char in line] for line in filled([*legend, *bars], gutter + 1 + width)]
    return ansi(made) if colour else ["".join(text for text, _ in parts).rstrip() for parts in made]
