r"""REST: several problems of a base task in one prompt, each graded by the base task.

Source: Pan et al. 2025, REST (arXiv:2507.10541), repository opendatalab/REST (Apache-2.0): every problem is the anchor of one prompt, its
neighbours i+1 … i+s−1 (cyclically) come first and the anchor last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tasks.registry as registry
from perpass.errors import UserError
from tasks.answers import without_thinking
from tasks.checks import whole
from tasks.extraction import boxes
from tasks.registry import task
from tasks.types import Ask, Judgement, Problem, Reply, Task

VERSION = 1
# Quoted from the protocol; see NOTICE.
REST_FORMAT = r"Answer the above questions one by one. Remember to put your final answer within \boxed{}."


@task("rest")
class Rest:
    """`s` problems of the task `base` (a name or a spec) at once; an item is one of them, the anchor being the last.

    As many prompts as the base has problems, built over the whole of it; over each position every problem comes once. The answers are the
    first `s` boxes of a reply, in order. Raises UserError for a base whose problems are not one question with one answer, and for an `s`
    that is less than 1 or more than the base has problems.
    """

    def __init__(self, base: str | Mapping[str, Any], s: int):
        whole("rest", "s", s, 1)
        self.base: Task = registry.load(base)
        if self.base.items != 1:
            raise UserError(f"rest: its base {self.base.name!r} has {self.base.items} answers per problem, expected 1")
        self.name = "rest"
        self.version = 100 * VERSION + self.base.version  # the base's prompts are part of what is asked
        self.items = s
        self.spec: Mapping[str, Any] = {"kind": "rest", "base": dict(self.base.spec), "s": s}
        self.judge_version = f"rest-{VERSION}+{self.base.judge_version}"
        self._problems: Sequence[Problem] | None = None
        self._members: Mapping[str, Sequence[Problem]] = {}

    @property
    def revision(self) -> str:
        """The base's revision."""
        return self.base.revision

    def problems(self) -> Sequence[Problem]:
        """One prompt per problem of the base, in the base's order of their anchors."""
        if self._problems is None:
            singles = self.base.problems()
            self._problems = build(singles, self.items)
            self._members = {p.key: members(singles, at, self.items) for at, p in enumerate(self._problems)}
        return self._problems

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The first `s` complete boxes after the thinking, in order; None for those that are missing."""
        found = boxes(without_thinking(text))[: self.items]
        return (*found, *[None] * (self.items - len(found)))

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The base's judgement of every answer; its scores averaged over the items."""
        self.problems()
        given = reply.items if reply.items is not None else self.extract(reply.text)
        judged = []
        for single, answer in zip(self._members[problem.key], given, strict=True):
            judged.append(await self.base.judge(single, Reply(answer or "", reply.finish, (answer,)), ask))
        names = {name for j in judged for name in j.scores}
        scores = {name: sum(j.scores.get(name, 0.0) for j in judged) / len(judged) for name in sorted(names)}
        return Judgement(tuple(j.items[0] for j in judged), scores, tuple(given))

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """The base's equivalence classes."""
        return await self.base.classes(answers)


def build(problems: Sequence[Problem], s: int) -> list[Problem]:
    """A prompt of `s` questions per problem: its s − 1 cyclic followers, then itself. Raises UserError where there are fewer than `s`."""
    if s > len(problems):
        raise UserError(f"rest: s is {s}, but the base has only {len(problems)} problems")
    return [_prompt(members(problems, at, s)) for at in range(len(problems))]


def members(problems: Sequence[Problem], at: int, s: int) -> list[Problem]:
    """The problems of the prompt whose anchor is number `at`, in the order in which they are asked."""
    return [problems[(at + step) % len(problems)] for step in range(1, s)] + [problems[at]]


def merged(questions: Sequence[str]) -> str:
    """The text of several questions, as the protocol numbers them; what follows starts on the line after the blank one."""
    return "".join(f"Q{place}: {question}\n\n" for place, question in enumerate(questions, 1)).removesuffix("\n")


def _prompt(asked: Sequence[Problem]) -> Problem:
    anchor = asked[-1]
    return Problem(
        key=anchor.key,
        question=merged([p.question for p in asked]),
        answer_format=REST_FORMAT,
        gold=tuple(p.gold[0] for p in asked),
        meta={"category": anchor.meta.get("category", ""), "questions": ", ".join(p.key for p in asked)},
    )
