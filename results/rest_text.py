"""REST's averages in words: the rows of `results.rest` as lines of a table, and the notes below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.reasons import words
from results.rest import NAMES, Row
from results.wording import MISSING, listed, number

APART = tuple(name for name in NAMES if name != "strategy")
COMPAT = "rest-compat %"


def lines(rows: Sequence[Row]) -> list[dict[str, str]]:
    """A line per row: what tells it from the others, single and stress with their intervals, both by REST's own grader, and tokens."""
    differ = [name for name in APART if len({str(row[name]) for row in rows}) > 1]
    return [
        {name: MISSING if row[name] is None else str(row[name]) for name in differ}
        | {
            "strategy": str(row["strategy"]),
            "task": _task(row, rows),
            "single % (95 %)": _interval(row, "single"),
            "stress % (95 %)": _interval(row, "stress") + (" p" if row["partial"] else ""),
            COMPAT: f"{_percent(row['single_compat'])} → {_percent(row['stress_compat'])}",
            "tokens per question": " · ".join(f"{level['s']}: {number(level['output_tokens'])}" for level in row["levels"]),
        }
        for row in rows
    ]


def notes(rows: Sequence[Row]) -> list[str]:
    """What the columns mean, and why something is missing."""
    found = [
        "single: accuracy with one question per prompt; stress: mean accuracy over the numbers of questions above 1. rest-compat: both as "
        "REST's own extraction and grader have it. tokens per question: output tokens, by the number of questions in the prompt."
    ]
    if any(row["partial"] for row in rows):
        found.append(f"p partial (uneven_levels): {words('uneven_levels')}.")
    for fields in (("single", "stress"), ("single_compat", "stress_compat")):
        why: dict[str, list[str]] = {}
        for row in rows:
            for code in dict.fromkeys(row["reasons"][field] for field in fields if row[field] is None):
                lacks = f" lacks s = {', '.join(map(str, row['missing']))}" if code == "missing_levels" and fields[0] == "single" else ""
                why.setdefault(code, []).append(f"{row['strategy']}{lacks}")
        name = "single or stress" if fields[0] == "single" else "rest-compat"
        found += [f"{MISSING} {name} of {listed(list(dict.fromkeys(own)))} ({code}): {words(code)}." for code, own in why.items()]
    return found


def _task(row: Row, rows: Sequence[Row]) -> str:
    """The base's name, with its parameters where these tell rows apart, and the kind of prompt where there are both."""
    alike = {_said(one["base"]) for one in rows if _kind(one) == _kind(row)}
    prompt = f", {row['prompt']} prompt" if len({one["prompt"] for one in rows}) > 1 else ""
    return (_said(row["base"]) if len(alike) > 1 else _kind(row)) + prompt


def _kind(row: Row) -> str:
    return str(row["base"]["kind"]) if isinstance(row["base"], Mapping) else str(row["base"])


def _said(base: Any) -> str:
    if not isinstance(base, Mapping):
        return str(base)
    inside = ", ".join(f"{name}={value}" for name, value in sorted(base.items()) if name != "kind")
    return f"{base['kind']}({inside})" if inside else str(base["kind"])


def _interval(row: Row, field: str) -> str:
    if row[field] is None:
        return MISSING
    return f"{_percent(row[field])} ({_percent(row[f'{field}_low'])}–{_percent(row[f'{field}_high'])})"


def _percent(share: float | None) -> str:
    return MISSING if share is None else f"{100 * share:.1f}"
