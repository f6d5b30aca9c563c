"""For tests and notebooks: an engine that needs no weights, and one attempt without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.attempt import Judged, answer, judge
from harness.cell import Cell
from harness.context import Made, Services
from harness.engines.scripted import Script, ScriptedEngine, boxed_digit
from harness.memory import Memory
from harness.pool import Place, Pools
from results.records import SampleRecord
from tasks.types import Problem

__all__ = ["Script", "ScriptedEngine", "attempt_alone", "boxed_digit", "empty_pools"]


def empty_pools(offline: bool = False) -> Pools:
    """Pools with no database behind them."""

    async def nothing(wanted: Sequence[Place]) -> Mapping[Place, Sequence[SampleRecord]]:
        return {}

    return Pools(nothing, offline)


async def attempt_alone(
    cell: Cell, problem: Problem, trial: int = 0, pools: Pools | None = None, memory: Memory | None = None
) -> tuple[Judged, list[Made]]:
    """Run one attempt of a cell in memory. Returns it judged, and every engine call that was made for it, in order of arrival."""
    made: list[Made] = []
    services = Services("main", pools or empty_pools(), made.append, retries=20, backoff_s=0.0)
    return await judge(await answer(cell, problem, trial, services, memory=memory)), made
