"""Stress wrappers: the same problems under the same keys, changed in one way, judged by the base; the answer stays or is computed anew."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Sequence
from fractions import Fraction

import pytest

import tasks
from perpass.errors import UserError
from tasks.stories import APPLY, FACTORS, OPERAND, Chain, operands, renumbered
from tasks.stress import DRAWN
from tasks.types import Outcome, Problem, Reply, Task

BASE = {"kind": "arithmetic", "operations": [1, 6], "size": 60, "seed": 0}
PROCEDURES = {"kind": "procbench", "source": "generated", "size": 46}
CHANGES = ("negation", "overlap", "length", "typos", "spelled", "numbers")


def stress(change: str, base: object = BASE, **more: object) -> Task:
    return tasks.load({"kind": "stress", "base": base, "change": change, **more})


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"[0-9]+", text)]


@pytest.mark.parametrize("change", CHANGES)
def test_keys_order_and_all_but_the_question_are_the_bases(change: str) -> None:
    task, clean = stress(change), tasks.load(BASE).problems()
    made = task.problems()
    assert isinstance(task, Task) and tasks.load(task.spec).problems() == made
    assert [p.key for p in made] == [p.key for p in clean]
    assert all(a.question != b.question for a, b in zip(made, clean, strict=True))
    assert [(p.answer_format, p.meta, p.fixed) for p in made] == [(p.answer_format, p.meta, p.fixed) for p in clean]
    if change != "numbers":
        assert [p.gold for p in made] == [p.gold for p in clean]


@pytest.mark.parametrize("change", ["negation", "overlap", "length", "typos"])
def test_numbers_stay_where_words_change(change: str) -> None:
    for made, clean in zip(stress(change).problems(), tasks.load(BASE).problems(), strict=True):
        assert numbers(made.question) == numbers(clean.question)


@pytest.mark.parametrize("change", DRAWN)
def test_what_is_drawn_depends_on_the_seed_and_the_key_alone(change: str) -> None:
    small, other = stress(change), stress(change, seed=1)
    large = {p.key: p for p in stress(change, BASE | {"size": 120}).problems()}
    assert all(large[p.key] == p for p in small.problems())
    assert other.problems() != small.problems()


def test_the_text_of_each_tautology() -> None:
    clean = tasks.load(BASE).problems()[0].question
    before, _, asks = clean.removesuffix("?").rpartition(". ")
    assert stress("negation").problems()[0].question == f"{before}. {asks} and false is not true?"
    assert stress("overlap").problems()[0].question == f"{before}. {asks} and true is true?"
    assert stress("length").problems()[0].question == f"{before}{' and true is true' * 5}. {asks}?"


# --- numbers ----------------------------------------------------------------------------------------------------------------------------

SIGNS = {"+": Fraction.__add__, "-": Fraction.__sub__, "*": Fraction.__mul__, "/": Fraction.__truediv__}


def signs(problem: Problem) -> list[Sequence[str]]:
    """Every sequence of operations with which the problem's own numbers come to its gold answer."""
    first, *rest = numbers(problem.question)
    found: list[tuple[Fraction, str]] = [(Fraction(first), "")]
    for n in rest:
        found = [(SIGNS[s](value, Fraction(n)), done + s) for value, done in found for s in SIGNS]
    return [done for value, done in found if value == int(problem.gold[0])]


def result(told: Sequence[int], operations: Sequence[str]) -> Fraction:
    value = Fraction(told[0])
    for sign, n in zip(operations, told[1:], strict=True):
        value = SIGNS[sign](value, Fraction(n))
    return value


@pytest.mark.parametrize("rate", [0.1, 0.5, 1.0])
def test_other_numbers_come_with_the_answer_that_they_then_have(rate: float) -> None:
    """The operations are found from the clean problem alone: the new gold answer must follow from the new numbers by one such sequence."""
    moved = 0
    for made, clean in zip(stress("numbers", rate=rate).problems(), tasks.load(BASE).problems(), strict=True):
        old, new = numbers(clean.question), numbers(made.question)
        assert re.sub("[0-9]+", "#", made.question) == re.sub("[0-9]+", "#", clean.question)
        assert int(made.gold[0]) in {result(new, operations) for operations in signs(clean)}
        changed = sum(a != b for a, b in zip(old, new, strict=True))
        assert max(1, round(rate * len(old))) <= changed
        moved += made.gold != clean.gold
    assert moved > 40


def test_other_numbers_are_feasible_and_on_the_same_side_of_the_split() -> None:
    rng = random.Random(3)
    for _ in range(300):
        made = renumbered(rng, Chain(12, (("+", 5), ("*", 3), ("-", 20))), 0.3)
        assert made.held_out == Chain(12, (("+", 5), ("*", 3), ("-", 20))).held_out
        assert [sign for sign, _ in made.steps] == ["+", "*", "-"] and 2 <= made.start <= OPERAND
        assert all(operand in operands(value, sign) for value, (sign, operand) in zip(made.values, made.steps, strict=False))


def test_every_chain_of_one_operation_has_another() -> None:
    """The shortest chains leave the least choice: each of them finds other numbers, or this would not end."""
    for sign in APPLY:
        for start in range(2, OPERAND + 1):
            for operand in operands(start, sign) if sign in "*/" else list(FACTORS):
                chain = Chain(start, ((sign, operand),))
                if operand in operands(start, sign) and chain.held_out:
                    made = renumbered(random.Random(start), chain, 0.1)
                    assert made.held_out and made.expression != chain.expression and made.steps[0][0] == sign


# --- judging ----------------------------------------------------------------------------------------------------------------------------


def test_the_base_judges_by_the_changed_problems_own_answer() -> None:
    task = stress("numbers", rate=1.0)
    clean = {p.key: p for p in tasks.load(BASE).problems()}
    problem = next(p for p in task.problems() if p.gold != clean[p.key].gold)
    right = asyncio.run(task.judge(problem, Reply(f"\\boxed{{{problem.gold[0]}}}")))
    stale = asyncio.run(task.judge(problem, Reply(f"\\boxed{{{clean[problem.key].gold[0]}}}")))
    assert (right.items, stale.items) == ((Outcome.CORRECT,), (Outcome.WRONG,))
    assert task.extract("so \\boxed{5}") == ("5",) and asyncio.run(task.classes(["5", "5.0", "6"])) == [0, 0, 1]


def test_procedures_take_tautologies_in_front_and_are_judged_as_ever() -> None:
    task, clean = stress("length", PROCEDURES), tasks.load(PROCEDURES).problems()
    assert all(p.question.endswith(f"\n{c.question}") for p, c in zip(task.problems(), clean, strict=True))
    problem = task.problems()[0]
    assert asyncio.run(task.judge(problem, Reply(f"\\boxed{{{problem.gold[0]}}}"))).items == (Outcome.CORRECT,)


def test_it_stands_inside_of_rest_and_of_itself() -> None:
    several = tasks.load({"kind": "rest", "base": dict(stress("negation").spec), "s": 2})
    assert several.problems()[0].question.count("and false is not true") == 2
    both = stress("typos", dict(stress("negation").spec)).problems()[0].question
    assert len(both) == len(stress("negation").problems()[0].question) and both != stress("negation").problems()[0].question


def test_a_name_that_is_asked_for_keeps_its_spelling(tmp_path, monkeypatch) -> None:
    from tasks.boxed import ANSWER_FORMAT, BoxedTask

    problem = Problem(key="a", question="Evelyn outran everybody yesterday.", answer_format=ANSWER_FORMAT, gold=("\\text{Evelyn}",))
    base = BoxedTask(name="names", version=1, spec={"kind": "names"}, load=lambda: ([problem], "x"), numeric=False, grader="exact")
    monkeypatch.setattr("tasks.registry.load", lambda spec: base)
    from tasks.stress import Stress

    made = Stress({"kind": "names"}, "typos", rate=1.0).problems()[0].question.split()
    assert made[0] == "Evelyn" and all(a != b for a, b in zip(made[1:], problem.question.split()[1:], strict=True))


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"change": "typo"}, "expected 'negation' or 'overlap'"),
        ({"change": "typos", "rate": 0.0}, "rate must be a share above 0 and at most 1, not 0.0"),
        ({"change": "typos", "rate": 1.5}, "rate must be"),
        ({"change": "typos", "seed": -1}, "seed must be a whole number of at least 0"),
        ({"change": "negation", "rate": 0.2}, "change 'negation' draws nothing"),
        ({"change": "length", "seed": 3}, "change 'length' draws nothing"),
        ({"change": "typos", "base": PROCEDURES}, "'procbench' asks about its text to the letter, so it takes no change 'typos'"),
        ({"change": "numbers", "base": PROCEDURES}, "to the letter"),
        ({"change": "numbers", "base": {"kind": "countdown", "size": 6}}, "'countdown' cannot compute its answers for other numbers"),
        ({"change": "typos", "base": {"kind": "rest", "base": BASE, "s": 2}}, "'rest' has 2 answers per problem"),
        ({"change": "typos", "base": {"kind": "rest", "base": BASE, "s": 1}}, "stress goes inside of rest, not around it"),
        ({"change": "typos", "base": {"kind": "abstention", "base": BASE}}, "stress goes inside of abstention"),
    ],
)
def test_what_cannot_be_asked_is_said_in_a_sentence(spec: dict[str, object], says: str) -> None:
    with pytest.raises(UserError) as caught:
        tasks.load({"kind": "stress", "base": BASE, **spec}).problems()
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("base", ["logic", "blocksworld"])
def test_suites_whose_words_are_data_take_no_typos(base: str) -> None:
    with pytest.raises(UserError, match="to the letter"):
        stress("typos", {"kind": base, "size": 6})
    made, clean = stress("negation", {"kind": base, "size": 6}).problems(), tasks.load({"kind": base, "size": 6}).problems()
    assert all(p.question == f"False is not true.\n{c.question}" for p, c in zip(made, clean, strict=True))


@pytest.mark.usefixtures("published")
def test_real_questions_keep_their_formulas_and_amounts() -> None:
    for base in ("gsm8k", "math500"):
        clean = tasks.load(base).problems()
        for made, problem in zip(stress("typos", base, rate=1.0).problems(), clean, strict=True):
            assert len(made.question) == len(problem.question) and numbers(made.question) == numbers(problem.question)
            for kept in (r"\$\$.+?\$\$", r"\\[a-zA-Z]+", r"\[asy\].+?\[/asy\]"):
                assert re.findall(kept, made.question, re.DOTALL) == re.findall(kept, problem.question, re.DOTALL)
    with pytest.raises(UserError, match="'gsm8k' cannot compute its answers for other numbers"):
        stress("numbers", "gsm8k")
    with pytest.raises(UserError, match="'gsm8k-cot' follows a protocol's exact prompts"):
        stress("typos", "gsm8k-cot").problems()
