"""Anchors of an experiment: checked when it is read, shown beside what was measured, part of no identity."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import experiment, plan
from bench.experiment import Overrides
from perpass.errors import UserError
from tests.bench.conftest import Bench

BASE = """\
name: anchored
models: [perpass/nano]
engines: [scripted]
tasks: [arithmetic, {kind: arithmetic, operations: [4, 6]}]
strategies: [cot, {kind: cot, temperature: 0}, {kind: self_consistency, n: [2, 4]}]
sampling: {max_tokens: 64}
limit: 3
"""
ANCHOR = "anchors:\n  - {model: perpass/nano, task: arithmetic, strategy: cot, value: 50.5, source: A paper, note: greedy}\n"
MORE = """\
  - {model: perpass/nano, task: "arithmetic(operations=[4, 6])", strategy: self_consistency(n=4), value: 60, source: A paper}
  - {model: perpass/nano, task: [arithmetic, {kind: arithmetic, operations: [4, 6]}], strategy: cot(temperature=0), value: 7, source: B}
"""


def load(folder: Path, text: str, overrides: Overrides | None = None) -> experiment.Experiment:
    path = folder / "x.yaml"
    path.write_text(text)
    return experiment.load(path.name, overrides)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model: perpass/nano, task", "model: perpass/nana, task", "anchor: unknown model 'perpass/nana'; did you mean 'perpass/nano'?"),
        ("task: arithmetic,", "task: arithmetik,", "anchor: unknown task 'arithmetik'; did you mean 'arithmetic'?"),
        (
            "task: arithmetic,",
            "task: [arithmetic, gsm8k],",
            "anchor: unknown task 'gsm8k'; known: arithmetic, arithmetic(operations=[4, 6])",
        ),
        ("task: arithmetic,", "task: [],", "anchor: expected a task, or a list of them, not an empty list"),
        (
            "strategy: cot,",
            "strategy: self_consistency(n=8),",
            "anchor: unknown strategy 'self_consistency(n=8)'; did you mean 'self_consi",
        ),
        ("strategy: cot,", "strategy: cot(temperature=1),", "anchor: unknown strategy 'cot(temperature=1)'; did you mean 'cot(temperatur"),
        ("value: 50.5", "value: 101", "anchors.0.value: expected at most 100.0, not 101"),
        ("value: 50.5", "value: half", "anchors.0.value: expected a number, not 'half'"),
        ("value: 50.5", "valu: 50.5", "unknown key 'valu'; did you mean 'value'?"),
        ("source: A paper", "metric: accuracy", "anchor: missing key 'source'"),
        ("note: greedy", "metric: f1", "anchor: metric: expected accuracy, not 'f1'"),
    ],
)
def test_a_bad_anchor_is_one_sentence(bench: Bench, folder: Path, old: str, new: str, said: str) -> None:
    (folder / "x.yaml").write_text(BASE + ANCHOR.replace(old, new))
    for command in ("plan", "run", "report"):
        told = bench(command, "x.yaml")
        assert told.code == 2 and told.out == "" and told.err.count("\n") == 1
        assert told.err.startswith(f"error: x.yaml:9: {said}"), told.err
    assert not list(folder.glob("*.db*"))


def test_an_anchor_that_is_no_mapping(folder: Path) -> None:
    with pytest.raises(UserError, match="x.yaml:9: anchor: expected a mapping, not 'cot'"):
        load(folder, BASE + "anchors:\n  - cot\n")


def test_an_anchor_may_be_written_in_any_way_an_entry_may(folder: Path) -> None:
    assert [a.value for a in load(folder, BASE + ANCHOR + MORE).content.anchors] == [50.5, 60, 7]


def test_what_the_command_line_takes_away_takes_its_anchors_along(folder: Path) -> None:
    for changes, left in (
        (Overrides(models=["perpass/micro"]), []),
        (Overrides(tasks=["arithmetic"]), [50.5]),
        (Overrides(strategies=["cot"]), [50.5]),
        (Overrides(sets=["strategies.0.temperature=0.5"]), [60, 7]),
        (Overrides(limit=1), [50.5, 60, 7]),
    ):
        loaded = load(folder, BASE + ANCHOR + MORE, changes)
        assert [a.value for a in loaded.content.anchors] == left
        assert load(folder, loaded.text).content == loaded.content


def test_an_anchor_is_no_part_of_a_cell(folder: Path) -> None:
    plain, anchored = (plan.build(load(folder, text)) for text in (BASE, BASE + ANCHOR + MORE))
    assert [c.identity for c in plain.cells] == [c.identity for c in anchored.cells]


def test_a_plan_shows_what_is_published_beside_each_cell(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(BASE + ANCHOR + MORE)
    told = json.loads(bench("plan", "x.yaml", "--format", "json").out)
    assert [[p["value"] for p in c["published"]] for c in told["cells"]] == [[50.5], [], [], [], [], [], [], [60]]
    assert told["cells"][0]["published"][0] == {
        "model": "perpass/nano",
        "task": "arithmetic",
        "strategy": "cot",
        "metric": "accuracy",
        "value": 50.5,
        "source": "A paper",
        "note": "greedy",
    }
    assert [p["value"] for p in told["published"]] == [50.5, 60, 7]
    out = " ".join(bench("plan", "x.yaml").out.split())  # however wide the terminal
    assert "50.5 [1]" in out and "[1] A paper: greedy" in out and "60 [2]" in out
    assert "published 7 [3] for perpass/nano, mean of arithmetic and arithmetic(operations=[4, 6])" in out


def test_a_report_shows_published_beside_measured(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(BASE + ANCHOR + MORE)
    ran = bench("run", "x.yaml")
    assert ran.code == 0 and "published and measured" in ran.out
    rows = json.loads(bench("report", "x.yaml", "--format", "json").out)
    by_value = {p["value"]: row for row in rows for p in row["published"]}
    assert sorted(by_value) == [50.5, 60] and sum(len(row["published"]) for row in rows) == 2
    row = by_value[50.5]
    assert row["strategy"].startswith("cot (") and row["sampling"]["temperature"] == 0.8
    out = bench("report", "x.yaml").out
    measured = f"{100 * row['accuracy']:.1f} ({100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f})"
    line = next(line for line in out.splitlines() if "50.5 [1]" in line)
    assert measured in line and line.endswith("  3")
    greedy = [r["accuracy"] for r in rows if r["sampling"]["temperature"] == 0]
    assert len(greedy) == 2
    mean = next(line for line in out.splitlines() if " 7 [3]" in line)
    assert f"  {50 * sum(greedy):.1f}  " in mean and "mean of arithmetic" in mean
    assert "[1] A paper: greedy" in out
    assert "| perpass/nano | arithmetic | cot | 50.5 [1] |" in bench("report", "x.yaml", "--format", "markdown").out


def test_a_report_without_the_anchored_cells_says_nothing(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(BASE + ANCHOR)
    assert "published" not in bench("run", "x.yaml", "--strategy", "cot(temperature=0)").out
    said = bench("report", "x.yaml")
    assert said.code == 0 and "published and measured" not in said.out
    plain = json.loads(bench("report", "anchored", "--format", "json").out)
    assert plain and all("published" not in row for row in plain)
