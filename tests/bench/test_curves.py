"""`bench curves`: from the experiment through a run into the database, and out as tables, pictures and data."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from results import curves, database
from tests.bench.conftest import Bench

EXPERIMENT = """\
name: pooled
engines: ["tests.bench.knowing:KnowingEngine"]
tasks: [{kind: arithmetic, size: 12}]
strategies: [cot, {kind: self_consistency, n: [4, 8]}, {kind: best_of_n, n: 4}]
"""


@pytest.fixture
def pooled(bench: Bench, folder: Path) -> Path:
    path = folder / "pooled.yaml"
    path.write_text(EXPERIMENT)
    assert bench("run", "pooled.yaml").code == 0
    return path


def test_from_the_run_to_the_table(bench: Bench, pooled: Path) -> None:
    said = bench("curves", "pooled.yaml")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0].endswith("cot · 12 problems × 8 samples") and "judging the samples of 12 problems" in said.err
    known = [line.split("  ")[0] for line in lines]
    for name in ("pass@k", "self-consistency", "best-of-k, log-probability", "G-Pass@k, τ = 0.5", "mG-Pass@k", "pass^k", "output tokens"):
        assert name in known
    assert "accuracy, %" in lines and "bench curves pooled.yaml --by energy" in said.out and lines[-1].endswith("bench leaderboard")
    again = bench("curves", "pooled.yaml")
    assert again.out == said.out and again.err == ""
    assert bench("curves").out.splitlines()[0] == lines[0]


def test_as_data_it_agrees_with_the_report(bench: Bench, pooled: Path) -> None:
    (row,) = json.loads(bench("curves", "--format", "json").out)
    by_strategy = {r["strategy"]: r for r in json.loads(bench("report", "--format", "json").out)}
    for n, strategy in ((1, "cot"), (4, "self_consistency(n=4)"), (8, "self_consistency(n=8)")):
        for amount in ("prompt_tokens", "cached_tokens", "output_tokens", "flop"):
            if row[amount] is not None:
                assert row[amount][n - 1] == pytest.approx(by_strategy[strategy][amount], rel=0.02 if n == 1 else 1e-9), (n, amount)
    assert row["k"] == list(range(1, 9)) and set(row["cells"]) == {r["cell"] for r in by_strategy.values()}
    flat = list(csv.DictReader(io.StringIO(bench("curves", "--format", "csv", "--estimators", "pass").out)))
    assert {r["estimator"] for r in flat} == {"pass", "self_consistency"} and len(flat) == 16
    assert float(flat[7]["accuracy"]) == pytest.approx(row["estimates"]["pass"]["value"][7])
    assert bench("curves", "--format", "markdown").out.startswith("### arithmetic")


def test_the_stored_curve_is_read_without_the_task(bench: Bench, pooled: Path) -> None:
    bench("curves")
    (curve,) = curves.stored(database.resolve("perpass.db"))
    assert curve.result is not None and not curve.stale and curve.result["samples"] == 96
    bench("run", "pooled.yaml", "--set", "trials=2")
    (curve,) = curves.stored(database.resolve("perpass.db"))
    assert curve.stale
    assert bench("curves").out.splitlines()[0].endswith("12 problems × 16 samples")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--by", "energie"), 2, "did you mean 'energy"),
        (("--estimators", "pas"), 2, "'pass'"),
        (("--format", "xml"), 2, "format"),
        (("nope",), 1, "no results of experiment 'nope'"),
    ],
)
def test_what_is_wrong_is_one_sentence(bench: Bench, pooled: Path, words: tuple[str, ...], code: int, said: str) -> None:
    found = bench("curves", *words)
    assert found.code == code and said in found.err and "Traceback" not in found.err


def test_without_pools_it_says_what_makes_one(bench: Bench, folder: Path) -> None:
    assert bench("curves").code == 1
    bench("run", "--engine", "scripted", "--task", "arithmetic(size=12)", "--strategy", "direct", "--limit", "2")
    found = bench("curves")
    assert found.code == 1 and "no pools of samples" in found.err and "self_consistency" in found.err
