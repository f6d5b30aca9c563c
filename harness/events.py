"""What a run reports while it runs, and what it is told from outside. The command line draws these; notebooks may ignore them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Options:
    """How a run is run; none of it is identity.

    in_flight   problems in flight at once for pooled cells; None: as many as keep their engines busy
    offline     no new samples: what a pool cannot answer fails at once
    retries     tries of a call after a transport fault, with exponential backoff from `backoff_s`
    idle_s      seconds of idle power read before the first engine is opened, where a meter measures; 0: none
    max_*       budgets of what is spent in this run; reaching one stops it cleanly
    """

    in_flight: int | None = None
    offline: bool = False
    require_energy: bool = False
    max_usd: float | None = None
    max_joules: float | None = None
    max_seconds: float | None = None
    retries: int = 5
    backoff_s: float = 0.5
    window_s: float = 30.0
    idle_s: float = 30.0
    progress: Callable[[Status], None] | None = None


@dataclass
class Status:
    """Where a run stands. Tokens, joules and dollars are spent by this run (each engine call once); None is not known."""

    cells: int = 0
    cells_done: int = 0
    attempts: int = 0  # to do in this run
    attempts_done: int = 0
    attempts_unjudged: int = 0  # answered in the live cell that runs; judging waits until its window has closed
    attempts_before: int = 0  # found finished in the database
    errors: int = 0
    correct: int = 0
    items: int = 0
    calls: int = 0  # engine calls made
    output_tokens: int = 0
    joules: float | None = None
    energy_source: str = ""
    usd: float | None = None
    started: float = 0.0
    now: float = 0.0
    cell: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def elapsed_s(self) -> float:
        return self.now - self.started

    @property
    def attempts_answered(self) -> int:
        return self.attempts_done + self.attempts_unjudged

    @property
    def tokens_per_s(self) -> float | None:
        return self.output_tokens / self.elapsed_s if self.elapsed_s > 0 else None

    @property
    def left_s(self) -> float | None:
        """Time left, from the rate of attempts so far; None before the first."""
        if not self.attempts_answered:
            return None
        return self.elapsed_s / self.attempts_answered * (self.attempts - self.attempts_answered)


@dataclass(frozen=True)
class Summary:
    """How a run ended: `status` is done | errors | budget | interrupted; `stopped_by` says which budget."""

    run_id: int
    status: str
    state: Status
    stopped_by: str = ""
