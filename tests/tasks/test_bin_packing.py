"""Bin packing: the optimum is one, and exactly the packings that reach it are right."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks.bin_packing import BinPacking, fewest_bins, first_fit
from tasks.types import Judgement, Outcome, Problem, Reply


def optimum(sizes: list[int], capacity: int) -> int:
    """The fewest bins by dynamic programming over subsets: for each, the fewest bins and then the least that the last one holds."""
    best = [(0, capacity)] + [(len(sizes) + 1, 0)] * (2 ** len(sizes) - 1)
    for mask in range(1, len(best)):
        for i, size in enumerate(sizes):
            if mask >> i & 1:
                bins, last = best[mask ^ (1 << i)]
                best[mask] = min(best[mask], (bins, last + size) if last + size <= capacity else (bins + 1, size))
    return best[-1][0]


def judge(text: str, sizes: str = "7 2 5 6", capacity: int = 10, bins: int = 2) -> Judgement:
    meta = {"sizes": sizes, "capacity": str(capacity), "bins": str(bins)}
    problem = Problem(key="p", question="?", answer_format="", gold=("",), meta=meta)
    return asyncio.run(tasks.load("bin_packing").judge(problem, Reply(f"\\boxed{{{text}}}")))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=9), st.integers(20, 30))
def test_branch_and_bound_finds_the_optimum(sizes: list[int], capacity: int) -> None:
    packing = fewest_bins(sizes, capacity)
    assert len(packing) == optimum(sizes, capacity)
    assert sorted(item for b in packing for item in b) == sorted(sizes) and all(sum(b) <= capacity for b in packing)


def test_the_problems_optima_are_right_and_first_fit_misses_them() -> None:
    for problem in BinPacking(size=90).problems():
        sizes, capacity = [int(s) for s in problem.meta["sizes"].split()], int(problem.meta["capacity"])
        assert len(sizes) == int(problem.meta["items"])
        assert f"{', '.join(map(str, sizes))}. " in problem.question and f"up to {capacity} at" in problem.question
        assert int(problem.meta["bins"]) == optimum(sizes, capacity) < len(first_fit(sizes, capacity)) <= len(sizes)


@pytest.mark.parametrize(
    ("text", "sizes", "bins", "outcome", "valid", "optimality"),
    [
        ("[[7, 2], [5, 4]]", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        ("[[4, 5], [2, 7]]", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        ("[7,2],[5,4]", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        (r"\{\{7, 2\}, \{5, 4\}\}", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        ("((7, 2), (5, 4))", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        (r"\left[[7, 2],\, [5, 4]\right].", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        ("[[7, 2], [5, 4], []]", "7 2 5 4", 2, Outcome.CORRECT, 1, 1),
        ("[[7, 2], [5], [4]]", "7 2 5 4", 2, Outcome.WRONG, 1, 2 / 3),
        ("[[7], [2], [5], [4]]", "7 2 5 4", 2, Outcome.WRONG, 1, 0.5),
        ("[[7, 4], [5, 2]]", "7 2 5 4", 2, Outcome.WRONG, 0, 0),  # too full
        ("[[7, 2], [5]]", "7 2 5 4", 2, Outcome.WRONG, 0, 0),  # one is missing
        ("[[7, 2], [5, 4], [2]]", "7 2 5 4", 2, Outcome.WRONG, 0, 0),  # one is there twice
        ("[[7, 2, 5, 4]]", "7 2 5 4", 2, Outcome.WRONG, 0, 0),
        ("[7, 2, 1]", "7 2 1", 1, Outcome.CORRECT, 1, 1),
        ("2", "7 2 5 4", 2, Outcome.UNPARSABLE, 0, 0),
        ("[[7, 2], 5, 4]", "7 2 5 4", 2, Outcome.UNPARSABLE, 0, 0),
        ("[[]]", "7 2 5 4", 2, Outcome.UNPARSABLE, 0, 0),
        ("[[7, -2], [5, 4]]", "7 2 5 4", 2, Outcome.UNPARSABLE, 0, 0),
        ("[[7, 2], [5, 4]", "7 2 5 4", 2, Outcome.UNPARSABLE, 0, 0),
    ],
)
def test_judging(text: str, sizes: str, bins: int, outcome: Outcome, valid: float, optimality: float) -> None:
    judged = judge(text, sizes, bins=bins)
    assert judged.items == (outcome,)
    assert judged.scores == {"valid": valid, "optimality": pytest.approx(optimality)}


def test_classes_do_not_tell_orders_apart() -> None:
    answers = ["[[7, 2], [5, 4]]", "[[4, 5], [2, 7]]", "[[7, 2], [5], [4]]", None, "two bins"]
    assert asyncio.run(tasks.load("bin_packing").classes(answers)) == [0, 0, 1, -1, -1]


def test_bad_values_are_named() -> None:
    with pytest.raises(UserError, match=r"items must be \[fewest, most\] with 4 <= fewest <= most <= 12"):
        tasks.load({"kind": "bin_packing", "items": [3, 20]})
