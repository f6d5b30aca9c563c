"""What a measured cell, or a published row, would have taken on other hardware: `energy.projection` applied to what is stored.

Results are dictionaries for showing. They are labelled `modelled`, carry the error stated for their direction, and are never stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from energy import profiles, projection
from energy.hardware import Hardware
from energy.projection import CannotProject, Error, Fitted, Place, Point, Work
from perpass.errors import UserError
from results import schema
from results.database import Db, reading
from results.external import OUTSIDE
from results.prices import PriceBook

LABEL = "modelled"
QUANTIZATIONS = {"bfloat16": None, "float16": None, "fp8": "fp8", "mxfp4": "mxfp4"}
"""What ML.ENERGY's `weight_precision` means to `energy.traffic`."""
CELLS_TABLE = "lm-arena-chat"
"""The table whose constants our own cells are projected with: more models and batch sizes than the other."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Published:
    """A published row that the model can be applied to."""

    row: Mapping[str, Any]
    work: Work

    @property
    def place(self) -> Place:
        return _place(str(self.row["device"]), int(self.row["gpus"]), self.work)

    @property
    def seconds_per_step(self) -> float:
        return float(self.row["mean_batch"] / self.row["tokens_per_s"])

    @property
    def point(self) -> Point:
        return Point(self.work, self.place, self.seconds_per_step, float(self.row["power_w"]))


def usable(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Published], Counter[str]]:
    """The rows whose model, precision and hardware we know, and why the others were left out."""
    found, left = [], Counter[str]()
    for row in rows:
        config = projection.published_config(row["model"])
        if set(row["codes"]) & set(OUTSIDE):
            left["its numbers contradict each other"] += 1
        elif config is None:
            left["how the model is built is not in our table"] += 1
        elif row["precision"] not in QUANTIZATIONS:
            left["its precision is not known"] += 1
        else:
            quantization = QUANTIZATIONS[row["precision"]]
            work = projection.work(config, batch=row["mean_batch"], prompt=0, output=row["output_tokens"], quantization=quantization)
            found.append(Published(row, work))
    return found, left


def fit(rows: Sequence[Published]) -> projection.Constants:
    """Constants fitted on these rows, of all hardware together."""
    return projection.fit([p.point for p in rows])


def pairs(rows: Sequence[Published], here: str, there: str) -> list[tuple[Published, Published]]:
    """Every row on `here` with every one on `there` of the same task, model, precision and batch limit, whatever the numbers of devices."""
    places: dict[tuple[Any, ...], dict[str, list[Published]]] = {}
    for p in rows:
        key = tuple(p.row[name] for name in ("task", "model", "precision", "batch"))
        places.setdefault(key, {}).setdefault(str(p.row["device"]), []).append(p)
    return [(a, b) for found in places.values() for a in found.get(here, ()) for b in found.get(there, ())]


def errors(found: Sequence[tuple[Published, Published]], constants: projection.Constants | None, baseline: str = "") -> Error:
    """Relative errors of projecting the first of each pair to the hardware of the second.

    Only hardware, number of devices and batch limit of the second enter the projection; its numbers are what it is compared with.
    constants None: a naive baseline instead, on the devices' data sheets: `tdp` (time as it was, power by TDP), `bandwidth` (time by
    bandwidth, power by TDP), `unchanged`.
    """
    import numpy as np

    energy, time = [], []
    for a, b in found:
        here, there = a.place, b.place
        made = projection.ratio(a.work, here, there, constants) if constants else _naive(here, there, baseline)
        energy.append(abs(a.row["energy_per_token_j"] * made.joules / b.row["energy_per_token_j"] - 1))
        time.append(abs(made.seconds * b.row["tokens_per_s"] / a.row["tokens_per_s"] - 1))
    (e50, e90), (t50, t90) = np.quantile(energy, [0.5, 0.9]), np.quantile(time, [0.5, 0.9])
    return Error(len(found), float(e50), float(e90), float(t50), float(t90))


def _naive(here: Place, there: Place, name: str) -> projection.Ratio:
    watts = there.count * there.tdp_w / (here.count * here.tdp_w)
    width = here.count * here.bandwidth / (there.count * there.bandwidth)
    return {
        "unchanged": projection.Ratio(1, 1),
        "tdp": projection.Ratio(1, watts),
        "bandwidth": projection.Ratio(width, width * watts),
    }[name]


def both_ways(fitted_on: Sequence[Published], tested_on: Sequence[Published], kinds: tuple[str, str] = ("H100", "B200")) -> Fitted:
    """Constants of one table with their errors on another, in both directions. The tested rows are never fitted on."""
    constants = fit(fitted_on)
    ways = [kinds, kinds[::-1]]
    return Fitted(
        fitted_on[0].row["task"], tested_on[0].row["task"], constants, {way: errors(pairs(tested_on, *way), constants) for way in ways}
    )


# --- one row, one cell ------------------------------------------------------------------------------------------------------------------


def of_external(row: Mapping[str, Any], target: Hardware, book: PriceBook | None = None) -> Row:
    """A published row and its projection, per request. The constants are those of the table that the row is not in."""
    found, left = usable([row])
    if not found:
        raise CannotProject(f"external row {row['external']} cannot be projected: {next(iter(left))}")
    fitted = next((f for f in projection.shipped() if f.table != row["task"]), None)
    assert fitted is not None  # two tables are shipped
    own, steps = found[0], row["output_tokens"]
    here = {
        "seconds": steps * own.seconds_per_step,
        "device_s": own.place.count * steps / row["tokens_per_s"],
        "energy_j": row["energy_per_request_j"],
    }
    subject = f"{row['model']} on {row['hardware']}, {row['task']}, batch {row['batch']}, published by {row['source']}"
    return _projected(subject, "request", here, own.work, own.place, target, fitted, book)


def of_cell(
    db: Db, name: str, target: Hardware, *, series: str | None = None, batch: float | None = None, book: PriceBook | None = None
) -> Row:
    """A cell and its projection, per item. batch: sequences that ran together; None: the cell's concurrency.

    Raises CannotProject where a number that the projection needs is not known, with what would help.
    """
    row = _report_row(db, name, series)
    batch = batch or row["concurrency"]
    if not batch:
        raise CannotProject(f"cell {row['cell']} is {row['mode']}: how many sequences ran together is not known; say it with --batch N")
    with reading(db) as connection:
        used = _used(connection, row)
    config, model, settings = used["config"], used["model"], used["settings"]
    work = projection.work(
        config,
        batch=batch,
        prompt=used["prompt"] / used["calls"],
        output=used["output"] / used["calls"],
        dtype=model.get("dtype"),
        quantization=settings.get("quantization"),
    )
    count = int(used["hardware"].get("count", 1))
    alone = row["mode"].startswith("live")  # a pooled cell's latency is other cells' load too
    here = {"seconds": row["latency_p50_s"] if alone else None, "device_s": used["device_s"], "energy_j": row["energy_j"]}
    fitted = next(f for f in projection.shipped() if f.table == CELLS_TABLE)
    subject = f"cell {row['cell']}: {row['model']} · {row['strategy']} · {row['task']} on {row['hardware']}, {batch:g} sequences together"
    place = _place(str(used["hardware"]["name"]), count, work)
    return _projected(subject, "item", here, work, place, target, fitted, book)


def _projected(
    subject: str,
    unit: str,
    here: Mapping[str, float | None],
    work: Work,
    place: Place,
    target: Hardware,
    fitted: Fitted,
    book: PriceBook | None,
) -> Row:
    """What was measured, what is modelled, and how wrong that is known to be."""
    book = book or PriceBook.load()
    there = _place(target.name, target.count, work)
    if there.memory is not None and work.resident > there.count * there.memory:
        has = f"{there.name}x{there.count} has {there.count * there.memory / 1e9:,.0f} GB of memory"
        raise CannotProject(f"{subject}: the weights alone are {work.resident / 1e9:,.0f} GB, {has}")
    ratio = projection.ratio(work, place, there, fitted.constants)
    modelled = {
        "seconds": _times(here["seconds"], ratio.seconds),
        "device_s": _times(here["device_s"], ratio.seconds * there.count / place.count),
        "energy_j": _times(here["energy_j"], ratio.joules),
    }
    error = fitted.errors.get((place.name, there.name))
    return {
        "subject": subject,
        "per": unit,
        "measured": {"hardware": f"{place.name}x{place.count}", "label": "measured", **_priced(here, place.name, book)},
        "modelled": {"hardware": f"{there.name}x{there.count}", "label": LABEL, **_priced(modelled, there.name, book)},
        "error": None if error is None else vars(error),
        "fitted_on": fitted.table,
        "tested_on": fitted.tested_on,
    }


def _priced(amounts: Mapping[str, float | None], hardware: str, book: PriceBook) -> Row:
    dollars = {"hardware_usd": book.hardware_cost(hardware, amounts["device_s"]), "electricity_usd": book.energy_cost(amounts["energy_j"])}
    return {**amounts, **dollars}


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _place(name: str, count: int, work: Work) -> Place:
    profile = profiles.by_name(name.split(" (")[0])
    if profile is None:
        raise CannotProject(f"the hardware {name!r} is not in the table of hardware, so nothing can be projected from it")
    return projection.place(profile, count, work.rate)


def _report_row(db: Db, name: str, series: str | None) -> Row:
    from results import show

    told = show.cell(db, name, series)
    if not told["report"]:
        raise UserError(f"cell {told['cell']} has no attempts yet")
    return dict(told["report"])


def _used(connection: sa.Connection, row: Mapping[str, Any]) -> Row:
    """What a cell's calls came to, its model's config as the run kept it, identities, and mean device-seconds per item."""
    cell, attempt, ledger, run = (t.__table__ for t in (schema.Cell, schema.Attempt, schema.Ledger, schema.Run))
    own: Any = connection.execute(sa.select(cell).where(cell.c.name == row["cell"], cell.c.series == row["series"])).one()
    of_cell = sa.select(attempt.c.id).where(attempt.c.cell_id == own.id)
    fields = (ledger.c.model_id, ledger.c.kind, ledger.c.calls, ledger.c.prompt, ledger.c.cached, ledger.c.output)
    rows = connection.execute(sa.select(*fields).where(ledger.c.attempt_id.in_(of_cell))).all()
    if {r.model_id for r in rows} != {own.model_id} or {r.kind for r in rows} != {"generate"}:
        raise CannotProject(f"cell {row['cell']} used other models, or scored texts; only its own model's generation is modelled")
    identity = {
        name: connection.execute(sa.select(table.identity).where(table.id == getattr(own, f"{name}_id"))).scalar_one()
        for name, table in (("model", schema.Model), ("engine", schema.Engine), ("hardware", schema.Hardware))
    }
    newest = sa.select(run.c.environment).where(run.c.id.in_(sa.select(attempt.c.run_id).where(attempt.c.cell_id == own.id)))
    surroundings: Any = connection.execute(newest.order_by(run.c.id.desc()).limit(1)).scalar() or {}
    counting = next((e.get("counting") for e in surroundings.get("engines", ()) if e.get("identity") == identity), None)
    if not counting:
        raise CannotProject(f"cell {row['cell']}: its run did not keep how the model is built (config_not_kept); nothing can be projected")
    seconds = connection.execute(sa.select(attempt.c.device_s).where(attempt.c.id.in_(of_cell))).scalars().all()
    known = [s for s in seconds if s is not None]
    calls = sum(r.calls for r in rows)
    return {
        **identity,
        "settings": identity["engine"].get("settings") or {},
        "config": counting["config"],
        "calls": calls,
        "prompt": sum(r.prompt - r.cached for r in rows),
        "output": sum(r.output for r in rows),
        "device_s": sum(known) / row["items"] if known and len(known) == len(seconds) and row["items"] else None,
    }
