"""Problems that change while they are thought about: any task that can continue its problems, each with an update and the answer after it.

Source: Wu et al. 2025, Are Large Reasoning Models Interruptible? (arXiv:2510.11713), whose updates of GSM8K, MATH and AIME are a data set.
For the strategy `interruption(mode=update)`, which tells the update in the middle of the thinking.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import tasks.registry as registry
from perpass.errors import UserError
from tasks.checks import plain_base, whole
from tasks.registry import task
from tasks.types import Ask, Judgement, Problem, Reply, Task

VERSION = 1


@task("updated")
class Updated:
    """The problems of `base` (a name or a spec) as they are asked there, under its keys, with `meta["update"]` and the answer after it.

    An update depends on `seed` and the problem's key alone, and always changes the answer. The base extracts and judges. Raises UserError
    for a base that cannot compute its answers after an update.
    """

    def __init__(self, base: str | Mapping[str, Any] = "arithmetic", seed: int = 0):
        self.base: Task = registry.load(base)
        if not hasattr(self.base, "updated"):
            raise UserError(f"updated: base {self.base.name!r} cannot compute its answers after an update; 'arithmetic' can")
        self.seed = whole("updated", "seed", seed, 0)
        self.items = self.base.items
        self.name = "updated"
        self.version = 100 * VERSION + self.base.version  # the base's prompts are part of what is asked
        self.spec: Mapping[str, Any] = {"kind": "updated", "base": dict(self.base.spec), "seed": seed}
        self.judge_version = self.base.judge_version
        self._problems: Sequence[Problem] | None = None

    @property
    def revision(self) -> str:
        """The base's revision."""
        return self.base.revision

    def problems(self) -> Sequence[Problem]:
        """The base's problems in its order, each with its update."""
        if self._problems is None:
            self._problems = tuple(self._updated(problem) for problem in plain_base("updated", self.base))
        return self._problems

    def _updated(self, problem: Problem) -> Problem:
        said, gold = self.base.updated(problem, random.Random(f"updated/{self.seed}/{problem.key}"))  # type: ignore[attr-defined]
        return replace(problem, request="update", gold=gold, meta={**problem.meta, "update": said})

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The base's extraction."""
        return self.base.extract(text)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The base's judgement, by the gold answers after the update."""
        return await self.base.judge(problem, reply, ask)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """The base's equivalence classes."""
        return await self.base.classes(answers)
