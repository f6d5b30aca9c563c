r"""REST: several problems of a base task in one prompt, each graded by the base task and, where it is mathematics, as REST grades it.

Source: Pan et al. 2025, REST (arXiv:2507.10541), repository opendatalab/REST (Apache-2.0): every problem is the anchor of one prompt, its
neighbours i+1 … i+s−1 (cyclically) come first and the anchor last. Not followed: where a gold answer cannot be parsed, REST's evaluator
shifts its list of details against the questions; here that question is wrong and the others keep their places.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import tasks.registry as registry
from perpass.errors import UserError
from tasks import answers, verify
from tasks.answers import GRADERS, without_thinking
from tasks.checks import whole
from tasks.extraction import boxes, rest_boxes
from tasks.registry import task
from tasks.types import Ask, Judgement, Outcome, Problem, Prompt, Reply, Task

VERSION = 1
JUDGE_VERSION = 2
# Quoted from the protocol; see NOTICE.
REST_FORMAT = r"Answer the above questions one by one. Remember to put your final answer within \boxed{}."
COMPAT = "rest-compat"
LEVELS: Mapping[str, tuple[int, ...]] = {
    "gsm8k": (1, 3, 6, 9, 12),
    "math500": (1, 3, 5, 7, 9),
    "amc23": (1, 3, 5, 7, 9),
    "aime24": (1, 2, 3, 4, 5),
    "aime25": (1, 2, 3, 4, 5),
}
"""How many questions the protocol asks at once, by base task."""


@task("rest")
class Rest:
    r"""`s` problems of the task `base` (a name or a spec) at once; an item is one of them, the anchor being the last.

    As many prompts as the base has problems, built over the whole of it; over each position every problem comes once. The answers are the
    first `s` boxes of a reply, in order. Over a base whose answers are mathematics, the score `rest-compat` is the share of items that are
    right by REST's own extraction and evaluator, which do not read a thought as `extract` does, nor repair `\frac43`.

    prompt   fixed: the protocol's prompt to the byte; open: strategies may add words of their own, as `cot` does, and one of the two blank
             lines before the instruction is left out, as in the prompts that the reference models are trained on
    An experiment may also give `s` a list, or `levels`: those of the protocol for its base (see `unfold`).
    Raises UserError for a base whose problems are not one question with one answer, and for an `s` that is less than 1 or more than the
    base has problems.
    """

    def __init__(self, base: str | Mapping[str, Any], s: int, prompt: Literal["open", "fixed"] = "open"):
        whole("rest", "s", s, 1)
        self.base: Task = registry.load(base)
        if self.base.items != 1:
            raise UserError(f"rest: its base {self.base.name!r} has {self.base.items} answers per problem, expected 1")
        judged_by = GRADERS.get(getattr(self.base, "grader", ""))
        self._mathematics = judged_by is not None and not judged_by.strict
        if self._mathematics:
            verify.require("task rest")
        self._by_compat = False
        self.name = "rest"
        self.version = 100 * VERSION + self.base.version  # the base's prompts are part of what is asked
        self.items = s
        self.spec: Mapping[str, Any] = {"kind": "rest", "base": dict(self.base.spec), "s": s, "prompt": prompt}
        self._fixed = prompt == "fixed"
        self._problems: Sequence[Problem] | None = None
        self._members: Mapping[str, Sequence[Problem]] = {}

    @staticmethod
    def unfold(given: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What an experiment's entry stands for where `tasks.registry.unfold` does not know: `base` may be a list, `s` may be `levels`.

        Raises UserError for a base without levels.
        """
        made = [{**given, "base": base} for base in given["base"]] if isinstance(given.get("base"), list) else [dict(given)]
        return [{**one, "s": list(levels(one.get("base")))} if one.get("s") == "levels" else one for one in made]

    @property
    def judge_version(self) -> str:
        """REST's and the base's, and that of the grader beside it."""
        base = [] if self._by_compat else [self.base.judge_version]
        return "+".join([f"rest-{JUDGE_VERSION}", *base, *([GRADERS[COMPAT].label] if self._mathematics else [])])

    @property
    def revision(self) -> str:
        """The base's revision."""
        return self.base.revision

    def with_grader(self, grader: str) -> Rest:
        """The same task decided by `rest-compat`, or by its base with another grader. Raises UserError for one that does not fit."""
        other = copy.copy(self)
        if grader == COMPAT and self._mathematics:
            other._by_compat = True
        elif grader != COMPAT and hasattr(self.base, "with_grader"):
            other.base = self.base.with_grader(grader)
        else:
            raise UserError(f"task rest over {self.base.name} cannot be judged by {grader!r}")
        return other

    def problems(self) -> Sequence[Problem]:
        """One prompt per problem of the base, in the base's order of their anchors."""
        if self._problems is None:
            singles = self.base.problems()
            self._problems = build(singles, self.items, self._fixed)
            self._members = {p.key: members(singles, at, self.items) for at, p in enumerate(self._problems)}
        return self._problems

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The first `s` complete boxes after the thinking, in order; None for those that are missing."""
        found = boxes(without_thinking(text))[: self.items]
        return (*found, *[None] * (self.items - len(found)))

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The base's judgement of every answer; its scores averaged over the items, and `rest-compat` beside them."""
        self.problems()
        given = reply.items if reply.items is not None else self.extract(reply.text)
        judged = []
        for single, answer in zip(self._members[problem.key], given, strict=True):
            judged.append(await self.base.judge(single, Reply(answer or "", reply.finish, (answer,)), ask))
        names = {name for j in judged for name in j.scores}
        scores = {name: sum(j.scores.get(name, 0.0) for j in judged) / len(judged) for name in sorted(names)}
        outcomes = [j.items[0] for j in judged]
        if self._mathematics:
            right = await self._compat(problem, reply)
            scores[COMPAT] = sum(right) / len(right)
            if self._by_compat:
                outcomes = [_decided(outcome, yes) for outcome, yes in zip(outcomes, right, strict=True)]
        return Judgement(tuple(outcomes), scores, tuple(given))

    async def _compat(self, problem: Problem, reply: Reply) -> list[bool]:
        """Whether each item is right by REST's own extraction and evaluator. What a vote chose is put back into its box."""
        found = rest_boxes(reply.text, self.items) if reply.items is None else map(answers.boxed, reply.items)
        return list(await asyncio.gather(*(answers.matches(str(g), box, COMPAT) for g, box in zip(problem.gold, found, strict=True))))

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """The base's equivalence classes."""
        return await self.base.classes(answers)


def levels(base: object) -> tuple[int, ...]:
    """How many questions REST asks at once over this base, a name or a spec. Raises UserError where its protocol says nothing."""
    name = base.get("kind") if isinstance(base, Mapping) else base
    if not isinstance(name, str) or name not in LEVELS:
        raise UserError(f"rest: no levels are prescribed for {name!r}, only for {', '.join(LEVELS)}; write a list, such as s: [1, 2, 4]")
    return LEVELS[name]


def build(problems: Sequence[Problem], s: int, fixed: bool = False) -> list[Problem]:
    """A prompt of `s` questions per problem: its s − 1 cyclic followers, then itself. `fixed`: no strategy may add words to it.

    Raises UserError where there are fewer than `s`.
    """
    if s > len(problems):
        raise UserError(f"rest: s is {s}, but the base has only {len(problems)} problems")
    return [_prompt(members(problems, at, s), fixed) for at in range(len(problems))]


def members(problems: Sequence[Problem], at: int, s: int) -> list[Problem]:
    """The problems of the prompt whose anchor is number `at`, in the order in which they are asked."""
    return [problems[place] for place in places(at, s, len(problems))]


def places(at: int, s: int, size: int) -> list[int]:
    """The numbers of the problems of the prompt whose anchor is number `at` of `size`, in the order in which they are asked."""
    return [(at + step) % size for step in range(1, s)] + [at]


def numbered(questions: Sequence[str]) -> str:
    """The text of several questions, as the protocol numbers them, with an empty line after each."""
    return "".join(f"Q{place}: {question}\n\n" for place, question in enumerate(questions, 1))


def merged(questions: Sequence[str]) -> str:
    """The same without its last line end: what follows starts on the line after the blank one."""
    return numbered(questions).removesuffix("\n")


def _prompt(asked: Sequence[Problem], fixed: bool) -> Problem:
    anchor, questions = asked[-1], [p.question for p in asked]
    return Problem(
        key=anchor.key,
        question=merged(questions),
        answer_format=REST_FORMAT,
        gold=tuple(p.gold[0] for p in asked),
        fixed=Prompt.chat(f"{numbered(questions)}\n{REST_FORMAT}") if fixed else None,
        meta={"category": anchor.meta.get("category", ""), "questions": ", ".join(p.key for p in asked)},
    )


def _decided(outcome: Outcome, right: bool) -> Outcome:
    """An item's outcome where another grader has the say."""
    if right:
        return Outcome.CORRECT
    return Outcome.WRONG if outcome is Outcome.CORRECT else outcome
