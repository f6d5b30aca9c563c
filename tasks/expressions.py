r"""Reading an arithmetic expression of whole numbers, exactly and safely: own tokens, own grammar, rational arithmetic, never `eval`.

    sum = product (("+" | "-") product)*      product = factor (("*" | "/") factor)*
    factor = "-" factor | number | "(" sum ")" | "\frac{" sum "}{" sum "}"

Limits on length, nesting and digits bound every value, so that no text takes long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

LONGEST = 500  # characters
DEEPEST = 40  # nested brackets and signs
DIGITS = 9  # of one number

_WRITINGS = (
    (re.compile(r"\\left(?![A-Za-z])|\\right(?![A-Za-z])|\\[,;:! ]|\\[()\[\]]|\$|`"), " "),
    (re.compile(r"\\(?:times|cdot|ast)(?![A-Za-z])|[×·⋅∗]|(?<=[\s\d)])[xX](?=[\s\d(])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])|[÷∕⁄]"), "/"),
    (re.compile(r"[−–—]"), "-"),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\text\s*\{([^{}]*)\}"), r"\1"),
)
_TOKEN = re.compile(r"\s*([0-9]+|\\frac|[-+*/(){}\[\]])")
_CLOSES = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Expression:
    """`value`, None where it divides by zero, and the whole numbers that it is written with, ascending."""

    value: Fraction | None
    numbers: tuple[int, ...]


class _NotOne(Exception):
    """The text is no expression."""


def read(text: str) -> Expression | None:
    """The expression that all of `text` is, or None. Of an equation such as `3 * (3 + 5) = 24`, the side with more numbers."""
    if len(text) > LONGEST:
        return None
    for pattern, new in _WRITINGS:
        text = pattern.sub(new, text)
    sides = text.strip().strip(".").split("=")
    if len(sides) > 2:
        return None
    try:
        return max((_Reader(side).read() for side in sides), key=lambda found: len(found.numbers))
    except _NotOne:
        return None


class _Reader:
    """One pass over the tokens of one expression. An operation on no value (after a division by zero) has none."""

    def __init__(self, text: str):
        self._tokens: list[str] = []
        self._at = self._depth = 0
        self._numbers: list[int] = []
        text, end = text.rstrip(), 0
        while end < len(text):
            match = _TOKEN.match(text, end)
            if match is None:
                raise _NotOne
            self._tokens.append(match[1])
            end = match.end()

    def read(self) -> Expression:
        value = self._sum()
        if self._next():
            raise _NotOne
        return Expression(value, tuple(sorted(self._numbers)))

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        token = self._next()
        if not token or (expected and token not in expected):
            raise _NotOne
        self._at += 1
        return token

    def _sum(self) -> Fraction | None:
        value = self._product()
        while self._next() in ("+", "-"):
            value = _apply(self._take(), value, self._product())
        return value

    def _product(self) -> Fraction | None:
        value = self._factor()
        while self._next() in ("*", "/"):
            value = _apply(self._take(), value, self._factor())
        return value

    def _factor(self) -> Fraction | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _NotOne
        token = self._take()
        if token == "-":
            value = _apply("-", Fraction(0), self._factor())
        elif token == "\\frac":
            value = self._within(self._take("{"))
            value = _apply("/", value, self._within(self._take("{")))
        elif token in _CLOSES:
            value = self._within(token)
        elif token.isdigit() and len(token) <= DIGITS:
            self._numbers.append(int(token))
            value = Fraction(int(token))
        else:
            raise _NotOne
        self._depth -= 1
        return value

    def _within(self, opening: str) -> Fraction | None:
        value = self._sum()
        self._take(_CLOSES[opening])
        return value


def _apply(sign: str, a: Fraction | None, b: Fraction | None) -> Fraction | None:
    if a is None or b is None or (sign == "/" and b == 0):
        return None
    return {"+": a.__add__, "-": a.__sub__, "*": a.__mul__, "/": a.__truediv__}[sign](b)
