"""The picture of the frontier: what is joined, what is named, and that nothing is written over anything else."""

from __future__ import annotations

import json
import math
import re

import pytest

from results import picture, table
from results.report import Row
from tests.results.rows import compared, crowd, row

THREE = [row("direct", 0.1, 5e7), row("cot", 0.8, 1e8), row("vote", 0.9, 4e8), row("judge", 0.7, 6e8)]


def drawn(rows: list[Row], width: int = 80) -> str:
    return "\n".join(picture.lines(rows, width))


@pytest.mark.parametrize("axes", [("accuracy", "flop"), ("cost", "accuracy"), ("energy_j", "flop"), ("accuracy", "latency_p50_s")])
def test_the_joined_cells_are_the_frontier_of_the_report(axes: tuple[str, ...]) -> None:
    chosen = tuple("cost_usd" if axis == "cost" else axis for axis in axes)
    for seed in range(5):
        rows = crowd("arithmetic(operations=4-6)", *chosen, seed=seed)
        told = json.loads(table.render(rows, "json"))
        joined = picture.joined(rows)
        assert {r["cell"] for r in joined} == {r["cell"] for r in told if r["frontier"]} != set()
        x, y = (chosen[1], chosen[0]) if chosen[0] == "accuracy" else chosen if chosen[1] == "accuracy" else (chosen[1], chosen[0])
        assert [r[x] for r in joined] == sorted(r[x] for r in joined)
        assert len({(r[x], r[y]) for r in joined}) == len({r[y] for r in joined})


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("task", ["arithmetic(operations=4-6)", "procbench(source=generated)"])
def test_a_crowd_fits_and_numbers_its_frontier_in_order(width: int, task: str) -> None:
    for seed in range(10):
        rows = crowd(task, seed=seed)
        lines = picture.lines(rows, width)
        assert max(map(len, lines)) <= width and len(lines) < 40
        legend = [line for line in lines if line.startswith("● perpass/nano")]
        assert len(legend) == 1 and "▲ perpass/micro   ■ perpass/mini   hollow: dominated" in legend[0]
        keys = re.findall(r"(\d+) ([●▲■]) (\S+)", "\n".join(lines[lines.index(legend[0]) :]))
        assert [int(n) for n, _, _ in keys] == list(range(1, len(keys) + 1))
        first = picture.joined(rows)[0]
        assert keys[0] == ("1", picture.MARKS[list(dict.fromkeys(r["model"] for r in rows)).index(first["model"])][0], first["strategy"])


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_names_are_whole_and_every_cell_of_a_small_frontier_is_named(width: int) -> None:
    for seed in range(10):
        rows = compared([r for r in crowd("sums", seed=seed) if r["model"] == "perpass/nano"])
        text = drawn(rows, width)
        for cell in picture.joined(rows):
            assert cell["strategy"] in text, text
        known = {r["strategy"] for r in rows}
        assert set(re.findall(r"[a-z_]{3,}(?:\(n=\d+\))", text)) <= known  # no name is cut or written into another


def test_marks_and_intervals_stand_where_the_numbers_say() -> None:
    lines = drawn(compared([row("cot", 0.5, 1e8, wide=0.5), row("vote", 1.0, 1e10, wide=0.0)])).splitlines()
    marks = [(n, line.index("●")) for n, line in enumerate(lines) if "●" in line and "frontier" not in line]
    (top, right), (middle, left) = marks
    assert "100 ┤" in lines[top] and right > left
    column = [line[left] if len(line) > left else " " for line in lines]
    assert column[middle] == "●" and set(column[top:middle] + column[middle + 1 : 2 * middle - top + 1]) == {"│"}
    ticks = {text: lines[-2].index(text) for text in lines[-2].split()}
    assert lines[-1].startswith("●") or ticks


def test_the_logarithmic_axis_has_round_ticks_in_the_tables_unit() -> None:
    text = drawn(compared([row("a", 0.1, 1e6), row("b", 0.5, 1e9), row("c", 0.9, 1e12)]), 100)
    assert "compute per item, GFLOP, logarithmic" in text
    (ticks,) = [line.split() for line in text.splitlines() if re.fullmatch(r" +[\d.,]+( +[\d.,]+)+", line)]
    values = [float(t.replace(",", "")) for t in ticks]
    assert len(values) >= 3 and all(math.log10(v) == pytest.approx(round(math.log10(v))) for v in values)


def test_an_axis_of_estimated_joules_says_so() -> None:
    assert "energy per item, mJ, estimated, logarithmic" in drawn(compared(THREE, "accuracy", "energy_j"))
    measured = [r | {"energy_source": "rapl_counter"} for r in THREE]
    assert "estimated" not in drawn(compared(measured, "accuracy", "energy_j"))


def test_a_dominated_cell_is_hollow_and_what_coincides_is_named_together() -> None:
    text = drawn(compared([row("cot", 0.8, 1e8), row("same", 0.8, 1e8), row("less", 0.4, 1e8), row("vote", 0.9, 9e8)]), 120)
    assert "cot, same" in text and text.count("○") == 2  # the cell and the legend
    assert "○ less" in text or "less ○" in text


def test_one_cell_and_no_cells_have_no_picture() -> None:
    assert drawn(compared([row("cot")])) == "" and drawn([]) == ""


def test_equal_costs_stand_above_each_other() -> None:
    lines = drawn(compared([row("a", 0.2), row("b", 0.5), row("c", 0.9)])).splitlines()
    assert len({line.index(mark) for line in lines[:-1] for mark in "●○" if mark in line}) == 1
    assert drawn(compared([row("a", 0.5, wide=0), row("b", 0.5, wide=0)])).count("●") == 2  # both are on the frontier, on one place


def test_an_infinite_cost_stands_at_the_edge_and_zero_at_the_other() -> None:
    rows = compared([row("a", 0.2, 0.0), row("b", 0.5, 1e8), row("c", 0.9, math.inf)])
    assert [r["strategy"] for r in picture.joined(rows)] == ["a", "b", "c"]
    ticks = next(line for line in drawn(rows).splitlines() if line.endswith("∞"))
    assert ticks.split()[0] == "0"
    all_infinite = drawn(compared([row("a", 0.2, math.inf), row("b", 0.5, math.inf)]))
    assert "∞" in all_infinite and "b ●" in all_infinite


def test_an_unknown_cost_is_said_and_the_rest_is_drawn() -> None:
    unknown = row("free", 0.95, None)
    unknown["reasons"]["flop"] = "unknown_architecture"
    text = drawn(compared([*THREE, unknown, row("half", 0.9, partial=True)]))
    assert "Not drawn: free (no flop: unknown_architecture); half (partial)." in " ".join(text.split())
    assert all(r["strategy"] in text for r in THREE)
    only = [row(s, 0.5, None, reasons={"flop": "unknown_architecture"}) for s in ("a", "b")]
    assert drawn(compared(only)) == "No picture: every cell (no flop: unknown_architecture)."


def test_long_names_are_shortened_to_what_tells_them_apart_and_no_line_is_too_wide() -> None:
    names = [f"beam(width={n}, expand=4, depth=12, reward=a_long_name_of_a_reward_model_that_fills_a_line)" for n in (2, 4, 8)]
    text = drawn(compared([row(name, 0.3 * n, 1e8 * n) for n, name in enumerate(names, 1)]), 60)
    assert "beam(width=4, …)" in text and max(map(len, text.splitlines())) <= 60
    text = drawn(compared([row("x" * 90, 0.5, 1e8), row("y" * 90, 0.9, 2e8)]), 60)
    assert "1 ● xxx" in text and "x…" in text and max(map(len, text.splitlines())) <= 60


def test_three_axes_are_no_picture() -> None:
    assert drawn(compared(THREE, "accuracy", "flop", "energy_j")).startswith("No picture: it needs two axes, and the frontier has 3")


def test_times_under_shared_load_and_alone_get_pictures_of_their_own() -> None:
    alone = [r | {"mode": "live", "cell": r["cell"] + "live"} for r in THREE]
    rows = compared([*THREE, *alone], "accuracy", "latency_p50_s")
    assert drawn(rows).count("median latency, ms, logarithmic") == 2
    assert drawn(compared([*THREE, *alone])).count("logarithmic") == 1


def test_colours_change_no_character() -> None:
    rows = crowd("sums")
    coloured = picture.lines(rows, 120, colour=True)
    assert "\x1b[" in coloured[3]
    assert [re.sub(r"\x1b\[[\d;]*m", "", line).rstrip() for line in coloured] == picture.lines(rows, 120)
    assert not any("\x1b" in line for line in picture.lines(rows, 120))
