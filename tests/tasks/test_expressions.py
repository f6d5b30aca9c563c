"""Reading expressions: what counts as one, what it is worth, and that no text does harm."""

from __future__ import annotations

import ast
import operator
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import expressions
from tasks.expressions import read

APPLY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def by_python(node: ast.expr) -> Fraction:
    """The value by Python's own grammar: shares no code with the room."""
    if isinstance(node, ast.BinOp):
        value: Fraction = APPLY[type(node.op)](by_python(node.left), by_python(node.right))
        return value
    if isinstance(node, ast.UnaryOp):
        return -by_python(node.operand)
    assert isinstance(node, ast.Constant)
    return Fraction(node.value)


trees = st.recursive(
    st.integers(0, 999).map(str),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"{t[0]}{t[1]}{t[2]}"),
        inner.map(lambda t: f"-{t}"),
    ),
    max_leaves=12,
)


@given(trees)
def test_values_are_those_of_python_itself(text: str) -> None:
    found = read(text)
    if found is None:  # too deep or too long, nothing else
        assert text.count("-") + text.count("(") > expressions.DEEPEST or len(text) > expressions.LONGEST
        return
    tree = ast.parse(text, mode="eval").body
    try:
        assert found.value == by_python(tree)
    except ZeroDivisionError:
        assert found.value is None
    assert found.numbers == tuple(sorted(n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)))


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("(1 + 2) * 3", 9, (1, 2, 3)),
        (r"(1 + 2) \times 3", 9, (1, 2, 3)),
        (r"\left(1 + 2\right) \cdot 3", 9, (1, 2, 3)),
        ("(1 + 2) × 3 ÷ 9", 1, (1, 2, 3, 9)),
        ("3 x 8", 24, (3, 8)),
        ("8 − 3", 5, (3, 8)),
        (r"\dfrac{8}{3 - 1}", 4, (1, 3, 8)),
        (r"8 / (3 - \frac{8}{3})", 24, (3, 3, 8, 8)),
        ("$(1 + 2) * 3$", 9, (1, 2, 3)),
        (r"\text{(1 + 2) * 3}", 9, (1, 2, 3)),
        ("[1 + 2] * {3}", 9, (1, 2, 3)),
        ("(1 + 2) * 3 = 9", 9, (1, 2, 3)),
        ("9 = (1 + 2) * 3", 9, (1, 2, 3)),
        ("(1 + 2) * 3 = 24", 9, (1, 2, 3)),
        ("-3 + 5", 2, (3, 5)),
        ("7", 7, (7,)),
        ("1 / (2 - 2)", None, (1, 2, 2)),
        ("0 * (1 / 0)", None, (0, 0, 1)),
    ],
)
def test_writings(text: str, value: int | None, numbers: tuple[int, ...]) -> None:
    found = read(text)
    assert found is not None and (found.value, found.numbers) == (value, numbers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "abc",
        "2 ** 3",
        "2 ^ 3",
        "1.5 + 2",
        "1,000",
        "4!",
        "2(3 + 4)",
        "(1 + 2",
        "1 + 2)",
        "1 +",
        "(1 + 2]",
        "1 2",
        "()",
        "a = b = c",
        "1 + 1 = 2 = 2",
        r"\frac{1}2",
        "__import__('os').system('true')",
        "1234567890",
        "٣ + 4",
        "(" * 100 + "1" + ")" * 100,
        "-" * 100 + "1",
        "1" + " + 1" * 200,
    ],
)
def test_what_is_no_expression(text: str) -> None:
    assert read(text) is None


@given(st.text(alphabet="0123456789+-*/()[]{}=x. \\frac$times−×", max_size=600) | st.text(max_size=600))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = read(text)
    assert found is None or (found.numbers and all(n < 10**expressions.DIGITS for n in found.numbers))


def test_the_largest_values_are_quick() -> None:
    start = time.process_time()
    for sign in "*/+-":
        text = sign.join(["999999937"] * 50)
        assert len(text) <= expressions.LONGEST and read(text) is not None
    assert read("+".join(f"1/{999999937 - n}" for n in range(38))) is not None
    assert time.process_time() - start < 1
