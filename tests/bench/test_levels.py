"""REST in an experiment: all levels in one line, anchors on them, and its averages below the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import experiment, plan
from perpass.errors import UserError
from tests.bench.conftest import Bench

BASE = "{kind: arithmetic, operations: [1, 2], size: 14}"
LEVELS = f"""\
name: several
engines: [scripted]
tasks: [{{kind: rest, base: {BASE}, s: [1, 2, 4]}}]
strategies: [cot, {{kind: self_consistency, n: 3}}]
sampling: {{max_tokens: 64}}
trials: 2
"""


@pytest.fixture
def several(folder: Path) -> Path:
    (folder / "x.yaml").write_text(LEVELS)
    return folder / "x.yaml"


def asked(tasks: str) -> list[int]:
    made = plan.build(experiment.load({"engines": ["scripted"], "tasks": [tasks], "strategies": ["cot"]}))
    return [cell.task.items for cell in made.cells]


def test_levels_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    rows = [{"question": f"{n} and {n}?", "answer": f"so\n#### {2 * n}"} for n in range(14)]
    (tmp_path / "gsm8k" / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    assert asked("rest(base=gsm8k, s=levels)") == [1, 3, 6, 9, 12]
    assert asked("rest(base=gsm8k, s=[2, 5])") == [2, 5]


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("rest(base=arithmetic, s=levels)", "no levels are prescribed for 'arithmetic', only for gsm8k"),
        ("rest(base=arithmetic, s=[1, many])", "s is 'many', expected a whole number"),
        ("rest(base=arithmetic, s=[])", "s is \\[\\], expected a whole number"),
        ("rest(base=arithmetic)", "needs the parameter 's'"),
        ("arithmetik(seed=[0, 1])", "did you mean 'arithmetic'"),
    ],
)
def test_a_bad_level_is_one_sentence_with_its_place(task: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^experiment: .*{says}"):
        asked(task)


def test_an_anchor_names_one_level_or_several(bench: Bench, several: Path) -> None:
    single = f"{{model: scripted, task: {{kind: rest, base: {BASE}, s: 1}}, strategy: cot, value: 10, source: A}}"
    stress = f"{{model: scripted, task: {{kind: rest, base: {BASE}, s: [2, 4]}}, strategy: cot, value: 5, source: B}}"
    text = LEVELS.replace("engines: [scripted]", "engines: [scripted]\nmodels: [scripted]")
    several.write_text(text + f"anchors: [{single}, {stress}]\n")
    found = experiment.load("x.yaml").content.anchors
    assert [[spec["s"] for spec in anchor.tasks()] for anchor in found] == [[1], [2, 4]]
    several.write_text(text + f"anchors: [{stress.replace('[2, 4]', '[2, 5]')}]\n")
    with pytest.raises(UserError, match=r"anchor: unknown task 'rest\(.*s=5\)'; did you mean 'rest\("):
        experiment.load("x.yaml")


def test_the_averages_stand_below_the_report(bench: Bench, several: Path) -> None:
    ran = bench("run", "x.yaml")
    assert ran.code == 0 and "tokens per question" in ran.out, ran
    rows = json.loads(bench("report", "x.yaml", "--format", "json").out)
    assert len(rows) == 6
    for strategy in ("cot", "self_consistency(n=3)"):
        own = {row["rest"]["cell"]: row for row in rows if row["strategy"] == strategy}
        by_s = {level["s"]: own[level["cell"]] for level in next(iter(own.values()))["rest"]["levels"]}
        assert sorted(by_s) == [1, 2, 4]
        for row in own.values():
            told = row["rest"]
            assert (told["single"], told["single_low"], told["single_high"]) == tuple(
                by_s[1][f] for f in ("accuracy", "accuracy_low", "accuracy_high")
            )
            assert told["stress"] == pytest.approx((by_s[2]["accuracy"] + by_s[4]["accuracy"]) / 2)
            assert [level["output_tokens"] for level in told["levels"]] == [by_s[s]["output_tokens"] for s in (1, 2, 4)]
            assert told["single_compat"] is not None and told["stress_compat"] is not None and not told["missing"]
    shown = bench("report", "x.yaml", "--format", "markdown").out
    tokens = " · ".join(f"{s}: " for s in (1, 2, 4))
    assert "| single % (95 %) |" in shown and all(part in shown for part in tokens.split(" · "))


def test_a_level_that_was_not_run_is_said(bench: Bench, several: Path) -> None:
    several.write_text(LEVELS.replace("s: [1, 2, 4]", "s: [2, 4]"))
    ran = bench("run", "x.yaml")
    assert "– single or stress of cot lacks s = 1 and self_consistency(n=3) lacks s = 1 (missing_levels)" in " ".join(ran.out.split())


def test_on_common_problems_as_the_table_is(bench: Bench, several: Path) -> None:
    assert bench("run", "x.yaml", "--limit", "5").code == 0
    assert bench("run", "x.yaml", "--strategy", "cot", "--set", "name=more").code == 0
    for flags in ([], ["--common"]):
        rows = json.loads(bench("report", "--format", "json", *flags).out)
        cot = next(row for row in rows if row["strategy"] == "cot" and row["task"].endswith("1)"))
        assert cot["problems"] == (5 if flags else 14)
        assert cot["rest"]["single"] == cot["accuracy"]
