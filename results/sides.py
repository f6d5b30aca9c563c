"""The two sides of a comparison as they are written, and the databases, series and experiments that they name."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from perpass.errors import UserError, unknown
from results import report
from results.database import Db, as_engine, reading, resolve, show
from results.schema import Cell

if TYPE_CHECKING:
    import pandas as pd

FILES = {".db", ".sqlite", ".sqlite3"}


@dataclass(frozen=True)
class Side:
    """One side: a series or an experiment of a database; `name` None is what `bench report` shows of it (series main, or the newest)."""

    text: str
    engine: sa.Engine
    kind: Literal["series", "experiment"]
    name: str | None


class Engines:
    """Databases by address, opened once each for reading, closed together."""

    def __init__(self, default: Db, opened: ExitStack):
        self.default, self._opened = default, opened
        self._known: dict[str, sa.Engine] = {}

    def get(self, address: str | None) -> sa.Engine:
        if address is None and isinstance(self.default, sa.Engine):
            return self.default
        url = resolve(address if address is not None else self.default)  # type: ignore[arg-type]  # an engine was returned above
        if url not in self._known:
            self._known[url] = as_engine(url)
            self._opened.callback(self._known[url].dispose)
        return self._known[url]


def parse(text: str) -> tuple[str | None, str | None, str | None]:
    """A side as written, in parts: (database or None, `series` or `experiment` where it says so, name or None).

    `DATABASE#NAME` has both. Otherwise a database is what has a `/` or `://` or ends in .db, .sqlite or .sqlite3, and anything else is a
    name; which files exist plays no part. `series:NAME` and `experiment:NAME` are names whatever they contain.
    """
    address, mark, name = text.rpartition("#")
    forced = text.startswith(("series:", "experiment:"))
    if not mark and not forced and ("/" in text or PurePath(text).suffix in FILES):
        return text, None, None
    kind = None
    if name.startswith(("series:", "experiment:")):
        kind, _, name = name.partition(":")
    if not name:
        raise UserError(f"{text!r}: expected a series, an experiment, a database, or DATABASE#NAME")
    return address or None, kind, name


def side(text: str, engines: Engines) -> Side:
    """What `text` names. A name that is both a series and an experiment needs `series:` or `experiment:` before it.

    Raises UserError for an unknown or ambiguous name.
    """
    address, kind, name = parse(text)
    engine = engines.get(address)
    if name is None:
        return Side(text, engine, "series", None)
    with reading(engine) as connection:
        found = connection.execute(sa.select(Cell.series, Cell.experiments)).all()
    known = {"series": {r.series for r in found}, "experiment": {e for r in found for e in r.experiments}}
    fit = [k for k, names in known.items() if name in names and kind in (None, k)]
    if len(fit) == 2:
        raise UserError(f"{text!r} is both a series and an experiment; write series:{name} or experiment:{name}")
    if not fit:
        names = known[kind] if kind else known["series"] | known["experiment"]
        raise unknown(kind or "series or experiment", name, names, show(resolve(address)) if address else "")
    return Side(text, engine, fit[0], name)  # type: ignore[arg-type]


def cells(one: Side) -> pd.DataFrame:
    """Its cells, as `frames.cells` gives them."""
    if one.kind == "experiment":
        return report.select(one.engine, experiment=one.name)
    return report.select(one.engine, series=one.name)
