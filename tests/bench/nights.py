"""An engine whose answers are as good as the night is: `tests.bench.nights:NightEngine` in experiments.

`QUALITY` stands for what a night changes without changing the cell: a driver, a library, a broken kernel.
"""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import tasks
from harness.engines.scripted import ScriptedEngine
from harness.prompts import as_text
from harness.types import Sampling
from tasks.types import Prompt

QUALITY = {"night": "", "correct": 0.8, "direct": 0.8}
EXPERIMENT = """\
name: nights
engines: ["tests.bench.nights:NightEngine"]
tasks: [arithmetic]
strategies: [direct, cot]
sampling: {max_tokens: 64}
limit: 100
"""


@cache
def _gold() -> dict[str, str]:
    return {problem.question: str(problem.gold[0]) for problem in tasks.load("arithmetic").problems()[:100]}


def answer(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """The right answer with tonight's probability. Two fifths of the draws are tonight's own, the rest are the same every night."""
    text = as_text(prompt)
    right = next(gold for question, gold in _gold().items() if question in text)
    draw = random.Random(f"{text}{seed}")
    if draw.random() < 0.4:
        draw = random.Random(f"{text}{seed}{QUALITY['night']}")
    share = QUALITY["direct" if sampling.greedy else "correct"]
    return "so \\boxed{%s}" % (right if draw.random() < share else "-1")


class NightEngine(ScriptedEngine):
    """The scripted engine with that script."""

    kind = "nights"

    def __init__(self, **settings: Any):
        super().__init__(script=answer, **settings)
