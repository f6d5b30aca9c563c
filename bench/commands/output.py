"""Writing results to stdout: JSON that any parser takes, and plain tables."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDEST = 72
"""Characters of a table's cell; JSON has them all."""


def colour() -> bool:
    """Whether stdout is a terminal that shows colours, to someone who wants them (NO_COLOR)."""
    from rich.console import Console

    console = Console()
    return console.is_terminal and not console.no_color and not console.is_dumb_terminal


def json_lines(value: Any) -> None:
    """Print `value` as indented, strict JSON: infinity is "inf", not-a-number null."""
    from results.table import plain

    json.dump(plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print `lines(rows)`."""
    print("\n".join(lines(rows)))


def lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as aligned columns, of the keys that all have; the text is never read as markup."""
    if not rows:
        return ["none"]
    heads = [h for h in rows[0] if all(h in row for row in rows)]
    cells = [[_short(row[h]) for h in heads] for row in rows]
    widths = [max(len(h), *(len(line[i]) for line in cells)) for i, h in enumerate(heads)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in [heads, *cells]]


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Rows as a Markdown table, of the keys of the first."""
    heads = list(rows[0])
    texts = [[str(row[h]).replace("|", "\\|").replace("*", "\\*") for h in heads] for row in rows]
    return [f"| {' | '.join(line)} |" for line in [heads, ["---"] * len(heads), *texts]]


def notes(texts: Iterable[str], width: int) -> list[str]:
    """Notes below a table, wrapped."""
    return [line for text in texts for line in textwrap.wrap(text, width, subsequent_indent="    ")]


def _short(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else " ".join(str(value).split())
    return (text if len(text) <= WIDEST else text[: WIDEST - 1] + "…") or "–"
