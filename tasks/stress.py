"""Stress wrappers: any task whose questions are prose, asked again with a change that must not matter.

Source: Naik et al. 2018, Stress Test Evaluation for Natural Language Inference (arXiv:1806.00692): tests of distraction (negation, word
overlap, length), noise (typos) and competence (numbers). `results.drops` compares with the clean task, problem by problem.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import tasks.registry as registry
from perpass.errors import UserError
from tasks import perturb
from tasks.checks import plain_base, whole
from tasks.registry import task
from tasks.types import Ask, Judgement, Problem, Reply, Task

VERSION = 1
RATE = 0.1
DRAWN = ("typos", "spelled", "numbers")
"""Changes that draw what they change, and so have a rate and a seed; the others are one fixed text."""
Change = Literal["negation", "overlap", "length", "typos", "spelled", "numbers"]


@task("stress")
class Stress:
    """The problems of `base` (a name or a spec), under its keys, each with one `change`; the base judges.

    `negation`: "and false is not true" in the sentence that asks; `overlap`: "and true is true" there; `length`: that five times before it;
    `typos` in a share `rate` of the words; `spelled`: that share of the plain numbers as words; `numbers`: that share drawn anew, with the
    answer that the problem then has, for a base that can compute it. What is drawn depends on `seed` and the
    problem's key alone. Raises UserError for a base that cannot take the change, and for a rate or seed that nothing would heed.
    """

    items = 1

    def __init__(self, base: str | Mapping[str, Any], change: Change, rate: float = RATE, seed: int = 0):
        self.base: Task = registry.load(base)
        self.change = change
        self.literal = bool(getattr(self.base, "literal", False))
        _check(self.base, change, self.literal)
        if not 0 < rate <= 1:
            raise UserError(f"stress: rate must be a share above 0 and at most 1, not {rate!r}")
        whole("stress", "seed", seed, 0)
        if change not in DRAWN and (rate, seed) != (RATE, 0):
            raise UserError(f"stress: rate and seed are for {', '.join(DRAWN)}; change {change!r} draws nothing")
        self.rate, self.seed = float(rate), seed
        self.name = "stress"
        self.version = 100 * VERSION + self.base.version  # the base's prompts are part of what is asked
        self.spec: Mapping[str, Any] = {"kind": "stress", "base": dict(self.base.spec), "change": change, "rate": self.rate, "seed": seed}
        self._problems: Sequence[Problem] | None = None

    @property
    def judge_version(self) -> str:
        """The base's: it judges."""
        return self.base.judge_version

    @property
    def revision(self) -> str:
        """The base's revision."""
        return self.base.revision

    def problems(self) -> Sequence[Problem]:
        """The base's problems, changed, in its order. Raises UserError where the base fixes its prompts, or nothing could be changed."""
        if self._problems is None:
            clean = plain_base("stress", self.base)
            made = tuple(self._changed(problem) for problem in clean)
            if clean and all(a.question == b.question for a, b in zip(clean, made, strict=True)):
                raise UserError(f"stress: change {self.change!r} finds nothing to change in any question of base {self.base.name!r}")
            self._problems = made
        return self._problems

    def _changed(self, problem: Problem) -> Problem:
        rng = random.Random(f"stress/{self.change}/{self.seed}/{problem.key}")
        if self.change == "numbers":
            made: Problem = self.base.renumbered(problem, rng, self.rate)  # type: ignore[attr-defined]  # _check has looked for it
            return made
        if self.change == "typos":
            kept = {word.lower() for word in re.findall(r"[A-Za-z]+", str(problem.gold[0]))}  # a name that is asked for stays what it is
            return replace(problem, question=perturb.with_typos(problem.question, self.rate, rng, kept))
        if self.change == "spelled":
            return replace(problem, question=perturb.spelled(problem.question, self.rate, rng))
        return replace(problem, question=perturb.with_tautology(problem.question, self.change, self.literal))

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The base's extraction."""
        return self.base.extract(text)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The base's judgement, by the changed problem's own gold answer."""
        return await self.base.judge(problem, reply, ask)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """The base's equivalence classes."""
        return await self.base.classes(answers)


def _check(base: Task, change: str, literal: bool) -> None:
    if base.items != 1:
        raise UserError(f"stress: its base {base.name!r} has {base.items} answers per problem, expected 1")
    if hasattr(base, "base") and not isinstance(base, Stress):
        raise UserError(f"stress goes inside of {base.name}, not around it: {{kind: {base.name}, base: {{kind: stress, …}}, …}}")
    if literal and change in DRAWN:
        raise UserError(f"stress: base {base.name!r} asks about its text to the letter, so it takes no change {change!r}; 'length' fits")
    if change == "numbers" and not hasattr(base, "renumbered"):
        raise UserError(
            f"stress: base {base.name!r} cannot compute its answers for other numbers, so it takes no change 'numbers'; "
            "'spelled' writes the same numbers as words"
        )
