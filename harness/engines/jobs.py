"""What the worker thread of an engine is asked to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.engines.forward import Look
from harness.engines.inside import NOTHING, Inside
from harness.engines.rendering import StopFinder
from harness.engines.signals import Trajectory
from harness.types import Finish, Observe, Sampling


@dataclass(eq=False, kw_only=True)
class Job:
    """done       called once in the worker thread, with what went wrong or None
    cancelled  set by the caller's thread; the worker drops the job at its next step
    """

    ids: tuple[int, ...]
    done: Callable[[BaseException | None], None]
    cancelled: bool = False
    last: float = 0.0


@dataclass(eq=False, kw_only=True)
class Generation(Job):
    """A completion in the making.

    limit  most tokens it may get
    stops  finds its stop strings, None when it has none
    watch  asked after every `every` tokens, in the worker thread; True cuts
    end    where the text ends, in characters, if a stop string ended it
    inside      what is asked of the model's inside
    trajectory  follows the hidden states when they are observed
    """

    limit: int
    sampling: Sampling
    seed: int
    observe: Observe
    stops: StopFinder | None = None
    watch: Callable[[Generation], bool] | None = None
    every: int = 32
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    chunks: list[tuple[float, int]] = field(default_factory=list)
    finish: Finish = "length"
    first: float | None = None
    end: int | None = None
    inside: Inside = NOTHING
    trajectory: Trajectory | None = None

    def take(self, token: int, eos: frozenset[int]) -> bool:
        """Append `token`; whether the completion is finished by it, and if so how. Raises what `watch` raises."""
        tokens = self.tokens
        tokens.append(token)
        count = len(tokens)
        end = self.stops.feed(token) if self.stops else None
        if token in eos:
            self.finish = "eos"
        elif end is not None and count >= self.sampling.min_tokens:
            self.finish, self.end = "stop", end
        elif count >= self.limit:
            self.finish = "length"
        elif self.watch and count % self.every == 0 and self.watch(self):
            self.finish = "stop"
        else:
            return False
        return True


@dataclass(eq=False, kw_only=True)
class Scoring(Job):
    """Teacher-forced scoring of the last `count` of `ids`. `logprobs`: theirs, in nats; `greedy`: each is the likeliest at its place."""

    count: int
    logprobs: list[float] = field(default_factory=list)
    greedy: bool = False


def looked(jobs: Sequence[Generation | None]) -> Look | None:
    """What is to be seen of a pass over `jobs`, a row each; None where nobody asks."""
    rows: dict[int, list[int]] = {}
    hidden = False
    for row, job in enumerate(jobs):
        if job is not None:
            hidden = hidden or job.trajectory is not None
            if job.inside.dola is not None:
                rows.setdefault(job.inside.dola, []).append(row)
    return Look({layer: np.array(found) for layer, found in rows.items()}) if hidden or rows else None
