"""Stress and abstention from the experiment file through a run into the database, and out beneath the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from results import drops, selective
from tests.bench.conftest import Bench

ARITHMETIC = "{kind: arithmetic, size: 12}"
EXPERIMENT = f"""\
name: stressed
engines: ["tests.bench.knowing:KnowingEngine"]
tasks:
  - {ARITHMETIC}
  - {{kind: stress, base: {ARITHMETIC}, change: negation}}
  - {{kind: stress, base: {{kind: arithmetic, size: 11}}, change: negation}}
  - {{kind: abstention, base: {ARITHMETIC}, target: 0.75}}
strategies: [cot, {{kind: self_consistency, n: 4}}]
trials: 2
"""


@pytest.fixture
def stressed(folder: Path) -> Path:
    path = folder / "stressed.yaml"
    path.write_text(EXPERIMENT)
    return path


def block(text: str, title: str) -> list[list[str]]:
    """The lines of the table under a title, as words."""
    lines = text.split(f"\n{title}\n\n")[1].split("\n\n")[0].splitlines()
    return [line.split() for line in lines[1:]]


def test_from_the_experiment_to_the_report(bench: Bench, stressed: Path) -> None:
    said = bench("run", "stressed.yaml")
    assert said.code == 0, said
    for text in (said.out, bench("report", "stressed.yaml").out):
        rows = block(text, "drop under stress")
        known = [row for row in rows if "size=12)" in row]
        assert len(rows) == 4 and len(known) == 2
        assert all("12×2" in row and {"100.0", "0.0", "<0.001"} <= set(row) for row in known)
        assert "no_clean_cell" in text and "its series has no cell that is the same on the clean task" in " ".join(text.split())
        (cot, vote) = block(text, "abstention · arithmetic")
        # Of the problems of one to six operations two sixths each are right, not answered, and wrong.
        assert cot[:4] == ["cot", "0.75", "66.7", "50.0"] and vote[:4] == ["self_consistency(n=4)", "0.75", "66.7", "50.0"]
        assert "−0.67" in cot and "agreement" in vote and "0.33" in vote  # had it answered only where all agree: (1/3) × 1 point
        assert "no_confidence" in text


def test_the_same_as_data(bench: Bench, stressed: Path) -> None:
    bench("run", "stressed.yaml")
    rows = json.loads(bench("report", "stressed.yaml", "--format", "json").out)
    assert len(rows) == 8
    own = [row["stress"] for row in rows if "stress" in row]
    assert {row["drop"] for row in own} == {1.0, None} and all(tuple(row) == drops.FIELDS for row in own)
    clean = {row["cell"]: row for row in rows if row["task"].startswith("arithmetic")}
    assert all(clean[row["clean_cell"]]["strategy"] == row["strategy"] for row in own if row["clean_cell"])
    chosen = {row["strategy"]: row["abstention"] for row in rows if "abstention" in row}
    vote = chosen["self_consistency(n=4)"]
    assert tuple(vote) == selective.FIELDS and vote["outcomes"] == {"correct": 8, "wrong": 8, "abstained": 8}
    assert vote["points"] == pytest.approx((8 - 3 * 8) / 24) and vote["points_above_target"] == pytest.approx(8 / 24)
    # Votes agree wholly where they are right; where they are wrong each sample says something else.
    assert vote["curve"] == [[8 / 24, 0.0, 1.0], [16 / 24, 0.5, 0.25]]
    assert vote["ece"] == pytest.approx(0.25 / 2) and vote["coverage_at_target"] == pytest.approx(8 / 24)
    assert chosen["cot"]["ece"] is None and chosen["cot"]["reasons"]["ece"] == "no_confidence"


def test_log_probabilities_recorded_for_another_strategy_are_a_confidence(bench: Bench, stressed: Path) -> None:
    stressed.write_text(stressed.read_text().replace("strategies: [cot,", "strategies: [cot, {kind: best_of_n, n: 2},"))
    bench("run", "stressed.yaml")
    rows = json.loads(bench("report", "stressed.yaml", "--format", "json").out)
    kinds = {row["strategy"]: row["abstention"]["confidence"] for row in rows if "abstention" in row}
    assert kinds == {"cot": "probability", "best_of_n(n=2)": "agreement", "self_consistency(n=4)": "agreement"}


def test_markdown_and_a_single_task(bench: Bench, stressed: Path) -> None:
    bench("run", "stressed.yaml")
    text = bench("report", "--format", "markdown").out
    assert "\n### Drop under stress\n\n| task | strategy | change |" in text and "\n### Abstention · arithmetic\n" in text
    assert "drop under stress" in bench("report", "--task", "stress").out
    assert "drop under stress" not in bench("report", "--task", "abstention").out
    assert "drop under stress" not in bench("report", "--task", "arithmetic").out
    assert len(bench("report", "--format", "csv").out.splitlines()) == 9


def test_a_bad_wrapper_is_one_sentence_with_its_place(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(EXPERIMENT.replace("change: negation", "change: negatoin"))
    said = bench("run", "x.yaml")
    assert said.code == 2 and said.err.startswith("error: x.yaml:5: task 'stress': change is 'negatoin', expected 'negation' or")
    (folder / "x.yaml").write_text(EXPERIMENT.replace("target: 0.75", "target: 75"))
    said = bench("run", "x.yaml")
    assert said.code == 2 and "target must be at least 0 and below 1, not 75" in said.err


def test_the_shipped_experiment_resolves(bench: Bench) -> None:
    plan = json.loads(bench("plan", "stress", "--format", "json").out)
    assert len(plan["cells"]) == 30 and plan["skipped"] == []
    assert {cell["problems"] for cell in plan["cells"]} == {100}
    assert {cell["model"] for cell in plan["cells"]} == {"perpass/nano"}
