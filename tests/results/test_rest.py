"""REST's averages: worked out by hand, with intervals that cover as often as they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results import intervals, report, rest, rest_text
from results.rest import stress_interval
from tasks.rest import places
from tests.results.builders import World, cell_key

GSM8K = {"kind": "gsm8k", "split": "test"}


def key(s: int, base: Any = None, strategy: str = "cot", **more: Any) -> Any:
    spec = {"kind": "rest", "base": base or {"kind": "sums"}, "s": s, "prompt": "open"}
    return replace(cell_key(strategy=strategy), task={"name": "rest", "version": 101, "revision": "generated", "spec": spec}, **more)


def level(
    world: World, key: Any, outcomes: Sequence[Sequence[str]], tokens: int = 20, compat: float | None = 0.5, limit: int | None = None
) -> None:
    """A cell over four problems; the outcomes of the prompts, in the order of their anchors."""
    s = key.task["spec"]["s"]
    row = world.cell(key, items=s, limit=limit)
    samples, attempts = [], []
    for n, own in enumerate(outcomes):
        sample = world.sample(key, f"{row.id}:{n}", world.ids[row.name][f"p{n}"], output_tokens=tokens)
        error = "TransportFault: gone" if set(own) == {"error"} else None
        scores = {"exact": 0.0} | ({} if compat is None else {"rest-compat": compat})
        samples.append(sample)
        attempts.append(world.attempt(row, key, f"p{n}", own, [sample], scores={} if error else scores, error=error))
    world.store.write(samples, attempts)


R, W, E = "correct", "wrong", "error"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "rest.db")


def test_single_stress_and_tokens_per_question(world: World) -> None:
    level(world, key(1), [[R], [R], [W], [R]], tokens=30, compat=1.0)
    level(world, key(2), [[R, W], [R, R], [W, W], [R, W]], tokens=40)
    level(world, key(4), [[R, W, W, W]] * 4, tokens=60, compat=0.25)
    (row,) = rest.rows(world.engine)
    assert row["single"] == 0.75 and row["stress"] == pytest.approx((4 / 8 + 4 / 16) / 2)
    assert row["single_compat"] == 1.0 and row["stress_compat"] == pytest.approx((0.5 + 0.25) / 2)
    assert [(one["s"], one["output_tokens"]) for one in row["levels"]] == [(1, 30.0), (2, 20.0), (4, 15.0)]
    assert row["missing"] == [] and not row["partial"] and not row["reasons"]
    assert 0 <= row["stress_low"] < row["stress"] < row["stress_high"] <= 1
    table = {one["cell"]: one for one in report.rows(world.engine)}  # the levels are the report's own numbers
    for one in row["levels"]:
        assert {f: one[f] for f in ("accuracy", "accuracy_low", "accuracy_high", "output_tokens", "problems")} == {
            f: table[one["cell"]][f] for f in ("accuracy", "accuracy_low", "accuracy_high", "output_tokens", "problems")
        }
    assert (row["single_low"], row["single_high"]) == (row["levels"][0]["accuracy_low"], row["levels"][0]["accuracy_high"])


def test_each_item_is_of_its_own_question(world: World) -> None:
    """Only question 2 is ever right, at whatever place it stands: the interval is that of one question in four."""
    for s in (2, 3):
        asked = [places(anchor, s, 4) for anchor in range(4)]
        level(world, key(s), [[R if question == 2 else W for question in own] for own in asked])
    level(world, key(1), [[W], [W], [R], [W]])
    (row,) = rest.rows(world.engine)
    assert row["stress"] == 0.25
    variance = (0.75**2 + 3 * 0.25**2) / 16 * 4 / 3  # of the mean over four questions, 1, 0, 0, 0; prompts add nothing
    assert row["stress_high"] == pytest.approx(min(1.0, 0.25 + intervals.Z * variance**0.5), abs=1e-9)


def test_a_missing_level_is_none_with_its_reason(world: World) -> None:
    for s in (3, 6):
        level(world, key(s, GSM8K), [[R] * s, [W] * s, [R] * s, [R] * s])
    (row,) = rest.rows(world.engine)
    assert row["single"] is row["single_high"] is row["stress"] is row["stress_compat"] is None
    assert row["missing"] == [1, 9, 12] and row["reasons"]["stress"] == row["reasons"]["single_low"] == "missing_levels"
    assert "– single or stress of cot lacks s = 1, 9, 12 (missing_levels)" in " ".join(rest_text.notes([row]))
    for s in (1, 9, 12):
        level(world, key(s, GSM8K), [[R] * s] * 4)
    level(world, key(2, GSM8K), [[W] * 2] * 4)  # no level of the protocol: shown, but no part of the mean
    (row,) = rest.rows(world.engine)
    assert row["single"] == 1.0 and row["stress"] == pytest.approx((0.75 + 0.75 + 1 + 1) / 4)
    assert [one["s"] for one in row["levels"]] == [1, 2, 3, 6, 9, 12]


def test_rows_are_compared_on_the_same_levels(world: World) -> None:
    for s in (1, 2, 4):
        level(world, key(s), [[R] * s] * 4)
    level(world, key(1, strategy="direct"), [[R]] * 4)
    level(world, key(2, strategy="direct"), [[W, R]] * 4)
    made = {row["strategy"]: row for row in rest.rows(world.engine)}
    assert made["cot"]["stress"] == 1.0 and made["cot"]["stress_low"] == intervals.wilson(4, 4)[0]
    assert made["direct"]["single"] == 1.0 and made["direct"]["stress"] is None and made["direct"]["missing"] == [4]


def test_errors_partial_levels_and_old_judgements(world: World) -> None:
    level(world, key(1), [[R], [W], [R], [E]], compat=None)
    level(world, key(2), [[R, W], [R, R], [E, E]])
    (row,) = rest.rows(world.engine)
    assert row["single"] == pytest.approx(2 / 3) and row["stress"] == 0.75  # what an error took is no answer
    assert row["partial"] and row["reasons"] == {"partial": "uneven_levels", "single_compat": "no_compat_score"}
    (line,) = rest_text.lines([row])
    assert line["stress % (95 %)"].endswith(" p") and line["rest-compat %"] == "– → 50.0"
    everything = " ".join(rest_text.notes([row]))
    assert "p partial (uneven_levels)" in everything and "– rest-compat of cot (no_compat_score)" in everything


def test_a_level_of_errors_only_says_so(world: World) -> None:
    level(world, key(1), [[R]] * 4)
    level(world, key(2), [[E, E]] * 4)
    (row,) = rest.rows(world.engine)
    assert row["stress"] is None and row["reasons"]["stress"] == row["reasons"]["stress_compat"] == "all_errors"


def test_what_differs_keeps_rows_apart(world: World) -> None:
    for s in (1, 2):
        level(world, key(s), [[R] * s] * 4)
        level(world, key(s, seed=1), [[W] * s] * 4)
        fixed = key(s)
        level(world, replace(fixed, task={**fixed.task, "spec": {**fixed.task["spec"], "prompt": "fixed"}}), [[R] * s] * 4)
    made = rest.rows(world.engine)
    assert sorted((row["prompt"], row["single"], row["stress"]) for row in made) == [("fixed", 1, 1), ("open", 0, 0), ("open", 1, 1)]
    assert {line["task"] for line in rest_text.lines(made)} == {"sums, open prompt", "sums, fixed prompt"}


def test_without_rest_there_is_nothing(world: World) -> None:
    row = world.cell(cell_key())
    world.solve(row, cell_key(), {"p0": [R]})
    assert rest.rows(world.engine) == []


def test_an_experiments_limit_holds(world: World) -> None:
    level(world, key(1), [[R], [R], [W], [W]], limit=2)
    level(world, key(2), [[R, R], [R, R], [W, W], [W, W]], limit=2)
    (row,) = rest.rows(world.engine, experiment="demo")
    assert row["single"] == row["stress"] == 1.0 and [one["problems"] for one in row["levels"]] == [2, 2]


@pytest.mark.parametrize(("questions", "prompts"), [(2.0, 0.0), (0.0, 2.0), (1.0, 1.0)])
def test_the_interval_covers_whatever_goes_wrong_together(questions: float, prompts: float) -> None:
    """Hard questions, which come everywhere, and slips that cost a whole prompt: 95 % of the intervals hold the true mean."""
    rng = np.random.default_rng(0)
    size, levels, rounds = 60, (3, 6, 9, 12), 200
    truth = float((1 / (1 + np.exp(-rng.normal(0.5, np.hypot(questions, prompts), 1_000_000)))).mean())
    asked = {s: np.array([places(anchor, s, size) for anchor in range(size)]) for s in levels}
    covered = 0
    for _ in range(rounds):
        hard = rng.normal(0.5, questions, size)
        items = []
        for s in levels:
            chance = 1 / (1 + np.exp(-(hard[asked[s]] + rng.normal(0, prompts, (size, 1)))))
            right = rng.random(chance.shape) < chance
            found = zip(asked[s].ravel(), np.repeat(np.arange(size) + 1000 * s, s), right.ravel(), strict=True)
            items.append([(int(q), int(p), float(r)) for q, p, r in found])
        low, high = stress_interval(items)
        covered += low <= truth <= high
    assert 0.90 <= covered / rounds <= 0.99
