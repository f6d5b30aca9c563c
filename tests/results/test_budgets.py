"""Overshoot above stated budgets, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results import budgets, report, show
from results.records import CellKey
from tests.results.builders import SAMPLING, World, cell_key

SERVER = {"kind": "openai", "settings": {"tokenizer": None}}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a.db")


def key(name: str = "budget_forcing", engine: dict[str, Any] | None = None, **params: Any) -> CellKey:
    made = replace(cell_key(), strategy={"name": name, "version": 1, "params": params, "sampling": SAMPLING})
    return replace(made, engine=engine) if engine else made


def think(world: World, own: CellKey, calls: Sequence[Sequence[tuple[int, int]]], **changes: Any) -> None:
    """A cell with an attempt per entry, each with calls of so many (reasoning, output) tokens."""
    row = world.cell(own)
    for n, pairs in enumerate(calls):
        place = world.ids[row.name][f"p{n}"]
        samples = [
            world.sample(own, f"{row.id}:{n}:{i}", place, reasoning_tokens=reasoning, output_tokens=output, **changes)
            for i, (reasoning, output) in enumerate(pairs)
        ]
        world.store.write(samples, [world.attempt(row, own, f"p{n}", ["correct"], samples)])


def test_overshoot_is_what_the_calls_of_an_attempt_think_above_the_budget(world: World) -> None:
    think(world, key(max_thinking=64), [[(40, 40), (30, 30), (0, 9)], [(64, 64), (0, 9)], [(10, 10), (0, 9)], [(90, 95)]])
    (row,) = budgets.rows(world.engine)
    assert (row["budget"], row["counted"], row["attempts"]) == (64, "reasoning", 4)
    assert row["used_tokens"] == (70 + 64 + 10 + 90) / 4 and row["overshoot_tokens"] == (6 + 26) / 4
    assert (row["over_share"], row["most_over_tokens"], row["reasons"]) == (0.5, 26, {})
    (line,) = budgets.lines([row])
    assert line == {
        "strategy": "budget_forcing(max_thinking=64)", "budget": "64 reasoning", "attempts": "4", "used": "58.5", "above %": "50",
        "overshoot": "8", "most": "26",
    }  # fmt: skip


def test_a_budget_that_the_model_is_only_told_counts_output_and_other_strategies_state_none(world: World) -> None:
    think(world, key("token_budget", max_output=50), [[(0, 50)], [(0, 53)]])
    think(world, key("token_budget", max_output=None), [[(0, 50)]])
    think(world, key("cot"), [[(0, 50)]])
    (row,) = budgets.rows(world.engine)
    assert (row["counted"], row["used_tokens"], row["over_share"], row["overshoot_tokens"]) == ("output", 51.5, 0.5, 1.5)


def test_what_nobody_counts_is_not_known_and_helpers_think_on_their_own_account(world: World) -> None:
    think(world, key(engine=SERVER, max_thinking=64), [[(0, 70)]])
    think(world, key("judged", max_thinking=64), [[(99, 99)]], role="judge")
    unknown, judged = sorted(budgets.rows(world.engine), key=lambda row: row["attempts"] and row["used_tokens"] is not None)
    assert unknown["used_tokens"] is unknown["overshoot_tokens"] is None and set(unknown["reasons"].values()) == {"reasoning_not_counted"}
    assert judged["used_tokens"] == 0
    assert "not count reasoning tokens" in budgets.notes([unknown])[1] and budgets.lines([unknown])[0]["overshoot"] == "–"
    think(world, replace(key(engine=SERVER, max_thinking=64), seed=1), [[(0, 70)], [(7, 70)]])
    assert [row["used_tokens"] for row in budgets.rows(world.engine) if row["attempts"] == 2] == [3.5]  # it does count them


def test_an_attempt_shows_its_own_and_errors_are_left_out(world: World) -> None:
    own = key(max_thinking=64)
    think(world, own, [[(70, 75)], [(60, 60)]])
    row = world.cell(own)
    world.store.write([], [world.attempt(row, own, "p2", ["error"], [], error="TransportFault: gone")])
    assert budgets.rows(world.engine)[0]["attempts"] == 2
    over, within = show.attempt(world.engine, 1)["budget"], show.attempt(world.engine, 2)["budget"]
    assert over == {"tokens": 64, "counted": "reasoning", "used": 70, "over": 6} and within["over"] == 0
    assert budgets.said(64, "reasoning", 70) == "budget of 64 reasoning tokens: 70 used, 6 above it"
    assert budgets.said(64, "reasoning", 60).endswith("60 used, none above it")
    empty = world.cell(key(max_thinking=9))
    cells = report.select(world.engine)
    (nothing,) = budgets.rows(world.engine, cells=cells[cells["cell"] == empty.name])
    assert set(nothing["reasons"].values()) == {"no_attempts"}
