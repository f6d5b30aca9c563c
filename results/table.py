"""The report as a table for a terminal or Markdown, as JSON, or as CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from perpass.errors import unknown
from results import advice
from results import picture as frontier
from results.reasons import words
from results.report import FIELDS, Row
from results.wording import INFINITE, MISSING, cell_name, energy_mark, mode, money_scale, number, same, short_names, si_scale

Format = Literal["table", "markdown", "json", "csv"]
FORMATS = ("table", "markdown", "json", "csv")
ON = "*"
SHARED = ("model", "engine", "hardware", "mode")


def render(rows: Sequence[Row], format: str = "table", width: int | None = None, drawn: bool = False, colour: bool = False) -> str:
    """The rows of `results.report.rows` as text. For `table` only: `width`, columns of the terminal (found when None); `drawn`, with a
    picture of each frontier; `colour`, with ANSI colours in it.

    Raises UserError for an unknown format.
    """
    if format == "json":
        return json.dumps(plain(rows), indent=2, ensure_ascii=False)
    if format == "csv":
        return as_csv(rows)
    if format not in FORMATS:
        raise unknown("format", format, FORMATS, "--format")
    width = width or shutil.get_terminal_size((120, 40)).columns
    blocks: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        blocks.setdefault((row["series"], row["task"]), []).append(row)
    several = len({series for series, _ in blocks}) > 1
    if not blocks:
        return "no cells"
    made = [_block(members, format, width, several) for members in blocks.values()]
    if drawn and format == "table":
        for block, members in zip(made, blocks.values(), strict=True):
            picture = frontier.lines(members, width, colour)
            block.lines.extend(["", *picture] if picture else [])
    shared = [note for note in made[0].notes if len(made) > 1 and all(note in block.notes for block in made)]
    texts = [_with_notes(block.lines, [*block.answer, *(n for n in block.notes if n not in shared)], format, width) for block in made]
    return "\n\n".join([*texts, *([_with_notes([], shared, format, width)] if shared else [])])


def plain(value: Any) -> Any:
    """`value` as strict JSON: infinity is the string "inf", NaN null."""
    if isinstance(value, float):
        return ("inf" if value > 0 else "-inf") if math.isinf(value) else None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def as_csv(rows: Sequence[Row], fields: Sequence[str] = FIELDS) -> str:
    """Rows as CSV; lists and mappings inside them as JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(fields)
    for row in rows:
        cells = (plain(row[f]) for f in fields)
        writer.writerow([json.dumps(c, ensure_ascii=False) if isinstance(c, (dict, list)) else "" if c is None else c for c in cells])
    return out.getvalue().rstrip("\n")


# --- one task in one series -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """`text(row)` under `header` (name, newline, unit); columns of the lowest `worth` go first when a terminal is narrow."""

    header: str
    text: Callable[[Row], str]
    worth: int
    left: bool = False
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Block:
    lines: list[str]
    answer: list[str]
    notes: list[str]


def _block(rows: Sequence[Row], format: str, width: int, several: bool) -> _Block:
    columns = _columns(rows, {}) if format == "markdown" else _fitting(rows, width)
    title = _title(rows, several)
    lines = [f"### {title}", "", *marked_down(columns, rows)] if format == "markdown" else [title, "", *aligned(columns, rows)]
    return _Block(lines, advice.sentences(rows), _notes(rows, columns))


def _with_notes(lines: Sequence[str], notes: Sequence[str], format: str, width: int) -> str:
    below = [f"- {n}" for n in notes] if format == "markdown" else [line for n in notes for line in wrapped(n, width)]
    return "\n".join([*lines, *([""] if lines and below else []), *below])


def _title(rows: Sequence[Row], several: bool) -> str:
    first = rows[0]
    parts = [first["task"], *([f"series {first['series']}"] if several or first["series"] != "main" else [])]
    parts += [str(first[f]) for f in SHARED if f != "mode" and same(rows, f) and (len(rows) > 1 or f != "model")]
    if same(rows, "mode") and first["mode"].startswith("live"):
        parts.append(first["mode"])
    if same(rows, "problems") and same(rows, "attempts"):
        parts.append(_amount(first))
    return " · ".join(parts)


def _amount(row: Row) -> str:
    trials = row["attempts"] / row["problems"] if row["problems"] else 0
    items = row["items"] / row["attempts"] if row["attempts"] else 1
    text = f"{row['problems']:,} problem{'s' if row['problems'] != 1 else ''}"
    text += f" × {trials:g} trials" if trials > 1 and trials == int(trials) else f", {row['attempts']:,} attempts" if trials > 1 else ""
    return text + (f" × {items:g} items" if items > 1 else "")


def _columns(rows: Sequence[Row], short: Mapping[str, str]) -> list[Column]:
    """All columns, by order of appearance; `short`: names that are written shorter."""
    found = [Column("", _mark, 100, left=True)]
    found += [_name_column("model", 90, short)] if not same(rows, "model") or len(rows) == 1 else []
    found.append(_name_column("strategy", 95, short))
    found += [_name_column(f, 70, short) for f in ("engine", "hardware") if not same(rows, f)]
    if not same(rows, "mode") or not same(rows, "concurrency"):
        found.append(Column("mode", mode, 88, left=True))
    if not (same(rows, "problems") and same(rows, "attempts")):
        found.append(
            Column("problems", lambda r: f"{r['problems']:,}" + ("×" + f"{r['attempts'] / r['problems']:.3g}" if r["problems"] else ""), 68)
        )
    found.append(Column("accuracy\n% (95 %)", _accuracy, 99, fields=("accuracy",)))
    found.append(Column("output\ntokens", lambda r: number(r["output_tokens"]), 60, fields=("output_tokens",)))
    found.append(Column("serial\ntokens", lambda r: number(r["serial_tokens"]), 20, fields=("serial_tokens",)))
    found.append(_scaled(rows, "flop", "compute", "FLOP", 85))
    found.append(_scaled(rows, "energy_j", "energy", "J", 80, mark=energy_mark))
    found += [_money(rows, "cost_usd", "cost", 78), _money(rows, "cost_per_correct_usd", "per correct", 83)]
    found.append(_money(rows, "cost_of_pass_usd", "cost of pass", 75))
    found.append(Column("unsolved\n%", lambda r: MISSING if r["unsolved_share"] is None else f"{100 * r['unsolved_share']:.1f}", 55))
    found.append(_scaled(rows, "latency_p50_s", "p50", "s", 40))
    found.append(Column("cell", lambda r: r["cell"], 30, left=True))
    return found


def _name_column(field: str, worth: int, short: Mapping[str, str]) -> Column:
    return Column(field, lambda row: short.get(str(row[field]), str(row[field])), worth, left=True)


def _mark(row: Row) -> str:
    return ON if row["frontier"] else "p" if row["partial"] else ""


def _accuracy(row: Row) -> str:
    if row["accuracy"] is None:
        return MISSING
    return f"{100 * row['accuracy']:.1f} ({100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f})"


def _scaled(rows: Sequence[Row], field: str, name: str, unit: str, worth: int, mark: Callable[[Row], str] = lambda row: "") -> Column:
    """A column in one SI unit for all its rows, so that its numbers can be compared at a glance."""
    scale, prefix = si_scale([row[field] for row in rows])
    return Column(f"{name}\n{prefix}{unit}", lambda r: mark(r) + number(r[field], scale), worth, fields=(field,))


def _money(rows: Sequence[Row], field: str, name: str, worth: int) -> Column:
    scale, unit = money_scale(rows)
    if all(row[field] is None or math.isinf(row[field]) for row in rows):
        worth = 25  # a column of nothing but ∞ says little
    return Column(f"{name}\n{unit}", lambda r: number(r[field], scale), worth, fields=(field,))


# --- layout -----------------------------------------------------------------------------------------------------------------------------


def _fitting(rows: Sequence[Row], width: int) -> list[Column]:
    """The columns that fit: names are shortened first, as far as they stay different, then columns go, the least worth first."""
    kept = _columns(rows, {})
    if total_width(kept, rows) > width:
        kept = _columns(rows, short_names(rows))
    while total_width(kept, rows) > width and len(kept) > 4:
        kept.remove(min(kept, key=lambda c: c.worth))
    return kept


def total_width(columns: Sequence[Column], rows: Sequence[Row]) -> int:
    return sum(_widths(columns, rows)) + 2 * (len(columns) - 1)


def _widths(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    return [max(len(text) for text in (*c.header.split("\n"), *(c.text(row) for row in rows))) for c in columns]


def aligned(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Lines of a table for a terminal: two lines of header, a rule, the rows."""
    widths = _widths(columns, rows)

    def line(texts: Sequence[str]) -> str:
        cells = (t.ljust(w) if c.left else t.rjust(w) for t, w, c in zip(texts, widths, columns, strict=True))
        return "  ".join(cells).rstrip()

    heads = [c.header.split("\n") if "\n" in c.header else ["", c.header] for c in columns]
    rule = "  ".join("─" * w for w in widths)
    return [line([h[0] for h in heads]), line([h[1] for h in heads]), rule, *(line([c.text(row) for c in columns]) for row in rows)]


def marked_down(columns: Sequence[Column], rows: Sequence[Row]) -> list[str]:
    """Lines of the same table in Markdown."""

    def line(texts: Sequence[str]) -> str:
        return "| " + " | ".join(t.replace("|", "\\|").replace("*", "\\*") for t in texts) + " |"

    return [
        line([c.header.replace("\n", " ") for c in columns]),
        "|" + "|".join(" --- " if c.left else " ---: " for c in columns) + "|",
        *(line([c.text(row) for c in columns]) for row in rows),
    ]


def wrapped(text: str, width: int) -> list[str]:
    """A note as lines of at most `width` characters."""
    import textwrap

    kept = text.replace(" %", "\u00a0%")  # a number and its percent sign stay together
    return [line.replace("\u00a0%", " %") for line in textwrap.wrap(kept, width, subsequent_indent="  ", break_on_hyphens=False)] or [""]


# --- words below ------------------------------------------------------------------------------------------------------------------------


def _notes(rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    shown = {field for c in columns for field in c.fields} | set(rows[0]["frontier_axes"])
    return [*_legend(rows, shown), *_doubts(rows, shown), *_absent(rows, shown)]


def _legend(rows: Sequence[Row], shown: set[str]) -> list[str]:
    arrows = ", ".join(axis + (" ↑" if axis == "accuracy" else " ↓") for axis in rows[0]["frontier_axes"])
    notes = [f"{ON} on the frontier of {arrows}."] if any(row["frontier"] for row in rows) else []
    basis = rows[0]["cost_basis"]
    if basis and any(field.endswith("_usd") for field in shown):
        what = {"hardware": "on-demand rental of the device-seconds used", "token": "list price per token", "energy": "electricity only"}[
            basis
        ]
        many = {"$": "", "$/1k": ", per thousand", "$/1M": ", per million", "$/1G": ", per billion"}[money_scale(rows)[1]]
        meanings = ["cost = mean per item"] if "cost_usd" in shown else []
        meanings += ["per correct = Σ cost / Σ correct"] if "cost_per_correct_usd" in shown else []
        meanings += ["cost of pass = mean over problems of cost / success rate"] if "cost_of_pass_usd" in shown else []
        notes.append(f"Dollars: {what}{many}; {', '.join(meanings)}. Tokens, FLOPs and joules are means per item.")
    if all(row["reasons"].get("cost_usd") == "no_common_basis" for row in rows):
        notes.append(f"No dollars: {words('no_common_basis')}.")
    if any(math.isinf(row[f]) for row in rows for f in shown if isinstance(row[f], float)):
        notes.append(f"{INFINITE} some problems were never solved (unsolved %), so no number of retries would do.")
    return notes


def _doubts(rows: Sequence[Row], shown: set[str]) -> list[str]:
    notes = []
    if "energy_j" in shown:
        if any(energy_mark(row) == "~" for row in rows):
            notes.append(f"~ energy is estimated, not measured: {words('estimated')}.")
        for code in sorted({row["reasons"]["energy_valid"] for row in rows if energy_mark(row) == "?"}):
            notes.append(f"? energy is in doubt ({code}): {words(code)}.")
        sources = {row["energy_source"] for row in rows if row["energy_j"] is not None}
        if len(sources) > 1:
            notes.append(f"Energy comes from different sources here ({', '.join(sorted(sources))}): do not rank by it.")
    if "latency_p50_s" in shown and any(row["reasons"].get("latency_p50_s") == "shared_load" for row in rows):
        notes.append(f"Latency: {words('shared_load')}.")
    partial: dict[str, list[str]] = {}
    for row in rows:
        if row["partial"]:
            partial.setdefault(row["reasons"]["partial"], []).append(cell_name(row, rows))
    notes += [f"p partial, off the frontier ({code}): {', '.join(names)}: {words(code)}." for code, names in partial.items()]
    codes = sorted({code for row in rows for code in row["codes"]})
    return notes + [f"{code} ({', '.join(cell_name(r, rows) for r in rows if code in r['codes'])}): {words(code)}." for code in codes]


def _absent(rows: Sequence[Row], shown: set[str]) -> list[str]:
    why: dict[str, set[str]] = {}
    for row in rows:
        for field in sorted(shown):
            if row[field] is None and row["reasons"].get(field, "no_common_basis") != "no_common_basis":
                why.setdefault(row["reasons"][field], set()).add(field)
    return [f"{MISSING} {', '.join(sorted(fields))} ({code}): {words(code)}." for code, fields in sorted(why.items())]
