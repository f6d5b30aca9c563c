"""What `bench run` says at its end: the table and picture of its cells, and what was done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.plan import Plan
    from bench.published import Key, Published
    from harness.events import Summary


def say_skipped(plan: Plan) -> None:
    """Name the cells that cannot run, before the others do."""
    for skipped in plan.skipped:
        print(f"skipped: {skipped.label}: {skipped.reason}", file=sys.stderr)


def table(plan: Plan, db: str | None) -> list[dict[str, Any]]:
    """Show the plan's cells as `bench report` does; returns their rows."""
    from bench import published, stored
    from bench.commands import beneath, output
    from results import table as tables

    rows = stored.rows(plan, db)
    if rows:
        print(tables.render(rows, drawn=True, colour=output.colour()))
        beneath.say(beneath.found(db, rows, experiment=plan.experiment.name, series=plan.series), "table")
        if found := published.published(plan.experiment):
            against_published(found, rows, published.stored(rows, db))
    return rows


def against_published(
    found: Sequence[Published], rows: Sequence[Mapping[str, Any]], keys: Mapping[str, Key], format: str = "table"
) -> None:
    """The table of published against measured accuracies below a report, with their sources; nothing where no anchor has its cell."""
    import shutil

    from bench import published
    from bench.commands import output

    made = published.compared(found, rows, keys)
    if not made:
        return
    below = published.footnotes(one for one in found if any(row["published %"].endswith(one.mark) for row in made))
    if format == "markdown":
        print("\n".join(["\n### Published and measured\n", *output.markdown(made), "", *(f"- {note}" for note in below)]))
    else:
        width = shutil.get_terminal_size((120, 40)).columns
        print("\n".join(["\npublished and measured\n", *output.lines(made), "", *output.notes(below, width)]))


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
