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
    made = plans.build(files.load(experiment, changes), planning=True)
    past = history.read(made.cells, made.series, db)
    takes = estimate.estimate(made.cells, past)
    if format == "json":
        output.json_lines(as_json(made, takes, past))
    else:
        _print(made, takes, past)


def as_json(plan: Plan, takes: list[Take], past: History) -> dict[str, Any]:
    """The plan as one object: cells (in running order), skipped, and the estimate of what is still to do.

    A cell that was planned without its files or its hardware has no `cell`, as only a run knows it, and its reasons in `assumed`.
    """
    from bench import published

    found = published.published(plan.experiment)
    strategies, tasks = _labels(plan)
    cells = [
        {
            "cell": None if plan.assumptions(cell) else cell.identity[:10],
            "model": cell.policy.model.name,
            "engine": cell.policy.engine.kind,
            "hardware": cell.policy.hardware.label,
            "strategy": strategies[i],
            "task": tasks[i],
            "mode": cell.mode,
            "concurrency": cell.concurrency,
            "problems": len(cell.problems),
            "trials": cell.runs,
            "attempts": len(cell.problems) * cell.runs,
            "finished": past.finished.get(cell.identity, 0),
            "estimate": _ranges(take),
            "published": [one.row() for one in published.beside(found, published.of_cell(cell))],
            "assumed": plan.assumptions(cell),
        }
        for i, (cell, take) in enumerate(zip(plan.cells, takes, strict=True))
    ]
    total = _total(takes)
    return {
        "experiment": plan.experiment.name,
        "series": plan.series,
        "cells": cells,
        "skipped": [{"cell": s.label, "reason": s.reason} for s in plan.skipped],
        "attempts": plan.attempts,
        "published": [one.row() for one in found],
        "estimate": {**_ranges(total), "basis": sorted(total.basis), "reasons": total.reasons},
    }


def _total(takes: list[Take]) -> Take:
    from bench.estimate import Take

    return sum(takes, Take())


def _ranges(take: Take) -> dict[str, Any]:
    from bench.estimate import FIELDS

    values = {name: getattr(take, name) for name in FIELDS}
    return {name: None if v is None else {"low": v.low, "high": v.high} for name, v in values.items()}


def _labels(plan: Plan) -> tuple[list[str], list[str]]:
    """Strategies and tasks of the cells, with what tells apart those that would look alike."""
    return (
        _distinct([(cell.strategy.label, cell.strategy.sampling) for cell in plan.cells]),
        _distinct([(cell.task.name, cell.task.spec) for cell in plan.cells]),
    )


def _distinct(things: list[tuple[str, Any]]) -> list[str]:
    from perpass.identity import canonical, content_hash
    from results import labels

    hashes = [content_hash(thing) for thing in things]
    places = {own: i for i, own in enumerate(dict.fromkeys(hashes))}
    names = labels.distinct({places[own]: {"name": name, "of": canonical(of)} for own, (name, of) in zip(hashes, things, strict=True)})
    return [names[places[own]] for own in hashes]


def _print(plan: Plan, takes: list[Take], past: History) -> None:
    import shutil

    from bench import published
    from bench.commands import output

    rows, width = as_json(plan, takes, past)["cells"], shutil.get_terminal_size((120, 40)).columns
    found = published.published(plan.experiment)
    print(f"experiment {plan.experiment.name}, series {plan.series}: {len(rows)} cells, {plan.attempts} attempts")
    live = ("mode", "concurrency") if any(row["mode"] == "live" for row in rows) else ()
    heads = ("cell", "model", "engine", "hardware", *live, "strategy", "task", "problems", "trials", "attempts", "finished")
    same = [h for h in heads if len(rows) > 1 and all(row[h] == rows[0][h] for row in rows)]
    print(" · ".join(f"{h} {rows[0][h]}" for h in same if rows[0][h] is not None and h not in {"attempts", "finished"}) + "\n")
    shown = []
    for cell, row, take in zip(plan.cells, rows, takes, strict=True):
        line = {h: row[h] for h in heads if h not in same}
        line |= {f"adds {what}": _span(name, take) for name, what in (("output_tokens", "output tokens"), ("usd", "USD"))}
        if found:
            beside = published.beside(found, published.of_cell(cell))
            line["published %"] = ", ".join(f"{one.anchor.value:g} {one.mark}" for one in beside) or None
        shown.append(line)
    output.table(shown)
    if found:
        means = [f"published {one.anchor.value:g} {one.mark} for {one.anchor.model}, {one.tasks}" for one in found if len(one.keys) > 1]
        print("\n" + "\n".join(output.notes([*means, *published.footnotes(found)], width)))
    for skipped in plan.skipped:
        print(f"\nskipped: {skipped.label}: {skipped.reason}")
    if assumed := list(dict.fromkeys(note for cell in plan.cells for note in plan.assumptions(cell))):
        print("\ntaken for granted here, found by a run:")
        print("\n".join(output.notes((f"  {note}" for note in assumed), width)))
    _estimate(_total(takes))


def _estimate(total: Take) -> None:
    """The sum, a line per quantity."""
    from bench.estimate import FIELDS

    stands = " and ".join(sorted(total.basis)) or "nothing"
    print(f"\nstill to spend, pooled samples counted once (from {stands}):")
    for name in FIELDS:
        span = _span(name, total)
        print(f"  {NAMES[name]:<14} {span or 'not known: ' + total.reasons.get(name, '')}")
    if any(basis.startswith("peak rates") for basis in total.basis):
        print("at peak rates: from all calls together to one token of one call at a time; a first run narrows it (bench plan again)")


NAMES = {
    "calls": "engine calls",
    "prompt_tokens": "prompt tokens",
    "output_tokens": "output tokens",
    "flop": "FLOPs",
    "seconds": "time",
    "usd": "USD",
    "joules": "joules",
}


def _span(name: str, take: Take) -> str | None:
    """A range of the estimate in words; None where it is not known."""
    from bench.progress import duration

    value = getattr(take, name)
    if value is None:
        return None
    say = {"seconds": duration, "flop": _scaled, "joules": _scaled}.get(name, _number)
    return f"{say(value.low)} – {say(value.high)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == 0 else f"{value:.3g}"


def _scaled(value: float) -> str:
    """Three digits with an SI prefix: `1.2 P`."""
    prefixes = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
    size, prefix = next(((s, p) for s, p in prefixes if value >= s), (1.0, ""))
    return f"{value / size:.3g} {prefix}".rstrip()
