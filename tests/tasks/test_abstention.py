"""Abstention: the stated target, what counts as not knowing, and points that pay exactly where confidence exceeds the target."""

from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks.abstention import POINTS, UNKNOWN, penalty, points, says_unknown
from tasks.types import Judgement, Outcome, Reply, Task

BASE = {"kind": "arithmetic", "operations": [1, 3], "size": 9, "seed": 0}
PROCEDURES = {"kind": "procbench", "source": "generated", "size": 46}


def abstention(target: float = 0.75, base: object = BASE) -> Task:
    return tasks.load({"kind": "abstention", "base": base, "target": target})


def judged(text: str = "", finish: str = "eos", items: tuple[str | None, ...] | None = None, target: float = 0.75) -> Judgement:
    task = abstention(target)
    return asyncio.run(task.judge(task.problems()[0], Reply(text, finish, items)))


def gold() -> str:
    return str(abstention().problems()[0].gold[0])


def test_the_target_and_its_penalty_are_stated_after_the_question() -> None:
    task, clean = abstention(0.75), tasks.load(BASE).problems()
    assert isinstance(task, Task) and tasks.load(task.spec).problems() == task.problems()
    assert task.spec == {"kind": "abstention", "base": BASE, "target": 0.75}
    assert task.problems()[0].question == (
        f"{clean[0].question}\nAnswer only if you are > 0.75 confident, since mistakes are penalized 3 points, while correct answers "
        'receive 1 point, and an answer of "I don\'t know" receives 0 points.'
    )
    assert [(p.key, p.gold, p.answer_format, p.meta) for p in task.problems()] == [(p.key, p.gold, p.answer_format, p.meta) for p in clean]
    assert "> 0.9 confident, since mistakes are penalized 9 points" in abstention(0.9).problems()[0].question


@given(st.floats(0, 0.99), st.floats(0, 1))
def test_answering_pays_exactly_where_it_is_right_more_often_than_the_target(target: float, p: float) -> None:
    """The expected points of answering, right with probability p, against those of not knowing."""
    answering = p * points("correct", target) + (1 - p) * points("wrong", target)
    gained = answering - points("abstained", target)
    assert math.isclose(gained, (p - target) / (1 - target), abs_tol=1e-9)
    if abs(p - target) > 1e-9:
        assert (gained > 0) == (p > target)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o not in (Outcome.CORRECT, Outcome.WRONG)])
def test_only_a_wrong_answer_is_penalized(outcome: Outcome) -> None:
    assert points(outcome, 0.9) == 0 and points("correct", 0.9) == 1 and points("wrong", 0.9) == -penalty(0.9) == pytest.approx(-9)


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{I don't know}",
        "3 + 4 = 7\n\\boxed{\\text{I don’t know}}",
        "\\boxed{I\\ do\\ not\\ know}",
        "#### I don't know",
        "I don't know.",
        "There are 12 apples and 5 pears. I do not know.",
        "The answer is: I don't know",
        "So, unfortunately, I don't know the answer to this question.",
        "I'm not sure enough to answer.",
        "I am not confident enough",
        "I cannot determine the answer.",
        "I don't know. This is too hard for me.",
        "IDK",
        "<think>maybe 7</think>I don't know.",
        "**I don't know**",
    ],
)
def test_common_forms_of_not_knowing_are_abstained(text: str) -> None:
    found = judged(text)
    assert (found.items, found.extracted, found.scores[POINTS]) == ((Outcome.ABSTAINED,), (UNKNOWN,), 0.0)
    assert found.scores["exact"] == found.scores["flexible"] == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "I don't know yet, so let us see: \\boxed{%s}",
        "\\boxed{%s}. I am not sure.",
        "I don't know. Let me try: 3 + 4, so the answer is %s",
        "<think>I don't know</think>%s",
        "I don't know whether it is more than %s.",
        "\\boxed{I don't know} or rather \\boxed{%s}",
    ],
)
def test_an_answer_is_an_answer_whatever_doubts_stand_beside_it(text: str) -> None:
    right, wrong = judged(text.replace("%s", gold())), judged(text.replace("%s", "-1"))
    assert (right.items, right.scores[POINTS]) == ((Outcome.CORRECT,), 1.0)
    assert (wrong.items, wrong.scores[POINTS]) == ((Outcome.WRONG,), -3.0)
    assert judged(text.replace("%s", "-1"), target=0.5).scores[POINTS] == -1.0


def test_no_answer_is_no_mistake() -> None:
    for found, outcome in ((judged("3 + 4", "length"), Outcome.TRUNCATED), (judged("Hello."), Outcome.UNPARSABLE)):
        assert (found.items, found.scores[POINTS]) == ((outcome,), 0.0)


def test_a_vote_may_be_for_not_knowing() -> None:
    task = abstention()
    texts = ["\\boxed{5}", "I do not know.", "\\boxed{5.0}", "\\boxed{IDK}", "nothing here", "\\boxed{6}"]
    answers = [task.extract(text)[0] for text in texts]
    assert answers == ["5", UNKNOWN, "5.0", UNKNOWN, None, "6"]
    classes = asyncio.run(task.classes(answers))
    assert classes[0] == classes[2] and classes[1] == classes[3] and len({classes[n] for n in (0, 1, 4, 5)}) == 4
    assert asyncio.run(task.classes([UNKNOWN, None])) == [0, -1]
    assert judged("\\boxed{5}", items=(UNKNOWN,)).items == (Outcome.ABSTAINED,)
    assert judged("I don't know", items=(gold(),)).items == (Outcome.CORRECT,)
    assert judged("I don't know", items=(None,)).items == (Outcome.UNPARSABLE,)


@pytest.mark.parametrize("answer", ["unknown", "know", "I", "12", "cannot be determined", "no", "I don't know " + "why " * 100])
def test_words_that_may_be_answers_are_answers(answer: str) -> None:
    assert not says_unknown(answer)


@pytest.mark.parametrize(
    "base", [PROCEDURES, PROCEDURES | {"format": "json"}, {"kind": "countdown", "size": 6}, {"kind": "logic", "size": 6}]
)
def test_any_base_reads_not_knowing_and_its_own_answers(base: dict[str, object]) -> None:
    task = abstention(0.5, base)
    problem = task.problems()[0]
    as_json = base.get("format") == "json"
    right = problem.meta["label"] if as_json else f"\\boxed{{{problem.gold[0]}}}"
    silent = '{"intermediate": [], "final": "I don\'t know"}' if as_json else "\\boxed{I don't know}"
    for text, outcome in ((right, Outcome.CORRECT), (silent, Outcome.ABSTAINED), ("I don't know.", Outcome.ABSTAINED)):
        assert asyncio.run(task.judge(problem, Reply(text))).items == (outcome,)


def test_it_wraps_stress_and_stands_inside_of_rest() -> None:
    stressed = abstention(0.5, {"kind": "stress", "base": BASE, "change": "negation"})
    assert "and false is not true?\nAnswer only if" in stressed.problems()[0].question
    several = tasks.load({"kind": "rest", "base": dict(abstention().spec), "s": 2})
    problem = several.problems()[0]
    found = asyncio.run(several.judge(problem, Reply(f"\\boxed{{I don't know}} \\boxed{{{problem.gold[1]}}}")))
    assert problem.question.count("> 0.75 confident") == 2 and found.items == (Outcome.ABSTAINED, Outcome.CORRECT)


def test_hostile_texts_are_read_in_time() -> None:
    task = abstention()
    for text in ("so " * 50_000, "." * 100_000 + "x", "I don't know " * 20_000, "and, " * 40_000 + "but", "\n" * 100_000 + "I"):
        assert len(task.extract(text)) == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"target": 1.0}, "target must be at least 0 and below 1, not 1.0"),
        ({"target": -0.1}, "target must be"),
        ({"target": "high"}, "target is 'high', expected a number"),
        ({"base": {"kind": "rest", "base": BASE, "s": 2}}, "'rest' has 2 answers per problem, expected 1"),
        ({"base": {"kind": "abstention", "base": BASE}}, "states a target already"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(spec: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        tasks.load({"kind": "abstention", "base": BASE, **spec})
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.usefixtures("published")
def test_a_protocols_exact_prompt_cannot_state_a_target() -> None:
    with pytest.raises(UserError, match="'gsm8k-cot' follows a protocol's exact prompts"):
        abstention(0.5, "gsm8k-cot").problems()
