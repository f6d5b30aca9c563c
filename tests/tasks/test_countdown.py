"""Countdown and the game of 24: solvable, and any right expression is right."""

from __future__ import annotations

import asyncio
from collections import Counter
from fractions import Fraction
from itertools import combinations_with_replacement, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks.countdown import CARDS, Countdown, Game24, solve
from tasks.expressions import read
from tasks.types import Outcome, Problem, Reply


def puzzle(numbers: str, target: int) -> Problem:
    return Problem(key="p", question="?", answer_format="", gold=("",), meta={"numbers": numbers, "target": str(target)})


def judge(text: str, numbers: str, target: int = 24, task: str = "countdown") -> Outcome:
    return asyncio.run(tasks.load(task).judge(puzzle(numbers, target), Reply(f"\\boxed{{{text}}}"))).items[0]


def values(numbers: tuple[Fraction, ...]) -> set[Fraction]:
    """All that can be made of all numbers: put any two together until one is left. Shares no code with the room."""
    if len(numbers) == 1:
        return {numbers[0]}
    found: set[Fraction] = set()
    for i, j in permutations(range(len(numbers)), 2):
        rest = tuple(n for k, n in enumerate(numbers) if k not in (i, j))
        a, b = numbers[i], numbers[j]
        for made in [a + b, a - b, a * b] + ([a / b] if b else []):
            found |= values((*rest, made))
    return found


@pytest.mark.parametrize("count", [3, 4, 5, 6, 8])
def test_gold_expressions_use_every_number_and_give_the_target(count: int) -> None:
    for problem in Countdown(numbers=[count, count], size=150).problems():
        found = read(problem.gold[0])
        numbers = sorted(map(int, problem.meta["numbers"].split()))
        assert found is not None and found.value == int(problem.meta["target"]) and list(found.numbers) == numbers
        assert len(numbers) == count and all(1 <= n <= 99 for n in numbers) and 10 <= found.value <= 999
        assert all(str(n) in problem.question for n in [*numbers, found.value])


def test_no_two_numbers_are_enough() -> None:
    for problem in Countdown(size=300).problems():
        numbers = [Fraction(n) for n in problem.meta["numbers"].split()]
        target = Fraction(problem.meta["target"])
        assert target not in numbers
        assert not any(target in values(pair) for pair in permutations(numbers, 2))


@pytest.mark.parametrize(
    ("text", "numbers", "outcome"),
    [
        ("(5 - 2) * 8", "2 5 8", Outcome.CORRECT),
        ("8 * (5 - 2)", "2 5 8", Outcome.CORRECT),
        (r"8 \times (5 - 2) = 24", "2 5 8", Outcome.CORRECT),
        ("3 * 8", "2 3 8", Outcome.CORRECT),  # not all of them
        ("8 / (3 - 8 / 3)", "3 3 8 8", Outcome.CORRECT),  # fractions on the way
        ("8 * (2 - 5) * (0 - 1)", "2 5 8", Outcome.WRONG),  # 0 and 1 are not given
        ("12 + 12", "12 3", Outcome.WRONG),  # one of them twice
        ("12 + 12", "12 12", Outcome.CORRECT),
        ("8 * 3", "2 5 8", Outcome.WRONG),
        ("24", "2 5 8", Outcome.WRONG),
        ("5 + 8", "2 5 8", Outcome.WRONG),
        ("8 / (5 - 5)", "5 5 8", Outcome.WRONG),
        ("2.4 * 10", "2 5 8", Outcome.UNPARSABLE),
        ("none", "2 5 8", Outcome.UNPARSABLE),
    ],
)
def test_judging_countdown(text: str, numbers: str, outcome: Outcome) -> None:
    assert judge(text, numbers) is outcome


def test_the_game_of_24_takes_each_card_exactly_once() -> None:
    assert judge("3 * 8", "3 8 4 4", task="game24") is Outcome.WRONG
    assert judge("3 * 8 + 4 - 4", "3 8 4 4", task="game24") is Outcome.CORRECT
    assert judge("3 * 8", "3 8 4 4") is Outcome.CORRECT


def test_the_game_of_24_has_the_known_number_of_games() -> None:
    """1,362 of the 1,820 hands of four cards from 1 to 13 can be won (4nums.com; Yao et al. 2023 use that list)."""
    hands = list(combinations_with_replacement(CARDS, 4))
    won = [hand for hand in hands if solve(hand, 24) is not None]
    assert (len(hands), len(won)) == (1820, 1362)
    problems = Game24(size=1362).problems()
    assert {p.key for p in problems} == {"-".join(map(str, hand)) for hand in won}
    for problem in problems:
        found = read(problem.gold[0])
        assert found is not None and found.value == 24 and Counter(found.numbers) == Counter(map(int, problem.key.split("-")))
    with pytest.raises(UserError, match="game24: size 1363 is too large: there are 1362 games"):
        Game24(size=1363).problems()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 13), min_size=1, max_size=4), st.integers(1, 40))
def test_the_solver_agrees_with_putting_any_two_together(numbers: list[int], target: int) -> None:
    found = solve(numbers, target)
    assert (found is not None) == (Fraction(target) in values(tuple(map(Fraction, numbers))))
    if found is not None:
        expression = read(found)
        assert expression is not None and expression.value == target and list(expression.numbers) == sorted(numbers)


def test_classes_are_by_value_and_numbers() -> None:
    answers = ["(5 - 2) * 8", r"8 \times (5 - 2)", "8 * 5 - 8 * 2", "24", "3 * 8", None, "12 + 12 = 24", "8 / 0"]
    assert asyncio.run(tasks.load("countdown").classes(answers)) == [0, 0, 1, 2, 3, -1, 4, 5]


@pytest.mark.parametrize("spec", [{"numbers": [2, 4]}, {"numbers": [3, 9]}, {"numbers": [5, 4]}, {"numbers": 4}])
def test_bad_values_are_named(spec: dict[str, object]) -> None:
    with pytest.raises(UserError, match="numbers must be"):
        tasks.load({"kind": "countdown", **spec})
