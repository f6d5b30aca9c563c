"""`bench plan`: what an experiment comes to, before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.commands import options
from bench.commands.options import Data, Db, Engines, ExperimentArg, Format, Limit, Models, Series, Sets, Strategies, Tasks

if TYPE_CHECKING:
    from bench.estimate import Take
    from bench.history import History
    from bench.plan import Plan


def plan(
    experiment: ExperimentArg = None,
    model: Models = None,
    task: Tasks = None,
    strategy: Strategies = None,
    engine: Engines = None,
    db: Db = None,
    data: Data = None,
    limit: Limit = None,
    series: Series = None,
    sets: Sets = None,
    format: Format = "table",
) -> None:
    """Show the cells of an experiment, those skipped with the reasons, and an estimate of what running it would take."""
    from bench import estimate, history
    from bench import experiment as files
    from bench import plan as plans
    from bench.commands import output

    options.choose(format, ["table", "json"], "format")
    options.use_data(data)
    changes = options.overrides(experiment, model, task, strategy, engine, limit, series, sets)
    made = plans.build(files.load(experiment, changes))
    past = history.read(made.cells, made.series, db)
    takes = estimate.estimate(made.cells, past)
    if format == "json":
        output.json_lines(as_json(made, takes, past))
    else:
        _print(made, takes, past)


def as_json(plan: Plan, takes: list[Take], past: History) -> dict[str, Any]:
    """The plan as one object: cells (in running order), skipped, and the estimate of what is still to do."""
    cells = [
        {
            "cell": cell.identity[:10],
            "model": cell.policy.model.name,
            "engine": cell.policy.engine.kind,
            "hardware": cell.policy.hardware.label,
            "strategy": cell.strategy.label,
            "task": cell.task.name,
            "mode": cell.mode,
            "concurrency": cell.concurrency,
            "problems": len(cell.problems),
            "trials": cell.runs,
            "attempts": len(cell.problems) * cell.runs,
            "finished": past.finished.get(cell.identity, 0),
            "estimate": _ranges(take),
        }
        for cell, take in zip(plan.cells, takes, strict=True)
    ]
    total = _total(takes)
    return {
        "experiment": plan.experiment.name,
        "series": plan.series,
        "cells": cells,
        "skipped": [{"cell": s.label, "reason": s.reason} for s in plan.skipped],
        "attempts": plan.attempts,
        "estimate": {**_ranges(total), "basis": sorted(total.basis), "reasons": total.reasons},
    }


def _total(takes: list[Take]) -> Take:
    from bench.estimate import Take

    return sum(takes, Take())


def _ranges(take: Take) -> dict[str, Any]:
    from bench.estimate import FIELDS

    values = {name: getattr(take, name) for name in FIELDS}
    return {name: None if v is None else {"low": v.low, "high": v.high} for name, v in values.items()}


def _print(plan: Plan, takes: list[Take], past: History) -> None:
    from bench.commands import output

    rows = as_json(plan, takes, past)["cells"]
    shown = ("cell", "model", "engine", "hardware", "strategy", "task", "problems", "trials", "attempts", "finished")
    live = ("mode", "concurrency") if any(row["mode"] == "live" for row in rows) else ()
    print(f"experiment {plan.experiment.name}, series {plan.series}: {len(rows)} cells, {plan.attempts} attempts\n")
    output.table([{name: row[name] for name in (*shown, *live)} for row in rows])
    for skipped in plan.skipped:
        print(f"\nskipped: {skipped.label}: {skipped.reason}")
    _estimate(_total(takes))


def _estimate(total: Take) -> None:
    """The sum, a line per quantity."""
    from bench.estimate import FIELDS
    from bench.progress import duration

    units = {"calls": "engine calls", "prompt_tokens": "prompt tokens", "output_tokens": "output tokens", "usd": "USD", "joules": "J"}
    stands = " and ".join(sorted(total.basis)) or "nothing"
    print(f"\nstill to spend, pooled samples counted once (from {stands}):")
    for name in FIELDS:
        value = getattr(total, name)
        if value is None:
            print(f"  {units.get(name, 'time'):<14} not known: {total.reasons.get(name, '')}")
        elif name == "seconds":
            print(f"  {'time':<14} {duration(value.low)} – {duration(value.high)}")
        else:
            print(f"  {units[name]:<14} {_number(value.low)} – {_number(value.high)}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"
