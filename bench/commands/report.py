"""`bench report`: the table of cells."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Db, Series


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
) -> None:
    """Show the table of cells, each number computed from the stored attempts. `--series all` shows every series."""
    from bench import stored
    from bench.commands import options
    from perpass.errors import UserError
    from results import database
    from results import report as reports
    from results import table as tables

    options.choose(format, ["table", "markdown", "json", "csv"], "format")
    wanted = [axis.strip() for axis in axes.split(",")] if axes is not None else None
    if wanted is not None and not all(wanted):
        raise UserError(f"--axes {axes}: expected names with commas between them, such as accuracy,energy")
    name = None if experiment is None else _name(experiment)
    rows = reports.rows(database.resolve(db), experiment=name, series=series, task=task, axes=wanted, common=common, cost_basis=cost_basis)
    print(tables.render(rows, format))
    if format == "table" and stored.judged_by_older(rows, db):
        print("\nnewer judges are there: `bench rejudge` applies them and generates nothing")


def _name(experiment: str) -> str:
    """The experiment's name: that of the file, where there is one; else what was written (ad hoc experiments have no file)."""
    from pathlib import Path

    from bench import experiment as files

    path = Path(experiment)
    if experiment in files.shipped() or path.suffix in {".yaml", ".yml"} or path.is_file():
        return files.load(experiment).name
    return experiment
