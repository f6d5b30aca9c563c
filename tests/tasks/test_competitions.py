"""AIME and AMC on the published problems."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import tasks
from perpass.errors import UserError
from tasks import data
from tasks.types import Outcome, Reply


@pytest.mark.parametrize(("name", "size"), [("aime24", 30), ("aime25", 30), ("amc23", 40)])
def test_every_answer_is_a_whole_number_and_accepted(name: str, size: int, published: Path) -> None:
    task = tasks.load(name)
    problems = task.problems()
    assert {p.key for p in problems} == {f"{name}/{row}" for row in range(size)} and task.spec == {"kind": name}
    assert task.revision.startswith("local-") and len(data.SOURCES[name].revision) == 40
    for p in problems:
        assert p.gold[0] == str(int(p.gold[0])) and p.question == p.question.strip() != ""
        judged = [asyncio.run(task.judge(p, Reply(text))).items for text in (rf"\boxed{{{p.gold[0]}}}", rf"\boxed{{{p.gold[0]}1}}")]
        assert judged == [(Outcome.CORRECT,), (Outcome.WRONG,)]


def test_known_answers(published: Path) -> None:
    assert {p.key: p.gold[0] for p in tasks.load("aime25").problems()}["aime25/19"] == "336"  # 336^\circ
    assert {p.key: p.gold[0] for p in tasks.load("aime24").problems()}["aime24/0"] == "204"
    assert {p.key: p.gold[0] for p in tasks.load("amc23").problems()}["amc23/15"] == "-1"


@pytest.mark.parametrize(("name", "question"), [("aime24", "problem"), ("aime25", "problem"), ("amc23", "question")])
def test_the_hubs_columns_are_read(name: str, question: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rows, real = data.SOURCES[name].rows, datasets.load_dataset
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"id": i, question: f"What is {i}?", "answer": str(i)}) + "\n" for i in range(rows)))
    asked = []

    def hub(path: str, config: str | None, *, split: str, revision: str) -> object:
        asked.append((path, config, split, revision))
        return real("json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", hub)
    data._from_hub.cache_clear()
    task = tasks.load(name)
    assert {p.question: p.gold[0] for p in task.problems()} == {f"What is {i}?": str(i) for i in range(rows)}
    source = data.SOURCES[name]
    assert task.revision == source.revision and asked == [(source.hub, None, source.split, source.revision)]
    data._from_hub.cache_clear()


def test_an_answer_that_is_no_whole_number_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "amc").mkdir()
    (tmp_path / "amc/amc23.jsonl").write_text('{"question": "?", "answer": 3.5}\n')
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    with pytest.raises(UserError, match="amc23/0: its answer is '3.5', expected a whole number"):
        tasks.load("amc23").problems()
