"""`bench project`: what a cell, or a row measured by others, would have taken on other hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from bench.commands.options import Db, Format, Series

COLUMNS = {
    "hardware": "hardware",
    "label": "",
    "seconds": "s",
    "device_s": "device-s",
    "energy_j": "J",
    "hardware_usd": "$ hardware",
    "electricity_usd": "$ electricity",
}


def project(
    name: Annotated[str, typer.Argument(metavar="CELL|EXTERNAL", help="A cell's name, or its beginning; with --external, a row's number.")],
    to: Annotated[str, typer.Option("--to", metavar="HARDWARE", help="Where to: B200, or H100x2.")],
    external: Annotated[bool, typer.Option("--external", help="Project a row of `bench external`.")] = False,
    batch: Annotated[
        float | None, typer.Option("--batch", metavar="N", help="Sequences that ran together; else the cell's concurrency.")
    ] = None,
    db: Db = None,
    series: Series = None,
    format: Format = "table",
) -> None:
    """Model time, energy and dollars on other hardware, with the error that such projections had. Never stored among measurements."""
    from bench.commands import options, output
    from energy.hardware import declared
    from perpass.errors import UserError
    from results import external as rows
    from results import whatif
    from results.database import open_database

    options.choose(format, ["table", "json"], "format")
    if batch is not None and not batch > 0:
        raise UserError(f"--batch {batch:g}: expected a number above 0")
    target = declared(to)
    engine = open_database(db, readonly=True)
    try:
        if external:
            own = next((row for row in rows.rows(engine) if str(row["external"]) == name), None)
            if own is None:
                raise UserError(f"there is no external row {name}; bench external lists them")
            told = whatif.of_external(own, target)
        else:
            told = whatif.of_cell(engine, name, target, series=series, batch=batch)
    finally:
        engine.dispose()
    if format == "json":
        output.json_lines(told)
        return
    print(f"{told['subject']}; per {told['per']}:\n")
    output.table([{head: told[side][key] for key, head in COLUMNS.items()} for side in ("measured", "modelled")])
    print(f"\n{stated(told)}")


def stated(told: Mapping[str, Any]) -> str:
    """The error that is known of such projections, in a sentence."""
    error, here, there = told["error"], told["measured"]["hardware"], told["modelled"]["hardware"]
    if error is None:
        return (
            f"modelled by constants fitted on H100 and B200 rows ({told['fitted_on']}); from {here} to {there} nobody has compared it with "
            f"a measurement, so its error is not known"
        )
    joules = f"{error['energy_median']:.0%} of the joules (90 % below {error['energy_p90']:.0%})"
    time = f"{error['time_median']:.0%} of the time (90 % below {error['time_p90']:.0%})"
    return (
        f"modelled by constants fitted on {told['fitted_on']}; on {error['pairs']} pairs of {told['tested_on']}, which they were not "
        f"fitted on, the median error in this direction was {joules} and {time}"
    )
