"""The steady state of a live cell: while as many requests are at work as there can be. Beginning and end of a run, when the batch fills
and drains, are left out.

ML.ENERGY's definition (v3, github.com/ml-energy/benchmark): with B requests in flight and N in all, it begins when B requests have
returned their first token and ends when N − B − 1 have finished. Energy per token is all joules of the span over all tokens streamed in
it: idle power is included and prefill is charged to output tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energy.codes import Code

SHORTEST_S = 20.0
FULLEST_LEAST = 0.85


@dataclass(frozen=True)
class Request:
    """One call: when it was sent and when its first and last tokens came (Unix seconds), its output tokens, and its stream where known.

    chunks: (Unix seconds, tokens so far) of each piece of the stream, rising.
    """

    sent: float
    first: float
    last: float
    output: int
    chunks: tuple[tuple[float, int], ...] = ()

    def streamed(self, at_s: float) -> float:
        """Tokens that had come by then: by its chunks, else evenly between first and last."""
        if at_s < self.first or not self.output:
            return 0.0
        if at_s >= self.last:
            return float(self.output)
        if self.chunks:
            return float(max((tokens for time, tokens in self.chunks if time <= at_s), default=0))
        return 1 + (self.output - 1) * (at_s - self.first) / (self.last - self.first)


@dataclass(frozen=True)
class Steady:
    """The steady span. `running`: requests at work on average, as a share of `batch`. `codes`: why it is not valid; none when it is."""

    start_s: float
    end_s: float
    batch: int
    requests: int
    tokens: float
    running: float
    codes: tuple[Code, ...]

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def find(requests: Sequence[Request], batch: int) -> Steady | None:
    """The steady span of a run with `batch` requests in flight; None when there are too few requests for one (N < B + 2).

    Raises ValueError for a batch below 1.
    """
    if batch < 1:
        raise ValueError(f"a batch of {batch} requests")
    count = len(requests)
    if count < batch + 2:
        return None
    start = sorted(r.first for r in requests)[batch - 1]
    end = sorted(r.last for r in requests)[count - batch - 2]
    if end <= start:
        return None
    tokens = sum(r.streamed(end) - r.streamed(start) for r in requests)
    at_work = sum(max(0.0, min(r.last, end) - max(r.sent, start)) for r in requests)
    running = at_work / (end - start) / batch
    codes = [Code.WINDOW_TOO_SHORT] if end - start < SHORTEST_S else []
    codes += [Code.BATCH_UNDERFILLED] if running < FULLEST_LEAST else []
    return Steady(start, end, batch, count, tokens, running, tuple(codes))
