"""Replies of models that keep to a format, and of those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import replies


@pytest.mark.parametrize(
    ("text", "found"),
    [("Yes.", True), ("no, wait: YES", True), ("Yes? No!", False), ("eyes, nobody", False), ("", False), ("certainly", False)],
)
def test_the_last_yes_or_no_counts(text: str, found: bool) -> None:
    assert replies.agreed(text) is found


def test_numbers_are_those_in_range_once_in_order() -> None:
    assert replies.numbers("3 and #1, 3 again, 9, 0, 2.5, 1e, (2).", 3) == [3, 1, 2]
    assert replies.numbers("none", 3) == [] == replies.numbers("1 2 3", 0)


def test_lines_lose_numbers_and_bullets_and_none_says_nothing() -> None:
    text = "1. First?\n\n- second\n 2) First?\n***\n* third -- x\n#3. 4 apples"
    assert replies.listed(text, 9) == ["First?", "second", "third -- x", "4 apples"]
    assert replies.listed(text, 2) == ["First?", "second"]
    assert replies.listed("None.", 9) == [] == replies.listed("", 9)


def test_natural_program_lines_name_what_they_rest_on() -> None:
    text = "Premises:\n#1. a is 1\n2) b is 2\nThen\n #3. (by #1 #2) a + b is 3\n#4. (By 3) so\n#5."
    assert replies.premises(text) == {1: ([], "a is 1"), 2: ([], "b is 2"), 3: ([1, 2], "a + b is 3"), 4: ([3], "so")}


def test_sentences_end_with_what_is_asked() -> None:
    text = "Rex is 1.5 m long. Cats purr!\nTrue or false: Rex purrs."
    assert replies.sentences(text) == ["Rex is 1.5 m long.", "Cats purr!", "Rex purrs."]
    assert replies.sentences("What?") == ["What?"] and replies.sentences("") == [""]
    assert replies.numbered(["a", "b"]) == "1. a\n2. b"


@given(st.text(), st.integers(0, 5))
def test_no_text_breaks_a_reader(text: str, most: int) -> None:
    assert all(1 <= n <= most for n in replies.numbers(text, most))
    assert len(replies.listed(text, most)) <= most
    assert replies.sentences(text) and replies.verdict(text, "yes", "no") in ("yes", "no", None)
    assert all(isinstance(n, int) for n in replies.premises(text))
