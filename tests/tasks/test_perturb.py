"""Changes of wording: what they change, and above all what they leave alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import perturb

NOT = "and false is not true"
TRUE = "and true is true"
FIVE = " ".join([TRUE] * 5)
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def near(a: str, b: str) -> bool:
    return any(a + b in row or b + a in row for row in ROWS)


def is_typo(word: str, made: str) -> bool:
    """One swap of neighbours, or one letter replaced by its neighbour on the keyboard: told from outside."""
    if len(word) != len(made):
        return False
    differ = [i for i, (a, b) in enumerate(zip(word, made, strict=True)) if a != b]
    if len(differ) == 1:
        (i,) = differ
        return near(word[i].lower(), made[i].lower()) and word[i].isupper() == made[i].isupper()
    return len(differ) == 2 and differ[1] == differ[0] + 1 and (made[differ[0]], made[differ[1]]) == (word[differ[1]], word[differ[0]])


@pytest.mark.parametrize(
    ("question", "change", "expected"),
    [
        ("Ana has 3 cups. How many has she?", "negation", f"Ana has 3 cups. How many has she {NOT}?"),
        ("Ana has 3 cups. How many has she?", "overlap", f"Ana has 3 cups. How many has she {TRUE}?"),
        ("Ana has 3 cups. How many has she?", "length", f"Ana has 3 cups {FIVE}. How many has she?"),
        ("What is 2.5 + 1?", "length", f"What is 2.5 + 1 {FIVE}?"),
        ("Mr. Li owes Dr. Wu $2. Who pays?", "length", f"Mr. Li owes Dr. Wu $2 {FIVE}. Who pays?"),
        ("Is $x! = 2$", "negation", f"Is $x! = 2$ {NOT}"),
        ("Compute \\[1. A\\]", "negation", f"Compute \\[1. A\\] {NOT}"),
        ("What is $x$?\n\n[asy] draw(A. B?); [/asy]", "negation", f"What is $x$?\n\n[asy] draw(A. B?); [/asy] {NOT}"),
        ("It rains. Why?\n", "negation", f"It rains. Why {NOT}?\n"),
    ],
)
def test_where_tautologies_stand(question, change, expected):
    assert perturb.with_tautology(question, change) == expected


def test_a_tautology_never_enters_data_that_counts_to_the_letter():
    assert perturb.with_tautology("Sort.\nitstb", "negation", literal=True) == "False is not true.\nSort.\nitstb"
    assert perturb.with_tautology("Sort.\nitstb", "length", literal=True) == f"T{FIVE.removeprefix('and t')}.\nSort.\nitstb"


PLAIN = {"apples", "stories."}
KEPT = ["Ana's", "marbles", "seven", "Twice", "12", "3.5", "$20", "ABCD", "cat", "well-known", "x_long", "dozen"]
FORMULAS = ["$\\sin alpha + beta$", "\\boxed{answer}", "\\text{word here}", "\\(left right\\)"]
PIECES = st.one_of(st.sampled_from(sorted(PLAIN)), st.sampled_from([*KEPT, *FORMULAS]))


@given(st.lists(PIECES, min_size=1, max_size=30), st.sampled_from([0.05, 0.1, 0.5, 1.0]), st.integers(0, 10**6))
def test_typos_leave_everything_but_plain_words_alone(pieces, rate, seed):
    text = " ".join(pieces)
    made = perturb.with_typos(text, rate, random.Random(seed), kept={"marbles"})
    assert made == perturb.with_typos(text, rate, random.Random(seed), kept={"marbles"})
    expected = max(1, round(rate * sum(p in PLAIN for p in pieces))) if PLAIN & set(pieces) else 0
    # Swaps and replacements keep every length, so the pieces stand where they stood.
    changed, at = 0, 0
    for piece in pieces:
        now = made[at : at + len(piece)]
        at += len(piece) + 1
        if now != piece:
            assert piece in PLAIN and is_typo(piece, now)
            changed += 1
    assert at == len(made) + 1 and changed == expected


def test_a_typo_never_makes_another_number():
    rng = random.Random(0)
    for word in ("mine", "nien", "fine", "tend", "sever", "dozem", "hald"):
        assert all(perturb.typo(word, rng).lower() not in perturb.VALUES for _ in range(2000))
    assert all(is_typo("Apples", perturb.typo("Apples", rng)) for _ in range(500))


SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
UNITS = {word: n for n, word in enumerate((*SMALL, *TEENS))}
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}


def value(words: str) -> int:
    """Read by the rule that a hundred multiplies what stands before it and everything else adds up."""
    total = 0
    for word in words.replace("-", " ").split():
        total = total * 100 if word == "hundred" else total + (UNITS | TENS)[word]
    return total


def test_every_number_can_be_read_back():
    written = [perturb.in_words(n) for n in range(1000)]
    assert [value(words) for words in written] == list(range(1000)) and len(set(written)) == 1000
    assert written[342] == "three hundred forty-two" and written[800] == "eight hundred" and written[15] == "fifteen"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Ana has 12 cups and 7 hats.", "Ana has twelve cups and seven hats."),
        ("in groups of 1, 2, and 30.", "in groups of one, two, and thirty."),
        ("0 of (4)", "zero of (four)"),
    ],
)
def test_plain_numbers_are_spelled(text, made):
    assert perturb.spelled(text, 1.0, random.Random(0)) == made


NO_PLAIN_NUMBER = ["$5 and $6", "$x = 5$ is", "3.5 cups", "1,000 cups", "50% of it", "at 5:30", "1/2", "x^2", "2 + 2 = 4", "007", "1200"]


@pytest.mark.parametrize("text", [*NO_PLAIN_NUMBER, "x2", "1 1/2", "2-digit"])
def test_what_is_no_plain_number_stays_as_it_is(text):
    assert perturb.spelled(text, 1.0, random.Random(0)) == text


@given(st.lists(st.integers(0, 999), min_size=1, max_size=20), st.sampled_from([0.1, 0.3, 1.0]), st.integers(0, 1000))
def test_a_share_of_the_numbers_is_spelled_and_all_keep_their_values(numbers, rate, seed):
    made = perturb.spelled(", ".join(f"{n} cups" for n in numbers) + ".", rate, random.Random(seed))
    parts = [part.removesuffix(".").removesuffix(" cups") for part in made.split(", ")]
    assert [int(p) if p.isdigit() else value(p) for p in parts] == numbers
    assert sum(not p.isdigit() for p in parts) == max(1, round(rate * len(numbers)))
