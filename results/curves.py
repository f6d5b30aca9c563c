"""Accuracy against the number of samples, and against the tokens, FLOPs, joules and dollars that they take: a curve for each way to ask.

Computed from stored pools by the estimators, every k ≤ N at once, and stored as an analysis; dollars come in when a curve is read, from the
price book in force. What a k-th sample is charged is what the strategies are charged: the whole prompt where the engine caches no prefixes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from perpass.errors import PerPassError
from perpass.identity import content_hash
from results import analyses, curves_pools, curves_values, curves_verdicts, report, votes
from results.analyses import Analysis
from results.curves_pools import Group
from results.curves_values import NAMES, Pool
from results.curves_verdicts import Contents, Judged
from results.database import Db, as_engine, reading, transaction
from results.measures import DOLLARS, UNKNOWN_FLOP, UNSETTLED
from results.prices import NO_PRICE, REGION, PriceBook
from tasks.types import Ask, Task

if TYPE_CHECKING:
    import pandas as pd

KIND = "curves"
VERSION = 2
LABELS = ("series", "task", "model", "engine", "hardware", "strategy", "cell")
AMOUNTS = ("prompt_tokens", "cached_tokens", "output_tokens", "flop", "energy_j", "device_s")
COSTS = (*AMOUNTS[:-1], *DOLLARS.values(), "cost_usd")
"""What a curve can be drawn against, besides k: per item, of k samples."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Curve:
    """cell      the labels of the cell that names it, and `cells`, the names of all that draw from its pools
    result    what `compute` stored; None where nothing is yet
    stale     whether the database holds other samples, energies or judgements now than it was computed from
    """

    cell: Mapping[str, Any]
    cells: tuple[str, ...]
    result: Mapping[str, Any] | None
    stale: bool


def stored(
    db: Db, *, experiment: str | None = None, series: str | None = None, task: str | None = None, cells: pd.DataFrame | None = None
) -> list[Curve]:
    """The curves of the cells that a report would show (`results.report.select`; or of `cells`), whether they are computed yet or not."""
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        groups = curves_pools.groups(engine, chosen)
        with reading(engine) as connection:
            known = analyses.get(connection, KIND, (group.key for group in groups))
            return [_curve(group, known.get(group.key), _inputs(connection, group)) for group in groups]
    finally:
        if engine is not db:
            engine.dispose()


def _curve(group: Group, known: Analysis | None, inputs: str) -> Curve:
    cell = {name: group.cell[name] for name in (*LABELS, "model_identity", "hardware_identity")}
    return Curve(cell, group.cells, None if known is None else known.result, known is not None and known.inputs != inputs)


def _inputs(connection: sa.Connection, group: Group) -> str:
    return content_hash(VERSION, curves_pools.inputs(connection, group))


Progress = Callable[[str, int, int], None]


async def refresh(
    engine: sa.Engine,
    load_task: Callable[[Any], Task],
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    ask: Ask | None = None,
    progress: Progress | None = None,
) -> tuple[list[Curve], list[str]]:
    """The curves of the cells that a report would show, computed and stored where they are missing or stale; and what could not be.

    load_task: `tasks.load`. progress(label, done, of): problems judged of a curve's. Safe to interrupt and to repeat.
    """
    groups = curves_pools.groups(engine, report.select(engine, experiment=experiment, series=series, task=task))
    made: list[Curve] = []
    notes: list[str] = []
    loaded: dict[int, Task] = {}
    for group in groups:
        with engine.connect() as connection:
            known, inputs = analyses.get(connection, KIND, [group.key]).get(group.key), _inputs(connection, group)
        if known is None or known.inputs != inputs or "judge_failed" in known.result["left_out"]:
            label = f"{group.cell['task']} {group.cell['model']} {group.cell['strategy']}"
            told = None if progress is None else _told(progress, label)
            try:
                number = int(group.cell["task_id"])
                loaded[number] = loaded.get(number) or _task(load_task, group)
                known = await compute(engine, group, loaded[number], inputs, ask=ask, progress=told)
            except PerPassError as error:
                notes.append(f"{label}: {error}")
        made.append(_curve(group, known, inputs))
    return made, notes


def _told(progress: Progress, label: str) -> Callable[[int, int], None]:
    return lambda done, of: progress(label, done, of)


def _task(load_task: Callable[[Any], Task], group: Group) -> Task:
    identity = group.cell["task_identity"]
    task = load_task(identity["spec"])
    if task.version != identity["version"]:
        raise PerPassError(f"the task is now version {task.version}, the stored samples answer version {identity['version']}")
    return task


async def compute(
    engine: sa.Engine,
    group: Group,
    task: Task,
    inputs: str,
    *,
    ask: Ask | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Analysis:
    """Judge what is not judged yet, compute the curve and store it. Raises PerPassError where no problem can be judged."""
    with engine.connect() as connection:
        samples = curves_pools.samples(connection, group)
        lost = curves_pools.too_long(connection, group)
    contents: Contents = {}
    for problem, content, finish, text in zip(*(samples[n] for n in ("problem_id", "content", "finish", "text_id")), strict=True):
        contents.setdefault(int(problem), {})[content, finish] = int(text)
    judged = await curves_verdicts.judged(engine, group, contents, task, ask=ask, progress=progress)
    if not judged.verdicts:
        why = "the judge failed on all problems" if judged.failed else "none of its problems is the task's any more"
        raise PerPassError(f"no curve: {why}")
    found = Analysis(
        kind=KIND,
        key=group.key,
        inputs=inputs,
        result=_result(samples, judged, len(lost), task.items, group.caches),
        parameters={"version": VERSION, "cells": list(group.cells)},
        cell_id=int(group.cell["id"]),
        series=str(group.cell["series"]),
    )
    with transaction(engine) as connection:
        analyses.put(connection, [found])
    return found


def _result(samples: pd.DataFrame, judged: Judged, lost: int, items: int, caches: bool) -> dict[str, Any]:
    kept = samples[samples["problem_id"].isin(judged.verdicts)]
    sizes = kept["problem_id"].value_counts()
    depth = curves_values.depth(sizes.tolist())
    kept = kept[kept["problem_id"].isin(sizes[sizes >= depth].index)]
    pools = [_pool(own, judged, items) for _, own in kept.groupby("problem_id", sort=True)]
    found = curves_values.values(pools, depth, lost)
    shares = curves_values.resampled(len(pools) + lost)
    fit = curves_values.power_law(found.by_problem["pass"], shares)
    left_out = {"fewer_samples": int((sizes < depth).sum()), "not_asked_now": judged.changed, "judge_failed": judged.failed}
    charged, reasons = _charged(kept, lost, items, caches)
    return {
        "depth": depth,
        "problems": len(pools) + lost,
        "items": items,
        "samples": len(kept),
        "too_long": lost,
        "left_out": {name: count for name, count in left_out.items() if count},
        "mixed_classes": sum(_mixed(pool) for pool in pools),
        "judge": judged.judge,
        "estimates": curves_values.estimates(found, shares),
        "votes": _votes(kept, found.by_problem.get("self_consistency"), len(pools)),
        "charged": charged,
        "power_law": fit if isinstance(fit, dict) else None,
        "reasons": found.reasons | reasons | ({} if isinstance(fit, dict) else {"power_law": fit}),
        **_energy(kept),
    }


def _votes(kept: pd.DataFrame, by_problem: Any, pools: int) -> dict[str, list[float]]:
    """Self-consistency at each k by problem id, to six digits: what other strategies are compared with in pairs. Prompts that did not fit,
    which stand last, are left out."""
    if by_problem is None:
        return {}
    problems = sorted(set(kept["problem_id"]))
    return {str(int(p)): [round(float(v), 6) for v in row] for p, row in zip(problems, by_problem[:pools], strict=True)}


def _pool(own: pd.DataFrame, judged: Judged, items: int) -> Pool:
    verdicts = judged.verdicts[int(own["problem_id"].iloc[0])]
    each = [verdicts[place] for place in zip(own["content"], own["finish"], strict=True)]
    right = [[verdict.right[item] for verdict in each] for item in range(items)]
    return Pool(right, [[v.classes[item] for v in each] for item in range(items)], own["logprob"].tolist(), own["confidence"].tolist())


def _mixed(pool: Pool) -> int:
    """Answer classes with correct and wrong samples: their grader and its equivalence disagree."""
    profiles = [votes.profile(classes, right) for classes, right in zip(pool.classes, pool.right, strict=True)]
    return sum(0 < share < 1 for own in profiles for _, share in own)


# --- what k samples are charged -----------------------------------------------------------------------------------------------------------


def _charged(kept: pd.DataFrame, lost: int, items: int, caches: bool) -> tuple[dict[str, list[float] | None], dict[str, str]]:
    """[of the first sample, of each further one] by amount, means per item over problems; None has its code in the second."""
    further = {"prompt": "prompt", "output": "output", "energy_j": "energy_j", "device_s": "device_s", "flop": "flop_further"}
    found: dict[str, list[float] | None] = {}
    for name, later in further.items():
        both = kept.groupby("problem_id")[list(dict.fromkeys((name, later)))].mean()  # what is not known is left out
        whole = name != "flop" or not kept["flop"].isna().any()
        known = both[both.notna().all(axis=1)] if whole else both.iloc[:0]
        n = (len(known) + lost) * items
        found[name] = [float(known[column].sum() / n) for column in (name, later)] if len(known) else None
    saved = curves_pools.shared(kept["prompt"], caches).groupby(kept["problem_id"]).mean()
    found["cached"] = [0.0, float(saved.sum() / ((len(saved) + lost) * items))]
    named = {"prompt_tokens": "prompt", "cached_tokens": "cached", "output_tokens": "output"}
    reasons = {} if found["flop"] else {"flop": UNKNOWN_FLOP}
    codes = Counter(code or UNSETTLED for code in kept["energy_code"][kept["energy_j"].isna()])
    reasons |= {} if found["energy_j"] else dict.fromkeys(("energy_j", "device_s"), codes.most_common(1)[0][0])
    return {name: found[named.get(name, name)] for name in AMOUNTS}, reasons


def _energy(kept: pd.DataFrame) -> dict[str, Any]:
    known = kept[kept["energy_j"].notna()]
    sources = sorted(set(known["energy_source"].dropna()))
    codes = Counter(known["energy_code"].dropna())
    source = "none" if not sources else sources[0] if len(sources) == 1 else "mixed"
    return {"energy_source": source, "energy_valid": bool(len(known) == len(kept) and not codes), "energy_codes": sorted(codes)}


def costs(curves: Sequence[Curve], book: PriceBook | None = None) -> list[dict[str, list[float] | None]]:
    """For each computed curve, COSTS of k = 1…N samples, per item; None where not known. `cost_usd` is, per series and task, the first of
    hardware, token and energy dollars that is known for all of its curves."""
    book = book or PriceBook.load()
    made = [_costs(curve, book) for curve in curves]
    for place in {(c.cell["series"], c.cell["task"]) for c in curves}:
        own = [m for c, m in zip(curves, made, strict=True) if (c.cell["series"], c.cell["task"]) == place]
        basis = next((name for name in DOLLARS.values() if all(m[name] is not None for m in own)), None)
        for m in own:
            m["cost_usd"] = m[basis] if basis else None
    return made


def _costs(curve: Curve, book: PriceBook) -> dict[str, list[float] | None]:
    if curve.result is None:
        return dict.fromkeys(COSTS)
    charged, ks = curve.result["charged"], range(1, curve.result["depth"] + 1)
    found: dict[str, list[float] | None] = {
        name: None if pair is None else [pair[0] + (k - 1) * pair[1] for k in ks] for name, pair in charged.items()
    }
    tokens = book.token_price(str(curve.cell["model_identity"]["name"]))
    parts = zip(*(found[name] or [] for name in AMOUNTS[:3]), strict=True)
    found["token_cost_usd"] = (
        None if tokens is None else [((p - c) * tokens.input + c * tokens.cached + o * tokens.output) / 1e6 for p, c, o in parts]
    )
    rates = {"hardware_cost_usd": ("device_s", book.hardware_price(curve.cell["hardware_identity"]), 3600.0)}
    rates["energy_cost_usd"] = ("energy_j", book.energy_price(REGION), 3.6e6)
    for name, (amount, rate, per) in rates.items():
        taken = found[amount]
        found[name] = None if taken is None or rate is None else [x * rate / per for x in taken]
    del found["device_s"]
    return found


def told(curves: Sequence[Curve], book: PriceBook | None = None) -> list[Row]:
    """Computed curves as plain objects, for JSON: labels, counts, `k`, `estimates`, COSTS as lists over k, `power_law`, `reasons`."""
    made = []
    for curve, own in zip(curves, costs(curves, book), strict=True):
        if curve.result is None:
            continue
        result = {name: value for name, value in curve.result.items() if name not in ("charged", "reasons", "votes")}
        reasons = dict(curve.result["reasons"]) | {f: NO_PRICE for f in COSTS if own[f] is None and f not in curve.result["reasons"]}
        row = {name: curve.cell[name] for name in LABELS} | {"cells": list(curve.cells), "stale": curve.stale}
        made.append(row | result | {"k": list(range(1, result["depth"] + 1))} | own | {"reasons": dict(sorted(reasons.items()))})
    return made


def flat(rows: Sequence[Row]) -> list[Row]:
    """`told`, a row per curve, estimator and k: for CSV and for pictures."""
    return [
        {name: row[name] for name in LABELS}
        | {"problems": row["problems"], "items": row["items"], "estimator": name, "label": NAMES[name], "k": k}
        | {"accuracy": own["value"][k - 1], "accuracy_low": own["low"][k - 1], "accuracy_high": own["high"][k - 1]}
        | {"sampling_error": own["error"][k - 1] if "error" in own else None, "energy_source": row["energy_source"]}
        | {cost: None if row[cost] is None else row[cost][k - 1] for cost in COSTS}
        for row in rows
        for name, own in row["estimates"].items()
        for k in row["k"]
    ]
