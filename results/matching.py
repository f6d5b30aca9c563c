"""Which cells of two sides are compared with each other, and why the others are not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from perpass.identity import content_hash
from results import labels
from results.database import reading
from results.schema import Problem

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

NAMES = ("model", "engine", "strategy", "task", "mode", "concurrency")


def key(cell: Mapping[str, Any]) -> dict[str, Any]:
    """What two cells must share to be compared. Revisions, precision, hardware, seed and series play no part."""
    return {
        **_place(cell["model_identity"], cell["engine_identity"]),
        "strategy": cell["strategy_identity"],
        "task": cell["task_identity"],
        "mode": cell["mode"],
        "concurrency": concurrency(cell),
        "roles": {name: _place(role["model"], role["engine"]) for name, role in cell["roles"].items()},
    }


def _place(model: Mapping[str, Any], engine: Mapping[str, Any]) -> dict[str, Any]:
    return {"model": labels.named(model), "engine": engine}


def match(base: pd.DataFrame, head: pd.DataFrame) -> tuple[list[tuple[Row, Row]], list[Row]]:
    """Cells of two frames (`frames.cells`) that pair, in the order of base, and rows for those that do not, with the reason.

    Where several cells of a side share a key, those that are the same cell on both sides pair; what then is not one to one is `ambiguous`.
    """
    sides: list[list[Row]] = [frame.to_dict("records") for frame in (base, head)]  # type: ignore[misc]
    groups: dict[str, tuple[list[Row], list[Row]]] = {}
    for n, cells in enumerate(sides):
        for cell in cells:
            groups.setdefault(content_hash(key(cell)), ([], []))[n].append(cell)
    matched: list[tuple[Row, Row]] = []
    left: list[tuple[list[Row], list[Row]]] = []
    for own, other in groups.values():
        same = {a["cell"]: (a, b) for a in own for b in other if a["cell"] == b["cell"]}
        matched += same.values()
        rest = tuple([c for c in cells if c["cell"] not in same] for cells in (own, other))
        if len(rest[0]) == len(rest[1]) == 1:
            matched.append((rest[0][0], rest[1][0]))
        else:
            left.append(rest)  # type: ignore[arg-type]
    order = {cell["id"]: n for n, cell in enumerate(sides[0])}
    return sorted(matched, key=lambda m: order[m[0]["id"]]), list(_left(left))


def _left(groups: Sequence[tuple[list[Row], list[Row]]]) -> Iterator[Row]:
    alone = tuple([c for group in groups if not all(group) for c in group[n]] for n in (0, 1))
    for own, other in groups:
        both = bool(own and other)
        for n, (name, cells) in enumerate((("base", own), ("head", other))):
            for cell in cells:
                detail = f"{len(own)} of base and {len(other)} of head could be meant" if both else _closest(cell, alone[1 - n])
                yield unpaired(name, cell, "ambiguous" if both else "no_counterpart", detail)


def _closest(cell: Row, others: Sequence[Row]) -> str | None:
    """How the most alike cell of the other side differs, when only a setting or two keeps the two apart."""
    found = [differences(key(cell), key(other)) for other in others]
    closest = min(found, key=len, default=[])
    return f"the closest differs in {', '.join(closest)}" if 0 < len(closest) <= 2 else None


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """`strategy.version: 1 → 2`, one per value that differs."""
    flat = [dict(labels.flat(x)) for x in (a, b)]
    names = sorted(flat[0].keys() | flat[1].keys())
    told = [(name, *(labels.short(x.get(name)) for x in flat)) for name in names if flat[0].get(name) != flat[1].get(name)]
    return [f"{name}: {before} → {after}" for name, before, after in told]


def unpaired(name: str, cell: Row, reason: str, detail: str | None = None) -> Row:
    """A row about a cell that is compared with nothing: the code of the reason, and a sentence where there is more to say."""
    own = {f: cell[f] for f in ("cell", "series", *NAMES, "hardware")}
    return {"side": name, **own, "concurrency": concurrency(cell), "reason": reason, "detail": detail}


def concurrency(cell: Mapping[str, Any]) -> int | None:
    found = cell["concurrency"]
    return None if found is None or math.isnan(found) else int(found)


def changed_problems(engines: Sequence[sa.Engine], cells: Sequence[pd.DataFrame]) -> dict[int, set[str]]:
    """By base's task id: keys of problems that are not the same problem in head. In one database they always are."""
    if engines[0] is engines[1] or any(frame.empty for frame in cells):
        return {}
    hashes: list[dict[int, dict[str, str]]] = []
    for engine, frame in zip(engines, cells, strict=True):
        ids = sorted({int(n) for n in frame["task_id"]})
        found: dict[int, dict[str, str]] = {n: {} for n in ids}
        with reading(engine) as connection:
            query = sa.select(Problem.task_id, Problem.key, Problem.hash).where(Problem.task_id.in_(ids))
            for task, name, value in connection.execute(query):
                found[task][name] = value
        hashes.append(found)
    twins = {content_hash(i): n for n, i in zip(cells[1]["task_id"], cells[1]["task_identity"], strict=True)}
    changed = {}
    for task, identity in zip(cells[0]["task_id"], cells[0]["task_identity"], strict=True):
        own, other = hashes[0][task], hashes[1].get(twins.get(content_hash(identity), -1), {})
        changed[task] = {name for name in own.keys() & other.keys() if own[name] != other[name]}
    return changed
