"""Abstention-aware scoring of any task: a confidence target stated with the question, and points that make guessing below it a loss.

Source: Kalai et al. 2025, Why Language Models Hallucinate (arXiv:2509.04664). At target t a correct answer has 1 point, "I don't know" 0,
a wrong one −t/(1 − t): answering pays exactly where it is right with a probability above t. `results.selective` counts the points and
draws risk against coverage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import tasks.registry as registry
from perpass.errors import UserError
from tasks.checks import plain_base
from tasks.extraction import explicitly_marked, without_thinking
from tasks.registry import task
from tasks.types import Ask, Judgement, Outcome, Problem, Reply, Task

VERSION = 1
JUDGE = 1
# Quoted from the paper, t and t/(1-t) filled in; see NOTICE.
STATEMENT = (
    "Answer only if you are > {target:g} confident, since mistakes are penalized {penalty:g} points, while correct answers receive "
    '1 point, and an answer of "I don\'t know" receives 0 points.'
)
UNKNOWN = "I don't know"
"""What `extract` finds in a reply that abstains, however it says so."""
POINTS = "points"
"""The name of the score: from −t/(1 − t) to 1, not a share."""

_FORM = (
    r"(?:i (?:really |honestly |simply )?(?:do not|don't|dont) (?:know|have (?:enough|sufficient) (?:information|confidence))|idk"
    r"|i(?:'m| am) (?:really )?(?:not (?:sure|certain|confident)|unsure|uncertain)"
    r"|i(?: can't| cannot| can not| am unable to|'m unable to) (?:say|tell|answer|determine|solve|give an answer|be sure)"
    r"|i(?:'ll| will| must| have to)? (?:abstain|decline to answer|prefer not to answer))"
)
_LEAD = r"(?:(?:so|thus|therefore|hence|sorry|unfortunately|but|and|honestly|my|the|final|answer|is|:|,|-|\s)+)?"
_ABSTAINS = re.compile(rf"{_LEAD}{_FORM}(?:\b(?!.*\bbut\b)[^0-9\\]{{0,80}})?", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<![.!?\n])[.!?\n]+(?:\s+|$)")
_LONGEST = 200  # characters in which to say no more than that one does not know
_DRESS = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox)\s*\{([^{}]*)\}")


@task("abstention")
class Abstention:
    """The problems of `base` (a name or a spec), under its keys, each followed by the confidence target. 0 ≤ `target` < 1.

    A reply that says that it does not know is `abstained`; anything else is judged by the base. Votes may be for not knowing. Raises
    UserError for a base with several answers or a fixed prompt, and for a bad target.
    """

    items = 1

    def __init__(self, base: str | Mapping[str, Any], target: float = 0.75):
        self.base: Task = registry.load(base)
        if self.base.items != 1:
            raise UserError(f"abstention: its base {self.base.name!r} has {self.base.items} answers per problem, expected 1")
        if isinstance(self.base, Abstention):
            raise UserError("abstention: its base states a target already; give one target")
        if not 0 <= target < 1:
            raise UserError(f"abstention: target must be at least 0 and below 1, not {target!r}")
        self.target = float(target)
        self.name = "abstention"
        self.version = 100 * VERSION + self.base.version  # the base's prompts are part of what is asked
        self.spec: Mapping[str, Any] = {"kind": "abstention", "base": dict(self.base.spec), "target": self.target}
        self._problems: Sequence[Problem] | None = None

    @property
    def judge_version(self) -> str:
        """How not knowing is read, and the base's."""
        return f"abstention-{JUDGE}+{self.base.judge_version}"

    @property
    def revision(self) -> str:
        """The base's revision."""
        return self.base.revision

    def problems(self) -> Sequence[Problem]:
        """The base's problems in its order, the statement after each question. Raises UserError where the base fixes its prompts."""
        if self._problems is None:
            said = STATEMENT.format(target=self.target, penalty=penalty(self.target))
            self._problems = tuple(replace(p, question=f"{p.question}\n{said}") for p in plain_base("abstention", self.base))
        return self._problems

    def extract(self, text: str) -> tuple[str | None, ...]:
        """`UNKNOWN` where the reply abstains, else the base's extraction."""
        found = self.base.extract(text)
        return (UNKNOWN,) if abstains(text, found[0]) else found

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The base's judgement, or `abstained`, with the score `points`. What abstains has the base's scores of an empty reply."""
        if reply.items is None:
            silent = self.extract(reply.text) == (UNKNOWN,)
        else:
            silent = reply.items[0] is not None and says_unknown(reply.items[0])
        if silent:
            judged = await self.base.judge(problem, Reply("", reply.finish))
            judged = replace(judged, items=(Outcome.ABSTAINED,), extracted=(UNKNOWN,))
        else:
            judged = await self.base.judge(problem, reply, ask)
        return replace(judged, scores={**judged.scores, POINTS: points(judged.items[0], self.target)})

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """The base's equivalence classes; not to know is one of its own."""
        silent = [answer is not None and says_unknown(answer) for answer in answers]
        found = await self.base.classes([None if s else answer for s, answer in zip(silent, answers, strict=True)])
        own = max(found, default=-1) + 1
        return [own if s else c for s, c in zip(silent, found, strict=True)]


def penalty(target: float) -> float:
    """What a wrong answer costs: t/(1 − t) points."""
    return target / (1 - target)


def points(outcome: str, target: float) -> float:
    """Points of an outcome at confidence target `target`: 1, 0 or −t/(1 − t). Where no answer was given, cut off or unreadable, it is 0."""
    return {Outcome.CORRECT: 1.0, Outcome.WRONG: -penalty(target)}.get(Outcome(outcome), 0.0)


def says_unknown(answer: str) -> bool:
    """Whether an answer, as it was extracted, says no more than that its writer does not know."""
    plain = _DRESS.sub(r"\1", answer).replace("\\ ", " ").replace("~", " ").replace("’", "'")
    return len(answer) <= _LONGEST and bool(_ABSTAINS.fullmatch(" ".join(plain.split()).strip(" \"'*_`.!,$")))


def abstains(text: str, found: str | None) -> bool:
    """Whether a reply abstains; `found`: the answer that its task extracts. A marked answer decides; without one the last sentence, or,
    where there is no answer at all, any sentence."""
    if found is not None and says_unknown(found):
        return True
    marked = explicitly_marked(text)
    if marked is not None:
        return says_unknown(marked)
    sentences = [s for s in _SENTENCE.split(without_thinking(text)) if s.strip()]
    return any(map(says_unknown, sentences if found is None else sentences[-1:]))
