"""Pools that are drawn from and the task that judges them, small enough to enumerate: for tests of curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tasks.types import Judgement, Outcome, Problem, Reply
from tests.results.builders import World, cell_key, problems

Texts = Mapping[str, Sequence[str]]  # of each problem, the texts of its samples
DRAWN: Texts = {  # right answers: 0, 2, 4, …; "-" is no answer
    "p0": ("0", "0", "7", "-"),
    "p1": ("2", "9", "9", "3"),
    "p2": ("5", "5", "5", "5"),
    "p3": ("6", "6", "6", "6"),
}


@dataclass
class Sums:
    """A task whose replies are the answers; it counts what it is asked."""

    name: str = "sums"
    version: int = 1
    items: int = 1
    judge_version: str = "exact-1"
    revision: str = "generated"
    count: int = 4
    fails: bool = False
    spec: Mapping[str, Any] = field(default_factory=lambda: {"kind": "sums"})
    asked: list[str] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        return problems(self.count, self.items)

    def extract(self, text: str) -> tuple[str | None, ...]:
        return tuple(None if part == "-" else part for part in text.split())

    async def judge(self, problem: Problem, reply: Reply, ask: Any = None) -> Judgement:
        self.asked.append(f"{problem.key}:{reply.text}")
        if self.fails and problem.key == "p0":
            raise RuntimeError("no judge today")
        found = self.extract(reply.text)
        right = [answer == gold for answer, gold in zip(found, problem.gold, strict=True)]
        return Judgement(tuple(Outcome.CORRECT if r else Outcome.WRONG for r in right), extracted=found)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        known: dict[str, int] = {}
        return [-1 if a is None else known.setdefault(a, len(known)) for a in answers]


def drawn(world: World, texts: Texts = DRAWN, first: int = 1, key: Any = None, prefix: str = "", **changes: Any) -> None:
    """cot on the `first` samples of each pool, a trial each, and self_consistency on all of them in one attempt."""
    alone, voting = key or cell_key(), cell_key(strategy="self_consistency") if key is None else None
    row = world.cell(alone, 4, len(next(iter(texts.values()))[0].split()))
    samples, attempts = [], []
    vote = voting and world.cell(voting, 4)
    for problem, own in texts.items():
        made = [
            world.sample(alone, f"{prefix}{problem}:{n}", world.ids[row.name][problem], pool=f"{prefix}{problem}", position=n, text=text)
            for n, text in enumerate(own)
        ]
        made = [type(s)(**vars(s) | {name: of(n) for name, of in changes.items()}) for n, s in enumerate(made)]
        samples += made
        for n in range(first):
            right = ["correct" if a == str(2 * int(problem[1:])) else "wrong" for a in own[n].split()]
            attempts.append(world.attempt(row, alone, problem, right, [made[n]], n, extracted=tuple(Sums().extract(own[n]))))
        if vote and voting:
            attempts.append(world.attempt(vote, voting, problem, ["wrong"], made, items=("?",)))
    world.store.write(samples, attempts)
