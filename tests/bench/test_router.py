"""Training a router: what is out of sample, what a curve is made of, and the command from the database to the file of a strategy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.router import Row, auroc, curve, fit, train
from harness.prompts import as_text
from harness.routing import QUESTION, features
from harness.strategy import strategies
from harness.testing import ScriptedEngine
from harness.types import Model, Sampling
from perpass.errors import PerPassError
from tasks.types import Problem, Prompt
from tests.bench.conftest import Bench
from tests.harness.digits import Digits, cell, place
from tests.harness.test_runner import go


def rows(n: int = 40, attempts: int = 2, seed: int = 0) -> list[Row]:
    """Problem i has 5 + i words; the policy is mostly right on short ones."""
    rng = Random(seed)
    made = []
    for i in range(n):
        question = " ".join(["word"] * (5 + i))
        for _ in range(attempts):
            right = float(rng.random() < (0.9 if i < n / 2 else 0.1))
            made.append(Row(f"p{i}", features(question), right, 1.0, (10.0, 1e6), (10.0, 1e7)))
    return made


def test_a_fit_is_where_the_loss_is_flat() -> None:
    given_ = rows()
    x, y = np.array([r.features for r in given_]), np.array([r.policy for r in given_])
    router = fit(QUESTION, x, y, np.ones(len(y)))
    z = (x - router.mean) / router.scale
    error = np.array([router.chance(tuple(v)) for v in x]) - y
    assert np.abs(z.T @ error + router.weights).max() < 1e-2 and abs(error.sum()) < 1e-2
    assert router.chance(features("word " * 6)) > 0.7 > 0.3 > router.chance(features("word " * 40))


def test_a_problem_is_foretold_by_who_has_not_seen_it() -> None:
    before = rows()
    flipped = [r._replace(policy=1 - r.policy) if r.problem == "p7" else r for r in before]
    a, b = train(before, False), train(flipped, False)
    own = [i for i, r in enumerate(before) if r.problem == "p7"]
    assert [a.chances[i] for i in own] == [b.chances[i] for i in own] and len({a.chances[i] for i in own}) == 1
    assert a.chances != b.chances and a.router != b.router  # those in other folds have seen it
    assert train(before[::-1], False).chances[::-1] == pytest.approx(a.chances, abs=1e-4)
    assert train(before, False, seed=1).chances != a.chances and a.auroc is not None and a.auroc > 0.8


def test_chances_of_noise_say_nothing() -> None:
    """In sample, eight features of forty problems would seem to."""
    rng = Random(3)
    noise = [r._replace(policy=float(rng.random() < 0.5), features=tuple(rng.gauss(0, 1) for _ in QUESTION)) for r in rows(200, 1)]
    found = train(noise, False)
    assert found.auroc is not None and abs(found.auroc - 0.5) < 0.1
    within = auroc([found.router.chance(r.features) for r in noise], [r.policy for r in noise])
    assert within is not None and within > found.auroc


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.5]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=8))
def test_auroc_is_the_share_of_pairs_in_order(points: list[tuple[float, float]]) -> None:
    pairs = [(y * (1 - v), (p > q) + (p == q) / 2) for p, y in points for q, v in points]
    total = sum(w for w, _ in pairs)
    found = auroc([p for p, _ in points], [y for _, y in points])
    assert found == (pytest.approx(sum(w * s for w, s in pairs) / total) if total else None)


def test_a_curve_goes_from_one_model_alone_to_the_other() -> None:
    made = [Row(f"p{i}", (0.0,), float(i < 2), 0.5, (10.0, None), (30.0, 9.0)) for i in range(4)]
    points = curve(made, [0.9, 0.8, 0.3, 0.1], after=False)
    assert (points[0].policy_share, points[0].accuracy, points[0].output_tokens) == pytest.approx((1.0, 0.5, 10.0))
    assert (points[-1].policy_share, points[-1].accuracy, points[-1].output_tokens) == pytest.approx((0.0, 0.5, 30.0))
    half = next(p for p in points if p.policy_share == pytest.approx(0.5))
    assert (half.accuracy, half.at_random, half.output_tokens) == pytest.approx((0.75, 0.5, 20.0))
    assert points[0].flop is None is half.flop and points[-1].flop == pytest.approx(9.0)  # the policy's are not known
    after = curve(made, [0.9, 0.8, 0.3, 0.1], after=True)
    assert after[-1].output_tokens == pytest.approx(40.0) and after[-1].flop is None


def test_problems_count_alike_however_many_attempts_they_have() -> None:
    one = [Row("a", (0.0,), 1.0, 0.0, (1.0, 1.0), (1.0, 1.0)), *[Row("b", (0.0,), 0.0, 0.0, (1.0, 1.0), (1.0, 1.0))] * 9]
    assert curve(one, [0.5] * 10, after=False)[0].accuracy == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("given_", "message"),
    [(rows(19), "at least 20 problems that both models have answered, not 19"), ([r._replace(policy=1.0) for r in rows()], "100% right")],
)
def test_nothing_to_learn_is_said(given_: list[Row], message: str) -> None:
    with pytest.raises(PerPassError, match=message):
        train(given_, False)


@dataclass(eq=False)
class Longer(Digits):
    """Questions of which each is longer than the one before."""

    size: int = 24

    def problems(self) -> Sequence[Problem]:
        return [replace(p, question="Count: " + "one " * (i + 1)) for i, p in enumerate(super().problems())]


def counting(most: int) -> Any:
    """Counts right up to `most`, mostly."""

    def script(prompt: Prompt, sampling: Sampling, seed: int) -> str:
        count = as_text(prompt).count("one ")
        right = count <= most or seed % 5 == 0
        return f"{'on and ' * (not right)}\\boxed{{{(count - 1) % 10 if right else 11}}}"

    return script


def engine(name: str, most: int) -> ScriptedEngine:
    return ScriptedEngine(Model(name, "1", "none", context=100_000), counting(most))


def test_the_command_learns_from_the_database_and_the_strategy_reads_its_file(bench: Bench, folder: Path) -> None:
    db, task = folder / "perpass.db", Longer()
    small, large = engine("small", 10), engine("large", 99)
    go([cell("cot", place(e), task, trials=2) for e in (small, large)], db)
    said = bench("train-router", "test", "--policy", "small", "--helper", "large")
    assert said.code == 0 and "decided before small answers: 48 attempts at 24 problems, out of sample" in said.out, said
    assert "router(file=router.json, threshold=0.5)" in said.out
    kept = json.loads((folder / "router.json").read_text())
    assert kept["columns"][:4] == ["problem", "policy", "helper", "chance"] and len(kept["rows"]) == 48 and kept["auroc"] > 0.8
    assert all(p["flop"] is None and p["output_tokens"] > 0 for p in kept["curve"])  # the scripted models have no architecture
    read = strategies.get("router").bind({}, Sampling(), {}).params["file"].router
    assert read.chance(features(task.problems()[0].question)) > 0.5 > read.chance(features(task.problems()[-1].question))
    routed = cell("router", place(small), task)
    before = large.counters().calls
    assert go([replace(routed, roles={"helper": place(large)})], folder / "b.db").status == "done"
    assert 4 <= large.counters().calls - before <= 20
    after = bench("train-router", "--policy", "small", "--helper", "large", "--stage", "after", "--out", "a.json", "--format", "json")
    points = json.loads(after.out)
    assert after.code == 0 and points[0]["accuracy"] < points[-1]["accuracy"] == pytest.approx(1.0)
    assert json.loads((folder / "a.json").read_text())["auroc"] > 0.9  # the sample tells: the wrong ones are longer


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--policy", "smal", "--helper", "large"], 2, "train-router: unknown model 'smal'; did you mean 'small'?"),
        (["--policy", "small"], 2, "train-router: give --helper: the models to route between"),
        (["--policy", "small", "--helper", "large", "--stage", "aftr"], 2, "unknown stage 'aftr'; did you mean 'after'?"),
        (["--policy", "small", "--helper", "large", "--strategy", "cott"], 2, "unknown strategy 'cott'; did you mean 'cot'?"),
        (["none", "--policy", "small", "--helper", "large"], 1, "no results of experiment 'none'"),
        (["--policy", "small", "--helper", "large"], 1, "a router needs at least 20 problems that both models have answered, not 3"),
    ],
)
def test_what_goes_wrong_is_one_sentence(bench: Bench, folder: Path, words: list[str], code: int, message: str) -> None:
    go([cell("cot", place(engine(name, 2)), Longer(size=3)) for name in ("small", "large")], folder / "perpass.db")
    said = bench("train-router", *words)
    assert said.code == code and message in said.err and said.err.count("\n") == 1 and not (folder / "router.json").exists()
