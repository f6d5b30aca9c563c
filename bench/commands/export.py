"""`bench export`: results for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import Db, Series

KINDS = ["site"]


def export(
    kind: Annotated[str, typer.Argument(metavar="site", help="What to write: site, a board of files that opens without a server.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Where to write it.")],
    db: Db = None,
    series: Series = None,
) -> None:
    """Write results for use elsewhere. `site`: a folder with the frontier, the table and a page per cell."""
    from bench.commands import leaderboard, options
    from leaderboard import serve
    from perpass.errors import PerPassError
    from results import database

    options.choose(kind, KINDS, "kind of export")
    if not serve.installed():
        raise PerPassError(leaderboard.NEEDED)
    from leaderboard import site

    count = site.write(database.resolve(db), path, series)
    print(f"{path / 'index.html'}: {count} cell{'s' if count != 1 else ''}")
