"""GSM8K (Cobbe et al. 2021, arXiv:2110.14168, MIT): grade-school word problems, asked without examples, the answer in a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from perpass.errors import UserError
from tasks import data
from tasks.answers import canonical
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.registry import task
from tasks.types import Problem, Prompt

VERSION = 1


@task("gsm8k")
def gsm8k(split: Literal["test", "train"] = "test") -> BoxedTask:
    """1,319 problems (train: 7,473). Keys are `split/row` in the source file; categories are the numbers of solution steps.

    Raises UserError for a missing data folder or package.
    """
    source = f"gsm8k/{split}"
    data.check(source)
    return BoxedTask(name="gsm8k", version=VERSION, spec={"kind": "gsm8k", "split": split}, load=lambda: _load(source, split), numeric=True)


def _load(source: str, split: str) -> tuple[Sequence[Problem], str]:
    table = data.load(source)
    return [problem(f"{split}/{index}", row["question"], row["answer"]) for index, row in enumerate(table.rows)], table.revision


def problem(key: str, question: str, solution: str, fixed: Prompt | None = None, meta: Mapping[str, str] | None = None) -> Problem:
    """The gold answer is what follows `#### ` at the end of the published solution, without thousands separators.

    `fixed`: a protocol's own prompt, which then says how to answer; `meta`: more of it.
    """
    reasoning, mark, gold = solution.rpartition("####")
    if not mark:
        raise UserError(f"gsm8k {key}: its answer has no '#### '")
    steps = sum(1 for line in reasoning.split("\n") if line.strip())
    known = {"category": f"{steps} steps", "steps": str(steps), **(meta or {})}
    how = ANSWER_FORMAT if fixed is None else ""
    return Problem(key=key, question=question.strip(), answer_format=how, gold=(canonical(gold),), fixed=fixed, meta=known)
