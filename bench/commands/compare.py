"""`bench compare`: two sides, cell by cell, and a gate that says whether the second is worse."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Db


def compare(
    base: Annotated[str, typer.Argument(metavar="BASE", help="A series, an experiment, a database, or DATABASE#NAME.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The same, to be compared with BASE.")],
    db: Db = None,
    format: Annotated[str, typer.Option("--format", metavar="table|markdown|json|csv", help="How to print it.")] = "table",
    gate: Annotated[str | None, typer.Option(metavar="FILE", help="Exit 4 when a cell is worse than this YAML file allows.")] = None,
    junit: Annotated[str | None, typer.Option(metavar="FILE", help="Also write JUnit XML, a test case per cell.")] = None,
    cost_basis: Annotated[str | None, typer.Option(metavar="token|hardware|energy", help="What dollars are made of.")] = None,
) -> None:
    """Compare two series, experiments or databases on the attempts that both have, with intervals.

    What has a / or ends in .db, .sqlite or .sqlite3 is a database, anything else a name in --db; `series:NAME` and `experiment:NAME` say
    which is meant. Cells pair by model, engine and settings, strategy, task and concurrency. Exits 1 when nothing pairs.
    """
    from bench import gate_file
    from bench.commands import options
    from results import compare as comparisons
    from results import compare_text, database
    from results import gate as gates
    from results import junit as junit_file

    options.choose(format, ["table", "markdown", "json", "csv"], "format")
    rules = gate_file.load(gate) if gate is not None else None
    found = comparisons.pairs(database.resolve(db), named(base), named(head), cost_basis=cost_basis)
    checks = gates.judge(found, rules) if rules else []
    if junit is not None:
        junit_file.write(junit, found, checks)
    print(compare_text.render(found, format, gate=rules, checks=checks))
    if not found.pairs:
        typer.echo(f"error: no cell of {base} pairs with one of {head}", err=True)
        raise typer.Exit(1)
    if gates.alarms(checks):
        raise typer.Exit(4)


def named(text: str) -> str:
    """A side as `results.sides` reads it: an experiment's file stands for the experiment of its name."""
    from pathlib import Path

    from bench import experiment

    if Path(text).suffix not in {".yaml", ".yml"} or "#" in text:
        return text
    return f"experiment:{experiment.load(text).name}"
