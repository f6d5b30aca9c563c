"""An engine that continues open answers as a test says, and values them by their last step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from harness.attempt import Answered
from harness.types import Sampling
from tasks.types import Prompt
from tests.harness.strategies.told import Told


class Stepped(Told):
    """`tree`: by what is written so far the continuations, given in turn and from the first again (greedy: the first).

    `worth`: the reward of a step, by its text; 0.5 for all others. In a conversation the place is "after " and the last answer.
    """

    def __init__(self, tree: Mapping[str, Sequence[str]], worth: Mapping[str, float | None] | None = None, **more: Any):
        super().__init__(rewards=lambda steps: [(worth or {}).get(step, 0.5) for step in steps], **more)
        self.tree, self.given = tree, Counter[str]()

    def say(self, prompt: Prompt, sampling: Sampling, seed: int) -> str:
        place = prompt.prefix if len(prompt.turns) == 1 else f"after {prompt.turns[-2].content}"
        if sampling.greedy:
            return self.tree[place][0]
        self.given[place] += 1
        return self.tree[place][(self.given[place] - 1) % len(self.tree[place])]


def written(done: Answered) -> list[str]:
    """Every piece that was generated, in program order, behind what it continues."""
    return [call.prompt.prefix + call.kept.text for call in done.calls if call.kind == "generate"]


def scored(done: Answered) -> list[str]:
    """What the reward was asked about, in program order."""
    return [call.kept.text for call in done.calls if call.kind == "reward"]
