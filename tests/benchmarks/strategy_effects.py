"""What strategies did to the reference models, in Markdown: docs/sampling.md and docs/search.md are made from this.

`bench run sampling-cpu --db DB`, then `python -m tests.benchmarks.strategy_effects sampling-cpu DB`; likewise search-cpu. Accuracies have
the 95 % intervals of `bench report`, differences are paired by problem and trial (results.paired).
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

import tasks
from bench.commands.output import markdown
from perpass import __version__
from results import curves, database, frames, matched, report
from tests.benchmarks.reference_effects import _difference

VOTE, MOST = "self_consistency(n=16)", "self_consistency(n=40)"
PAIRS = {
    "sampling-cpu": (
        *(("cot", VOTE), ("cot", MOST), (VOTE, "adaptive_consistency(n=16)"), (MOST, "adaptive_consistency(n=40)")),
        *((VOTE, "early_stopping_consistency"), ("cot", "self_refine")),
    ),
    "search-cpu": (
        *((VOTE, "reward_vote(n=16)"), (VOTE, "best_of_n_reward(n=16)"), ("self_consistency(n=8)", "beam(width=8)")),
        *(("self_consistency(n=8)", "particle_filter(width=8)"), ("reward_vote(n=8)", "particle_filter(width=8)")),
    ),
}
PUBLISHED = Path(__file__).resolve().parents[2] / "results" / "published"


def main(experiment: str, db: str) -> None:
    rows = report.rows(db, experiment=experiment)
    table, attempts = pd.DataFrame(rows), frames.attempts(db)
    engine = database.open_database(db)
    drawn, notes = asyncio.run(curves.refresh(engine, tasks.load, experiment=experiment))
    beside = matched.rows(engine, drawn, rows)
    engine.dispose()
    print("\n".join(notes), file=sys.stderr)
    for task in dict.fromkeys(table["task"]):
        own = [row for row in rows if row["task"] == task]
        print(f"\n## {task}\n")
        print("\n".join(markdown([_line(row) for row in own])))
        print(f"\n### Against a vote of equal cost\n\n{chr(10).join(markdown(matched.lines([r for r in beside if r['task'] == task])))}")
        print("\n".join(f"\n{note}" for note in matched.notes(beside)))
        print("\n| paired difference, in points | | output tokens |\n| --- | --- | --- |")
        for base, head in PAIRS[experiment]:
            print(_pair(table, attempts, task, base, head))
    record(experiment, rows)


def _line(row: dict[str, Any]) -> dict[str, str]:
    interval = f"{100 * row['accuracy']:.1f} ({100 * row['accuracy_low']:.1f}–{100 * row['accuracy_high']:.1f})"
    joules = "–" if row["energy_j"] is None else f"~{1000 * row['energy_j']:.1f}"
    amounts = {"output tokens": f"{row['output_tokens']:.0f}", "serial tokens": f"{row['serial_tokens']:.0f}"}
    return {"strategy": f"`{row['strategy']}`", "accuracy %": interval, **amounts, "MFLOP": f"{row['flop'] / 1e6:,.0f}", "mJ": joules}


def _pair(table: pd.DataFrame, attempts: pd.DataFrame, task: str, base: str, head: str) -> str:
    names = [next(label for label in table["strategy"] if _is(label, wanted)) for wanted in (base, head)]
    (model,) = set(table["model"])
    words = _difference(table, attempts, model, (task, names[0]), (task, names[1]))
    tokens = [float(table[(table["task"] == task) & (table["strategy"] == name)]["output_tokens"].iloc[0]) for name in names]
    ratio = tokens[0] / tokens[1]
    times = f"{ratio:.2f} × fewer" if ratio > 1 else f"{1 / ratio:.1f} × as many"
    return f"| `{names[1]}` − `{names[0]}` | {words} | {tokens[1]:,.0f} against {tokens[0]:,.0f}: {times} |"


def _is(label: str, wanted: str) -> bool:
    """`reward_vote(agg=last, n=16)` is a `reward_vote(n=16)`."""
    (name, _, given), (other, _, asked) = label.partition("("), wanted.partition("(")
    return name == other and {*asked.rstrip(")").split(", ")} - {""} <= {*given.rstrip(")").split(", ")}


def record(experiment: str, rows: list[dict[str, Any]]) -> None:
    """The cells of the first task, for the page of strategies, with where they come from."""
    first = rows[0]["task"]
    cells = [{n: row[n] for n in ("strategy", "accuracy", "accuracy_low", "accuracy_high", "output_tokens")} for row in rows]
    own = [cell for cell, row in zip(cells, rows, strict=True) if row["task"] == first]
    made = {name: rows[0][name] for name in ("model", "engine", "hardware", "task", "problems")}
    folder = PUBLISHED / experiment
    folder.mkdir(parents=True, exist_ok=True)
    content = {"experiment": experiment, "perpass": __version__, "command": f"bench run {experiment}", **made, "cells": own}
    (folder / "strategies.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
