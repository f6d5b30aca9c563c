"""A database for the leaderboard: three cells of sums, two numbers of questions, a few procedures, and texts that are not markup."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from results import curves, external, ml_energy
from tasks.types import Problem
from tests.results.builders import World, cell_key
from tests.results.pooled import Sums, drawn
from tests.results.test_external import configuration, write

LIVE = {2: 40.0, 8: 20.0}
"""Joules of a steady state by calls in flight."""
NASTY = "<script>document.title = 'owned'</script> <b>bold</b> **stars** $\\frac{1}{$ \\boxed{4"


def made(path: Path) -> Path:
    """`path`, filled."""
    world = World.make(path, environment={"python": "3.11", "packages": {}})
    _sums(world)
    for s in (2, 3):
        _rest(world, s)
    _procedures(world)
    world.store.end_run(world.run_id, "done")
    world.engine.dispose()
    return path


def _sums(world: World) -> None:
    """direct: 1 of 4 right for little; cot: 3 of 4; vote: 3 of 4 for more FLOPs but fewer tokens; its name is hostile."""
    plans: dict[str, tuple[dict[str, list[str]], float, int]] = {
        "direct": ({"p0": ["correct"], "p1": ["wrong"], "p2": ["wrong"], "p3": ["truncated"]}, 1e6, 20),
        "cot": ({"p0": ["correct"], "p1": ["correct"], "p2": ["correct"], "p3": ["wrong"]}, 1e7, 200),
        "vote<img src=x>": ({"p0": ["correct"], "p1": ["correct"], "p2": ["wrong"], "p3": ["correct"]}, 4e7, 100),
    }
    for strategy, (results, flop, tokens) in plans.items():
        key = cell_key(strategy=strategy)
        row = world.cell(key)
        world.solve(row, key, results, text=NASTY, flop_linear=flop, output_tokens=tokens)


def _rest(world: World, s: int) -> None:
    """The first question is always right, the last one never."""
    spec = {"kind": "rest", "base": {"kind": "sums"}, "s": s}
    key = replace(cell_key(), task={"name": "rest", "version": 1, "revision": "generated", "spec": spec})
    row = world.cell(key, items=s)
    attempts, samples = [], []
    for n in range(4):
        sample = world.sample(key, f"rest{s}:{n}", world.ids[row.name][f"p{n}"])
        middle = ["correct" if n % 2 else "wrong"] * (s - 2)
        samples.append(sample)
        attempts.append(world.attempt(row, key, f"p{n}", ["correct", *middle, "wrong"], [sample]))
    world.store.write(samples, attempts)


def _procedures(world: World) -> None:
    """Sort is followed with PA 1, Rhythm with PA 0.5."""
    task = {"name": "procbench", "version": 1, "revision": "generated", "spec": {"kind": "procbench"}}
    key = replace(cell_key(), task=task)
    row = world.store.cell(key, "main", "demo", None, 1)
    asked = [
        Problem(
            key=f"{name}/{steps}",
            question="Do it.",
            answer_format="the state",
            gold=("x",),
            meta={"procedure": name, "steps": str(steps), "length": length},
        )
        for name in ("Sort", "Rhythm")
        for steps, length in ((2, "short"), (8, "medium"))
    ]
    world.ids[row.name] = world.store.problem_ids(world.store.task_id(task), asked)
    samples, attempts = [], []
    for problem in asked:
        good = problem.key.startswith("Sort")
        sample = world.sample(key, f"procbench:{problem.key}", world.ids[row.name][problem.key])
        scores: dict[str, Any] = {"PA": 1.0 if good else 0.5, "SM": float(good), "FM": float(good)}
        samples.append(sample)
        attempts.append(world.attempt(row, key, problem.key, ["correct" if good else "wrong"], [sample], scores=scores))
    world.store.write(samples, attempts)


def whole(path: Path) -> Path:
    """`path`, filled with what every page needs: as `made`, live cells, pools with their curves, and rows of others."""
    made(path)
    world = World.make(path, environment={"python": "3.11", "packages": {}})
    for concurrency, joules in LIVE.items():
        _live(world, concurrency, joules)
    drawn(world, key=cell_key(task="pooled"))
    asyncio.run(curves.refresh(world.engine, lambda spec: Sums()))
    world.store.end_run(world.run_id, "done")
    external.store(world.engine, ml_energy.read(write(path.parent, configuration(), task="gpqa")))
    world.engine.dispose()
    return path


def _live(world: World, concurrency: int, joules: float) -> None:
    """Two calls, and a steady state of 1,000 tokens."""
    key = replace(cell_key(task="alone"), mode="live", concurrency=concurrency)
    row, began = world.cell(key), world.clock
    world.solve(row, key, {"p0": ["correct"], "p1": ["wrong"]}, output_tokens=10 + concurrency)
    told = {"output_tokens": 1000, "running_share": 0.97, "requests_in_flight": float(concurrency)}
    world.store.write(windows=[world.window(began, began + 1.5, joules, kind="steady", cell_id=row.id, parameters=told)])
