"""Reading a number: decimals, fractions, mixed numbers, thousands separators, percent, powers of ten, units. Never evaluates text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_REMEMBERED = 2048  # a judge asks for the same gold and answer several times
_LONGEST = 400  # digits; a longer numeral is compared as text
_PLAIN = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+)"
_SIGN = r"(?P<sign>[-+]?)"
_FRACTION = rf"\\frac\{{([-+]?{_PLAIN})\}}\{{([-+]?{_PLAIN})\}}"
_DECIMAL = re.compile(rf"{_SIGN}(?P<plain>{_PLAIN})(?:[eE](?P<exponent>[-+]?[0-9]{{1,3}}))?")
_POWER = re.compile(rf"{_SIGN}(?P<plain>{_PLAIN})(?:\\times|\\cdot|\*|x)10\^(?:\{{(?P<braced>[-+]?[0-9]{{1,3}})\}}|(?P<bare>[0-9]{{1,3}}))")
_RATIO = re.compile(rf"{_SIGN}(?P<over>{_PLAIN})/(?P<under>{_PLAIN})")
_FRAC = re.compile(rf"{_SIGN}(?P<whole>[0-9]+)?{_FRACTION}")
_MIXED = re.compile(rf"{_SIGN}(?P<whole>[0-9]+) (?P<over>[0-9]+)/(?P<under>[0-9]+)")
_GROUPS = re.compile(r"[-+]?[0-9]{1,3}(?: [0-9]{3})+(?:\.[0-9]+)?")
_PERCENT = re.compile(r"\s*(?:\\?%|percent(?:age)?|per cent|pct)\s*$", re.IGNORECASE)

_WITH_UNIT = re.compile(
    r"(?P<number>[-+]?(?:[0-9][0-9,]*(?:\.[0-9]+)?|\.[0-9]+)(?:\s?/\s?[0-9]+|\s[0-9]+/[0-9]+|\s?\\frac\{[0-9]+\}\{[0-9]+\})?|[-+]?\\frac\{[-0-9.,]+\}\{[0-9.,]+\})"
    r"(?P<gap>\s*)(?P<unit>[A-Za-z][A-Za-z^{}0-9 ./-]{0,80})"
)
_SHORT = (
    "cm mm km ft in kg mg lb lbs oz mi yd hr hrs min mins sec secs ml mph kph cl dl gb mb kb kw kwh usd eur sq cu m g l h s "
    "of per a an the for each"
)
_NEVER = (
    "sin cos tan cot csc log exp sqrt mod and or to times plus minus over choose infinity theta alpha beta gamma lambda percent "
    "percentage pct half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths tenth tenths hundredth "
    "hundredths dozen"
)
_SHORT_UNITS = frozenset(_SHORT.split())
_NEVER_UNITS = frozenset(_NEVER.split())
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


@dataclass(frozen=True)
class Number:
    """An exact rational.

    `places`: digits written after the decimal point. `percent`: a percent sign was dropped, so value/100 may be meant.
    """

    value: Fraction
    places: int = 0
    percent: bool = False

    def key(self) -> str:
        """The reduced form: `18`, `-1/2`."""
        return str(self.value)


@lru_cache(maxsize=_REMEMBERED)
def number(text: str) -> Number | None:
    """The number that all of `text` is, with a unit or percent sign at most, or None. `text` is tidied already: see tasks.normal.tidy."""
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    bare = _PERCENT.sub("", text)
    percent = bare != text
    bare, scale = without_unit(bare)
    found = _bare(_unwrap(bare.strip()))
    return None if found is None else Number(found.value * scale, found.places, percent)


def without_unit(text: str) -> tuple[str, int]:
    """`text` without the unit words behind its number ("5 square meters" → "5"), and the scale they name ("3 million" → 10**6)."""
    match = _WITH_UNIT.fullmatch(text)
    if match is None:
        return text, 1
    words = [word for word in re.split(r"[\s/.^{}0-9-]+", match["unit"]) if word]
    scale = _SCALES.get(words[0].lower(), 1)
    rest = words[1:] if scale > 1 else words
    if rest and not _is_unit(rest, bool(match["gap"]) or scale > 1):
        return text, 1
    return match["number"], scale


def _is_unit(words: list[str], spaced: bool) -> bool:
    """Whether these words can only be a unit, never algebra: `5 eggs` and `5cm` are units, `5 sin x` and `2ab` are not."""
    first = words[0].lower()
    if not spaced and not ((first in _SHORT_UNITS and len(first) > 1) or len(first) > 3):
        return False
    if len(words) == 1 and len(first) == 1:
        return False
    return all((len(word) >= 3 or word.lower() in _SHORT_UNITS) and word.lower() not in _NEVER_UNITS for word in words)


def _unwrap(text: str) -> str:
    """Without brackets around all of it: `(5)`, `{5}`."""
    while len(text) > 2 and (text[0], text[-1]) in (("(", ")"), ("{", "}")) and not set(text[1:-1]) & set("(){}"):
        text = text[1:-1].strip()
    return text


def _bare(text: str) -> Number | None:
    mixed = _MIXED.fullmatch(text)
    if mixed:
        return _mixed(mixed["sign"], mixed["whole"], mixed["over"], mixed["under"])
    if _GROUPS.fullmatch(text):
        text = text.replace(" ", "")
    text = re.sub(r"\s*([-+/*{}]|\\times|\\cdot)\s*", r"\1", text)
    text = re.sub(r"(?<=[0-9]) (?=\\frac)", "", text)
    decimal = _DECIMAL.fullmatch(text)
    if decimal:
        places = len(decimal["plain"].partition(".")[2])
        return Number(_signed(decimal["sign"], _plain(decimal["plain"]) * _ten(decimal["exponent"])), places)
    power = _POWER.fullmatch(text)
    if power:
        return Number(_signed(power["sign"], _plain(power["plain"]) * _ten(power["braced"] or power["bare"])))
    ratio = _RATIO.fullmatch(text)
    if ratio:
        return _mixed(ratio["sign"], None, ratio["over"], ratio["under"])
    frac = _FRAC.fullmatch(text)
    if frac:
        return _mixed(frac["sign"], frac["whole"], frac[3], frac[4])
    return None


def _mixed(sign: str, whole: str | None, over: str, under: str) -> Number | None:
    """whole + over/under; None for a zero denominator, or a whole part before what is no proper positive fraction."""
    top, bottom = _plain(over), _plain(under)
    if bottom == 0:
        return None
    if whole is None:
        return Number(_signed(sign, top / bottom))
    if not 0 <= top < bottom:
        return None
    return Number(_signed(sign, _plain(whole) + top / bottom))


def _plain(text: str) -> Fraction:
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    digits = digits.replace(",", "").rstrip(".") or "0"
    return sign * Fraction(int(digits) if digits.isdecimal() else digits)


def _ten(exponent: str | None) -> Fraction:
    return Fraction(10) ** int(exponent) if exponent else Fraction(1)


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def agree(gold: Number, answer: Number) -> bool:
    """Whether two numbers are the same answer: exactly, read as percent on either side, or up to the rounding of a decimal.

    Rounding follows Math-Verify: a decimal of six or more places may be the other number rounded to six. But not below 0.001, where six
    places would hide differences.
    """
    pairs = [(gold.value, answer.value)]
    if gold.percent != answer.percent:
        pairs.append((gold.value / 100, answer.value) if gold.percent else (gold.value, answer.value / 100))
    if any(a == b for a, b in pairs):
        return True
    if max(gold.places, answer.places) < 6:
        return False
    return any(min(abs(a), abs(b)) >= Fraction(1, 1000) and round(a, 6) == round(b, 6) for a, b in pairs)
