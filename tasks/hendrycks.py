"""MATH (Hendrycks et al. 2021, arXiv:2103.03874, MIT): all its competition problems, asked without examples, the answer in a box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from perpass.errors import UserError
from perpass.identity import content_hash
from tasks import data
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.extraction import boxed_gold
from tasks.registry import task
from tasks.types import Problem

VERSION = 1
Subject = Literal[
    "all", "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra", "precalculus"
]
Split = Literal["test", "train"]


@task("math")
def math(subject: Subject = "all", split: Split = "test") -> BoxedTask:
    """5,000 problems (train: 7,500) in seven subjects and five levels. Keys are `split/subject/row` in the source files.

    Raises UserError for a missing data folder or package.
    """
    check(subject, split)
    spec = {"kind": "math", "subject": subject, "split": split}
    return BoxedTask(name="math", version=VERSION, spec=spec, load=lambda: _load(subject, split), numeric=False)


def subjects(subject: Subject) -> list[str]:
    """The subjects that are asked for."""
    return list(data.MATH_ROWS) if subject == "all" else [subject]


def check(subject: Subject, split: Split) -> None:
    """Raises UserError if a data folder is set that lacks one of the files."""
    for name in subjects(subject):
        data.check(f"math/{split}/{name}")


def rows(subject: Subject, split: Split) -> tuple[list[tuple[str, dict[str, str]]], str]:
    """(key, row) of every problem in the sources' order, and their common revision."""
    tables = {name: data.load(f"math/{split}/{name}") for name in subjects(subject)}
    keyed = [(f"{split}/{name}/{index}", dict(row)) for name, table in tables.items() for index, row in enumerate(table.rows)]
    revisions = {table.revision for table in tables.values()}
    return keyed, revisions.pop() if len(revisions) == 1 else "local-" + content_hash(sorted(revisions))[:12]


def meta(row: dict[str, str]) -> dict[str, str]:
    """Subject and level, from 1 to 5 (`?` for the few problems that have none)."""
    return {"category": row["type"], "level": row["level"].removeprefix("Level ")}


def _load(subject: Subject, split: Split) -> tuple[Sequence[Problem], str]:
    keyed, revision = rows(subject, split)
    return [
        Problem(key=key, question=row["problem"].strip(), answer_format=ANSWER_FORMAT, gold=(_gold(key, row["solution"]),), meta=meta(row))
        for key, row in keyed
    ], revision


def _gold(key: str, solution: str) -> str:
    found = boxed_gold(solution)
    if found is None:
        raise UserError(f"math {key}: its solution has no boxed answer")
    return found.strip()
