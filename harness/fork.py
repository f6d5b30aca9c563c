"""Where a call stands inside an attempt: its fork path, its place on the logical clocks, its own random stream.

The fork path travels in a context variable, so that concurrent branches of one strategy get the same seeds and the same trace whatever
the latency of the calls beside them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property

Path = tuple[int, ...]


@dataclass
class Fork:
    """One strand of an attempt. `tokens` and `seconds` are its logical clocks, the critical path up to here; `seed` its random stream's."""

    path: Path
    seed: Callable[[], int]
    tokens: int = 0
    seconds: float = 0.0
    steps: int = 0

    @cached_property
    def rng(self) -> random.Random:
        """The random stream of this strand; few strategies draw from it, so it begins where one does."""
        return random.Random(self.seed())

    def step(self) -> Path:
        """The path of the next call or gather on this strand. Sorting calls by it gives program order."""
        place = (*self.path, self.steps)
        self.steps += 1
        return place

    def advance(self, tokens: int, seconds: float) -> None:
        """Move the clocks past calls that were made at once (give the longest)."""
        self.tokens += tokens
        self.seconds += seconds

    def join(self, children: Iterable[Fork]) -> None:
        """Resume at the latest of the children."""
        for child in children:
            self.tokens = max(self.tokens, child.tokens)
            self.seconds = max(self.seconds, child.seconds)


current: ContextVar[Fork] = ContextVar("perpass_fork")
