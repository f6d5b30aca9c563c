"""`bench import`: results that others measured, into the database, apart from ours."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.options import Data, Db

if TYPE_CHECKING:
    from results.external import Row


def _ml_energy(path: Path) -> Sequence[Row]:
    from results import ml_energy

    return ml_energy.read(path)


KINDS: dict[str, tuple[Callable[[Path], Sequence[Row]], str]] = {"ml-energy": (_ml_energy, "ml_energy")}
"""By kind: its reader, and the folder of local data sets that holds such files."""


def importing(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"What the files are: {', '.join(KINDS)}.")],
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="File or folder; else the local data's, such as ml_energy/.")] = None,
    db: Db = None,
    data: Data = None,
) -> None:
    """Import results measured elsewhere, to be shown apart from ours. `ml-energy`: tables of the ML.ENERGY leaderboard."""
    from bench.commands import external as shown
    from bench.commands import options, output
    from perpass.errors import UserError
    from results import external
    from results.database import open_database
    from tasks.data import data_dir

    options.use_data(data)
    read, folder = KINDS[options.choose(kind, list(KINDS), "kind of import")]
    if path is None:
        local = data_dir()
        if local is None:
            raise UserError(f"bench import {kind}: give a PATH, or set PERPASS_DATA to a folder that holds {folder}/")
        path = local / folder
    rows = read(path)  # before the database is opened: a bad file makes none
    engine = open_database(db, create=True, announce=lambda line: print(line, file=sys.stderr))
    try:
        done = external.store(engine, rows)
        stored = [row for source in {r.source for r in rows} for row in external.rows(engine, source=source)]
    finally:
        engine.dispose()
    least: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in sorted((r for r in stored if r["frontier"]), key=lambda r: (r["task"], r["model"], r["energy_per_token_j"])):
        least.setdefault((row["source"], row["task"], row["model"]), row)
    output.table(shown.columns(list(least.values())))
    flagged = "".join(f"; {count} with {code}" for code, count in done.codes.items()) or "; every row agrees with itself"
    on = sum(bool(row["frontier"]) for row in stored)
    print(f"\nabove: the least joules per token of each model and task; {on} of {len(stored)} rows are not beaten on {shown.AXES_SAID}")
    print(f"{done.rows} rows read from {path}: {done.new} new, {done.changed} changed{flagged}")
    print(f"all of them: bench external{shown.flag(db)}; one of them on other hardware: bench project EXTERNAL --external --to B200")
