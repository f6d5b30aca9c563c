"""`bench list`: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Format


def listing(
    kind: Annotated[
        str, typer.Argument(metavar="tasks|strategies|engines|models|hardware|prices|regions|experiments", help="What to list.")
    ],
    format: Format = "table",
) -> None:
    """List tasks, strategies, engines, models, hardware, prices, regions or shipped experiments."""
    from bench import catalogue
    from bench.commands import options, output

    options.choose(format, ["table", "json"], "format")
    rows = catalogue.rows(options.choose(kind, list(catalogue.KINDS), "list"))
    if format == "json":
        output.json_lines(rows)
    else:
        output.table(rows)
