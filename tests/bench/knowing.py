"""An engine that knows the answers of the arithmetic task and what it does not know, named in experiments as `tests.bench.knowing:…`."""

from __future__ import annotations

import functools

import tasks
from harness.engines.scripted import ScriptedEngine
from harness.prompts import as_text
from harness.types import Sampling
from tasks.types import Problem, Prompt

SIZE = 12
NEGATION = " and false is not true"


@functools.cache
def problems() -> tuple[Problem, ...]:
    return tuple(tasks.load({"kind": "arithmetic", "size": SIZE}).problems())


def knows(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """Right on the clean task; one too many where false is not true. With a target stated: right up to two operations, silent up to four,
    and beyond that wrong, each time with another answer."""
    text = as_text(prompt)
    problem = next(p for p in problems() if p.question in text.replace(NEGATION, ""))
    right, operations = int(problem.gold[0]), int(problem.meta["operations"])
    if "Answer only if" not in text or operations <= 2:
        return f"so \\boxed{{{right + (NEGATION in text)}}}"
    return "I don't know." if operations <= 4 else f"\\boxed{{{1000 + seed % 10**9}}}"


class KnowingEngine(ScriptedEngine):
    """Answers as `knows` does."""

    kind = "knowing"

    def __init__(self) -> None:
        super().__init__(script=knows)
