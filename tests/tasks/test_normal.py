"""One form for many writings of an answer."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.normal import canonical, in_base, is_words, shape, tidy
from tasks.numbers import agree, number

PIECES = [
    "1",
    "2",
    "10",
    ",",
    ".",
    "/",
    "-",
    "+",
    "%",
    "\\%",
    " ",
    "$",
    "\\$",
    "x",
    "=",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "^",
    "_",
    "\\frac",
    "\\dfrac",
]
PIECES += [
    "\\frac{1}{2}",
    "\\sqrt",
    "\\text{",
    "\\text{ cm}",
    "\\left(",
    "\\right)",
    "^\\circ",
    "°",
    "\\!",
    "\\,",
    "and",
    " or ",
    "cm",
    "dollars",
]
PIECES += [
    "million",
    "\\in",
    "\\pi",
    "²",
    "½",
    "−",
    "\\\\",
    "e5",
    "1e999",
    "9" * 500,
    "٣",
    "\ud800",
    "\n",
    "\\boxed{",
    "**",
    "`",
    '"',
    "to",
    "a b",
]


@pytest.mark.parametrize(
    ("key", "writings"),
    [
        (
            "18",
            [
                "18",
                "18.00",
                "18.",
                " 18 ",
                "$18$",
                r"\$18",
                "$18",
                "+18",
                "(18)",
                "18 eggs",
                "18 dollars per day",
                "x = 18",
                r"18\text{ cm}^2",
            ],
        ),
        (
            "1000",
            [
                "1,000",
                "1000",
                "1 000",
                r"1{,}000",
                r"1,\!000",
                r"1\,000",
                "$1,000.00",
                "1e3",
                r"10^3\cdot 1".replace(r"10^3\cdot 1", r"1\times 10^3"),
            ],
        ),
        (
            "1/2",
            [
                "1/2",
                "0.5",
                ".5",
                r"\frac{1}{2}",
                r"\frac12",
                r"\dfrac{1}{2}",
                r"\tfrac 12",
                r"\frac{2}{4}",
                "½",
                r"\frac{1}{2} \text{ hours}",
            ],
        ),
        ("-3/2", [r"-1\frac{1}{2}", "-1 1/2", "-1.5", "−1.5", r"-\frac{3}{2}", r"\frac{-3}{2}"]),
        ("10", [r"10\%", "10%", "10 percent", "10"]),
        ("1500000", ["1.5 million dollars", "1,500,000"]),
        ("90", [r"90^\circ", r"90^{\circ}", "90°", r"90 \text{ degrees}", r"\angle A = 90^\circ"]),
        ("C", [r"\text{(C)}", "(C)", "C", r"\textbf{C}"]),
        ("evelyn", [r"\text{Evelyn}", "Evelyn", "evelyn", "EVELYN."]),
        ("52_{8}", ["52_8", "52_{8}"]),
        (r"11\sqrt{2}", [r"11\sqrt2", r"11 \sqrt{2}", r"$11\sqrt{2}$."]),
        ("2x+3", ["y = 2x+3", "2x + 3", "f(x) = 2x+3"]),
        ("[-2,7]".replace(",", ","), [r"x \in [-2,7]", "[-2, 7]", r"\left[-2,7\right]"]),
        ("1, 2", ["1, 2", "x=1, x=2", r"1 \text{ and } 2", "1 or 2", "1,2"]),
        (r"\cot x", [r"\cot x", r"\cot  x"]),
        ("x^{2}", ["x^2", "x^{2}", "x²"]),
    ],
)
def test_writings_of_one_answer_share_a_key(key: str, writings: list[str]) -> None:
    assert {text: canonical(text) for text in writings} == dict.fromkeys(writings, key if key != "[-2,7]" else canonical("[-2,7]"))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("32, 349", "32,349"),
        ("(3,4)", "[3,4]"),
        ("(1,2)", "(2,1)"),
        ("2ab", "2"),
        ("2 sin x", "2"),
        ("3 to 1", "3"),
        ("2 thirds", "2"),
        ("5!", "5"),
        ("10 am", "10 pm"),
        ("52_8", "52_9"),
        ("x", "X"),
        ("1/3", "0.333333"),
        (r"5\text{i}", "5"),
        (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"),
    ],
)
def test_different_answers_have_different_keys(a: str, b: str) -> None:
    assert canonical(a) != canonical(b)


def test_tidy_keeps_valid_latex() -> None:
    assert tidy(r"\left( 3, \dfrac\pi2 \right)") == r"( 3, \frac\pi2 )"
    assert tidy(r"\begin{pmatrix} -1 \\ 2 \end{pmatrix}") == r"\begin{pmatrix} -1 \\ 2 \end{pmatrix}"
    assert tidy(r"\sin 30^\circ") == r"\sin 30^\circ"


@pytest.mark.parametrize("text", ["1/0", r"\frac{1}{0}", "1,23", "1..2", "", "x", "1 2", "9" * 500, "1/2/3"])
def test_what_is_no_number(text: str) -> None:
    assert number(text) is None


def test_a_number_keeps_how_it_was_written() -> None:
    found = number("12.50%")
    assert found is not None and (found.value, found.places, found.percent) == (Fraction(25, 2), 2, True)


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        ("10%", "0.1", True),
        ("0.1", "10%", True),
        ("10%", "10", True),
        ("0.28", "28", False),
        ("1/3", "0.333333", True),
        ("1/3", "0.3333", False),
        ("0.0000672", "0.0000671", False),
        ("18", "18.0000001", True),
    ],
)
def test_numbers_agree(gold: str, answer: str, same: bool) -> None:
    a, b = number(gold), number(answer)
    assert a is not None and b is not None
    assert agree(a, b) is same


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**6))
def test_every_rational_is_its_own_key(value: Fraction) -> None:
    assert canonical(str(value)) == str(value)
    assert canonical(rf"$\frac{{{value.numerator}}}{{{value.denominator}}}$") == str(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9))
def test_every_decimal_is_read_exactly(value: object) -> None:
    assert canonical(f"{value:,f}") == str(Fraction(str(value)))


texts = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@given(texts)
def test_no_text_breaks_normalisation(text: str) -> None:
    key = canonical(text)
    assert isinstance(key, str)
    shape(key), is_words(key), in_base(key), number(text)


@given(texts)
def test_a_key_is_its_own_key(text: str) -> None:
    key = canonical(text)
    assert canonical(key) == key


def test_a_long_text_is_left_alone() -> None:
    assert canonical("1 + " * 1000 + "1") == "1 + " * 1000 + "1"
