r"""Answers: finding them in a reply, bringing them to one form, and deciding whether two are the same.

Comparison goes exact → canonical form → number → Math-Verify (in killable processes). Model text is never evaluated as code.
Graders are named: `default`, `number` (the same without Math-Verify, for tasks whose answers are numbers), `exact`
(the marked string itself), `state` (a string or a list of strings, whatever brackets and quotes stand around them) and `rest-compat`
(Math-Verify as REST's evaluator calls it).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perpass.errors import unknown
from tasks import extraction, verify
from tasks.extraction import explicitly_marked, extract_last_number, extract_marked, in_words, rest_boxes, without_thinking
from tasks.normal import canonical, in_base, is_words, listed, shape, tidy
from tasks.numbers import agree, number

__all__ = [
    "GRADERS",
    "Grader",
    "canonical",
    "classes",
    "equivalent",
    "extract",
    "extract_last_number",
    "extract_marked",
    "grader",
    "matches",
    "without_thinking",
]


@dataclass(frozen=True)
class Grader:
    """A way of comparing. `version` is raised by hand when any pair would be decided otherwise.

    `strict`: only the very same `form` is right, by default the stripped string. `algebra`: Math-Verify decides what text and numbers
    leave open. `how` it is asked; other than `answers`, it decides everything, and what it takes for an answer is a whole box.
    """

    name: str
    version: int
    strict: bool = False
    algebra: bool = False
    how: verify.How = "answers"
    form: Callable[[str], str] = str.strip

    @property
    def label(self) -> str:
        """Name and version, as in a judge version: `default-1`."""
        return f"{self.name}-{self.version}"

    def decide(self, gold: str, answer: str) -> bool | None:
        """The verdict on an extracted answer as far as text and numbers go; None where it is Math-Verify's to say."""
        if self.how != "answers":
            return None
        if gold.strip() == answer.strip():
            return bool(gold.strip())
        if self.strict:
            return self.form(gold) == self.form(answer) != ""
        verdict = _decide(gold, answer)
        return False if verdict is None and not self.algebra else verdict

    def asked(self, gold: str, answer: str) -> tuple[str, str]:
        """What Math-Verify is asked about a gold and an extracted answer."""
        return (tidy(gold), tidy(answer)) if self.how == "answers" else (gold, boxed(answer))


GRADERS = {
    grader.name: grader
    for grader in (
        Grader("default", version=1, algebra=True),
        Grader("number", version=1),
        Grader("exact", version=1, strict=True),
        Grader("state", version=1, strict=True, form=listed),
        Grader("rest-compat", version=1, algebra=True, how="rest"),
    )
}


def grader(name: str) -> Grader:
    """The grader called `name`. Raises UserError naming the nearest one."""
    if name not in GRADERS:
        raise unknown("grader", name, GRADERS)
    return GRADERS[name]


def extract(text: str, numeric: bool = False) -> str | None:
    """The default extractor: the last marked form; for a numeric task, where there is none, the last number; else None."""
    marked = explicitly_marked(text)
    if marked is not None:
        return marked
    phrase = in_words(text)
    if phrase is not None and (not numeric or number(tidy(phrase)) is not None):
        return phrase
    if numeric:
        return (extract_last_number(phrase) if phrase else None) or extract_last_number(text)
    return None


def extractor_label() -> str:
    """Name and version of the default extractor, as in a judge version."""
    return f"boxed-{extraction.VERSION}"


def equivalent(gold: str, answer: str, grader: str = "default") -> bool:
    """Whether `answer`, a bare answer or a whole reply, is right. The grader's extraction comes first, then comparison.

    Blocks at most the limit of tasks.verify; inside an event loop use `matches` on an extracted answer.
    Raises UserError for an unknown grader, and where Math-Verify is needed but not installed.
    """
    chosen = _grader(grader)
    found = _in_reply(gold, answer) if chosen.how == "answers" else _first_box(answer)
    verdict = False if found is None else chosen.decide(gold, found)
    if verdict is None and found is not None:
        return verify.verify_sync(*chosen.asked(gold, found), chosen.how)
    return bool(verdict)


async def matches(gold: str, answer: str | None, grader: str = "default") -> bool:
    """Whether an extracted answer is right; None never is. Raises UserError for an unknown grader."""
    chosen = _grader(grader)
    verdict = False if answer is None else chosen.decide(gold, answer)
    if verdict is None and answer is not None:
        return await verify.check(*chosen.asked(gold, answer), chosen.how)
    return bool(verdict)


_grader = grader  # `grader` is also the name of a parameter


def _in_reply(gold: str, text: str) -> str | None:
    """The answer in what may be a whole reply or a bare answer."""
    marked = extract(text)
    if marked is not None:
        return marked
    text = without_thinking(text).strip()
    if number(tidy(gold)) is not None and number(tidy(text)) is None and _is_prose(text):
        return extract_last_number(text)
    return text or None


def boxed(answer: str | None) -> str:
    """What was extracted, or None, as the box that REST's evaluator looks at; a box is one already."""
    return answer if answer is not None and answer.startswith("\\boxed") else f"\\boxed{{{answer}}}"


def _first_box(text: str) -> str | None:
    """REST's answer in a whole reply, a box; a bare answer as it is. None for prose without a box, which REST never takes."""
    if "\\boxed" not in text:
        return None if _is_prose(text) else text
    return rest_boxes(text, 1)[0]


def _is_prose(text: str) -> bool:
    """A reply in sentences rather than a bare answer: several lines, a word in front, or at least two plain words."""
    return "\n" in text.strip() or bool(re.match(r"[A-Za-z]{4,}\b", text)) or len(re.findall(r"(?<![\\A-Za-z{])[A-Za-z]{2,}", text)) >= 2


def _decide(gold: str, answer: str) -> bool | None:
    a, b = canonical(gold), canonical(answer)
    if not a or not b:
        return False
    if a == b:
        return True
    x, y = number(tidy(gold)) or number(a), number(tidy(answer)) or number(b)
    if x is not None and y is not None:
        return agree(x, y)
    return _decide_keys(a, b)


def _decide_keys(a: str, b: str) -> bool | None:
    """What two different canonical keys say by themselves; symmetric. A numeral's base may be left out, but not contradicted."""
    if number(a) is not None and number(b) is not None:
        return False
    based = in_base(a), in_base(b)
    if based[0] and based[1]:
        return False
    for numeral, other in ((based[0], b), (based[1], a)):
        if numeral and number(other) is not None:
            return numeral[0] == other
    if {shape(a), shape(b)} == {"tuple", "set"}:
        return False
    for one, other in ((a, b), (b, a)):
        if number(one) is not None and (shape(other) == "tuple" or r"\begin" in other):
            return False  # a point, an interval or a matrix is no number
    if is_words(a) or is_words(b) or max(len(a), len(b)) > verify.LONGEST:
        return False
    return None


async def classes(answers: Sequence[str | None], grader: str = "default") -> list[int]:
    """Equivalence classes, one number per answer, counted from 0 in order of first appearance; all None share the class -1.

    Canonical keys first; then representatives of different keys are compared both ways, and what is connected is one class. So the
    relation is symmetric and transitive, and a permutation of the answers permutes the classes only. Numbers differ exactly: roundings
    are not a true equivalence.
    """
    chosen = _grader(grader)
    writings: dict[str, set[str]] = {}
    keys = [None if a is None else (chosen.form(a) if chosen.strict else canonical(a)) for a in answers]
    for key, answer in zip(keys, answers, strict=True):
        if key is not None and answer is not None:
            writings.setdefault(key, set()).add(tidy(answer))
    roots = {key: key for key in writings}
    if not chosen.strict:
        await _unite(roots, writings, chosen.algebra)
    numbers: dict[str, int] = {}
    return [-1 if key is None else numbers.setdefault(_root(roots, key), len(numbers)) for key in keys]


async def _unite(roots: dict[str, str], writings: dict[str, set[str]], algebra: bool) -> None:
    """Join the keys that are connected. Which pairs are asked depends on the set of answers alone, never on their order."""
    speakers = {key: max(texts, key=lambda text: (len(text), text)) for key, texts in writings.items()}
    keys = sorted(key for key in roots if key)
    open_pairs = []
    for i, a in enumerate(keys):
        for b in keys[i + 1 :]:
            verdict = _decide_keys(a, b)
            if verdict:
                _join(roots, a, b)
            elif verdict is None and algebra and not _misread(a, speakers[a], b, speakers[b]):
                open_pairs.append((a, b))
    asked = sorted({key for pair in open_pairs for key in pair if number(key) is None})
    ends = dict(zip(asked, await asyncio.gather(*(verify.tractable(speakers[key]) for key in asked)), strict=True))
    open_pairs = [pair for pair in open_pairs if all(ends.get(key, True) for key in pair)]
    verdicts = await asyncio.gather(*(verify.same(speakers[a], speakers[b]) for a, b in open_pairs))
    for (a, b), verdict in zip(open_pairs, verdicts, strict=True):
        if verdict:
            _join(roots, a, b)


def _misread(a: str, a_text: str, b: str, b_text: str) -> bool:
    """Whether one is an equation in unknowns and the other a plain expression: Math-Verify takes `x - y = 0` for `0`."""
    kinds = {_kind(a, a_text), _kind(b, b_text)}
    return kinds == {"equation", "expression"}


def _kind(key: str, text: str) -> str:
    if "=" in key and re.search("[A-Za-z]", key):
        return "equation"
    return "assignment" if "=" in text else "expression"


def _root(roots: dict[str, str], key: str) -> str:
    while roots[key] != key:
        key = roots[key]
    return key


def _join(roots: dict[str, str], a: str, b: str) -> None:
    first, second = sorted((_root(roots, a), _root(roots, b)))
    roots[second] = first
