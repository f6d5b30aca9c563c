"""A task for the scripted engine: the gold answer is the digit that the default script favours, so votes can win."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from energy.hardware import Hardware
from harness.cell import Cell, Deployment
from harness.strategy import strategies
from harness.testing import ScriptedEngine
from harness.types import Sampling
from tasks.types import Ask, Judgement, Outcome, Problem, Prompt, Reply

CPU = Hardware("test CPU (2 cores)", "cpu", "test CPU", 1, cores=2, found=True)


@dataclass(eq=False)
class Digits:
    """`size` problems with `items` answers each; the answer is the last boxed digits of a reply.

    Problems of another `request` are right when anything was answered; those of `choice` have two given texts to score.
    """

    size: int = 6
    items: int = 1
    version: int = 1
    judge_version: str = "digits-1"
    name: str = "digits"
    revision: str = "generated"
    asked: int = field(default=0)
    request: str = "generate"

    @property
    def spec(self) -> Mapping[str, Any]:
        return {"kind": "digits", "items": self.items}

    def problems(self) -> Sequence[Problem]:
        return [
            Problem(
                key=f"digit/{i}",
                question=f"Which digit is number {i}?",
                answer_format="Box it.",
                gold=(str(i % 10),) * self.items,
                request=self.request,  # type: ignore[arg-type]
                scored=tuple((Prompt(raw=f"Digit {i} is"), text) for text in (f" {i}", " another one") if self.request == "choice"),
            )
            for i in range(self.size)
        ]

    def extract(self, text: str) -> tuple[str | None, ...]:
        found: list[str | None] = list(re.findall(r"\\boxed\{(\d+)\}", text)[: self.items])
        return tuple(found + [None] * (self.items - len(found)))

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        self.asked += 1
        if self.request != "generate":
            return Judgement((Outcome.CORRECT if reply.text else Outcome.WRONG,))
        items = reply.items or self.extract(reply.text)
        right = [
            Outcome.UNPARSABLE if item is None else Outcome.CORRECT if item == gold else Outcome.WRONG
            for item, gold in zip(items, problem.gold, strict=True)
        ]
        return Judgement(tuple(right), {"exact": float(all(r is Outcome.CORRECT for r in right))}, items)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        order = sorted({a for a in answers if a is not None})
        return [-1 if a is None else order.index(a) for a in answers]


def place(engine: ScriptedEngine | None = None) -> Deployment:
    return Deployment(engine or ScriptedEngine(), CPU)


def cell(
    name: str, place: Deployment, task: Digits | None = None, *, sampling: Mapping[str, Any] | None = None, trials: int = 1, **params: Any
) -> Cell:
    """A cell of one strategy on the digits; roles that it needs are filled by the policy's deployment."""
    bound = strategies.get(name).bind(params, Sampling(max_tokens=200), sampling or {})
    return Cell(place, bound, task or Digits(), roles=dict.fromkeys(bound.strategy.roles, place), trials=trials)
