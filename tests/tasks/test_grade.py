"""Judging answers made elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from perpass.errors import UserError
from tasks import grade
from tasks.boxed import BoxedTask
from tasks.types import Ask, Judgement, Outcome, Problem, Reply

PROBLEMS = [Problem(key=f"test/{n}", question=f"How many\nis {n}?", answer_format="", gold=(str(n),)) for n in range(3)]


def task() -> BoxedTask:
    return BoxedTask(name="t", version=1, spec={}, load=lambda: (PROBLEMS, "r"), numeric=True, grader="number")


def write(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "out.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return path


def graded(path: Path, task: Any, grader: str | None = None) -> list[dict[str, Any]]:
    async def all_of_them() -> list[dict[str, Any]]:
        return [row.json() async for row in grade.grade(task, grade.read(task, path), grader)]

    return asyncio.run(all_of_them())


def test_results_come_in_the_order_of_the_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"id": "test/2", "output": r"\boxed{2}"},
        "",
        {"question": " How many is 1?", "output": "It is 5."},
        {"id": "test/0", "output": "so far", "finish": "length"},
        {"id": "test/2", "output": "well"},
    )
    assert graded(path, task()) == [
        {"index": 0, "outcome": "correct", "correct": True, "extracted": "2", "scores": {"exact": 1.0, "flexible": 1.0}},
        {"index": 1, "outcome": "wrong", "correct": False, "extracted": "5", "scores": {"exact": 0.0, "flexible": 0.0}},
        {"index": 2, "outcome": "truncated", "correct": False, "extracted": None, "scores": {"exact": 0.0, "flexible": 0.0}},
        {"index": 3, "outcome": "unparsable", "correct": False, "extracted": None, "scores": {"exact": 0.0, "flexible": 0.0}},
    ]


def test_more_rows_than_are_judged_at_once(tmp_path: Path) -> None:
    rows = [{"id": f"test/{n % 3}", "output": rf"\boxed{{{n % 2}}}"} for n in range(150)]
    found = graded(write(tmp_path, *rows), task())
    assert [row["index"] for row in found] == list(range(150))
    assert [row["correct"] for row in found] == [n % 3 == n % 2 for n in range(150)]


def test_another_grader_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "test/2", "output": r"\boxed{2.0}"})
    assert graded(path, task())[0]["correct"] is True
    assert graded(path, task(), "exact")[0]["correct"] is False
    with pytest.raises(UserError, match="unknown grader 'exct'; did you mean 'exact'"):
        graded(path, task(), "exct")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{oops", "out.jsonl:2: not JSON"),
        ("[1]", "out.jsonl:2: expected an object with 'id' or 'question', and 'output'; got list"),
        ({"id": "test/9", "output": ""}, "out.jsonl:2: task t has no problem with the id 'test/9'; did you mean 'test/"),
        ({"id": 77, "output": ""}, "out.jsonl:2: task t has no problem with the id '77'; one is 'test/"),
        ({"question": "What?", "output": ""}, "out.jsonl:2: task t has no problem with this question: 'What?'"),
        ({"output": ""}, "out.jsonl:2: expected the key 'id' or 'question', got 'output'"),
        ({}, "out.jsonl:2: expected the key 'id' or 'question', got an empty object"),
        ({"id": "test/0"}, "out.jsonl:2: expected the key 'output' with the model's text, it is missing"),
        ({"id": "test/0", "output": 3}, "out.jsonl:2: expected the key 'output' with the model's text, got int"),
        ({"id": "test/0", "output": "", "finish": "cut"}, "out.jsonl:2: finish is 'cut', expected 'eos', 'stop' or 'length'"),
    ],
)
def test_a_bad_row_is_named_with_its_line_before_anything_is_judged(tmp_path: Path, row: object, message: str) -> None:
    path = write(tmp_path, {"id": "test/0", "output": ""}, row)
    with pytest.raises(UserError) as caught:
        grade.read(task(), path)
    assert message in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.jsonl: cannot be read"):
        grade.read(task(), tmp_path / "none.jsonl")


class Pair:
    """A task with two items per problem and a judge of its own."""

    name, version, items, revision, judge_version = "pair", 1, 2, "r", "own-1"
    spec: Mapping[str, Any] = {"kind": "pair"}

    def problems(self) -> Sequence[Problem]:
        return [Problem(key="p", question="?", answer_format="", gold=("1", "2"))]

    def extract(self, text: str) -> tuple[str | None, ...]:
        first, _, second = text.partition(" ")
        return first or None, second or None

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        found = self.extract(reply.text)
        outcomes = tuple(Outcome.CORRECT if a == b else Outcome.WRONG for a, b in zip(found, problem.gold, strict=True))
        return Judgement(items=outcomes, extracted=found)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        return list(range(len(answers)))


def test_a_task_of_several_items_gives_lists(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "p", "output": "1 3"})
    assert graded(path, Pair()) == [
        {"index": 0, "outcome": ["correct", "wrong"], "correct": [True, False], "extracted": ["1", "3"], "scores": {}}
    ]
    with pytest.raises(UserError, match="task pair has its own grader and takes no other, got 'exact'"):
        graded(path, Pair(), "exact")
