"""REST: several problems at once, by its protocol, over any base."""

from __future__ import annotations

import asyncio

import pytest

import tasks
from perpass.errors import UserError
from tasks.rest import REST_FORMAT, build, members, merged
from tasks.types import Outcome, Reply, Task

BASE = {"kind": "arithmetic", "operations": [1, 3], "size": 9, "seed": 0}


def rest(s: int, base=BASE) -> Task:
    return tasks.load({"kind": "rest", "base": base, "s": s})


def test_a_complete_spec_makes_the_same_task():
    task = rest(3)
    assert task.spec == {"kind": "rest", "base": BASE, "s": 3}
    assert tasks.load(task.spec).problems() == task.problems()
    assert isinstance(task, Task) and task.items == 3


@pytest.mark.parametrize("s", [1, 2, 3, 9])
def test_every_problem_comes_once_at_every_position_and_anchors_last(s):
    singles = tasks.load(BASE).problems()
    prompts = build(singles, s)
    assert [p.key for p in prompts] == [p.key for p in singles]
    asked = [p.meta["questions"].split(", ") for p in prompts]
    assert all(len(keys) == len(set(keys)) == s and keys[-1] == p.key for keys, p in zip(asked, prompts, strict=True))
    for place in range(s):
        assert sorted(keys[place] for keys in asked) == sorted(p.key for p in singles)
    # The neighbours are i+1 … i+s−1, around the end.
    assert [p.key for p in members(singles, 7, 3)] == [singles[8].key, singles[0].key, singles[7].key]


def test_the_text_is_the_protocols():
    singles = tasks.load(BASE).problems()
    problem = rest(2).problems()[0]
    assert problem.question + "\n" + problem.answer_format == (
        f"Q1: {singles[1].question}\n\nQ2: {singles[0].question}\n\n"
        "Answer the above questions one by one. Remember to put your final answer within \\boxed{}."
    )
    assert problem.answer_format == REST_FORMAT
    assert merged(["a"]) == "Q1: a\n"


def test_answers_are_the_first_boxes_in_order():
    task = rest(3)
    text = "<think>\\boxed{9}</think> \\boxed{1} then \\boxed{\\frac{1}{2}} and \\boxed{3} \\boxed{4}"
    assert task.extract(text) == ("1", "\\frac{1}{2}", "3")
    assert task.extract("\\boxed{1}") == ("1", None, None)
    assert task.extract("\\boxed{1} \\boxed{2 and \\boxed{3}") == ("1", None, None)  # stops at the box that is never closed
    assert task.extract("12 and 13") == (None, None, None)


def test_every_answer_is_judged_by_the_base():
    task = rest(3)
    problem = task.problems()[0]
    first, second, third = problem.gold
    judged = asyncio.run(task.judge(problem, Reply(f"\\boxed{{{first}}} \\boxed{{{int(second) + 1}}} \\boxed{{{third}.0}}")))
    assert judged.items == (Outcome.CORRECT, Outcome.WRONG, Outcome.CORRECT)
    assert judged.scores["exact"] == pytest.approx(1 / 3) and judged.scores["flexible"] == pytest.approx(2 / 3)
    cut = asyncio.run(task.judge(problem, Reply(f"\\boxed{{{first}}} so", "length")))
    assert cut.items == (Outcome.CORRECT, Outcome.TRUNCATED, Outcome.TRUNCATED)
    voted = asyncio.run(task.judge(problem, Reply("", items=(first, None, third))))
    assert voted.items == (Outcome.CORRECT, Outcome.UNPARSABLE, Outcome.CORRECT)


def test_it_wraps_procedures_too():
    task = rest(2, {"kind": "procbench", "source": "generated", "instructions": "brief", "size": 20})
    problem = task.problems()[0]
    judged = asyncio.run(task.judge(problem, Reply(" ".join(f"\\boxed{{{gold}}}" for gold in problem.gold))))
    assert judged.items == (Outcome.CORRECT, Outcome.CORRECT)


@pytest.mark.parametrize(
    ("s", "base", "says"),
    [
        (0, BASE, "s must be a whole number of at least 1"),
        (10, BASE, "only 9 problems"),
        (2, {"kind": "rest", "base": BASE, "s": 2}, "2 answers per problem"),
        (2, "arithmetics", "arithmetic"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(s, base, says):
    with pytest.raises(UserError, match=says):
        rest(s, base).problems()
