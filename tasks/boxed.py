"""Tasks whose answer is put in a box: one question, one answer; extraction, judging and voting in one place."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks import answers, verify
from tasks.order import stratified
from tasks.types import Ask, Judgement, Outcome, Problem, Reply

ANSWER_FORMAT = r"Put your final answer within \boxed{}."

Load = Callable[[], tuple[Sequence[Problem], str]]


class BoxedTask:
    """A Task over problems with one gold answer each, given as text.

    `load` returns the problems in any order, and their revision; it is called once, on first use. `numeric` says that every answer is a
    number, so that the last number of a reply without a marked answer counts. A problem's stratum is its `meta["category"]`.
    """

    items = 1

    def __init__(self, *, name: str, version: int, spec: Mapping[str, Any], load: Load, numeric: bool, grader: str = "default"):
        self.name = name
        self.version = version
        self.spec: Mapping[str, Any] = dict(spec)
        self.numeric = numeric
        self._load = load
        self._loaded: tuple[Sequence[Problem], str] | None = None
        self._use(grader)

    def _use(self, grader: str) -> None:
        chosen = answers.grader(grader)
        if chosen.algebra:
            verify.require(f"task {self.name}")
        self.grader = chosen.name
        self.judge_version = f"{answers.extractor_label()}+{chosen.label}"

    def with_grader(self, grader: str) -> BoxedTask:
        """The same task judged by another grader. Raises UserError for an unknown one."""
        other = copy.copy(self)
        other._use(grader)
        return other

    def _table(self) -> tuple[Sequence[Problem], str]:
        if self._loaded is None:
            problems, revision = self._load()
            ordered = stratified(problems, key=lambda p: p.key, category=lambda p: p.meta.get("category", ""), seed=self.name)
            self._loaded = (tuple(ordered), revision)
        return self._loaded

    @property
    def revision(self) -> str:
        """The revision of the data; reads them on first use. Raises UserError where they are missing."""
        return self._table()[1]

    def problems(self) -> Sequence[Problem]:
        """All problems in the task's fixed order. Raises UserError where the data are missing or malformed."""
        return self._table()[0]

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The answer in a reply by the default extractor, as it is written there; None where there is none."""
        return (answers.extract(text, self.numeric),)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """Outcome of the extracted (or voted) answer; `exact` and `flexible` beside it.

        `exact`: the marked answer is the gold answer's very string. `flexible`: the last number of the reply equals the gold number.
        Without an answer, or with only a number from the middle of a cut text that is not right: truncated if the text was cut, else
        unparsable or wrong.
        """
        gold = str(problem.gold[0])
        found = self.extract(reply.text)[0] if reply.items is None else next(iter(reply.items), None)
        marked = answers.extract_marked(reply.text) if reply.items is None else found
        last = answers.extract_last_number(reply.text if reply.items is None else found or "")
        correct = await answers.matches(gold, found, self.grader)
        scores = {
            "exact": float(marked is not None and bool(answers.GRADERS["exact"].decide(gold, marked))),
            "flexible": float(last is not None and bool(answers.GRADERS["number"].decide(gold, last))),
        }
        return Judgement(items=(outcome(correct, found, marked, reply.finish),), scores=scores, extracted=(found,))

    async def classes(self, answers_: Sequence[str | None]) -> list[int]:
        """Equivalence classes under this task's grader: see tasks.answers.classes."""
        return await answers.classes(answers_, self.grader)


def outcome(correct: bool, found: str | None, marked: str | None, finish: str) -> Outcome:
    """How an item ended, by what was found and whether it was marked as the answer, and how the text ended."""
    if correct:
        return Outcome.CORRECT
    if marked is None and finish == "length":
        return Outcome.TRUNCATED
    return Outcome.UNPARSABLE if found is None else Outcome.WRONG
