"""What holds for all suites that check answers against the problem: one set of laws."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks import answers
from tasks.types import Outcome, Reply, Task
from tasks.verified import LONGEST, VerifiedTask, spread

SUITES = ("logic", "countdown", "game24", "bin_packing", "blocksworld")
LEVELS = {"logic": 6, "countdown": 4, "game24": 1, "bin_packing": 9, "blocksworld": 6}
MADE = {name: tasks.load({"kind": name, "size": 60}) for name in SUITES}
suites = pytest.mark.parametrize("name", SUITES)


def verified(name: str) -> VerifiedTask:
    task = MADE[name]
    assert isinstance(task, VerifiedTask)
    return task


def judge(name: str, text: str, at: int = 0, **reply: Any) -> Outcome:
    task = MADE[name]
    return asyncio.run(task.judge(task.problems()[at], Reply(text, **reply))).items[0]


@suites
def test_it_is_a_task_whose_spec_loads_it_again(name: str) -> None:
    task = MADE[name]
    assert isinstance(task, Task) and task.revision == "generated"
    assert task.spec["kind"] == task.name == name and task.spec["size"] == 60 and task.spec["seed"] == 0
    assert tasks.load(task.spec).problems() == task.problems()
    assert task.judge_version == f"{answers.extractor_label()}+{name}-1"


@suites
def test_every_gold_answer_is_right_when_it_is_read_from_a_reply(name: str) -> None:
    task = MADE[name]
    for problem in task.problems():
        judged = asyncio.run(task.judge(problem, Reply(f"So the answer is \\boxed{{{problem.gold[0]}}}.")))
        assert judged.items == (Outcome.CORRECT,), problem
        assert set(judged.scores) == set(verified(name).scored) and set(judged.scores.values()) <= {1.0}


@suites
def test_sizes_are_met_balanced_and_no_two_problems_are_equal(name: str) -> None:
    for size in (1, 59, 240):
        problems = tasks.load({"kind": name, "size": size}).problems()
        assert len({p.key for p in problems}) == len({p.question for p in problems}) == size
        counts = Counter(p.meta.get("category") for p in problems)
        assert len(counts) == min(size, LEVELS[name]) and max(counts.values()) - min(counts.values()) <= 1


@suites
def test_every_beginning_of_the_order_is_balanced(name: str) -> None:
    problems = tasks.load({"kind": name, "size": 180}).problems()
    for first in (18, 100, 180):
        counts = Counter(p.meta.get("category") for p in problems[:first])
        assert len(counts) == LEVELS[name] and max(counts.values()) - min(counts.values()) <= 1


@suites
def test_growing_the_size_keeps_every_problem_and_another_seed_makes_others(name: str) -> None:
    small = {p.key: p for p in MADE[name].problems()}
    large = {p.key: p for p in tasks.load({"kind": name, "size": 300}).problems()}
    assert all(large[key] == problem for key, problem in small.items())
    other = {p.question for p in tasks.load({"kind": name, "size": 60, "seed": 1}).problems()}
    assert len(other & {p.question for p in small.values()}) < 30


@suites
def test_outcomes_without_an_answer(name: str) -> None:
    assert judge(name, "I do not know.") is Outcome.UNPARSABLE
    assert judge(name, r"\boxed{no idea}") is Outcome.UNPARSABLE
    assert judge(name, "Let us see", finish="length") is Outcome.TRUNCATED
    assert judge(name, "", items=(None,)) is Outcome.UNPARSABLE
    assert judge(name, "", items=()) is Outcome.UNPARSABLE
    gold = MADE[name].problems()[0].gold[0]
    assert judge(name, f"\\boxed{{{gold}}} and then", finish="length") is Outcome.CORRECT
    assert judge(name, r"\boxed{no idea}", items=(gold,)) is Outcome.CORRECT
    assert judge(name, f"<think>\\boxed{{{gold}}}") is Outcome.UNPARSABLE
    judged = asyncio.run(MADE[name].judge(MADE[name].problems()[0], Reply("nothing")))
    assert set(judged.scores) == set(verified(name).scored) and not any(judged.scores.values())


@suites
def test_gold_answers_of_other_problems_are_wrong_not_unreadable(name: str) -> None:
    task = MADE[name]
    first, *rest = task.problems()
    found = {asyncio.run(task.judge(first, Reply(f"\\boxed{{{p.gold[0]}}}"))).items[0] for p in rest}
    assert found <= {Outcome.CORRECT, Outcome.WRONG} and Outcome.WRONG in found


@suites
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_hostile_replies_neither_raise_nor_hang(name: str, data: st.DataObject) -> None:
    task = MADE[name]
    problem = task.problems()[0]
    gold = str(problem.gold[0])
    alphabet = gold + "\\{}[](),;:.-+*/=0123456789 \n" + "truefalse" + "stackunpickputdownofrm"
    repeated = st.sampled_from(["[", "(", "{", "1/", "-", " ", "[] "]).map(lambda piece: piece * (1500 // len(piece)))
    text = data.draw(st.text(alphabet=alphabet, max_size=300) | st.text(max_size=300) | repeated)
    for reply in (Reply(text), Reply(f"\\boxed{{{text}}}"), Reply("", items=(text,)), Reply(f"\\boxed{{{gold}{text}}}")):
        judged = asyncio.run(task.judge(problem, reply))
        assert len(judged.items) == 1 and judged.items[0] in Outcome
        assert all(0 <= score <= 1 for score in judged.scores.values())


PIECES = (
    *("[", "]", "(", ")", "{", "}", "[1],", "[ 1 ,1 ] , ", "\\{1\\} ", "1", "1 ", "1/", "-", " ", "\n", ",", "; ", "=", "**", "$", "x "),
    *("\\", "\\,", "\\text{", "\\text{ a )", "\\frac{1}", "\\left", "stack ", "unstack a from ", "pick up the block ", "and then ", "true"),
)


@suites
def test_no_repetition_takes_long(name: str) -> None:
    """Every pair of pieces, as often as fits, behind an opening bracket and open at the end: what regular expressions may explode on."""
    current = ""

    def stop(*_: object) -> None:
        raise AssertionError(f"reading takes too long: {current[:80]!r}")

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        for first in PIECES:
            for second in PIECES:
                unit = first + second
                for opening in ("", "[[1,"):
                    current = (opening + unit * LONGEST)[:LONGEST]
                    signal.setitimer(signal.ITIMER_VIRTUAL, 2)  # of this process's own time, whatever else runs here
                    verified(name).read(current)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@suites
def test_what_is_longer_than_any_answer_is_none(name: str) -> None:
    gold = str(MADE[name].problems()[0].gold[0])
    assert judge(name, "", items=(gold + " " * LONGEST,)) is Outcome.UNPARSABLE


@suites
@settings(deadline=None)
@given(data=st.data())
def test_classes_are_an_equivalence_that_correctness_respects(name: str, data: st.DataObject) -> None:
    task = MADE[name]
    problem = task.problems()[0]
    golds = [str(p.gold[0]) for p in task.problems()[:4]]
    writings = [w for gold in golds for w in (gold, f" {gold} ", f"${gold}$", gold.lower(), f"{gold}.")]
    given_ = data.draw(st.lists(st.sampled_from([*writings, None, "no idea"]), max_size=12))
    classes = asyncio.run(task.classes(given_))
    order = data.draw(st.permutations(range(len(given_))))
    again = asyncio.run(task.classes([given_[i] for i in order]))
    outcome = [asyncio.run(task.judge(problem, Reply("", items=(a,)))).items[0] for a in given_]
    for i, a in enumerate(order):
        for j, b in enumerate(order):
            assert (classes[a] == classes[b]) == (again[i] == again[j])
            if classes[a] == classes[b]:
                assert outcome[a] == outcome[b]
    assert [c == -1 for c in classes] == [a in (None, "no idea") for a in given_]


@suites
@pytest.mark.parametrize("bad", [{"size": 0}, {"size": "9"}, {"size": True}, {"seed": -1}])
def test_bad_sizes_and_seeds_are_named(name: str, bad: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(bad))):
        tasks.load({"kind": name, **bad})


def test_a_level_without_further_problems_is_a_clear_error() -> None:
    problem = MADE["logic"].problems()[0]
    assert spread("few", 0, 3, [1], lambda rng, level, position: (position, problem)) == [problem] * 3
    with pytest.raises(UserError, match="few: size 3 is too large: only 1 different problems at level 1 were found"):
        spread("few", 0, 3, [1], lambda rng, level, position: ("same", problem))


def test_graders_of_other_tasks_do_not_fit() -> None:
    assert not any(hasattr(task, "with_grader") for task in MADE.values())
