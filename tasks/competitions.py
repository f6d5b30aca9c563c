"""AIME 2024 and 2025 and AMC 2023: competition problems whose answers are whole numbers, asked without examples, the answer in a box.

The problems are those of the Mathematical Association of America. AMC 2023 has the 40 problems of AMC 12 A and B that have such answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from perpass.errors import UserError
from tasks import data
from tasks.answers import canonical, number
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.registry import task
from tasks.types import Problem

VERSION = 1


@task("aime24")
def aime24() -> BoxedTask:
    """30 problems of AIME I and II 2024. Keys are `aime24/row`. Raises UserError for a missing data folder or package."""
    return _competition("aime24")


@task("aime25")
def aime25() -> BoxedTask:
    """30 problems of AIME I and II 2025. Keys are `aime25/row`. Raises UserError for a missing data folder or package."""
    return _competition("aime25")


@task("amc23")
def amc23() -> BoxedTask:
    """40 problems of AMC 12 A and B 2023. Keys are `amc23/row`. Raises UserError for a missing data folder or package."""
    return _competition("amc23")


def _competition(name: str) -> BoxedTask:
    data.check(name)
    return BoxedTask(name=name, version=VERSION, spec={"kind": name}, load=lambda: _load(name), numeric=True, grader="number")


def _load(name: str) -> tuple[Sequence[Problem], str]:
    table = data.load(name)
    return [_problem(f"{name}/{index}", row["question"], row["answer"]) for index, row in enumerate(table.rows)], table.revision


def _problem(key: str, question: str, answer: str) -> Problem:
    gold = canonical(answer)
    found = number(gold)
    if found is None or found.value.denominator != 1:
        raise UserError(f"{key}: its answer is {answer!r}, expected a whole number")
    return Problem(key=key, question=question.strip(), answer_format=ANSWER_FORMAT, gold=(str(found.value.numerator),))
