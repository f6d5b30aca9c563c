"""Deciding whether two answers are the same, and grouping answers into classes."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perpass.errors import UserError
from tasks import answers, verify

SAME = [
    ("18", "18.00"),
    ("18", "$18"),
    ("18", "The answer is 18 dollars."),
    ("18", "First 20. It is 18, I think."),
    ("18", "Answer $ 18 $"),
    ("18", r"<think>\boxed{17}</think>So \boxed{18}."),
    ("1/3", "0.333333"),
    ("10%", "0.1"),
    ("10", r"10\%"),
    ("5", r"\boxed{2+3=5}"),
    ("5", r"\sqrt{25}"),
    ("1,-2", "-2, 1"),
    ("52_8", "52"),
    (r"\text{(C)}", "The answer is (C)."),
    (r"\text{even}", "Even"),
    (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}"),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt 3}"),
    ("y = 2x + 3", "y=3+2x"),
    ("5x - 7y + 11z + 4 = 0", "10x - 14y + 22z + 8 = 0"),
    (r"x \in [-2,7]", r"-2 \le x \le 7"),
    (r"\begin{pmatrix} -1/3 \\ 2/3 \end{pmatrix}", r"\begin{bmatrix} -\frac13 \\ \frac23 \end{bmatrix}"),
    (r"(2,12) \cup (12,102)", r"(12,102)\cup(2,12)"),
]
DIFFERENT = [
    ("18", "19"),
    ("18", "2x+18"),
    ("18", ""),
    ("", ""),
    ("18", "no idea"),
    ("0.28", "28"),
    ("52_8", "52_9"),
    ("east", "seat"),
    ("(3,4]", "[3,4]"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "1,2"),
    ("5x - 7y + 11z + 4 = 0", "0"),
    (r"\frac{1}{2}", r"\frac{1}{3}"),
    ("x", r"<think>\boxed{x}"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_equivalent_answers_are_accepted(gold: str, answer: str) -> None:
    assert answers.equivalent(gold, answer)
    assert answers.equivalent(gold, gold)


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_different_answers_are_rejected(gold: str, answer: str) -> None:
    assert not answers.equivalent(gold, answer)


def test_the_exact_grader_wants_the_very_string() -> None:
    assert answers.equivalent("18", r"\boxed{18}", grader="exact")
    assert not answers.equivalent("18", r"\boxed{18.0}", grader="exact")


def test_the_number_grader_never_asks_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "verify_sync", lambda *_: pytest.fail("asked"))
    assert answers.equivalent("18", "18.0", grader="number")
    assert not answers.equivalent("18", "16+2", grader="number")


def test_numbers_and_words_never_reach_math_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "verify_sync", lambda *_: pytest.fail("asked"))
    for gold, answer in [
        ("18", "18.0"),
        ("18", "19"),
        ("1/3", "0.3333"),
        ("10%", "0.2"),
        ("18", "$19"),
        ("east", "west"),
        ("52_8", "52_9"),
        (r"\left( \frac{3}{2}, -13 \right)", "191"),
        ("7", r"\begin{pmatrix} 7 \\ 1 \end{pmatrix}"),
    ]:
        answers.equivalent(gold, answer)


def test_an_unknown_grader_gets_one_sentence() -> None:
    with pytest.raises(UserError, match="unknown grader 'defualt'; did you mean 'default'"):
        answers.equivalent("1", "1", grader="defualt")


def test_matches_is_equivalent_for_extracted_answers() -> None:
    async def both() -> list[bool]:
        return [await answers.matches("5", r"\sqrt{25}"), await answers.matches("5", None), await answers.matches("5", "6")]

    assert asyncio.run(both()) == [True, False, False]


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_pair_of_texts_breaks_a_decision(a: str, b: str) -> None:
    for grader in answers.GRADERS.values():
        assert grader.decide(a, b) in (True, False, None)
        # REST's evaluator decides all by itself: to it, equal strings that it cannot parse are wrong.
        assert grader.decide(a, a) is (None if grader.name == "rest-compat" else bool(a.strip()))


# --- classes --------------------------------------------------------------

MIXED = [
    "1/2",
    "0.5",
    None,
    r"\sqrt{4}",
    "2",
    "x+1",
    "1+x",
    "52_8",
    "52",
    "",
    "(1,2)",
    "1,2",
    "2,1",
    "x - y = 0",
    "0",
    "east",
    "East",
    None,
]
EXPECTED = [0, 0, -1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9, 9, -1]


def grouped(values: list[str | None], grader: str = "default") -> list[int]:
    return asyncio.run(answers.classes(values, grader))


def partition(values: list[str | None], classes: list[int]) -> set[frozenset[str | None]]:
    return {frozenset(v for v, c in zip(values, classes, strict=True) if c == number) for number in set(classes)}


def test_classes_are_numbered_by_first_appearance_and_none_is_minus_one() -> None:
    assert grouped(MIXED) == EXPECTED
    assert grouped([]) == []
    assert grouped([None, None]) == [-1, -1]


def test_a_permutation_permutes_the_classes_only() -> None:
    expected = partition(MIXED, EXPECTED)
    rng = random.Random(0)
    for _ in range(10):
        shuffled = rng.sample(MIXED, len(MIXED))
        assert partition(shuffled, grouped(shuffled)) == expected


def test_a_chain_of_pairs_is_one_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Math-Verify is not transitive; classes are."""
    links = {("ax", "bx"), ("bx", "cx")}

    async def same(a: str, b: str) -> bool:
        assert a < b
        return (a, b) in links

    async def tractable(text: str) -> bool:
        return True

    monkeypatch.setattr(verify, "same", same)
    monkeypatch.setattr(verify, "tractable", tractable)
    for order in itertools.permutations(["ax", "bx", "cx", "dx"]):
        assert partition(list(order), grouped(list(order))) == {frozenset(["ax", "bx", "cx"]), frozenset(["dx"])}


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(-20, 20).map(str),
            st.fractions(max_denominator=9).map(str),
            st.sampled_from(["x", "x=2", "2.0", "yes", "Yes"]),
        )
    ),
    st.randoms(use_true_random=False),
)
def test_classes_without_algebra_are_the_keys(values: list[str | None], rng: random.Random) -> None:
    classes = grouped(values, "number")
    for (a, x), (b, y) in itertools.combinations(zip(values, classes, strict=True), 2):
        same = (a is None and b is None) or (a is not None and b is not None and answers.canonical(a) == answers.canonical(b))
        assert (x == y) is same
    order = rng.sample(range(len(values)), len(values))
    assert partition([values[i] for i in order], grouped([values[i] for i in order], "number")) == partition(values, classes)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([v for v in MIXED if v]), max_size=8, unique=True), st.randoms(use_true_random=False))
def test_classes_with_algebra_do_not_depend_on_order(values: list[str | None], rng: random.Random) -> None:
    shuffled = rng.sample(values, len(values))
    assert partition(shuffled, grouped(shuffled)) == partition(values, grouped(values))


def test_a_strict_grader_votes_on_strings() -> None:
    assert grouped(["2", "2.0", "2 "], "exact") == [0, 1, 0]


def test_an_endless_answer_costs_one_probe_not_one_timeout_a_pair(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = verify.Pool(size=2, limit=1.0)
    monkeypatch.setattr(verify, "_pool", pool)
    try:
        asyncio.run(answers.classes(["x+1", "1+x"]))  # warm
        with caplog.at_level(logging.WARNING, logger="tasks.verify"):
            assert grouped(["9^{9^{9^9}}", *(f"x+{n}" for n in range(8)), "9^{9^{9^9}}"]) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]
        cut = [r for r in caplog.records if "9^{9" in r.getMessage() and "no answer within" in r.getMessage()]
        assert len(cut) == 1
    finally:
        pool.close()
