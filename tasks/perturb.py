r"""Changes of a question's wording that change neither what is asked nor its answer. Pure text work, equal for equal random states.

Source: Naik et al. 2018, Stress Test Evaluation for Natural Language Inference (arXiv:1806.00692): its tautologies, and its typos (two
neighbouring letters swapped, or a letter replaced by its neighbour on the keyboard). There a pair has a premise and a hypothesis; here a
question's last sentence, which asks, stands for the hypothesis, and what comes before it for the premise.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterator

TAUTOLOGIES = {"negation": "and false is not true", "overlap": "and true is true", "length": " ".join(["and true is true"] * 5)}

_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_NEAR = {key: (row[i - 1] if i else "") + row[i + 1 : i + 2] for row in _KEYS for i, key in enumerate(row)}

# Mathematics, drawings and commands. A `$` opens where no space follows it and closes where no space comes before and no digit after it:
# `$5 and $6` are two prices.
_FORMULA = re.compile(
    r"\$\$.+?\$\$|(?<!\\)\$(?!\s)[^$]+?(?<![\s\\])\$(?!\d)|\\\(.+?\\\)|\\\[.+?\\\]"
    r"|\\begin\{(?P<name>\w+\*?)\}.+?\\end\{(?P=name)\}|\[asy\].+?\[/asy\]|\\[A-Za-z]+(?:\s*\{[^{}]*\})*",
    re.DOTALL,
)
_WORD = re.compile(r"(?<![\w\\'’.$-])[A-Za-z][a-z]{3,}(?![\w'’-])")
_NUMBER = re.compile(
    r"(?<![\w.,:/$£€^\\+*=<>×÷%-])(?<![+*/=<>×÷^-]\s)(?:0|[1-9][0-9]{0,2})(?![\w:/%^+*=<>×÷°$-]|[.,][0-9]|\s*[-+*/=<>×÷^]|\s[0-9])"
)
_END = re.compile(r"(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)(?<!\bJr)(?<!\bSr)(?<!\b[A-Z])[.?!]+(?=\s+[\"'“(\[]?[A-Z0-9$\\]|\s*$)")

_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_AMOUNTS = (
    *("hundred", "thousand", "million", "billion", "dozen", "half", "halves", "third", "thirds", "quarter", "quarters", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth", "first", "second", "once", "twice", "thrice", "single", "double", "triple", "both"),
)
VALUES = frozenset({*_UNITS, *_TENS, *_AMOUNTS})
"""Words that say how many: a typo never touches one, and never makes one."""


def with_tautology(question: str, change: str, literal: bool = False) -> str:
    """The question with the tautology of `change` in it: `negation` and `overlap` in the sentence that asks, `length` (five times) in the
    one before it, where there is one. `literal`: its words are data, so the tautology is a sentence of its own in front.
    """
    said = TAUTOLOGIES[change]
    if literal:
        return f"{said.removeprefix('and ').capitalize()}.\n{question}"
    ends = [match.start() for match in _outside(_END, question)]
    closed = bool(ends) and not question[ends[-1] :].strip(".?! \n")
    asks = ends[-1] if closed else len(question.rstrip())
    before = [at for at in ends if at < asks]
    at = before[-1] if change == "length" and before else asks
    return f"{question[:at]} {said}{question[at:]}"


def with_typos(question: str, rate: float, rng: random.Random, kept: Collection[str] = ()) -> str:
    """A typo in a share `rate` of the words of four letters or more, at least one of them. Digits, formulas, words that say how many and
    `kept` (lower case) stay as they are."""
    words = [m for m in _outside(_WORD, question) if m[0].lower() not in VALUES and m[0].lower() not in kept]
    return _replaced(question, words, rate, rng, lambda word: typo(word, rng))


def spelled(question: str, rate: float, rng: random.Random) -> str:
    """A share `rate` of the whole numbers below 1,000 that stand alone, at least one of them, as words. Formulas, prices, percentages,
    times and numbers beside an operator stay as they are."""
    return _replaced(question, list(_outside(_NUMBER, question)), rate, rng, lambda digits: in_words(int(digits)))


def typo(word: str, rng: random.Random) -> str:
    """The word with two different neighbouring letters swapped, or a letter replaced by its neighbour on the keyboard, each as likely."""
    while True:
        letters = list(word)
        at = rng.randrange(len(word) - 1)
        if rng.random() < 0.5:
            letters[at], letters[at + 1] = letters[at + 1], letters[at]
        else:
            near = rng.choice(_NEAR[letters[at].lower()])
            letters[at] = near.upper() if letters[at].isupper() else near
        made = "".join(letters)
        if made != word and made.lower() not in VALUES:
            return made


def in_words(number: int) -> str:
    """0 to 999 in English: 342 is `three hundred forty-two`."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_UNITS[number % 10]}" if number % 10 else "")
    return f"{_UNITS[number // 100]} hundred" + (f" {in_words(number % 100)}" if number % 100 else "")


def _replaced(text: str, found: list[re.Match[str]], rate: float, rng: random.Random, change: Callable[[str], str]) -> str:
    chosen = sorted(rng.sample(range(len(found)), max(1, round(rate * len(found))))) if found else []
    parts, end = [], 0
    for match in (found[n] for n in chosen):
        parts += [text[end : match.start()], change(match[0])]
        end = match.end()
    return "".join([*parts, text[end:]])


def _outside(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    formulas = _formulas(text)
    return (match for match in pattern.finditer(text) if not _inside(match.start(), formulas))


def _formulas(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in _FORMULA.finditer(text)]


def _inside(at: int, spans: list[tuple[int, int]]) -> bool:
    return any(start <= at < end for start, end in spans)
