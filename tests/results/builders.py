"""Fake but whole data: an experiment's worth of cells, samples, attempts and windows, small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from results.database import open_database
from results.records import AttemptRecord, CellKey, LedgerRecord, SampleRecord, Use, WindowRecord
from results.store import CellRow, Store
from tasks.types import Problem

HARDWARE = {"name": "AMD EPYC (2 cores)", "count": 1}
SAMPLING = {"temperature": 0.8, "top_p": 0.95, "max_tokens": 64}


def cell_key(model: str = "perpass/nano", strategy: str = "cot", task: str = "sums", **changes: Any) -> CellKey:
    """A cell's identity; any field of CellKey can be changed."""
    fields: dict[str, Any] = {
        "model": {"name": model, "revision": "r1", "dtype": "float32"},
        "engine": {"kind": "transformers", "settings": {"batch": 8}},
        "hardware": HARDWARE,
        "strategy": {"name": strategy, "version": 1, "params": {}, "sampling": SAMPLING},
        "task": {"name": task, "version": 1, "revision": "generated", "spec": {"kind": task}},
        "roles": {},
        "seed": 0,
        "mode": "pooled",
        "concurrency": None,
    }
    return CellKey(**(fields | changes))


def problems(count: int, items: int = 1) -> list[Problem]:
    return [Problem(key=f"p{n}", question=f"{n} + {n} = ?", answer_format="a number", gold=(str(2 * n),) * items) for n in range(count)]


@dataclass
class World:
    """One database with one run; `attempt` builds whole attempts with their sample."""

    engine: sa.Engine
    store: Store
    run_id: int
    clock: float = 1_000.0
    ids: dict[str, dict[str, int]] = field(default_factory=dict)

    @staticmethod
    def make(path: Path, series: str = "main", environment: Mapping[str, Any] | None = None) -> World:
        engine = open_database(path, create=True)
        store = Store(engine)
        return World(
            engine, store, store.begin_run("demo", "name: demo\n", ["bench", "run", "demo"], environment or {"python": "3.11"}, series)
        )

    def cell(
        self,
        key: CellKey,
        count: int = 4,
        items: int = 1,
        *,
        series: str = "main",
        experiment: str = "demo",
        limit: int | None = None,
        trials: int = 1,
    ) -> CellRow:
        """A cell over `count` problems of `items` items."""
        row = self.store.cell(key, series, experiment, limit, trials)
        self.ids.setdefault(row.name, {}).update(self.store.problem_ids(self.store.task_id(key.task), problems(count, items)))
        return row

    def sample(self, key: CellKey, name: str, problem_id: int, **changes: Any) -> SampleRecord:
        """One completion of 100 prompt and 20 output tokens that took a second."""
        self.clock += 1.0
        if "sent" in changes:
            changes = {"first": None, **changes}
        fields: dict[str, Any] = {
            "key": name,
            "kind": "generate",
            "pool": None,
            "trial": 0,
            "position": None,
            "run_id": self.run_id,
            "model_id": self.store.model_id(key.model),
            "engine_id": self.store.engine_id(key.engine),
            "hardware_id": self.store.hardware_id(key.hardware),
            "problem_id": problem_id,
            "role": "policy",
            "seed": 7,
            "prompt": f"question {problem_id}",
            "text": f"answer of {name}",
            "finish": "eos",
            "prompt_tokens": 100,
            "cached_tokens": 0,
            "output_tokens": 20,
            "reasoning_tokens": 0,
            "scored_tokens": 0,
            "flop_linear": 900.0,
            "flop_attention": 90.0,
            "flop_head": 10.0,
            "sent": self.clock - 1.0,
            "first": self.clock - 0.75,
            "last": self.clock,
        }
        return SampleRecord(**(fields | changes))

    def attempt(
        self,
        row: CellRow,
        key: CellKey,
        problem: str,
        outcomes: Sequence[str],
        samples: Sequence[SampleRecord],
        trial: int = 0,
        **changes: Any,
    ) -> AttemptRecord:
        """An attempt that used these samples, wholly charged."""
        fields: dict[str, Any] = {
            "cell_id": row.id,
            "problem_id": self.ids[row.name][problem],
            "trial": trial,
            "run_id": self.run_id,
            "text": samples[-1].text if samples else "",
            "items": None,
            "finish": "eos",
            "error": None,
            "serial_tokens": sum(s.output_tokens for s in samples),
            "latency_s": sum(s.last - s.sent for s in samples),
            "ttft_s": 0.25,
            "started": samples[0].sent if samples else self.clock,
            "ended": samples[-1].last if samples else self.clock,
            "judge": "exact-1",
            "outcomes": tuple(outcomes),
            "extracted": tuple("1" for _ in outcomes),
            "scores": {"exact": outcomes.count("correct") / len(outcomes)},
            "uses": tuple(Use(s.key, n, s.role, s.output_tokens, 0, 1.0, n == len(samples) - 1) for n, s in enumerate(samples)),
            "ledger": tuple(_ledger(samples)),
            "codes": {"latency_s": "shared_load"} if key.mode == "pooled" else {},
        }
        return AttemptRecord(**(fields | changes))

    def solve(self, row: CellRow, key: CellKey, results: Mapping[str, Sequence[str]], **changes: Any) -> None:
        """Write one-sample attempts: for each problem, the outcome (of a single item) of every trial. `changes` go to the samples."""
        samples, attempts = [], []
        for problem, outcomes in results.items():
            for trial, outcome in enumerate(outcomes):
                sample = self.sample(key, f"{row.id}:{problem}:{trial}", self.ids[row.name][problem], trial=trial, **changes)
                error = "TransportFault: connection refused" if outcome == "error" else None
                samples.append(sample)
                attempts.append(self.attempt(row, key, problem, [outcome], [sample], trial, error=error))
        self.store.write(samples, attempts)

    def window(self, start: float, end: float, energy_j: float | None, **changes: Any) -> WindowRecord:
        """A valid pooled window of the CPU's counter."""
        fields: dict[str, Any] = {
            "run_id": self.run_id,
            "cell_id": None,
            "kind": "pooled",
            "meter": "rapl",
            "meter_version": 1,
            "source": "rapl_counter",
            "domain": "cpu",
            "device": "package-0",
            "start": start,
            "end": end,
            "energy_j": energy_j,
            "valid": True,
            "codes": (),
        }
        return WindowRecord(**(fields | changes))


def _ledger(samples: Sequence[SampleRecord]) -> list[LedgerRecord]:
    entries: dict[tuple[str, int, str], LedgerRecord] = {}
    for s in samples:
        one = LedgerRecord(
            role=s.role,
            model_id=s.model_id,
            kind=s.kind,
            calls=1,
            prompt=s.prompt_tokens,
            cached=0,
            output=s.output_tokens,
            reasoning=s.reasoning_tokens,
            scored=s.scored_tokens,
            flop_linear=s.flop_linear,
            flop_attention=s.flop_attention,
            flop_head=s.flop_head,
        )
        place = (s.role, s.model_id, s.kind)
        entries[place] = _plus(entries[place], one) if place in entries else one
    return list(entries.values())


def _plus(a: LedgerRecord, b: LedgerRecord) -> LedgerRecord:
    counts = ("calls", "prompt", "cached", "output", "reasoning", "scored", "flop_linear", "flop_attention", "flop_head")
    sums = {n: None if getattr(a, n) is None or getattr(b, n) is None else getattr(a, n) + getattr(b, n) for n in counts}
    return replace(a, **sums)
