"""Judging answers that were made elsewhere: what `bench grade TASK FILE.jsonl` does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from perpass.errors import UserError, nearest
from tasks.types import Outcome, Problem, Reply, Task

TOGETHER = 64  # rows judged at once


@dataclass(frozen=True)
class Row:
    """One line of the file: which problem, and what was answered."""

    index: int
    problem: Problem
    reply: Reply


@dataclass(frozen=True)
class Graded:
    """The verdict on one row. For a task with several items per problem, `outcome`, `correct` and `extracted` are lists."""

    index: int
    outcome: str | list[str]
    correct: bool | list[bool]
    extracted: str | list[str | None] | None
    scores: Mapping[str, float]

    def json(self) -> dict[str, Any]:
        """As a plain object, in the order of the fields."""
        return asdict(self)


def read(task: Task, path: str | Path) -> list[Row]:
    """The rows of a JSONL file, all checked before anything is judged; blank lines are passed over.

    A row is `{"id" or "question", "output"}`; `"finish": "length"` may say that the output was cut.
    Raises UserError with file and line for a bad row, and for a file that cannot be read.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    by_key = {problem.key: problem for problem in task.problems()}
    by_question: dict[str, Problem] = {}
    for problem in task.problems():
        by_question.setdefault(_squeezed(problem.question), problem)
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}:{number}"
            data = _object(line, where)
            problem = _problem(data, by_key, by_question, task.name, where)
            rows.append(Row(len(rows), problem, _reply(data, where)))
    return rows


def _squeezed(question: str) -> str:
    return " ".join(question.split())


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{where}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"{where}: expected an object with 'id' or 'question', and 'output'; got {type(data).__name__}")
    return data


def _problem(data: dict[str, Any], by_key: Mapping[str, Problem], by_question: Mapping[str, Problem], name: str, where: str) -> Problem:
    if "id" in data:
        key = str(data["id"])
        if key not in by_key:
            close = nearest(key, by_key)
            hint = f"did you mean {close!r}?" if close else f"one is {next(iter(by_key), None)!r}"
            raise UserError(f"{where}: task {name} has no problem with the id {key!r}; {hint}")
        return by_key[key]
    if "question" in data:
        found = by_question.get(_squeezed(str(data["question"])))
        if found is None:
            raise UserError(f"{where}: task {name} has no problem with this question: {str(data['question'])[:60]!r}")
        return found
    raise UserError(f"{where}: expected the key 'id' or 'question', got {', '.join(map(repr, data)) or 'an empty object'}")


def _reply(data: dict[str, Any], where: str) -> Reply:
    if not isinstance(data.get("output"), str):
        got = f"got {type(data['output']).__name__}" if "output" in data else "it is missing"
        raise UserError(f"{where}: expected the key 'output' with the model's text, {got}")
    finish = data.get("finish", "eos")
    if finish not in ("eos", "stop", "length"):
        raise UserError(f"{where}: finish is {finish!r}, expected 'eos', 'stop' or 'length'")
    return Reply(text=data["output"], finish=finish)


async def grade(task: Task, rows: Sequence[Row], grader: str | None = None) -> AsyncIterator[Graded]:
    """The verdicts in the order of the rows. Raises UserError for an unknown grader, or a task that has only its own."""
    if grader is not None:
        if not hasattr(task, "with_grader"):
            raise UserError(f"task {task.name} has its own grader and takes no other, got {grader!r}")
        task = task.with_grader(grader)
    for start in range(0, len(rows), TOGETHER):
        for graded in await asyncio.gather(*(_grade(task, row) for row in rows[start : start + TOGETHER])):
            yield graded


async def _grade(task: Task, row: Row) -> Graded:
    judgement = await task.judge(row.problem, row.reply)
    outcomes = [str(outcome) for outcome in judgement.items]
    correct = [outcome is Outcome.CORRECT for outcome in judgement.items]
    extracted = list(judgement.extracted) or [None] * len(outcomes)
    if task.items == 1:
        return Graded(row.index, outcomes[0], correct[0], extracted[0], dict(judgement.scores))
    return Graded(row.index, outcomes, correct, extracted, dict(judgement.scores))
