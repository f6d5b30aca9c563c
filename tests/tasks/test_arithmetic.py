"""The generated arithmetic task: its problems are right, balanced, stable and apart from what is trained on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from fractions import Fraction
from itertools import islice

import pytest

import tasks
from perpass.errors import UserError
from tasks.arithmetic import Arithmetic
from tasks.stories import Chain, draw_chain, solution, stories
from tasks.types import Outcome, Reply, Task


def evaluate(expression: str) -> Fraction:
    """The expression strictly from left to right, by Python's own arithmetic on parenthesised text: shares no code with the room."""
    words = expression.split()
    text = f"Fraction({words[0]})"
    for sign, operand in zip(words[1::2], words[2::2], strict=True):
        text = f"({text} {sign} {operand})"
    return eval(text, {"Fraction": Fraction})


def judge(text: str, finish: str = "eos", gold_of: int = 0) -> Outcome:
    task = Arithmetic(size=6)
    return asyncio.run(task.judge(task.problems()[gold_of], Reply(text, finish))).items[0]


def test_it_is_a_task_found_by_name_with_a_complete_spec():
    task = tasks.load({"kind": "arithmetic", "size": 12})
    assert isinstance(task, Task)
    assert task.spec == {"kind": "arithmetic", "operations": [1, 6], "size": 12, "seed": 0}
    assert tasks.load(task.spec).problems() == task.problems()


@pytest.mark.parametrize("operations", range(1, 7))
def test_answers_and_solutions_agree_with_independent_arithmetic(operations):
    rng = random.Random(operations)
    for chain, _ in islice(stories(rng, operations, held_out=True), 300):
        assert evaluate(chain.expression) == chain.answer
        lines = solution(chain).splitlines()
        assert len(lines) == operations + 1
        for line in lines[:-1]:
            left, right = line.split(" = ")
            assert evaluate(left) == int(right)
        assert lines[-1] == f"\\boxed{{{chain.answer}}}"
        assert all(0 <= value <= 999 for value in chain.values)


def test_solution_text():
    assert solution(Chain(12, (("+", 5), ("*", 3)))) == "12 + 5 = 17\n17 * 3 = 51\n\\boxed{51}"


def test_a_story_tells_every_number_of_its_chain_in_order():
    rng = random.Random(5)
    for chain, question in islice(stories(rng, 4, held_out=False), 200):
        told = [int(word.strip(".,?")) for word in question.split() if word.strip(".,?").isdigit()]
        assert told == [chain.start, *(operand for _, operand in chain.steps)]
        assert question.endswith("?") and "  " not in question and "{" not in question


def test_every_beginning_of_the_order_is_balanced():
    problems = Arithmetic(size=600).problems()
    assert len(problems) == 600
    for first in (6, 60, 200, 431, 600):
        counts = Counter(p.meta["operations"] for p in problems[:first])
        assert max(counts.values()) - min(counts.get(str(n), 0) for n in range(1, 7)) <= 1


def test_sizes_that_do_not_divide_are_met():
    problems = Arithmetic(operations=[2, 5], size=31).problems()
    assert len(problems) == 31
    assert {p.meta["operations"] for p in problems} == {"2", "3", "4", "5"}


def test_growing_the_size_keeps_every_problem():
    small = {p.key: p for p in Arithmetic(size=60).problems()}
    large = {p.key: p for p in Arithmetic(size=600).problems()}
    assert all(large[key] == problem for key, problem in small.items())


def test_operations_do_not_enter_a_problem():
    narrow = {p.key: p for p in Arithmetic(operations=[3, 3], size=20).problems()}
    wide = {p.key: p for p in Arithmetic(size=120).problems()}
    assert all(wide[key] == problem for key, problem in narrow.items())


def test_problems_are_deterministic_and_depend_on_the_seed():
    assert Arithmetic(seed=1).problems() == Arithmetic(seed=1).problems()
    assert Arithmetic(seed=1).problems() != Arithmetic(seed=2).problems()


def test_texts_and_keys_are_unique_and_the_order_is_shuffled():
    problems = Arithmetic(size=3000).problems()
    assert len({p.question for p in problems}) == len({p.key for p in problems}) == 3000
    keys = [p.key for p in problems if p.meta["operations"] == "3"]
    assert keys != sorted(keys)


def test_training_and_test_expressions_never_meet():
    rng = random.Random(0)
    for operations in (1, 2, 6):
        test = {c.expression for c, _ in islice(stories(rng, operations, held_out=True), 400)}
        train = {c.expression for c, _ in islice(stories(rng, operations, held_out=False), 4000)}
        assert not test & train


def test_a_tenth_of_the_expressions_is_held_out():
    rng = random.Random(0)
    held_out = sum(draw_chain(rng, 4).held_out for _ in range(5000))
    assert 400 < held_out < 600


def test_too_large_a_size_is_a_clear_error():
    with pytest.raises(UserError, match="size 10001 is too large: at most 10000 different problems"):
        Arithmetic(operations=[1, 1], size=10_001)


def test_the_largest_size_is_met_even_with_one_operation():
    assert len({p.question for p in Arithmetic(operations=[1, 1], size=10_000).problems()}) == 10_000


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"size": 0}, "size must be a whole number of at least 1"),
        ({"size": True}, "size must be"),
        ({"size": "600"}, "size must be"),
        ({"seed": -1}, "seed must be"),
        ({"operations": [0, 3]}, "operations must be"),
        ({"operations": [4, 2]}, "operations must be"),
        ({"operations": [1, 7]}, "operations must be"),
        ({"operations": 3}, "operations must be"),
        ({"operations": [1, 2, 3]}, "operations must be"),
    ],
)
def test_bad_values_are_named(spec, message):
    with pytest.raises(UserError, match=message):
        Arithmetic(**spec)


def test_outcomes():
    gold = Arithmetic(size=6).problems()[0].gold[0]
    assert judge(f"12 + 5 = 17\n\\boxed{{{gold}}}") is Outcome.CORRECT
    assert judge(f"\\boxed{{{gold}.0}}") is Outcome.CORRECT
    assert judge("\\boxed{-1}") is Outcome.WRONG
    assert judge(f"\\boxed{{{gold}}} no, \\boxed{{-1}}") is Outcome.WRONG
    assert judge("I do not know.") is Outcome.UNPARSABLE
    assert judge(f"So {gold}") is Outcome.CORRECT
    assert judge("12 + 5", finish="length") is Outcome.TRUNCATED
    assert judge(f"\\boxed{{{gold}}} and", finish="length") is Outcome.CORRECT


def test_given_items_override_the_text():
    task = Arithmetic(size=6)
    problem = task.problems()[0]
    judgement = asyncio.run(task.judge(problem, Reply("\\boxed{-1}", items=(problem.gold[0],))))
    assert judgement.items == (Outcome.CORRECT,)
    assert judgement.extracted == (problem.gold[0],)


def test_classes_are_by_value():
    assert asyncio.run(Arithmetic().classes(["17", "17.0", None, "18", None])) == [0, 0, -1, 1, -1]
