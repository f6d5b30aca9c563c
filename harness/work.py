"""What a run has to do: cells with what they still lack, in the order and the company in which they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.cell import Cell, Deployment
from harness.memory import Memory
from tasks.types import Problem

IN_FLIGHT = 64  # problems, for engines that do not say how many keep them busy


@dataclass(eq=False)
class Work:
    """A cell as it is run: its database ids and what is still to do."""

    cell: Cell
    cell_id: int
    problem_ids: dict[str, int]
    todo: list[tuple[Problem, int]]
    resumed: bool
    dropped: str = ""  # why the rest of the cell is not run
    left: int = 0  # attempts of this run that are not stored yet


Chain = list[tuple[Problem, int]]
"""Attempts that run one after another: the problems of one trial for a strategy with memory, a single attempt for all others."""
One = Callable[[Work, Problem, int, Memory], Awaitable[bool]]


def chains(w: Work) -> Iterator[tuple[Work, Chain]]:
    """What is to do of a cell, chain by chain."""
    if not w.cell.strategy.strategy.memory:
        yield from ((w, [job]) for job in w.todo)
        return
    for trial in sorted({trial for _, trial in w.todo}):
        yield w, [job for job in w.todo if job[1] == trial]


def places(cell: Cell) -> list[Deployment]:
    """The policy's deployment, then those of the roles."""
    return [cell.policy, *cell.roles.values()]


def in_flight(work: Sequence[Work]) -> int:
    """Problems in flight that keep the busiest engine of these cells busy, by its own word."""
    return max(getattr(place.engine, "in_flight", IN_FLIGHT) for w in work for place in places(w.cell))


def groups(work: Sequence[Work]) -> Iterator[tuple[list[Deployment], list[Work]]]:
    """Cells by the set of engines that they need, in order of first appearance."""
    found: dict[frozenset[str], list[Work]] = {}
    for w in work:
        found.setdefault(frozenset(d.hash for d in places(w.cell)), []).append(w)
    for members in found.values():
        yield list({d.hash: d for w in members for d in places(w.cell)}.values()), members
