"""How far accuracy drops under stress: each cell of the task `stress` against its clean cell in the same series, problem by problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perpass.identity import content_hash
from results import compare, frames, report
from results.database import Db, as_engine
from results.matching import concurrency
from results.prices import PriceBook
from results.texts import chunks
from tasks.stress import DRAWN

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

KIND = "stress"
NO_CLEAN_CELL = "no_clean_cell"
AT_ONCE = 25  # pairs whose attempts are held at a time
NAMES = ("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode", "concurrency")
PAIRED = {
    **{name: name for name in ("problems", "attempts", "items", "left_out")},
    "clean_accuracy": "base_accuracy",
    "accuracy": "head_accuracy",
    **{name: name for name in ("lost", "gained", "p_worse", "p_two_sided", "mcnemar_p", "output_tokens_ratio", "flop_ratio")},
}
"""Fields of a row, and where a comparison has them (`results.compare.FIELDS`)."""
DROP = ("drop", "drop_low", "drop_high")
FIELDS = (*NAMES, "base", "change", "rate", "seed", "clean_cell", *PAIRED, *DROP, "reasons")


def rows(
    db: Db,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    cells: pd.DataFrame | None = None,
    book: PriceBook | None = None,
) -> list[Row]:
    """One row per stress cell among what the report shows (`results.report.select`; or among `cells`), with FIELDS.

    drop    clean accuracy less accuracy under stress, per item, on the attempts that both cells have, with its 95 % interval: 0.05 is 5
            points. Interval and tests are those of `results.compare`; `p_worse` is one-sided for "stress makes it worse".
    base    the base's spec; `clean_cell`: the cell with it that is the same in all else; `rate` and `seed` are None for a change that draws
            nothing
    What is not known is None, with a code in `reasons`: without a clean cell, or common attempts, everything is.
    """
    engine, book = as_engine(db), book or PriceBook.load()
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        stressed = [cell for cell in _records(chosen) if cell["task_identity"]["name"] == KIND]
        every = frames.cells(engine) if stressed else chosen
        by_place = {_place(cell): cell for cell in _records(every)} if stressed else {}
        pairs = [(cell, by_place.get(_place(cell, cell["task_identity"]["spec"]["base"]))) for cell in stressed]
        made: list[Row] = []
        for part in chunks(pairs, AT_ONCE):
            ids = {int(cell["id"]) for pair in part for cell in pair if cell is not None}
            attempts = _charged(engine, every[every["id"].isin(ids)], book, experiment)
            made += [_row(cell, clean, attempts) for cell, clean in part]
        return made
    finally:
        if engine is not db:
            engine.dispose()


def _charged(db: Db, cells: pd.DataFrame, book: PriceBook, experiment: str | None) -> pd.DataFrame:
    """Their attempts, those of the experiment's own cells on the problems that it asks for."""
    import pandas as pd

    own = pd.Series([experiment in asked for asked in cells["experiments"]], index=cells.index, dtype=bool)
    parts = [report.charged(db, part, book, name) for part, name in ((cells[own], experiment), (cells[~own], None)) if len(part)]
    return pd.concat(parts)


def _records(cells: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in cell.items()} for cell in cells.to_dict("records")]


def _place(cell: Row, spec: Any = None) -> str:
    """Everything that a stressed cell and its clean one share, with the latter's spec. A wrapper's version is a hundred times its own, plus
    its base's."""
    task: Mapping[str, Any] = cell["task_identity"]
    own = [cell[f"{name}_identity"] for name in ("model", "engine", "hardware", "strategy")]
    asked = [task["spec"] if spec is None else spec, task["revision"], task["version"] % 100]
    return content_hash(own, asked, cell["roles"], int(cell["seed"]), cell["mode"], concurrency(cell), cell["series"])


def _row(cell: Row, clean: Row | None, attempts: pd.DataFrame) -> Row:
    spec = cell["task_identity"]["spec"]
    row: Row = dict.fromkeys(FIELDS) | {name: cell[name] for name in NAMES} | {"concurrency": concurrency(cell)}
    row |= {name: spec[name] for name in ("base", "change", *(("rate", "seed") if spec["change"] in DRAWN else ()))} | {"reasons": {}}
    if clean is None:
        return row | {"reasons": dict.fromkeys((*PAIRED, *DROP), NO_CLEAN_CELL)}
    row["clean_cell"] = clean["cell"]
    pair, code = compare.of_attempts(clean, cell, *(attempts[attempts["cell_id"] == one["id"]] for one in (clean, cell)))
    if pair is None:
        return row | {"reasons": dict.fromkeys((*PAIRED, *DROP), code)}
    row |= {name: pair.row[there] for name, there in PAIRED.items()}
    row |= {"drop": -pair.row["difference"], "drop_low": -pair.row["difference_high"], "drop_high": -pair.row["difference_low"]}
    return row | {"reasons": {name: code for name in PAIRED if (code := pair.row["reasons"].get(name.removesuffix("_ratio")))}}
