"""Finding the answer in a reply."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import answers
from tasks.extraction import explicitly_marked, extract_last_number, extract_marked, in_words, without_thinking

PIECES = ["\\boxed{", "\\boxed ", "}", "{", "\\{", "\\}", "\\\\", "####", "#### ", "the answer is ", "Answer:", "<think>", "</think>", "$"]
PIECES += ["\\frac{1}{2}", "\\text{", "12", "1,000", "-", "−", ".", " ", "\n", "x", "\\", "%", "²", "٣", "\ud800", "e", "/", "^", "_"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{18}.", "18"),
        (r"\boxed{3} then \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, \{2\}\}}", r"\{1, \{2\}\}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\\boxed{7}", "7"),
        (r"\fbox{7}", "7"),
        (r"\boxed {7}", "7"),
        (r"\boxed 5.", "5"),
        (r"\boxed\pi", r"\pi"),
        (r"\boxed{\$18.90}", r"\$18.90"),
        (r"\boxed{$x+1$}", "x+1"),
        (r"put it in \boxed{}. It is \boxed{4}, within \boxed{}", "4"),
        ("in \\boxed format", None),
        (r"\boxed{3} or rather \boxed{12", "3"),
        (r"\boxed{12", None),
        ("reasoning\n#### 18", "18"),
        ("#### 1,000 dollars", "1,000 dollars"),
        (r"\boxed{5}" + "\n#### 6", "6"),
        ("#### 6\n" + r"\boxed{5}", "5"),
        ("#### Step 3: add", None),
        ("#### 2. Add them up", None),
        ("##### 4", None),
        ("The answer is 18.", "18"),
        ("The final answer is **18**.", "18"),
        ("**Answer:** 3.5 m. Done", "3.5 m"),
        ("Answer: The largest $n$ is 34.", "34"),
        ("The answer is:\n\n$$x^2$$", "x^2"),
        ("the answer is 3, no, the answer is 4", "4"),
        ("The answer is " + "a long sentence of many words without any mathematics in it", None),
        (r"Is the answer is 7? No: \boxed{8}. Sure, the answer is correct.", "8"),
        (r"<think>\boxed{3}</think> It is \boxed{4}", "4"),
        (r"<think>\boxed{3}</think> I do not know", None),
        (r"<think>I think \boxed{3}", None),
        (r"thought \boxed{3}</think>nothing", None),
        ("", None),
    ],
)
def test_the_last_marked_form_is_the_answer(text: str, answer: str | None) -> None:
    assert extract_marked(text) == answer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("it is -5", "-5"),
        ("x-5", "5"),
        ("10 - 3", "3"),
        ("= - 5", "-5"),
        ("(-3)", "-3"),
        ("it is −7", "-7"),
        ("$1,000.50.", "1,000.50"),
        ("-$5", "-5"),
        ("1,2,3", "3"),
        ("10{,}000 people", "10{,}000"),
        ("18 cm^2", "18"),
        ("area $18 r^{2}$", "18"),
        (r"-\frac{3}{4} of it", r"-\frac{3}{4}"),
        (r"1\frac{1}{2} cups", r"1\frac{1}{2}"),
        ("a third is 1/3.", "1/3"),
        ("is .5", ".5"),
        ("16 - 3 - 4 = 9 eggs", "9"),
        ("<think>5</think>none", None),
        ("none", None),
    ],
)
def test_the_last_number_as_it_is_written(text: str, number: str | None) -> None:
    assert extract_last_number(text) == number


def test_the_default_extractor_takes_a_last_number_for_numeric_tasks_only() -> None:
    assert answers.extract("She has 18 eggs.", numeric=True) == "18"
    assert answers.extract("She has 18 eggs.") is None
    assert answers.extract(r"Of 20 eggs, \boxed{x} remain, not 3", numeric=True) == "x"
    assert answers.extract("The answer is 3 times 6, that is, 18 eggs", numeric=True) == "18"
    assert answers.extract("The answer is correct, as 3 shows", numeric=True) == "3"


def test_without_thinking_keeps_what_is_said_last() -> None:
    assert without_thinking("<think>a</think>b<think>c</think>d") == "d"
    assert without_thinking("b<think>c") == "b"


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)))
def test_no_text_breaks_extraction(text: str) -> None:
    for found in (extract_marked(text), explicitly_marked(text), in_words(text), extract_last_number(text)):
        assert found is None or (isinstance(found, str) and found.strip())


@pytest.mark.parametrize("piece", [*PIECES, "\\boxed{{", "1,", "1/", "\\frac{1", "- ", "answer is ", "#### x\n", "</think>", "\\boxed{1}"])
def test_hostile_texts_stay_linear(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    start = time.process_time()
    extract_marked(text)
    extract_last_number(text)
    assert time.process_time() - start < 3
