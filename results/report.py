"""The report: one row per cell, compared with the others of its task and series. See the contract of `bench report --format json`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from perpass.errors import PerPassError, nearest, unknown
from results import carbon, frames, measures, pareto
from results.database import Db, as_engine, reading
from results.measures import DOLLARS
from results.prices import NO_HUMAN_PRICE, REGION, PriceBook, human_price
from results.schema import Cell, Model, Problem, Task

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

AXES = ("accuracy", "flop")
SHORT = {
    "cost": "cost_usd",
    "energy": "energy_j",
    "latency": "latency_p50_s",
    "tokens": "output_tokens",
    "joules": "energy_j",
    "usd": "cost_usd",
    "carbon": "gco2e",
    "water": "water_l",
}
MOST_ERRORS = 0.01
AT_ONCE = 50
PER_CORRECT = {
    "energy_j": "energy_per_correct_j",
    "latency_s": "latency_per_correct_s",
    "flop": "flop_per_correct",
    "all_tokens": "tokens_per_correct",
}
OF_PASS = {"energy_j": "energy_of_pass_j", "latency_s": "latency_of_pass_s", "flop": "flop_of_pass", "all_tokens": "tokens_of_pass"}

FIELDS = (
    *("cell", "series", "experiment", "model", "engine", "hardware", "strategy", "task", "sampling", "mode", "concurrency"),
    *("problems", "attempts", "items", "partial", "accuracy", "accuracy_low", "accuracy_high", "outcomes"),
    *("prompt_tokens", "cached_tokens", "output_tokens", "serial_tokens", "flop", "energy_j", "energy_source", "energy_valid"),
    *("latency_p50_s", "latency_p90_s", "ttft_p50_s", "token_cost_usd", "hardware_cost_usd", "energy_cost_usd", "cost_usd", "cost_basis"),
    *("cost_per_correct_usd", "cost_of_pass_usd", "cost_of_pass_with_human_usd", "energy_of_pass_j", "latency_of_pass_s", "flop_of_pass"),
    *("tokens_of_pass", *PER_CORRECT.values(), "unsolved_share", "frontier", "frontier_axes", "reasons", "codes", "seed", "judge"),
    *carbon.FIELDS,
)
NUMBERS = tuple(
    f
    for f in FIELDS
    if f.endswith(("_usd", "_j", "_s", "_l", "tokens", "_of_pass", "_per_correct", "_share"))
    or f in ("accuracy", "flop", "serial_tokens", "gco2e", "kwh_per_1000", "gco2e_per_1000")
)


def rows(
    db: Db,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    axes: Sequence[str] | None = None,
    common: bool = False,
    cost_basis: str | None = None,
    book: PriceBook | None = None,
    cells: pd.DataFrame | None = None,
    region: str | None = None,
) -> list[Row]:
    """One row per cell, sorted by series, task and cost, each with the fields of FIELDS.

    experiment   its cells on its problems only. Without it, series `main`, or the newest if there is none; `series` "all": every series
    common       restrict the cells of each task and series to the problems that all of them have
    axes         of the frontier: report fields, or cost, energy, latency, tokens; accuracy is better high, everything else low
    cells        these alone, whole tasks of what `select` found, in place of experiment, series and task
    region       whose electricity it was: its price, grams and litres; US unless given
    cost_basis   hardware, token or energy; else, per task and series, the first of these that is known for every complete cell
    Infinite values are float inf (`results.table` writes "inf"); None has its code in `reasons`.
    Raises UserError for an unknown axis, basis or region, PerPassError when the database holds no such experiment, series or task.
    """
    wanted, basis, book, place = _axes(axes), _basis(cost_basis), book or PriceBook.load(), carbon.grid(region)
    engine = as_engine(db)
    try:
        chosen = select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        return _rows(engine, chosen, experiment, wanted, common, basis, book, place)
    finally:
        if engine is not db:
            engine.dispose()


def _rows(
    engine: sa.Engine,
    cells: pd.DataFrame,
    experiment: str | None,
    axes: Sequence[str],
    common: bool,
    basis: str | None,
    book: PriceBook,
    place: carbon.Grid,
) -> list[Row]:
    made: list[Row] = []
    for part in [cells] if common else _parts(cells):
        attempts = charged(engine, part, book, experiment, place.region)
        if common:
            attempts = on_common_problems(attempts, cells)
        own = measures.by_cell(attempts, part["id"])
        made += [_measured(cell, own[cell["id"]], axes) for cell in part.to_dict("records")]
    for members in _by(made, "_group").values():
        _compare(members)
    _totals(engine, made, cells, experiment, common)
    for members in _by(made, "_group").values():
        _rank(members, axes, basis, place)
    return [_finish(row) for row in sorted(made, key=_order)]


def _parts(cells: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """A few cells at a time: their attempts are only held until they are measured."""
    for start in range(0, max(len(cells), 1), AT_ONCE):
        yield cells.iloc[start : start + AT_ONCE]


def select(db: Db, *, experiment: str | None = None, series: str | None = None, task: str | None = None) -> pd.DataFrame:
    """The cells that a report is about (see `rows`), as `frames.cells` gives them."""
    cell, identity = Cell, Task
    query = (
        sa.select(cell.id, cell.series, cell.experiments, identity.name).join(identity, identity.id == cell.task_id).order_by(cell.created)
    )
    with reading(db) as connection:
        found = [(n, own, set(experiments), name) for n, own, experiments, name in connection.execute(query)]
    if experiment is not None:
        kept = [c for c in found if experiment in c[2]]
        found = _some(kept, "experiment", experiment, {name for c in found for name in c[2]})
    if task is not None:
        found = _some([c for c in found if c[3] == task], "task", task, {c[3] for c in found})
    if series != "all" and (found or series):
        known = [c[1] for c in found]
        chosen = series or ("main" if "main" in known else known[-1])
        found = _some([c for c in found if c[1] == chosen], "series", chosen, set(known))
    return frames.cells(db, cell_ids=[c[0] for c in found])


def _some(found: list[Any], kind: str, name: str, known: set[str]) -> list[Any]:
    if not found:
        close = nearest(name, known)
        hint = f"did you mean {close!r}?" if close else "it holds " + (", ".join(sorted(known)) or "none yet")
        raise PerPassError(f"the database has no results of {kind} {name!r}; {hint}")
    return found


def charged(db: Db, cells: pd.DataFrame, book: PriceBook, experiment: str | None = None, region: str = REGION) -> pd.DataFrame:
    """The attempts of these cells with what each is charged; with `experiment` only on the problems that it asks for. region: whose
    electricity prices the joules."""
    attempts = asked(db, cells, experiment)
    ledger = frames.ledger(db, cell_ids=[int(n) for n in cells["id"]])
    ledger = ledger[ledger["attempt"].isin(attempts["attempt"])]
    found = measures.charge(attempts, ledger, cells, _model_names(db), book, region)
    return found.assign(all_tokens=found["prompt"] + found["output"] + found["scored"])


def asked(db: Db, cells: pd.DataFrame, experiment: str | None = None) -> pd.DataFrame:
    """The attempts of these cells (`frames.attempts`); with `experiment` only on the problems that it asks for."""
    attempts = frames.attempts(db, cell_ids=[int(n) for n in cells["id"]])
    if experiment is None:
        return attempts
    limits = {n: e[experiment].get("limit") for n, e in zip(cells["id"], cells["experiments"], strict=True)}
    limit = attempts["cell_id"].map({n: float("inf") if x is None else x for n, x in limits.items()})
    return attempts[attempts["ordinal"] < limit]


def _model_names(db: Db) -> dict[int, str]:
    with reading(db) as connection:
        return dict(connection.execute(sa.select(Model.id, Model.name)).tuples().all())


def on_common_problems(attempts: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The attempts on the problems that all cells of their task and series have."""
    import pandas as pd

    kept = []
    for _, group in cells.groupby(["series", "task_id"]):
        own = attempts[attempts["cell_id"].isin(group["id"])]
        sets = [set(g) for _, g in own.groupby("cell_id")["problem_id"]]
        shared = set.intersection(*sets) if len(sets) == len(group) and sets else set()
        kept.append(own[own["problem_id"].isin(shared)])
    return pd.concat(kept) if kept else attempts


# --- one task in one series -------------------------------------------------------------------------------------------------------------


def _measured(cell: Mapping[Any, Any], own: measures.Columns, axes: Sequence[str]) -> Row:
    """The row of one cell, without what depends on the other cells."""
    row: Row = {str(f): cell[f] for f in ("cell", "series", "model", "engine", "hardware", "strategy", "task", "mode", "seed", "sampling")}
    human = human_price(cell["task_identity"])
    names = list(DOLLARS.values())
    return row | {
        **measures.measure(own),
        "concurrency": None if math.isnan(cell["concurrency"] or math.nan) else int(cell["concurrency"]),
        "experiment": ",".join(sorted(cell["experiments"])),
        "codes": list(cell["codes"]),
        "frontier_axes": list(axes),
        "_group": (cell["series"], cell["task_id"]),
        "_id": cell["id"],
        "_problems": measures.problems(own),
        "_human": human,
        "_of_pass": measures.of_pass(own, [*OF_PASS, *names]),
        "_with_human": None if human is None else measures.of_pass(own, names, human),
        "_per_correct": {name: measures.per_correct(own, name) for name in (*OF_PASS, *names)},
    }


def _compare(members: Sequence[Row]) -> None:
    """Why rows are partial, as far as the attempts of their task and series tell."""
    every = frozenset().union(*(row["_problems"] for row in members))
    for row in members:
        row["_partial"] = _lacks(row, row["_problems"], every)


def _lacks(row: Row, own: frozenset[int], every: frozenset[int]) -> list[str]:
    codes = []
    errors = row["outcomes"].get("error", 0)
    if not row["items"]:
        codes.append("no_attempts")
    if row["items"] and errors / row["items"] > MOST_ERRORS:
        codes.append("errors")
    if own < every:
        codes.append("fewer_problems")
    return codes


def _totals(db: Db, made: Sequence[Row], cells: pd.DataFrame, experiment: str | None, common: bool) -> None:
    """Mark cells that an interrupted run left with fewer problems than their experiments ask for (`unfinished`)."""
    if common:
        return
    with reading(db) as connection:
        query = sa.select(Problem.task_id, sa.func.count()).group_by(Problem.task_id)
        totals: dict[int, int] = dict(connection.execute(query).tuples().all())
    asked = {n: ({experiment: e[experiment]} if experiment else e) for n, e in zip(cells["id"], cells["experiments"], strict=True)}
    for row in made:
        total = totals.get(row["_group"][1], 0)
        plan = max((min(total, e["limit"] or total) for e in asked[row["_id"]].values()), default=0)
        if row["problems"] < plan and "no_attempts" not in row["_partial"]:
            row["_partial"].append("unfinished")


def _rank(members: Sequence[Row], axes: Sequence[str], basis: str | None, place: carbon.Grid) -> None:
    """Everything in which the cells of one task and series depend on each other: partial, cost basis, dollars, frontier."""
    for row in members:
        row["partial"] = bool(row["_partial"])
        if row["partial"]:
            row["reasons"]["partial"] = ",".join(row["_partial"])
    complete = [row for row in members if not row["partial"]] or list(members)
    chosen = basis or next((b for b, name in DOLLARS.items() if all(row[name] is not None for row in complete)), None)
    for row in members:
        _dollars(row, chosen)
        _of_pass(row)
        carbon.add(row, place)
        if row["concurrency"] is None:
            row["reasons"]["concurrency"] = row["mode"]
    _frontier(members, axes)


def _dollars(row: Row, basis: str | None) -> None:
    reasons = row["reasons"]
    row["cost_basis"] = basis
    name = DOLLARS.get(basis or "")
    row["cost_usd"] = row[name] if name else None
    code = None if row["cost_usd"] is not None else reasons.get(name, "no_price") if name else "no_common_basis"
    dollars = ("cost_usd", "cost_per_correct_usd", "cost_of_pass_usd", "cost_of_pass_with_human_usd")
    if code or name is None:
        row |= dict.fromkeys(dollars[1:])
        reasons.update(dict.fromkeys(dollars, code or "no_common_basis"))
        if basis is None:
            reasons["cost_basis"] = "no_common_basis"
        return
    row["cost_per_correct_usd"] = row["_per_correct"][name]
    row["cost_of_pass_usd"] = row["_of_pass"][name]
    row["cost_of_pass_with_human_usd"] = None if row["_with_human"] is None else row["_with_human"][name]
    if row["_human"] is None:
        reasons["cost_of_pass_with_human_usd"] = NO_HUMAN_PRICE
    for field in dollars[1:3]:
        if row[field] is None:
            reasons[field] = reasons.get("accuracy", "no_attempts")


def _of_pass(row: Row) -> None:
    found = row["_of_pass"]
    row["unsolved_share"] = found["unsolved_share"]
    sources = {"energy_j": "energy_j", "latency_s": "latency_p50_s", "flop": "flop", "all_tokens": "output_tokens"}
    for column, source in sources.items():
        for field, value in ((OF_PASS[column], found[column]), (PER_CORRECT[column], row["_per_correct"][column])):
            row[field] = value if row[source] is not None else None
            if row[field] is None:
                row["reasons"][field] = row["reasons"].get(source, row["reasons"].get("accuracy", "no_attempts"))
            elif column == "latency_s" and source in row["reasons"]:
                row["reasons"][field] = row["reasons"][source]
    if row["unsolved_share"] is None:
        row["reasons"]["unsolved_share"] = row["reasons"].get("accuracy", "no_attempts")


def reranked(rows: Sequence[Row], axes: Sequence[str]) -> list[Row]:
    """The same rows with their frontiers on other axes (see `rows`), not asking the database. Raises UserError for an unknown axis."""
    wanted = _axes(axes)
    made = [row | {"frontier_axes": wanted, "reasons": {k: v for k, v in row["reasons"].items() if k != "frontier"}} for row in rows]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in made:
        groups.setdefault((row["series"], row["task"]), []).append(row)
    for members in groups.values():
        _frontier(members, wanted)
    return [_finish(row) for row in made]


def _frontier(members: Sequence[Row], axes: Sequence[str]) -> None:
    import pandas as pd

    directions: dict[str, pareto.Direction] = {axis: "max" if axis == "accuracy" else "min" for axis in axes}
    for row in members:
        row["frontier"] = False
        missing = next((axis for axis in axes if row[axis] is None), None)
        if row["partial"]:
            row["reasons"]["frontier"] = "partial"
        elif missing:
            row["reasons"]["frontier"] = f"{missing}: {row['reasons'].get(missing, 'unknown')}"
    for mode in sorted({row["mode"] for row in members}) if apart(axes) else [None]:
        fit = [row for row in members if not row["partial"] and mode in (None, row["mode"])]
        points = pd.DataFrame([{axis: row[axis] for axis in axes} for row in fit], columns=list(axes)).astype(float)
        for row, on in zip(fit, pareto.frontier(points, directions), strict=True):
            row["frontier"] = bool(on)


def apart(axes: Sequence[str]) -> bool:
    """Whether each mode has a frontier of its own: times under shared load and times alone on the device never share an axis."""
    return any(axis.startswith(("latency", "ttft")) for axis in axes)


# --- small things -----------------------------------------------------------------------------------------------------------------------


def _axes(axes: Sequence[str] | None) -> list[str]:
    if not axes:
        return list(AXES)
    found = [SHORT.get(axis, axis) for axis in axes]
    for axis in found:
        if axis not in NUMBERS:
            raise unknown("axis", axis, (*NUMBERS, *SHORT), "--axes")
    return list(dict.fromkeys(found))


def _basis(basis: str | None) -> str | None:
    if basis is not None and basis not in DOLLARS:
        raise unknown("cost basis", basis, DOLLARS, "--cost-basis")
    return basis


def _by(made: Sequence[Row], key: str) -> dict[Any, list[Row]]:
    groups: dict[Any, list[Row]] = {}
    for row in made:
        groups.setdefault(row[key], []).append(row)
    return groups


def _order(row: Row) -> tuple[Any, ...]:
    cost = row["cost_usd"] if row["cost_usd"] is not None else row["flop"]
    return row["series"], row["task"], cost is None, cost or 0.0, row["model"], row["strategy"], row["cell"]


def _finish(row: Row) -> Row:
    row["reasons"] = dict(sorted(row["reasons"].items()))
    return {field: row[field] for field in FIELDS}
