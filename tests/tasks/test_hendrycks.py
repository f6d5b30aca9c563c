"""MATH: small files in its form, through the data folder and through the real `datasets`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import tasks
from perpass.errors import UserError
from tasks import data
from tasks.extraction import boxed_gold
from tasks.types import Outcome, Reply

PINNED = "21a5633873b6a120296cce3e2df9d5550074f4a3"


def row(n: int, subject: str = "algebra", box: str = r"\boxed{%d}") -> dict[str, str]:
    solution = f"We have ${n} = " + box % n + "$."
    return {"problem": f"What is ${n}$ in {subject}?", "level": f"Level {n % 5 + 1}", "type": subject.title(), "solution": solution}


def lines(subject: str, split: str, **other: str) -> str:
    return "".join(json.dumps(row(n, subject, **other)) + "\n" for n in range(data.MATH_ROWS[subject][split]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for subject in data.MATH_ROWS:
        for split in ("test", "train"):
            path = tmp_path / f"hendrycks_math/{subject}/{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lines(subject, split))
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    return tmp_path


def test_it_has_seven_subjects_and_five_levels(folder: Path) -> None:
    task = tasks.load("math")
    problems = {p.key: p for p in task.problems()}
    assert len(problems) == 5000 and len(tasks.load({"kind": "math", "split": "train"}).problems()) == 7500
    assert task.spec == {"kind": "math", "subject": "all", "split": "test"} and task.revision.startswith("local-")
    one = problems["test/number_theory/7"]
    assert one.gold == ("7",) and one.meta == {"category": "Number_Theory", "level": "3"} and one.answer_format.endswith(r"\boxed{}.")
    assert asyncio.run(task.judge(one, Reply(r"It is \boxed{7}."))).items == (Outcome.CORRECT,)


def test_one_subject_is_a_task_of_its_own(folder: Path) -> None:
    geometry = tasks.load({"kind": "math", "subject": "geometry"})
    assert len(geometry.problems()) == 479 and geometry.spec != tasks.load("math").spec
    with pytest.raises(UserError, match="subject is 'geometri', expected 'all' or 'algebra' or"):
        tasks.load({"kind": "math", "subject": "geometri"})


def test_a_missing_file_is_named_before_anything_is_read(folder: Path) -> None:
    (folder / "hendrycks_math/geometry/test.jsonl").unlink()
    tasks.load({"kind": "math", "subject": "algebra"})
    with pytest.raises(UserError, match=r"hendrycks_math/geometry/test.jsonl: no such file"):
        tasks.load("math")


def test_a_solution_without_a_box_is_named(folder: Path) -> None:
    (folder / "hendrycks_math/geometry/test.jsonl").write_text(json.dumps(row(1) | {"solution": "It is 1."}) + "\n")
    with pytest.raises(UserError, match="math test/geometry/0: its solution has no boxed answer"):
        tasks.load({"kind": "math", "subject": "geometry"}).problems()


def test_the_real_library_reads_a_subject_as_the_hub_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the hub's layout: a configuration per subject, declared in the card."""
    datasets = pytest.importorskip("datasets")
    card = ["---", "configs:"]
    for subject in ("geometry", "algebra"):
        (tmp_path / subject).mkdir()
        (tmp_path / subject / "test.jsonl").write_text(lines(subject, "test"))
        card += [f"- config_name: {subject}", "  data_files:", "  - split: test", f"    path: {subject}/test.jsonl"]
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]))
    asked, real = [], datasets.load_dataset

    def hub(path: str, config: str, *, split: str, revision: str) -> object:
        asked.append((path, config, split, revision))
        return real(str(tmp_path), config, split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", hub)
    data._from_hub.cache_clear()
    task = tasks.load({"kind": "math", "subject": "geometry"})
    assert len(task.problems()) == 479 and task.problems()[0].meta["category"] == "Geometry" and task.revision == PINNED
    assert asked == [("EleutherAI/hendrycks_math", "geometry", "test", PINNED)]
    data._from_hub.cache_clear()


@pytest.mark.parametrize(
    ("solution", "gold"),
    [
        (r"so $\boxed{\frac{1}{2}}$, no: $\boxed{ \{1,2\} }$.", r" \{1,2\} "),
        (r"so $\boxed 5$.", "5"),
        (r"so $\fbox{7}$.", "7"),
        (r"so $\boxed{7$.", None),
        ("so 7", None),
        (r"so \boxed", None),
    ],
)
def test_the_gold_answer_of_a_solution(solution: str, gold: str | None) -> None:
    assert boxed_gold(solution) == gold
