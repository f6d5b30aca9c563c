"""Scores of interrupted attempts, worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results import interruption as interruptions
from results import interruption_text as text
from results import intervals
from results.interruption import Interrupted
from results.records import CellKey
from tests.results.builders import SAMPLING, World, cell_key

BASE = {"kind": "sums"}


def made(problem: int = 0, right: int = 1, whole: int | None = 1, **lengths: Any) -> Interrupted:
    """An attempt whose whole trace thought 100 tokens, of which 30 were kept, and answered in 10."""
    fields: dict[str, Any] = {"thinking": 100, "own": 10, "kept": 30, "further": 0, "after": 10}
    return Interrupted(problem, right, 1, whole, **(fields | lengths))


def key(mode: str = "soft", fraction: float = 0.3, **changes: Any) -> CellKey:
    """The identity of a cell of `interruption`."""
    strategy = {"name": "interruption", "version": 1, "params": {"mode": mode, "fraction": fraction}, "sampling": SAMPLING}
    return replace(cell_key(), strategy=strategy, **changes)


def interrupt(world: World, own: CellKey, outcomes: Sequence[str], whole: Mapping[str, int], rest: Mapping[str, int], **uses: int) -> None:
    """A cell with one attempt per outcome; the trace of problem n is that which `cot` below judged."""
    row = world.cell(own)
    samples, attempts = [], []
    for n, outcome in enumerate(outcomes):
        place = world.ids[row.name][f"p{n}"]
        first = world.sample(own, f"pool:{n}", place, prompt=f"ask {n}", text=f"trace {n}", pool="pool", position=0, **whole)
        more = [world.sample(own, f"{row.id}:rest:{n}", place, **rest)] if rest else []
        made = world.attempt(row, own, f"p{n}", [outcome], [first, *more])
        kept = uses.get("kept", first.output_tokens)
        samples += [first, *more]
        attempts.append(replace(made, uses=(replace(made.uses[0], output=kept), *made.uses[1:])))
    world.store.write(samples, attempts)


def judge_whole(world: World, outcomes: Sequence[str], task: str = "sums", **changes: Any) -> None:
    """A cell of cot whose attempts are the whole traces; changes go to the attempts."""
    own = cell_key(task=task)
    row = world.cell(own)
    for n, outcome in enumerate(outcomes):
        place = world.ids[row.name][f"p{n}"]
        sample = world.sample(own, f"pool:{n}", place, prompt=f"ask {n}", text=f"trace {n}", pool="pool", position=0)
        world.store.write([sample], [world.attempt(row, own, f"p{n}", [outcome], [sample], **changes)])


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "a.db")


WHOLE, REST = {"output_tokens": 110, "reasoning_tokens": 100}, {"output_tokens": 25, "reasoning_tokens": 5}


def test_panic_is_being_wrong_after_next_to_no_thinking_where_the_whole_trace_was_right() -> None:
    panicked = made(0, right=0, further=7)  # a tenth of the 70 that were left
    others = [made(1, right=0, further=8), made(2, right=1, further=0), made(3, right=0, whole=0), made(4, right=0, whole=None)]
    row = interruptions.scored([panicked, *others], "soft")
    assert (row["panic"], row["accuracy"], row["whole_accuracy"]) == (1 / 3, 1 / 5, 3 / 4)
    assert (row["panic_low"], row["panic_high"]) == intervals.accuracy([[(1, 1)], [(0, 1)], [(0, 1)]])
    assert interruptions.scored([panicked], "hard")["reasons"]["panic"] == "other_mode"


def test_self_doubt_is_being_wrong_after_an_update_where_the_whole_trace_was_right_before() -> None:
    row = interruptions.scored([made(0, right=0), made(1), made(2, right=0, whole=0), made(3, right=0, further=60)], "update")
    assert row["self_doubt"] == 2 / 3 and row["panic"] is None


def test_leakage_is_of_attempts_that_came_to_an_answer_twice() -> None:
    attempts = [made(0, after=20), made(0, after=21), made(1, after=9), made(2, own=0, after=50), made(3, after=0)]
    row = interruptions.scored([*attempts, made(4, further=None, after=None)], "hard")
    assert row["leakage"] == pytest.approx((20 + 21 + 9) / 30) and row["leaked"] == 1 / 3
    assert row["leakage_low"] == pytest.approx(0.9) and row["leakage_high"] == pytest.approx(41 / 20)


@pytest.mark.parametrize(
    ("attempts", "reasons"),
    [
        ([], {"accuracy": "no_attempts", "leakage": "no_attempts", "panic": "no_attempts"}),
        ([made(further=None, after=None)], {"leakage": "nothing_interrupted", "panic": "nothing_interrupted"}),
        ([made(own=0)], {"leakage": "no_own_answer", "leaked_low": "no_own_answer"}),
        ([made(whole=None)], {"whole_accuracy": "whole_not_judged", "panic": "whole_not_judged"}),
        ([made(whole=0)], {"panic": "no_whole_right", "self_doubt": "other_mode"}),
    ],
)
def test_what_is_missing_has_its_reason(attempts: list[Interrupted], reasons: dict[str, str]) -> None:
    row = interruptions.scored(attempts, "soft")
    assert {name: row["reasons"].get(name) for name in reasons} == reasons
    assert all((row[name] is None) == (name in row["reasons"]) for name in interruptions.FIELDS if name.startswith(interruptions.SCORES))


def test_stored_samples_are_read_as_the_whole_trace_and_what_followed(world: World) -> None:
    interrupt(world, key(), ["correct", "wrong", "wrong", "error"], WHOLE, REST, kept=30)
    judge_whole(world, ["correct", "correct", "wrong"])
    (row,) = interruptions.rows(world.engine)
    assert set(row) == set(interruptions.FIELDS)
    assert (row["interruption"], row["fraction"], row["attempts"], row["interrupted"], row["problems"]) == ("soft", 0.3, 3, 3, 3)
    assert (row["accuracy"], row["whole_accuracy"]) == (1 / 3, 2 / 3)
    assert (row["leakage"], row["leaked"], row["panic"]) == (2.0, 0.0, 0.5)  # 20 tokens against 10; 5 of 70 tokens thought further
    assert interruptions.rows(world.engine, series="main", task="sums") == [row]


def test_only_an_attempt_that_is_the_whole_trace_alone_judges_it(world: World) -> None:
    interrupt(world, key(), ["correct"], WHOLE, REST, kept=30)
    judge_whole(world, ["correct"], items=("1",))  # a vote that shows the same sample
    (row,) = interruptions.rows(world.engine)
    assert row["whole_accuracy"] is None and row["reasons"]["whole_accuracy"] == row["reasons"]["panic"] == "whole_not_judged"


def test_traces_before_an_update_are_judged_on_the_base_task(world: World) -> None:
    task = {"name": "updated", "version": 101, "revision": "generated", "spec": {"kind": "updated", "base": BASE, "seed": 0}}
    interrupt(world, key("update", task=task), ["wrong", "correct"], WHOLE, REST, kept=30)
    judge_whole(world, ["correct", "wrong"], task="others")
    assert interruptions.rows(world.engine)[0]["reasons"]["self_doubt"] == "whole_not_judged"
    judge_whole(world, ["correct", "correct"])
    (row,) = interruptions.rows(world.engine)
    assert (row["self_doubt"], row["whole_accuracy"], row["accuracy"]) == (0.5, 1.0, 0.5)


def test_traces_without_thinking_and_other_strategies(world: World) -> None:
    judge_whole(world, ["correct"])
    assert interruptions.rows(world.engine) == []
    interrupt(world, key("hard"), ["correct", "wrong"], {"output_tokens": 20}, {})
    (row,) = interruptions.rows(world.engine)
    assert (row["accuracy"], row["interrupted"], row["attempts"]) == (0.5, 0, 2)
    (line,) = text.lines([row])
    assert line["cut"] == "0 of 2" and line["leakage ×"] == "–" and "panic %" not in line
    assert "– leakage of hard at 0.3 (nothing_interrupted): no trace had thinking to cut." in text.notes([row])


def test_rows_come_by_mode_and_fraction_and_are_told_apart(world: World) -> None:
    for fraction in (0.5, 0.3):
        interrupt(world, key("hard", fraction), ["correct"], WHOLE, REST, kept=30)
    interrupt(world, key("hard", 0.3, seed=1), ["wrong"], WHOLE, REST, kept=30)
    rows = interruptions.rows(world.engine)
    assert [row["fraction"] for row in rows] == [0.3, 0.3, 0.5]
    lines = text.lines(rows)
    assert len({line["strategy"] for line in lines}) == 3 and lines[2]["X"] == "0.5"
    assert next(iter(text.lines(rows[1:])[0])) == "mode"
