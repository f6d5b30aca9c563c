"""Risk, coverage, calibration and points: worked out by hand, by law, and from a database."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from results import confidence, selective
from results.records import CellKey
from tests.results.builders import World, cell_key

BASE = {"kind": "arithmetic", "operations": [1, 1], "size": 4, "seed": 0}
ANSWERS = st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), st.booleans()), min_size=1, max_size=40)


def split(pairs: Sequence[tuple[float, bool]]) -> tuple[list[float], list[bool]]:
    return [level for level, _ in pairs], [right for _, right in pairs]


# --- risk, coverage, calibration --------------------------------------------------------------------------------------------------------


def test_a_curve_worked_out_by_hand() -> None:
    # Five items, one not answered; the two answers at 0.9 come in together, one of them wrong.
    curve = selective.risk_coverage([0.9, 0.4, 0.9, 0.6], [True, False, False, True], items=5)
    assert curve == [(2 / 5, 1 / 2, 0.9), (3 / 5, 1 / 3, 0.6), (4 / 5, 2 / 4, 0.4)]


@given(ANSWERS, st.integers(0, 5), st.randoms(use_true_random=False))
def test_every_threshold_of_the_curve_against_counting(pairs: list[tuple[float, bool]], silent: int, rng: random.Random) -> None:
    items = len(pairs) + silent
    curve = selective.risk_coverage(*split(pairs), items)
    for coverage, risk, level in curve:
        kept = [right for other, right in pairs if other >= level]
        assert (coverage, risk) == pytest.approx((len(kept) / items, kept.count(False) / len(kept)))
    assert [level for _, _, level in curve] == sorted({level for level, _ in pairs}, reverse=True)
    mixed = rng.sample(pairs, len(pairs))
    assert selective.risk_coverage(*split(mixed), items) == curve


def test_a_calibration_error_worked_out_by_hand() -> None:
    # Bins [0.8, 0.9): two answers at 0.8, one right: |0.5 − 0.8|; last bin: 1.0, wrong: |0 − 1|; [0.3, 0.4): 0.3, right: |1 − 0.3|.
    assert selective.calibration_error([0.8, 0.8, 1.0, 0.3], [True, False, False, True]) == pytest.approx((2 * 0.3 + 1 + 0.7) / 4)


@given(ANSWERS)
def test_calibration_error_against_its_definition(pairs: list[tuple[float, bool]]) -> None:
    levels, right = split(pairs)
    expected = 0.0
    for low in range(10):
        own = [(level, ok) for level, ok in pairs if low / 10 <= level < (low + 1) / 10 or (low == 9 and level == 1)]
        if own:
            accuracy, mean = sum(ok for _, ok in own) / len(own), sum(level for level, _ in own) / len(own)
            expected += len(own) / len(pairs) * abs(accuracy - mean)
    found = selective.calibration_error(levels, right)
    assert found == pytest.approx(expected) and 0 <= found <= 1


def test_what_is_always_right_when_sure_and_never_when_not_has_no_calibration_error() -> None:
    assert selective.calibration_error([1.0, 1.0, 0.0], [True, True, False]) == 0
    assert selective.calibration_error([0.75] * 4, [True, True, True, False]) == 0
    with pytest.raises(ValueError, match="no answers"):
        selective.calibration_error([], [])


# --- from a database --------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def key(target: float = 0.75, strategy: str = "self_consistency") -> CellKey:
    spec = {"kind": "abstention", "base": BASE, "target": target}
    return replace(cell_key(strategy=strategy), task={"name": "abstention", "version": 101, "revision": "generated", "spec": spec})


def put(world: World, attempts: Mapping[str, tuple[str, Sequence[str]]], cell: CellKey | None = None, **sample: Any) -> None:
    """An attempt per problem: its outcome, and the texts of its samples, of which the first is the answer."""
    cell = cell or key()
    row = world.cell(cell, len(attempts))
    samples, records = [], []
    for problem, (outcome, texts) in attempts.items():
        number = world.ids[row.name][problem]
        own = [world.sample(cell, f"{row.id}:{problem}:{i}", number, text=text, **sample) for i, text in enumerate(texts)]
        made = world.attempt(row, cell, problem, [outcome], own)
        extracted = {"correct": "5", "wrong": "6", "abstained": "I don't know"}.get(outcome)
        uses = tuple(replace(use, chosen=use.ordinal == 0) for use in made.uses)
        error = "TransportFault: gone" if outcome == "error" else None
        records.append(replace(made, text=texts[0], extracted=(extracted,), uses=uses, error=error, scores={}))
        samples += own
    world.store.write(samples, records)


FIVE, SIX, IDK = "\\boxed{5}", "so \\boxed{6}", "\\boxed{I don't know}"
MIXED = {
    "p0": ("correct", [FIVE, FIVE, "The answer is 5.0", FIVE]),  # all agree, in value
    "p1": ("wrong", [SIX, FIVE, IDK, "hm"]),  # a quarter
    "p2": ("abstained", [IDK, IDK, FIVE, IDK]),
    "p3": ("truncated", ["3 +", "4 +", "5 +", "6 +"]),
}


def test_numbers_of_a_cell_worked_out_by_hand(world: World) -> None:
    put(world, MIXED)
    (row,) = selective.rows(world.engine)
    assert tuple(row) == selective.FIELDS
    assert (row["target"], row["base"], row["problems"], row["items"]) == (0.75, BASE, 4, 4)
    assert row["outcomes"] == {"correct": 1, "wrong": 1, "abstained": 1, "truncated": 1}
    assert (row["coverage"], row["risk"], row["points"]) == pytest.approx((0.5, 0.5, (1 - 3) / 4))
    assert -3 <= row["points_low"] < -0.5 < row["points_high"] <= 1
    assert row["confidence"] == "agreement"
    assert row["curve"] == [(0.25, 0.0, 1.0), (0.5, 0.5, 0.25)]
    assert row["ece"] == pytest.approx((0 + 0.25) / 2)
    assert (row["coverage_at_target"], row["points_above_target"]) == (0.25, 0.25)  # the sure answer alone: right
    assert row["reasons"] == {}


def test_points_are_the_scores_that_the_task_gives(world: World) -> None:
    task = tasks.load(key().task["spec"])
    problem = task.problems()[0]
    texts = {"correct": f"\\boxed{{{problem.gold[0]}}}", "wrong": "\\boxed{-1}", "abstained": IDK}
    judged = [asyncio.run(task.judge(problem, tasks.Reply(text))).scores["points"] for text in texts.values()]
    put(world, {f"p{n}": (outcome, [text]) for n, (outcome, text) in enumerate(texts.items())})
    (row,) = selective.rows(world.engine)
    assert row["points"] == pytest.approx(sum(judged) / 3)


@pytest.mark.parametrize(("outcome", "points", "interval"), [("correct", 1, True), ("wrong", -3, True), ("abstained", 0, False)])
def test_where_all_end_alike(world: World, outcome: str, points: float, interval: bool) -> None:
    put(world, {f"p{n}": (outcome, [FIVE]) for n in range(8)})
    (row,) = selective.rows(world.engine)
    assert row["points"] == points
    if interval:
        assert -3 <= row["points_low"] <= points <= row["points_high"] <= 1 and row["points_low"] < row["points_high"]
    else:
        assert row["points_low"] is row["risk"] is row["ece"] is None
        assert (row["reasons"]["points_low"], row["reasons"]["risk"], row["reasons"]["ece"]) == ("all_alike", *["nothing_answered"] * 2)


def test_single_samples_are_as_sure_as_their_tokens_were_likely(world: World) -> None:
    # The sample kept 20 tokens: what was cut off after them says nothing about the answer.
    put(world, {"p0": ("correct", [FIVE]), "p1": ("wrong", [SIX])}, key(strategy="cot"), logprobs=(math.log(0.5),) * 20 + (-9.0,) * 5)
    (row,) = selective.rows(world.engine)
    assert row["confidence"] == "probability" and row["curve"] == [(1.0, 0.5, pytest.approx(0.5))]
    assert row["ece"] == pytest.approx(0.0, abs=1e-6)


def test_without_several_samples_or_log_probabilities_there_is_no_confidence(world: World) -> None:
    put(world, {"p0": ("correct", [FIVE]), "p1": ("wrong", [SIX])}, key(strategy="cot"))
    (row,) = selective.rows(world.engine)
    assert (row["coverage"], row["risk"]) == (1.0, 0.5)
    for field in ("confidence", *selective.OF_CONFIDENCE):
        assert row[field] is None and row["reasons"][field] == "no_confidence"


def test_answers_that_are_no_whole_sample_have_no_confidence(world: World) -> None:
    """A stepwise strategy's answer is put together from samples; their agreement says nothing about it."""
    cell = key(strategy="beam")
    row = world.cell(cell, 1)
    own = [world.sample(cell, f"s{i}", world.ids[row.name]["p0"], text=t) for i, t in enumerate(["3 + 2", " = 5", " = 6"])]
    world.store.write(own, [replace(world.attempt(row, cell, "p0", ["correct"], own), text="3 + 2 = 5", extracted=("5",))])
    assert selective.rows(world.engine)[0]["reasons"]["ece"] == "no_confidence"


def test_only_samples_of_the_same_prompt_agree_or_not(world: World) -> None:
    cell = key()
    row = world.cell(cell, 1)
    number = world.ids[row.name]["p0"]
    own = [world.sample(cell, f"s{i}", number, text=t, prompt=p) for i, (t, p) in enumerate([(FIVE, "a"), (FIVE, "a"), (SIX, "b")])]
    made = world.attempt(row, cell, "p0", ["correct"], own)
    uses = tuple(replace(use, chosen=use.ordinal == 0) for use in made.uses)
    world.store.write(own, [replace(made, text=FIVE, extracted=("5",), uses=uses)])
    assert confidence.of_cell(world.engine, row.id, cell.task["spec"]).by_attempt == {1: 1.0}


def test_a_task_that_cannot_be_loaded_here_is_said(world: World) -> None:
    def missing(spec: Any) -> Any:
        raise UserError("no data")

    put(world, MIXED)
    (row,) = selective.rows(world.engine, load=missing)
    assert row["risk"] == 0.5 and row["ece"] is None and row["reasons"]["ece"] == "task_missing"


def test_it_can_be_asked_inside_of_an_event_loop(world: World) -> None:
    put(world, MIXED)

    async def asked() -> Any:
        return selective.rows(world.engine)

    assert asyncio.run(asked())[0]["confidence"] == "agreement"


def test_errors_are_left_out_and_clean_cells_have_no_row(world: World) -> None:
    put(world, {"p0": ("correct", [FIVE, FIVE]), "p1": ("error", [SIX, SIX])})
    plain = cell_key()
    world.solve(world.cell(plain, 1), plain, {"p0": ["correct"]})
    (row,) = selective.rows(world.engine)
    assert (row["items"], row["coverage"], row["points"]) == (1, 1.0, 1.0)


def test_nothing_but_errors(world: World) -> None:
    put(world, {"p0": ("error", [SIX])})
    (row,) = selective.rows(world.engine)
    assert row["items"] == 0 and row["points"] is None and row["reasons"]["points"] == row["reasons"]["ece"] == "all_errors"
