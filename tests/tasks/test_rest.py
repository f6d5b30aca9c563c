"""REST: several problems at once, by its protocol, over any base."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks import answers, verify
from tasks.extraction import rest_boxes
from tasks.rest import LEVELS, REST_FORMAT, build, members, merged
from tasks.types import Outcome, Problem, Prompt, Reply, Task

BASE = {"kind": "arithmetic", "operations": [1, 3], "size": 9, "seed": 0}


def rest(s: int, base=BASE, **more) -> Task:
    return tasks.load({"kind": "rest", "base": base, "s": s, **more})


@pytest.fixture
def fractions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A local MATH-500 of four problems; their gold answers."""
    golds = [r"\frac{4}{3}", "5", "2+3=5", "x^2"]
    rows = {
        str(n): {"problem": f"What is ${n}$?", "solution": "", "answer": gold, "subject": "Algebra", "level": 1, "unique_id": f"test/{n}"}
        for n, gold in enumerate(golds)
    }
    (tmp_path / "math").mkdir()
    (tmp_path / "math" / "math500.json").write_text(json.dumps(rows))
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    return golds


def judged(task: Task, problem: Problem, text: str, finish: str = "eos"):
    return asyncio.run(task.judge(problem, Reply(text, finish)))


def test_a_complete_spec_makes_the_same_task():
    task = rest(3)
    assert task.spec == {"kind": "rest", "base": BASE, "s": 3, "prompt": "open"}
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


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(TEXT, min_size=1, max_size=9), st.data())
def test_the_fixed_prompt_is_the_protocols_to_the_byte(questions: list[str], data: st.DataObject):
    s = data.draw(st.integers(1, len(questions)))
    singles = [Problem(key=str(n), question=q, answer_format="ignored", gold=(str(n),)) for n, q in enumerate(questions)]
    prompts = build(singles, s, fixed=True)
    for anchor, problem in enumerate(prompts):
        asked = [(anchor + step) % len(questions) for step in range(1, s)] + [anchor]
        text = "".join(f"Q{j + 1}: {questions[n]}\n\n" for j, n in enumerate(asked))
        text += "\nAnswer the above questions one by one. Remember to put your final answer within \\boxed{}."
        assert problem.fixed == Prompt.chat(text) and problem.gold == tuple(map(str, asked))
    for place in range(s):
        assert sorted(p.gold[place] for p in prompts) == sorted(p.key for p in singles)  # every question once at every position


def test_only_the_fixed_prompt_keeps_strategies_from_adding_words():
    assert all(p.fixed is None for p in rest(2).problems())
    exact = rest(1, prompt="fixed")
    assert exact.spec["prompt"] == "fixed" and exact.problems()[0].fixed.turns[0].content.startswith("Q1: ")
    with pytest.raises(UserError, match="prompt is 'fix', expected 'open' or 'fixed'"):
        rest(1, prompt="fix")


def test_the_open_prompt_is_the_protocols_with_one_blank_line():
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


def test_it_wraps_procedures_too_which_rests_own_grader_does_not_read(monkeypatch: pytest.MonkeyPatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "math_verify" else find(name, *rest))
    task = rest(2, {"kind": "procbench", "source": "generated", "instructions": "brief", "size": 20})
    problem = task.problems()[0]
    found = judged(task, problem, " ".join(f"\\boxed{{{gold}}}" for gold in problem.gold))
    assert found.items == (Outcome.CORRECT, Outcome.CORRECT) and "rest-compat" not in found.scores
    with pytest.raises(UserError, match=r"^task rest needs math-verify: pip install 'perpass\[tasks\]'$"):
        rest(2)


# --- REST's own extraction and grader ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"\boxed{1} \boxed{\frac{1}{2}} \boxed{3} \boxed{4}", [r"\boxed{1}", r"\boxed{\frac{1}{2}}", r"\boxed{3}"]),
        (r"\boxed{a\boxed{b}} \boxed{c}", [r"\boxed{a\boxed{b}}", r"\boxed{c}", r"\boxed{None}"]),
        (r"\boxed{1} \boxed{2 and \boxed{3}", [r"\boxed{1}", r"\boxed{None}", r"\boxed{None}"]),  # stops where a brace stays open
        (r"\boxed {1} \boxed{}", [r"\boxed {1}", r"\boxed{}", r"\boxed{None}"]),
        (r"\boxed{8}<think>\boxed{9}</think>\boxed{1}", [r"\boxed{8}", r"\boxed{1}", r"\boxed{None}"]),
        (r"\boxed{8}</think>\boxed{9}</think>\boxed{1}", [r"\boxed{1}", r"\boxed{None}", r"\boxed{None}"]),
        (r"<think>\boxed{8}", [r"\boxed{8}", r"\boxed{None}", r"\boxed{None}"]),
        ("", [r"\boxed{None}"] * 3),
    ],
)
def test_the_extraction_of_the_protocol(text: str, found: list[str]):
    assert rest_boxes(text, 3) == found


@pytest.mark.parametrize("text", ["<think>" * 100_000, "\\boxed{" * 100_000, "\\boxed" * 100_000, "\\boxed{1}" * 100_000, "}{" * 100_000])
def test_the_extraction_takes_linear_time(text: str):
    start = time.monotonic()
    assert len(rest_boxes(text, 3)) == 3
    assert time.monotonic() - start < 20  # quadratic would take hours


def test_its_grader_stands_beside_the_default_and_repairs_nothing(fractions: list[str]):
    task = rest(2, "math500")
    problem = next(p for p in task.problems() if p.gold[0] == fractions[0])
    given = r"\boxed{\frac43} " + answers.boxed(problem.gold[1].replace("2+3=5", "5"))
    found = judged(task, problem, given)
    assert found.items[0] is Outcome.CORRECT and found.scores["rest-compat"] == 0.5
    repaired = judged(task, problem, given.replace(r"\frac43", r"\frac{4}{3}"))
    assert repaired.scores["rest-compat"] == 1.0
    assert task.judge_version.endswith("+rest-compat-1")


def test_a_box_in_the_working_shifts_all_answers(fractions: list[str]):
    task = rest(2, "math500")
    problem = next(p for p in task.problems() if set(p.gold) <= {fractions[0], fractions[1], fractions[3]})
    right = " ".join(map(answers.boxed, problem.gold))
    assert judged(task, problem, right).scores["rest-compat"] == 1.0
    assert judged(task, problem, r"\boxed{77} " + right).scores["rest-compat"] == 0.0
    thinking = judged(task, problem, "<think>" + right, "length")
    assert thinking.scores["rest-compat"] == 1.0 and thinking.items == (Outcome.TRUNCATED,) * 2  # its extraction reads an open thought


def test_its_grader_has_the_arguments_swapped():
    # In the documented order Math-Verify takes an equation for its right side, but no number for an equation.
    assert not answers.equivalent("5", r"\boxed{2+3=5}", grader="rest-compat") and answers.equivalent("5", r"\boxed{2+3=5}")
    assert answers.equivalent("2+3=5", r"\boxed{5}", grader="rest-compat") and not answers.equivalent("2+3=5", r"\boxed{5}")


@pytest.mark.parametrize(
    ("gold", "answer", "right"),
    [
        (r"\frac{4}{3}", r"\frac43", False),
        (r"\frac{4}{3}", r"\frac{4}{3}", True),
        ("18", r"\boxed{18} and \boxed{19}", True),  # the first box, where the default takes the last
        ("18", r"The answer is 18.", False),
        ("18", "", False),
        (r"\frac{1", r"\boxed{\frac{1}", False),  # a gold answer that cannot be parsed
    ],
)
def test_its_grader_by_name(gold: str, answer: str, right: bool):
    assert answers.equivalent(gold, answer, grader="rest-compat") is right


def test_hostile_text_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch):
    pool = verify.Pool(size=1, limit=1.0)
    pool.any_equivalent((("1", r"\boxed{1}"),), "rest")  # warm
    monkeypatch.setattr(verify, "_pool", pool)
    task = rest(2)
    problem = task.problems()[0]
    start = time.monotonic()
    found = judged(task, problem, r"\boxed{9^{9^{9^9}}} " + answers.boxed(problem.gold[1]))
    assert time.monotonic() - start < 60
    assert found.scores["rest-compat"] == 0.5
    pool.close()


def test_a_vote_is_judged_as_if_it_stood_in_boxes():
    task = rest(2)
    problem = task.problems()[0]
    found = asyncio.run(task.judge(problem, Reply(r"\boxed{1} \boxed{2}", items=(problem.gold[0], None))))
    assert found.scores["rest-compat"] == 0.5


def test_answers_made_elsewhere_can_be_decided_by_it(fractions: list[str]):
    task = rest(1, "math500")
    problem = next(p for p in task.problems() if p.gold == (fractions[0],))
    strict = task.with_grader("rest-compat")
    assert judged(strict, problem, r"\boxed{\frac43}").items == (Outcome.WRONG,)
    assert judged(strict, problem, "no box").items == (Outcome.UNPARSABLE,)
    assert judged(task, problem, r"\boxed{\frac43}").items == (Outcome.CORRECT,)  # the task itself is as before
    assert judged(task.with_grader("exact"), problem, r"\boxed{\frac43}").items == (Outcome.WRONG,)
    assert len({t.judge_version for t in (task, strict, task.with_grader("exact"))}) == 3
    with pytest.raises(UserError, match="unknown grader 'exakt'"):
        task.with_grader("exakt")


# --- levels -----------------------------------------------------------------------------------------------------------------------------


def test_levels_are_those_of_the_protocol():
    assert LEVELS["gsm8k"] == (1, 3, 6, 9, 12)
    assert LEVELS["math500"] == LEVELS["amc23"] == (1, 3, 5, 7, 9)
    assert LEVELS["aime24"] == LEVELS["aime25"] == (1, 2, 3, 4, 5)


def test_an_entry_stands_for_all_levels_or_for_a_list():
    def asked(**entry):
        return [(spec["base"], spec["s"]) for spec in tasks.unfold({"kind": "rest", **entry})]

    assert asked(base="gsm8k", s="levels") == [("gsm8k", s) for s in (1, 3, 6, 9, 12)]
    assert asked(base={"kind": "aime25"}, s="levels") == [({"kind": "aime25"}, s) for s in (1, 2, 3, 4, 5)]
    assert asked(base="gsm8k", s=[1, 4]) == [("gsm8k", 1), ("gsm8k", 4)]
    assert asked(base="gsm8k", s=2) == [("gsm8k", 2)]
    assert asked(base=["gsm8k", "aime24"], s="levels")[4:6] == [("gsm8k", 12), ("aime24", 1)]
    for base in ("arithmetic", ["gsm8k", BASE], 5, None):
        with pytest.raises(UserError, match="no levels are prescribed for .*, only for gsm8k, math500"):
            asked(base=base, s="levels")
    assert tasks.unfold({"kind": "rest", "base": "gsm8k"}) == [{"kind": "rest", "base": "gsm8k"}]  # `load` says what is missing


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
