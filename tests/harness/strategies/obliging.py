"""For methods that read replies: an engine whose every reply holds something for each reader, and a task of true and false statements."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.prompts import as_text
from harness.types import Sampling
from perpass.identity import seed_from
from tasks.types import Problem, Prompt
from tests.harness.digits import Digits

ROUTER = Path(__file__).parent / "router.json"  # leaves questions with a number above 1 to the policy


def obliging(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """Numbered lines that name premises, verdicts and a box; an open answer goes on by a follow-up question or a thought."""
    text = as_text(prompt)
    draw = random.Random(seed_from(text) if sampling.greedy else seed)
    if prompt.prefix.startswith("Are follow up"):
        asks = prompt.prefix.count("Follow up:") < draw.randint(1, 2)
        return f" Yes.\nFollow up: which {draw.choice('abc')}?\nIntermediate answer:" if asks else "\nSo the final answer is: \\boxed{1}"
    if prompt.prefix and prompt.prefix.count("\n\n") < 5:
        return f"{draw.choice(('wait, so it is', 'let me check', 'then'))} {draw.choice('abc')}\n\n"
    lines = [f"#{i}. {'(by #1) ' * (i > 1)}point {draw.choice('abc')}: when so -> then {draw.choice('xyz')}" for i in (1, 2)]
    words = f"It is {draw.choice(('true', 'false', 'unknown', 'unknown'))}: {draw.choice(('yes', 'yes', 'no'))}."
    return "\n".join([*lines, words, "", f"\\boxed{{{draw.randrange(3)}}}"])


@dataclass(eq=False)
class Statements(Digits):
    """Statements to be told true or false, behind facts and rules."""

    size: int = 6

    def problems(self) -> Sequence[Problem]:
        return [
            replace(p, question=f"Rex is a cat. Every cat is animal {i}. True or false: Rex is animal {i}.", gold=("True",))
            for i, p in enumerate(super().problems())
        ]

    def extract(self, text: str) -> tuple[str | None, ...]:
        return tuple(re.findall(r"\\boxed\{(True|False)\}", text)[:1]) or (None,)
