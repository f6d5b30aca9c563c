"""`bench report`: the table of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.options import Db, Series

if TYPE_CHECKING:
    from bench.experiment import Experiment


def report(
    experiment: Annotated[
        str | None, typer.Argument(metavar="[EXPERIMENT]", help="Only the cells and problems of this experiment.")
    ] = None,
    db: Db = None,
    series: Series = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    format: Annotated[str, typer.Option("--format", metavar="table|markdown|json|csv", help="How to print it.")] = "table",
    axes: Annotated[str | None, typer.Option(metavar="A,B", help="Axes of the frontier: accuracy,flop unless given.")] = None,
    cost_basis: Annotated[str | None, typer.Option(metavar="token|hardware|energy", help="What dollars are made of.")] = None,
    common: Annotated[bool, typer.Option("--common", help="Only the problems that all cells of a task have.")] = False,
    region: Annotated[
        str | None, typer.Option(metavar="US|DE|…", help="Whose electricity: dollars, gCO2e and litres; US unless given.")
    ] = None,
    goodput: Annotated[str | None, typer.Option(metavar="ttft=S,tpot=S,e2e=S", help="Targets in seconds for live cells.")] = None,
) -> None:
    """Show the table of cells, each number computed from the stored attempts, and each task's frontier as a picture.

    `--series all` shows every series.
    """
    from bench import published, stored
    from bench.commands import beneath, closing, following, footprint, options, output
    from perpass.errors import UserError
    from results import database
    from results import report as reports
    from results import table as tables

    options.choose(format, ["table", "markdown", "json", "csv"], "format")
    wanted = [axis.strip() for axis in axes.split(",")] if axes is not None else None
    if wanted is not None and not all(wanted):
        raise UserError(f"--axes {axes}: expected names with commas between them, such as accuracy,energy")
    targets = options.targets(goodput)
    asked = None if experiment is None else experiment_file(experiment)
    name = asked.name if asked else experiment
    chosen: dict[str, Any] = {"axes": wanted, "common": common, "cost_basis": cost_basis, "region": region}
    rows = reports.rows(database.resolve(db), experiment=name, series=series, task=task, **chosen)
    found = published.published(asked) if asked and rows else []
    if found:
        keys = published.stored(rows, db)
        rows = [row | {"published": [one.row() for one in published.beside(found, keys[row["cell"]])]} for row in rows]
    below = beneath.found(db, rows, experiment=name, series=series, task=task, common=common, targets=targets)
    rows = beneath.merged(rows, below)
    print(tables.render(rows, format, drawn=True, colour=output.colour()))
    beneath.say(below, format)
    footprint.say(rows, region, format)
    if found and format in {"table", "markdown"}:
        closing.against_published(found, rows, keys, format)
    if format != "table":
        return
    flags = [
        ("--series", series),
        ("--task", task),
        ("--cost-basis", cost_basis),
        ("--region", region),
        ("--common", "" if common else None),
    ]
    following.after_report(rows, experiment, flags, db)
    if stored.judged_by_older(rows, db):
        print("\nnewer judges are there: `bench rejudge` applies them and generates nothing")


def experiment_file(experiment: str) -> Experiment | None:
    """The experiment's file, where there is one; ad hoc experiments have none, and what was written is their name."""
    from pathlib import Path

    from bench import experiment as files

    path = Path(experiment)
    if experiment in files.shipped() or path.suffix in {".yaml", ".yml"} or path.is_file():
        return files.load(experiment)
    return None
