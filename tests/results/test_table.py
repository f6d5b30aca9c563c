"""The report as people read it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from perpass.errors import UserError
from results import report, table
from results.prices import PriceBook
from tests.results.builders import World, cell_key


@pytest.fixture
def rows(tmp_path: Path) -> list[report.Row]:
    world = World.make(tmp_path / "perpass.db")
    for model, right in (("perpass/nano", 1), ("perpass/mini", 3)):
        key = cell_key(model)
        outcomes: dict[str, Any] = {f"p{n}": ["correct" if n < right else "wrong"] for n in range(4)}
        scale = 1.0 if model == "perpass/nano" else 10.0
        world.solve(world.cell(key), key, outcomes, flop_linear=1e6 * scale)
    part = cell_key("perpass/mini", "direct")
    world.solve(world.cell(part), part, {"p0": ["correct"], "p1": ["error"]})
    return report.rows(world.engine, book=PriceBook(()))


def test_a_terminal_is_never_too_narrow(rows: list[report.Row]) -> None:
    for width in (60, 80, 100, 160):
        lines = table.render(rows, "table", width).splitlines()
        assert max(len(line) for line in lines) <= width


def test_a_wide_terminal_shows_more(rows: list[report.Row]) -> None:
    narrow, wide = table.render(rows, "table", 80), table.render(rows, "table", 200)
    assert "accuracy" in narrow and "MFLOP" in narrow and rows[0]["cell"] not in narrow
    assert rows[0]["cell"] in wide


def test_columns_line_up(rows: list[report.Row]) -> None:
    lines = table.render(rows, "table", 120).splitlines()
    rule = next(n for n, line in enumerate(lines) if line.startswith("─"))
    at = lines[rule].index("─", 1) if " " in lines[rule] else 0
    ends = [n for n, (a, b) in enumerate(zip(lines[rule], lines[rule][1:] + " ", strict=True)) if a == "─" and b == " "]
    for line in lines[rule + 1 : rule + 4]:
        padded = line.ljust(len(lines[rule]))
        assert at >= 0 and all(padded[end + 1 : end + 3].strip() == "" for end in ends)


def test_it_marks_the_frontier_and_says_what_marks_mean(rows: list[report.Row]) -> None:
    text = table.render(rows, "table", 120)
    assert "* on the frontier of accuracy ↑, flop ↓." in text
    assert "p partial, off the frontier" in text and "infrastructure" in text
    assert "75.0 (" in text and "25.0 (" in text
    assert "At ≥ 25.0 % accuracy, perpass/nano cot is the least to compute (4.00 MFLOP per correct answer)" in " ".join(text.split())


def test_what_is_missing_is_a_dash_with_its_reason(rows: list[report.Row]) -> None:
    text = table.render(rows, "table", 160)
    assert "– energy_j (unsettled)" in text.replace("\n  ", " ")
    assert "No dollars: no kind of dollars" in text


def test_what_all_rows_share_stands_in_the_title_once(rows: list[report.Row]) -> None:
    first = table.render(rows, "table", 160).splitlines()[0]
    assert first == "sums · transformers · AMD EPYC (2 cores)"


def test_markdown_is_a_table(rows: list[report.Row]) -> None:
    lines = table.render(rows, "markdown").splitlines()
    body = [line for line in lines if line.startswith("|")]
    assert len(body) == 5 and len({line.count("|") for line in body}) == 1
    assert lines[0] == "### sums · transformers · AMD EPYC (2 cores)"


def test_csv_has_a_column_per_field(rows: list[report.Row]) -> None:
    read = list(csv.DictReader(io.StringIO(table.render(rows, "csv"))))
    assert list(read[0]) == list(report.FIELDS) and len(read) == 3
    assert {r["accuracy"] for r in read} == {"0.25", "0.75", "1.0"} and read[0]["energy_j"] == ""
    assert any(r["flop_of_pass"] == "inf" for r in read)


def test_only_the_terminals_table_is_drawn(rows: list[report.Row]) -> None:
    assert "┤" not in table.render(rows, "table", 120) and "┤" in table.render(rows, "table", 120, drawn=True)
    for format in ("json", "csv", "markdown"):
        assert table.render(rows, format, drawn=True, colour=True) == table.render(rows, format)


def test_no_cells_and_no_such_format() -> None:
    assert table.render([], "table") == "no cells" and table.render([], "json") == "[]"
    with pytest.raises(UserError, match="unknown format 'jsn'; did you mean 'json'"):
        table.render([], "jsn")
