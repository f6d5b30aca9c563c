"""Updates: the question as the base asks it, the answer as it is after the update."""

from __future__ import annotations

import asyncio
import re

import pytest

import tasks
from perpass.errors import UserError
from tasks import stories
from tasks.types import Outcome, Reply, Task

BASE = {"kind": "arithmetic", "size": 60}
SAID = {"up by": "+", "down by": "-", "multiplied by": "*", "divided by": "/"}


def updated(**changes: object) -> Task:
    return tasks.load({"kind": "updated", "base": BASE, **changes})


def test_the_gold_answer_is_that_after_the_update() -> None:
    task, base = updated(), tasks.load(BASE)
    assert task.items == 1 and task.version == 100 + base.version and task.spec["base"] == base.spec
    signs = set()
    for after, before in zip(task.problems(), base.problems(), strict=True):
        assert (after.key, after.question, after.answer_format) == (before.key, before.question, before.answer_format)
        assert after.request == "update" and set(after.meta) == {*before.meta, "update"}
        words, operand = re.fullmatch(r"after that, the number (?:went|was) (.+) (\d+)\.", after.meta["update"]).groups()  # type: ignore[union-attr]
        value = int(before.gold[0])
        assert int(operand) in stories.operands(value, SAID[words])
        assert after.gold == (str(stories.APPLY[SAID[words]](value, int(operand))),) != before.gold
        signs.add(words)
    assert signs == set(SAID)


def test_an_update_hangs_on_seed_and_key_alone() -> None:
    def told(task: Task) -> dict[str, str]:
        return {p.key: p.meta["update"] for p in task.problems()}

    few, many = told(updated()), told(updated(base={**BASE, "size": 120}))
    assert few == {key: many[key] for key in few} and told(updated()) == few
    assert sum(told(updated(seed=1))[key] != few[key] for key in few) > 30


def test_the_base_judges_by_the_answer_after_the_update() -> None:
    task, base = updated(), tasks.load(BASE)
    problem, old = task.problems()[0], base.problems()[0].gold[0]
    for answer, outcome in ((problem.gold[0], Outcome.CORRECT), (old, Outcome.WRONG)):
        assert asyncio.run(task.judge(problem, Reply(f"\\boxed{{{answer}}}"))).items == (outcome,)
    assert task.extract("\\boxed{3}") == base.extract("\\boxed{3}") and task.judge_version == base.judge_version
    assert asyncio.run(task.classes(["3", "3.0", "4"])) == asyncio.run(base.classes(["3", "3.0", "4"]))


def test_a_base_must_know_its_answers_after_an_update() -> None:
    for base, message in (
        ("countdown", "base 'countdown' cannot compute its answers after an update; 'arithmetic' can"),
        ("aritmetic", "did"),
    ):
        with pytest.raises(UserError, match=message):
            updated(base=base)
    with pytest.raises(UserError, match="updated: seed must be a whole number"):
        updated(seed=-1)
