"""`bench db upgrade` and `bench db info`."""

from __future__ import annotations

import typer

from bench.commands.options import Db, Format

app = typer.Typer(help="Migrate the database, or say what is in it.", no_args_is_help=True)


@app.command()
def upgrade(db: Db = None) -> None:
    """Bring the database to the newest revision; makes an empty one where there is none."""
    from results import database

    revision = database.upgrade(db)
    print(f"{database.show(database.resolve(db))}: revision {revision}")


@app.command()
def info(db: Db = None, format: Format = "table") -> None:
    """Size, revision and counts of the database. Changes nothing."""
    from bench.commands import options, output
    from results import database

    options.choose(format, ["table", "json"], "format")
    told = database.info(db)
    if format == "json":
        output.json_lines(told)
        return
    size = "unknown size" if told["size_bytes"] is None else f"{told['size_bytes'] / 2**20:,.1f} MiB"
    state = "" if told["current"] else " (not current: bench db upgrade)"
    print(f"{told['url']}: {size}, revision {told['revision']}{state}")
    for name, count in told["tables"].items():
        print(f"{count:>12,}  {name}")
