"""Tasks whose answer is put in a box: one question, one answer; extraction, judging and voting in one place."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from tasks import answers, verify
from tasks.loaded import Load, LoadedTask
from tasks.types import Ask, Judgement, Outcome, Problem, Reply

ANSWER_FORMAT = r"Put your final answer within \boxed{}."


class BoxedTask(LoadedTask):
    """A Task over problems with one gold answer each, given as text; for `load` see LoadedTask.

    `numeric` says that every answer is a number, so that the last number of a reply without a marked answer counts.
    """

    def __init__(self, *, name: str, version: int, spec: Mapping[str, Any], load: Load, numeric: bool, grader: str = "default"):
        super().__init__(name=name, version=version, spec=spec, load=load)
        self.numeric = numeric
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
