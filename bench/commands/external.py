"""`bench external`: the rows that others measured and that were imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from bench.commands.options import Db

AXES_SAID = "joules per token and median time between tokens"
COLUMNS = {
    "external": "external",
    "task": "task",
    "model": "model",
    "hardware": "hardware",
    "precision": "precision",
    "batch": "batch",
    "energy_per_token_j": "J/token",
    "tokens_per_s": "tokens/s",
    "power_w": "W",
    "itl_p50_ms": "ITL ms",
}


def external(
    db: Db = None,
    source: Annotated[str | None, typer.Option("--source", metavar="KIND", help="Only what was imported so, such as ml-energy.")] = None,
    task: Annotated[str | None, typer.Option("--task", metavar="T", help="Only this task.")] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="Only this model.")] = None,
    hardware: Annotated[str | None, typer.Option("--hardware", metavar="H", help="Only this hardware: H100, or H100x2.")] = None,
    frontier: Annotated[bool, typer.Option("--frontier", help="Only rows on the frontier of their model and task.")] = False,
    format: Annotated[str, typer.Option("--format", metavar="table|markdown|json|csv", help="How to print it.")] = "table",
) -> None:
    """Show the imported rows: measured by others, never among ours. `*` marks those that no row of their model and task beats, `–` those
    whose numbers contradict each other."""
    from bench.commands import options, output
    from results import external as stored
    from results import table
    from results.database import open_database

    options.choose(format, list(table.FORMATS), "format")
    engine = open_database(db, readonly=True)
    try:
        rows = stored.rows(engine, source=source, task=task, model=model, hardware=hardware)
    finally:
        engine.dispose()
    rows = [row for row in rows if row["frontier"] or not frontier]
    if format == "json":
        output.json_lines(rows)
    elif format == "csv":
        print(table.as_csv(rows, list(rows[0]) if rows else list(COLUMNS)))
    elif not rows:
        print("no imported rows; bench import ml-energy PATH reads the tables of ML.ENERGY")
    elif format == "markdown":
        print("\n".join(output.markdown(columns(rows))))
    else:
        output.table(columns(rows))
        print(f"\n{len(rows)} rows measured by others ({', '.join(sorted({row['source'] for row in rows}))}); * not beaten on {AXES_SAID}")


def columns(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows as a table shows them, with a column of codes where a row has one."""
    coded = any(row["codes"] for row in rows)
    return [
        {"": None if row["frontier"] is None else "*" if row["frontier"] else "·"}
        | {head: row.get(name) for name, head in COLUMNS.items()}
        | ({"codes": row["codes"]} if coded else {})
        for row in rows
    ]


def flag(db: str | None) -> str:
    """The database flag as it was given, for a command to go on with."""
    return f" --db {db}" if db else ""
