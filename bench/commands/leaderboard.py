"""`bench leaderboard`: the app in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Db

NEEDED = "the leaderboard needs streamlit and plotly: pip install 'perpass[leaderboard]'"


def leaderboard(
    db: Db = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; else 8501, or the next that is free.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 shows it to other machines.")] = "localhost",
    open_: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = True,
) -> None:
    """Serve the leaderboard: frontier, table, cells, attempts, comparisons. The database is only read; a running benchmark shows up."""
    from leaderboard import serve
    from perpass.errors import PerPassError
    from results import database

    if not serve.installed():
        raise PerPassError(NEEDED)
    address = database.resolve(db)
    database.open_database(address, readonly=True).dispose()  # a sentence here, not in the browser
    raise typer.Exit(serve.serve(address, port, host, headless=not open_))
