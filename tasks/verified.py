"""Tasks whose answers are checked against the problem itself: whatever satisfies it is correct, not only the answer that we know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from perpass.errors import UserError
from tasks import answers
from tasks.boxed import outcome
from tasks.loaded import Load, LoadedTask
from tasks.types import Ask, Judgement, Problem, Reply

LONGEST = 2_000  # characters of an answer; what is longer is none
TRIES = 1_000  # draws in a row that may be known problems before a level counts as exhausted

L = TypeVar("L")
Draw = Callable[[Random, L, int], tuple[Hashable, Problem]]
"""From a random state, a level and a position, a problem with what it is equal by."""


class VerifiedTask(LoadedTask, ABC):
    """A Task with a verifier of its own. A subclass says how an answer is read and when it is right.

    `verifier` is the version of both, raised by hand when any answer would be read or decided otherwise. `scored` names what `check`
    gives beside the verdict; an answer that cannot be read scores 0 in all of it.
    """

    scored: tuple[str, ...] = ()

    def __init__(self, *, name: str, version: int, verifier: int, spec: Mapping[str, Any], load: Load):
        super().__init__(name=name, version=version, spec=spec, load=load)
        self.judge_version = f"{answers.extractor_label()}+{name}-{verifier}"

    @abstractmethod
    def read(self, answer: str) -> Hashable | None:
        """The answer as a value, None where the text (at most LONGEST characters) is no answer of this kind. Pure; never raises.

        Answers with equal values are the same answer, so `check` must not tell them apart.
        """

    @abstractmethod
    def check(self, problem: Problem, answer: Any) -> tuple[bool, Mapping[str, float]]:
        """Whether a value that `read` gave is right, and its scores, all of `scored`."""

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The marked answer in a reply as it is written there; None where there is none, or none that can be read."""
        found = answers.extract(text)
        return (found if self._value(found) is not None else None,)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """Outcome and scores of the extracted (or voted) answer. No readable answer: truncated if the text was cut, else unparsable."""
        found = self.extract(reply.text)[0] if reply.items is None else next(iter(reply.items), None)
        value = self._value(found)
        right, scores = (False, dict.fromkeys(self.scored, 0.0)) if value is None else self.check(problem, value)
        read = None if value is None else found
        return Judgement(items=(outcome(right, read, read, reply.finish),), scores=scores, extracted=(found,))

    async def classes(self, answers_: Sequence[str | None]) -> list[int]:
        """One class per value, numbered in order of first appearance; what cannot be read is no answer, -1."""
        numbers: dict[Hashable, int] = {}
        values = [self._value(answer) for answer in answers_]
        return [-1 if value is None else numbers.setdefault(value, len(numbers)) for value in values]

    def _value(self, answer: str | None) -> Hashable | None:
        return None if answer is None or len(answer) > LONGEST else self.read(answer)


def spread(name: str, seed: int, size: int, levels: Sequence[L], draw: Draw[L]) -> list[Problem]:
    """`size` problems spread evenly over `levels`, no two equal. Growing `size` keeps what was there: each depends on earlier ones only.

    Raises UserError where a level seems to have no more of them.
    """
    share, rest = divmod(size, len(levels))
    found = []
    for at, level in enumerate(levels):
        seen: set[Hashable] = set()
        for position in range(share + (at < rest)):
            rng = Random(f"{name}/{seed}/{level}/{position}")
            fresh = ((same, problem) for same, problem in (draw(rng, level, position) for _ in range(TRIES)) if same not in seen)
            same, problem = next(fresh, (None, None))
            if problem is None:
                raise UserError(f"{name}: size {size} is too large: only {len(seen)} different problems at level {level} were found")
            seen.add(same)
            found.append(problem)
    return found
