"""One form for many writings of an answer: `canonical` for keys, `tidy` for what a verifier reads.

Text work only: nothing is evaluated, nothing raises.
"""

from __future__ import annotations

import re
from functools import lru_cache

from tasks.numbers import number, without_unit

_LONGEST = 2_000
_ROUNDS = 8
_REMEMBERED = 1 << 14
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True))
_UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "÷": "/", "⁄": "/", "∕": "/", "π": r"\pi ", "∞": r"\infty ",
        "°": r"^\circ ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "±": r"\pm ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
        "θ": r"\theta ", "√": r"\sqrt ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}",
        "¾": r"\frac{3}{4}", "’": "'", "‘": "'", "“": '"', "”": '"',
        **{old: f"^{new}" for old, new in _SUPERSCRIPTS.items()}, **{chr(0xFF10 + d): str(d) for d in range(10)},
    }
)  # fmt: skip
_ENCLOSED = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"), ('"', '"'))
_REWRITES = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"(?<!\\)\\!\s*|\{,\}(?=[0-9])", lambda m: "," if m[0].startswith("{") else ""),
        (r"\\(?:left|right|middle)\s*\.", ""),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])", ""),
        (r"(?<=[0-9])\\[,;:]\s*(?=[0-9]{3}(?![0-9]))", ""),
        (r"(?<!\\)\\(?:[,;:> ]|quad(?![A-Za-z])|qquad(?![A-Za-z])|displaystyle(?![A-Za-z])|limits(?![A-Za-z]))|~", " "),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\(?:mbox|hbox|textrm|textbf|textit|textsf|mathrm|mathbf|mathit|mathsf|rm|bf)(?=\s*\{)", r"\\text"),
        (r"\\leq(?:slant)?(?![A-Za-z])|<=", r"\\le "),
        (r"\\geq(?:slant)?(?![A-Za-z])|>=", r"\\ge "),
        (r"\\neq(?![A-Za-z])|!=", r"\\ne "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\\$|[$€£¥]", ""),
        (r"\\(?:frac)\s*([0-9A-Za-z])", r"\\frac{\1}"),
        (r"(\\frac\s*\{[^{}]*\})\s*([0-9A-Za-z])", r"\1{\2}"),
        (r"\\sqrt\s*([0-9A-Za-z])", r"\\sqrt{\1}"),
        (r"\\text\s*\{\s*(?:and|or)\s*\}|\s(?:and|or)\s|(?<=[)\]}0-9])(?:and|or)(?=[(\[{0-9\\-])", ","),
    )
)
_DEGREES = re.compile(r"\s*\^\s*(?:\\circ(?![A-Za-z])|\{\s*\\circ\s*\}|o(?![A-Za-z]))|\\degrees?(?![A-Za-z])")
_TRIGONOMETRY = re.compile(r"\\?(?:sin|cos|tan|cot|sec|csc)(?![a-z])")
_UNIT_TEXT = re.compile(r"(?<=[0-9A-Za-z)}\]])\s*\\text\s*\{(?!\s*[iknxyz]\s*\})[^{}0-9]*\}(?:\s*\^\s*(?:[0-9]|\{[0-9]\}))?\s*$")
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_SCRIPT = re.compile(r"([\^_])\s*([0-9A-Za-z])")
_CHOICE = re.compile(r"\(([A-Za-z])\)")
_ASSIGNED = re.compile(
    r"(?P<name>(?:\\angle\s*|m\s*)?(?:[A-Za-z]{1,3}|\\[a-z]+)(?:_(?:[0-9A-Za-z]|\{[0-9A-Za-z]+\}))?(?:\([a-z]\))?)\s*(?:=|\\in(?![A-Za-z]))\s*(?P<value>[^=<>]+)"
)
_WORDS = re.compile(r"[A-Za-z]+(?:[ '-]+[A-Za-z]+)*")
_TITLE = re.compile(r"[A-Z]?[a-z]+")


@lru_cache(maxsize=_REMEMBERED)
def tidy(answer: str) -> str:
    """The answer in plain LaTeX that still means the same: without sizes, text wrappers, currency, degree signs and unit words."""
    text = " ".join(answer.split())
    if len(text) > _LONGEST:
        return text
    text = _peel(text.translate(_UNICODE))
    for pattern, new in _REWRITES:
        text = pattern.sub(new, text)
    if not _TRIGONOMETRY.search(text):
        text = _DEGREES.sub(" ", text)
    text = _UNIT_TEXT.sub("", text)
    text = _TEXT.sub(r"\1", text)
    text = _peel(" ".join(text.split()))
    bare, scale = without_unit(text)
    return bare if scale == 1 else text


@lru_cache(maxsize=_REMEMBERED)
def canonical(answer: str) -> str:
    r"""The key of an answer: two answers with one key are the same answer.

    Numbers become reduced rationals (`18.00` → `18`, `1,000` → `1000`, `0.5` and `\frac12` → `1/2`, `10\%` → `10`); an assignment becomes
    its value (`x = 5` → `5`); words lose their case; of spaces only those are left that separate words or digits.
    """
    key, settled = _key(answer)
    for _ in range(_ROUNDS):
        if settled:
            break
        again, settled = _key(key)
        key, settled = again, settled or again == key
    return key


def _key(answer: str) -> tuple[str, bool]:
    """One round of `canonical`, and whether another can change nothing: in odd LaTeX, one rewriting may make room for another."""
    text = tidy(answer)
    if len(text) > _LONGEST:
        return text, True
    value = _value(text)
    found = number(value)
    if found is not None:
        return found.key(), True
    choice = _CHOICE.fullmatch(value)
    if choice:
        return choice[1], True
    if _WORDS.fullmatch(value):
        return (" ".join(map(_fold, value.split())) if len(value) > 1 else value), False
    value = re.sub(r" (?![A-Za-z])|(?<![A-Za-z]) (?=[A-Za-z])", _space, _SCRIPT.sub(r"\1{\2}", value))
    return re.sub(r"(?<=[0-9]),(?=[0-9])", ", ", value), False  # a list, told from thousands


def _space(match: re.Match[str]) -> str:
    """A space is kept between two digits, as in `3 4`; other spaces that do not part two letters go."""
    text, at = match.string, match.start()
    return " " if text[at - 1 : at].isdigit() and text[at + 1 : at + 2].isdigit() else ""


def _fold(word: str) -> str:
    return word.lower() if (_TITLE.fullmatch(word) and len(word) > 1) or len(word) > 3 else word


def is_words(key: str) -> bool:
    """Whether a canonical key is plain language, which a computer algebra system would misread as a product of letters (east = seat)."""
    return bool(_WORDS.fullmatch(key)) and (" " in key or len(key) > 3)


def in_base(key: str) -> tuple[str, str] | None:
    """Digits and base of a numeral with a base, as `52_{8}`; None for anything else."""
    match = re.fullmatch(r"([0-9]+)_\{([0-9]+)\}", key)
    return (match[1], match[2]) if match else None


def shape(key: str) -> str:
    r"""`tuple` for a point or interval `(1,2]`, `set` for `\{1,2\}` or a bare list `1,2`, else `other`.

    Math-Verify takes a tuple for a set; we do not.
    """
    depth, parts = 0, 1
    for character in key:
        depth += (character in "([{") - (character in ")]}")
        parts += character == "," and depth == 0
    if parts > 1 or key.startswith(r"\{"):
        return "set"
    return "tuple" if key[:1] in "([" and key[-1:] in ")]" and "," in key else "other"


def _value(text: str) -> str:
    """`5` of `x = 5`, `1,2` of `x = 1, x = 2`; the text itself where the parts name different things or there is more than one relation."""
    matches = [_ASSIGNED.fullmatch(part.strip()) for part in text.split(", ")]
    if len(matches) == 1 or any(match is None for match in matches):
        match = _ASSIGNED.fullmatch(text)
        return match["value"].strip() if match else text
    names = {match["name"] for match in matches if match}
    return ",".join(match["value"].strip() for match in matches if match) if len(names) == 1 else text


def _peel(text: str) -> str:
    """Without enclosing delimiters and closing punctuation."""
    before = None
    while before != text:
        before = text
        text = text.strip().rstrip(".,;:").strip()
        text = text.removesuffix("\\").strip() if text.endswith("\\") and not text.endswith("\\\\") else text
        for left, right in _ENCLOSED:
            inner = text[len(left) : -len(right)]
            if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right) and left not in inner:
                text = inner.strip()
    return text


def listed(text: str) -> str:
    """A list of strings in one form, elements behind commas: brackets, quotes and spaces around elements do not count, nor LaTeX's \\_."""
    parts = text.replace("\\_", "_").split(",")
    return ", ".join(part.strip(" \t\n[](){}\"'`") for part in parts)
