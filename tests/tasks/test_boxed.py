"""Judging a reply to a boxed task."""

from __future__ import annotations

import asyncio

import pytest

from perpass.errors import UserError
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.types import Judgement, Outcome, Problem, Reply


def boxed(numeric: bool = True, grader: str = "number") -> BoxedTask:
    return BoxedTask(name="t", version=1, spec={"kind": "t"}, load=lambda: ([], "r"), numeric=numeric, grader=grader)


def judge(
    text: str, gold: str = "18", finish: str = "eos", items: tuple[str | None, ...] | None = None, task: BoxedTask | None = None
) -> Judgement:
    problem = Problem(key="p", question="?", answer_format=ANSWER_FORMAT, gold=(gold,))
    return asyncio.run((task or boxed()).judge(problem, Reply(text=text, finish=finish, items=items)))


@pytest.mark.parametrize(
    ("text", "finish", "outcome", "exact", "flexible"),
    [
        (r"So \boxed{18}.", "eos", Outcome.CORRECT, 1, 1),
        (r"So \boxed{18.00}.", "eos", Outcome.CORRECT, 0, 1),
        (r"So \boxed{19}.", "eos", Outcome.WRONG, 0, 0),
        (r"So \boxed{18}, not 20", "eos", Outcome.CORRECT, 1, 0),
        ("It is 18.", "eos", Outcome.CORRECT, 0, 1),
        ("It is 19.", "eos", Outcome.WRONG, 0, 0),
        ("No idea.", "eos", Outcome.UNPARSABLE, 0, 0),
        ("No idea", "length", Outcome.TRUNCATED, 0, 0),
        ("", "length", Outcome.TRUNCATED, 0, 0),
        (r"So \boxed{18}, and also", "length", Outcome.CORRECT, 1, 1),
        (r"So \boxed{19}, and also", "length", Outcome.WRONG, 0, 0),
        ("First 3 + 4 = 7, then", "length", Outcome.TRUNCATED, 0, 0),
        (r"<think>\boxed{18}", "length", Outcome.TRUNCATED, 0, 0),
    ],
)
def test_outcomes_and_scores(text: str, finish: str, outcome: Outcome, exact: float, flexible: float) -> None:
    judgement = judge(text, finish=finish)
    assert judgement.items == (outcome,)
    assert judgement.scores == {"exact": exact, "flexible": flexible}


def test_a_vote_overrides_the_text() -> None:
    assert judge(r"\boxed{19}", items=("18.0",)).items == (Outcome.CORRECT,)
    assert judge(r"\boxed{18}", items=("19",)).items == (Outcome.WRONG,)
    assert judge(r"\boxed{18}", items=("19",), finish="length").items == (Outcome.WRONG,)
    assert judge(r"\boxed{18}", items=(None,)).items == (Outcome.UNPARSABLE,)
    assert judge(r"\boxed{18}", items=(None,), finish="length").items == (Outcome.TRUNCATED,)
    assert judge(r"\boxed{19}", items=("18",)).extracted == ("18",)


def test_only_a_numeric_task_falls_back_to_a_number() -> None:
    assert judge("It is 18.", task=boxed(numeric=False)).items == (Outcome.UNPARSABLE,)


def test_the_judge_version_names_extractor_and_grader() -> None:
    task = boxed(grader="default")
    assert task.judge_version == "boxed-1+default-1"
    assert task.with_grader("exact").judge_version == "boxed-1+exact-1"
    assert task.judge_version == "boxed-1+default-1"
    assert judge(r"\boxed{18.0}", task=task.with_grader("exact")).items == (Outcome.WRONG,)
    with pytest.raises(UserError, match="unknown grader"):
        task.with_grader("nope")


def test_algebra_decides_what_text_and_numbers_do_not() -> None:
    assert judge(r"\boxed{9+9}", task=boxed(grader="default")).items == (Outcome.CORRECT,)
    assert judge(r"\boxed{9+9}").items == (Outcome.WRONG,)


def test_problems_are_loaded_once_on_first_use() -> None:
    loads = []

    def load() -> tuple[list[Problem], str]:
        loads.append(1)
        return [Problem(key=str(n), question="?", answer_format="", gold=("1",)) for n in range(5)], "rev"

    task = BoxedTask(name="t", version=1, spec={}, load=load, numeric=True, grader="number")
    assert not loads
    assert task.revision == "rev" and sorted(p.key for p in task.problems()) == list("01234")
    assert task.problems() is task.problems() and len(loads) == 1


def test_classes_use_the_tasks_grader() -> None:
    assert asyncio.run(boxed().classes(["1", "1.0", None])) == [0, 0, -1]
