"""`bench show`: everything about one cell or one attempt."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Db, Format, Series

CELL_DIGITS = 10


def show(
    name: Annotated[str, typer.Argument(metavar="CELL|ATTEMPT", help="A cell's name (or its beginning), or the number of an attempt.")],
    db: Db = None,
    series: Series = None,
    format: Format = "table",
) -> None:
    """Show everything about one cell, or about one attempt: prompt, samples, answer, judgement, ledger, and the command that repeats it."""
    from bench import pages
    from bench.commands import options, output
    from results import database
    from results import show as stored

    options.choose(format, ["table", "json"], "format")
    engine = database.open_database(db, readonly=True)
    try:
        if name.isdigit() and len(name) < CELL_DIGITS:
            told = stored.attempt(engine, int(name))
            page = pages.attempt
        else:
            told = stored.cell(engine, name, series)
            page = pages.cell
    finally:
        engine.dispose()
    if format == "json":
        output.json_lines(told)
    else:
        print("\n".join(page(told)))
