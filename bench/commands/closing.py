"""What `bench run` says at its end: the table of its cells, what was done, and what to do next."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.plan import Plan
    from harness.events import Summary


def say_skipped(plan: Plan) -> None:
    """Name the cells that cannot run, before the others do."""
    for skipped in plan.skipped:
        print(f"skipped: {skipped.label}: {skipped.reason}", file=sys.stderr)


def table(plan: Plan, db: str | None) -> None:
    """The plan's cells, as `bench report` shows them."""
    from bench import stored
    from results import table as tables

    if rows := stored.rows(plan, db):
        print(tables.render(rows))


def counts(summary: Summary) -> None:
    """One line: attempts, engine calls, energy and its source, dollars; a second one when something stopped the run or went wrong."""
    state = summary.state
    new = f"{state.attempts_done} attempts run" if state.attempts else "0 attempts to run"
    parts = [f"{new}, {state.attempts_before} found stored", f"{state.calls} engine calls, {state.output_tokens:,} output tokens"]
    if state.attempts:
        source = state.energy_source or "no meter"
        parts.append(f"{state.joules:,.1f} J ({source})" if state.joules is not None else f"energy not known ({source})")
        if state.usd is not None:
            parts.append(f"${state.usd:.4g}")
    print("\n" + " · ".join(parts))
    for note in state.notes:
        print(note)
    left = state.attempts - state.attempts_done
    if summary.status == "budget":
        print(f"stopped by a budget: {summary.stopped_by}; {left} attempts are left")
    if summary.status == "interrupted":
        print(f"interrupted, state saved; {left} attempts are left, the same command goes on from here")
    if state.errors:
        print(f"{state.errors} attempts ended in errors; the same command tries them again")


def next_commands(plan: Plan, summary: Summary, asked: str | None, db: str | None) -> None:
    """Commands that are useful now, ready to be pasted."""
    from bench import stored

    end = [] if db is None or "@" in db else ["--db", db]  # a URL with a password is not repeated
    report = ["bench", "report", asked or plan.experiment.name, *(["--series", plan.series] if plan.series != "main" else []), *end]
    print(f"\nagain, from the database   {shlex.join(report)}")
    wrong = stored.wrong_attempt(plan, db)
    if wrong is not None:
        print(f"one wrong answer, whole    {shlex.join(['bench', 'show', str(wrong), *end])}")
    if stored.older_judges(plan, db):
        print(f"newer judges are there     {shlex.join(['bench', 'rejudge', *end])}")
