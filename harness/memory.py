"""What a strategy carries from problem to problem. Only strategies that declare `memory` have one; their problems run in a fixed order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perpass.identity import seed_from
from tasks.types import Problem


@dataclass
class Memory:
    """`state` is anything that JSON can hold, None before the first problem. What a strategy leaves in it, its next problem finds."""

    state: Any = None

    def dump(self) -> str:
        return json.dumps(self.state, ensure_ascii=False)

    @staticmethod
    def load(text: str | None) -> Memory:
        return Memory(None if text is None else json.loads(text))


def ordered(problems: Sequence[Problem], order: int) -> list[Problem]:
    """The order in which memory meets the problems: 0 is the task's own, another number a shuffle by it."""
    return sorted(problems, key=lambda p: seed_from("order", order, p.key)) if order else list(problems)
