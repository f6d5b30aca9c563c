"""`bench run`: run what is missing, show the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options
from bench.commands.options import Data, Db, Engines, ExperimentArg, Limit, Models, Series, Sets, Strategies, Tasks

if TYPE_CHECKING:
    from bench.plan import Plan
    from harness.events import Summary


def run(
    context: typer.Context,
    experiment: ExperimentArg = None,
    model: Models = None,
    task: Tasks = None,
    strategy: Strategies = None,
    engine: Engines = None,
    db: Db = None,
    data: Data = None,
    limit: Limit = None,
    series: Series = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run everything again, in a new dated series.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Make no new samples: what the pools cannot answer fails.")] = False,
    executor: Annotated[str, typer.Option(metavar="local|ray", help="Where cells run.")] = "local",
    max_usd: Annotated[float | None, typer.Option(help="Stop when this many dollars are spent.")] = None,
    max_joules: Annotated[float | None, typer.Option(help="Stop when this many joules are spent.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Stop after this many seconds.")] = None,
    require_energy: Annotated[bool, typer.Option(help="Refuse to run where energy cannot be measured.")] = False,
    sets: Sets = None,
) -> None:
    """Run what is missing of an experiment, then show its cells.

    EXPERIMENT is a YAML file or a shipped name; without one, --model, --task and --strategy make an experiment called `adhoc`.
    With one, the same flags replace its lists. A repeat runs nothing.
    """
    from bench import execute, progress
    from bench import experiment as files
    from bench import plan as plans
    from bench.commands import closing
    from harness.events import Options
    from perpass.errors import UserError

    options.choose(executor, ["local", "ray"], "executor")
    if executor == "ray":
        raise UserError("--executor ray is not available in this version; use local")
    if fresh and series:
        raise UserError("--fresh names the series itself; give either --fresh or --series")
    for flag, value in (("--max-usd", max_usd), ("--max-joules", max_joules), ("--max-seconds", max_seconds)):
        if value is not None and not value > 0:
            raise UserError(f"{flag} must be above 0, not {value:g}")
    options.use_data(data)
    changes = options.overrides(experiment, model, task, strategy, engine, limit, execute.fresh_series() if fresh else series, sets)
    plan = plans.build(files.load(experiment, changes))
    closing.say_skipped(plan)
    with progress.show() as draw:
        summary = execute.run(
            plan,
            db,
            argv=["bench", *without_database(context.obj)],
            options=Options(
                offline=offline,
                require_energy=require_energy,
                max_usd=max_usd,
                max_joules=max_joules,
                max_seconds=max_seconds,
                progress=draw,
            ),
        )
    raise typer.Exit(finish(plan, summary, experiment, db))


def without_database(words: list[str]) -> list[str]:
    """The command line as it is stored with the run: a database's URL may hold a password, and results may move."""
    kept = [w for before, w in zip(["", *words], words, strict=False) if before != "--db"]
    return [w for w in kept if w != "--db" and not w.startswith("--db=")]


def finish(plan: Plan, summary: Summary, asked: str | None, db: str | None) -> int:
    """Show the table and what comes next; returns the exit code."""
    from bench.commands import closing, following

    rows = closing.table(plan, db)
    closing.counts(summary)
    following.after_run(plan, rows, asked, db)
    return {"done": 0, "errors": 1, "failed": 1, "budget": 3, "interrupted": 130}[summary.status]
