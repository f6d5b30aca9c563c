"""Two sides, cell by cell, on the attempts that both have. For a page or a notebook: `pairs(db, base, head)`; see its docstring.

A side is written as the command line has it (see `results.sides`). Cells pair by model id, engine and settings, strategy, task, concurrency
and the models and engines of their roles, ignoring revision and hardware; attempts pair by problem and trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perpass.errors import unknown
from perpass.identity import content_hash
from results import frames, matching, report, sides
from results.database import Db
from results.matching import NAMES, concurrency, differences
from results.measures import DOLLARS, NOT_MEASURED, UNKNOWN_FLOP, UNSETTLED
from results.paired import Amounts, Counts
from results.prices import NO_PRICE, PriceBook

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

AMOUNTS = ("output_tokens", "flop", "energy_j", "latency_s", "cost_usd")
"""What is compared as a ratio, per attempt."""
ON_EQUAL_HARDWARE = ("energy_j", "latency_s", "cost_usd")
HARDWARE_DIFFERS = "hardware_differs"

FIELDS = (
    *("base_cell", "head_cell", "base_series", "head_series", *NAMES, "base_hardware", "head_hardware", "differs"),
    *("problems", "attempts", "items", "left_out", "base_accuracy", "head_accuracy", "difference", "difference_low", "difference_high"),
    *("lost", "gained", "p_worse", "p_two_sided", "mcnemar_p"),
    *(f"{name}{end}" for name in AMOUNTS for end in ("_base", "_head", "_ratio", "_ratio_low", "_ratio_high")),
    *("energy_source", "cost_basis", "reasons"),
)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two cells that were compared: `row` has the fields of FIELDS, `counts` and `amounts` (by name, where comparable) the data."""

    row: Row
    counts: Counts
    amounts: Mapping[str, Amounts]


@dataclass(frozen=True, eq=False)
class Comparison:
    """`base` and `head` as they were written; `pairs` in the order of base; `unpaired`: rows of side (base or head), cell, series, NAMES,
    hardware, reason (a code) and detail (a sentence, or None)."""

    base: str
    head: str
    pairs: Sequence[Pair]
    unpaired: Sequence[Row]

    @property
    def rows(self) -> list[Row]:
        """One plain row per pair, each with FIELDS."""
        return [pair.row for pair in self.pairs]


def pairs(db: Db, base: str, head: str, *, cost_basis: str | None = None, book: PriceBook | None = None) -> Comparison:
    """Compare two sides. `db` (engine, path or URL) is where names are looked up that name no database of their own.

    base, head   a series, an experiment, a database (`old.db`, `postgresql://…`), or `DATABASE#NAME`; see `results.sides.parse`
    cost_basis   hardware, token or energy; else, per pair, the first of these that is known for every paired attempt

    Accuracies and the difference are shares per item; amounts are means per attempt, over the paired attempts only, and their ratio is
    head / base. Intervals are 95 %, by a seeded bootstrap that draws problems. `p_worse` is one-sided for "head is worse" and exact;
    `mcnemar_p` is None with its reason unless each problem has one attempt of one item. Whatever is None has a code in `reasons`.
    Raises UserError for an unknown or ambiguous name, DatabaseError for a database that cannot be read.
    """
    if cost_basis is not None and cost_basis not in DOLLARS:
        raise unknown("cost basis", cost_basis, DOLLARS, "--cost-basis")
    book = book or PriceBook.load()
    with ExitStack() as opened:
        engines = sides.Engines(db, opened)
        both = [sides.side(text, engines) for text in (base, head)]
        cells = [sides.cells(one) for one in both]
        attempts = [_attempts(one, own, book) for one, own in zip(both, cells, strict=True)]
        changed = matching.changed_problems([one.engine for one in both], cells)
    matched, unpaired = matching.match(*cells)
    made: list[Pair] = []
    for own, other in matched:
        pair, reason = _pair(own, other, _of(attempts[0], own), _of(attempts[1], other), changed.get(own["task_id"], set()), cost_basis)
        if pair is not None:
            made.append(pair)
        else:
            unpaired += [matching.unpaired("base", own, reason), matching.unpaired("head", other, reason)]
    return Comparison(base, head, made, unpaired)


def two(
    db: Db, base: int, head: int, *, cost_basis: str | None = None, book: PriceBook | None = None
) -> tuple[Pair | None, str, pd.DataFrame]:
    """Compare two cells of a database by their ids, whatever differs between them: as `pairs` does, or None and the code that says why not.

    The third is what was paired, a row per problem and trial: problem, trial, and of either side (…_base, …_head) what `report.charged`
    gives of the attempt.
    """
    cells = frames.cells(db, cell_ids=[base, head])
    charged = report.charged(db, cells, book or PriceBook.load())
    by_id: dict[int, Row] = {int(cell["id"]): {str(name): value for name, value in cell.items()} for cell in cells.to_dict("records")}
    own, other = (charged[charged["cell_id"] == n] for n in (base, head))
    pair, reason = _pair(by_id[base], by_id[head], own, other, set(), cost_basis)
    return pair, reason, _paired(own, other, set())[0]


def of_attempts(own: Row, other: Row, base: pd.DataFrame, head: pd.DataFrame) -> tuple[Pair | None, str]:
    """The same for two cells, rows of `frames.cells`, whose attempts (`report.charged`) are at hand."""
    return _pair(own, other, base, head, set(), None)


# --- one pair ---------------------------------------------------------------------------------------------------------------------------


def _attempts(one: sides.Side, cells: pd.DataFrame, book: PriceBook) -> pd.DataFrame:
    return report.charged(one.engine, cells, book, one.name if one.kind == "experiment" else None)


def _of(attempts: pd.DataFrame, cell: Row) -> pd.DataFrame:
    return attempts[attempts["cell_id"] == cell["id"]]


def _pair(own: Row, other: Row, base: pd.DataFrame, head: pd.DataFrame, changed: set[str], basis: str | None) -> tuple[Pair | None, str]:
    """The comparison of two cells, or None and why there is none."""
    if base.empty or head.empty:
        return None, "no_attempts"
    both, left_out = _paired(base, head, changed)
    if both.empty:
        return None, "all_errors" if left_out.get("infrastructure_errors") else "no_common_attempts"
    reasons: dict[str, str] = {}
    row = _names(own, other) | {"problems": int(both["problem"].nunique()), "attempts": len(both), "left_out": left_out, "reasons": reasons}
    sums = both.groupby("problem", sort=True)[["correct_base", "correct_head", "items_base"]].sum()
    counts = Counts(*(sums[c].to_numpy() for c in sums))
    row |= _accuracy(counts, both, reasons)
    both, row["cost_basis"] = _dollars(both, basis, reasons)
    amounts = {name: found for name in AMOUNTS if (found := _amount(name, both, own, other, reasons)) is not None}
    for name in AMOUNTS:
        row |= _ratio(name, amounts.get(name), both)
    row["energy_source"] = next(iter(set(both["energy_source_base"].dropna())), None) if "energy_j" in amounts else None
    if row["energy_source"] is None:
        reasons["energy_source"] = reasons["energy_j"]
    row["reasons"] = dict(sorted(reasons.items()))
    return Pair({name: row[name] for name in FIELDS}, counts, amounts), ""


def _paired(base: pd.DataFrame, head: pd.DataFrame, changed: set[str]) -> tuple[pd.DataFrame, dict[str, int]]:
    """The attempts that both sides have, columns ending in _base and _head, and how many were left out, by reason.

    An attempt with an infrastructure error, in one item or on one side, says nothing about the answer and leaves with its partner.
    """
    both = base.merge(head, on=["problem", "trial"], suffixes=("_base", "_head"))
    left_out = {"only_in_base": len(base) - len(both), "only_in_head": len(head) - len(both)}
    rules = {
        "problem_changed": both["problem"].isin(changed),
        "infrastructure_errors": both["failed_base"] | both["failed_head"] | (both["error_base"] + both["error_head"] > 0),
        "not_judged": (both["items_base"] == 0) | (both["items_base"] != both["items_head"]),
    }
    for name, out in rules.items():
        out = out.reindex(both.index)
        left_out[name] = int(out.sum())
        both = both[~out]
    return both, {name: count for name, count in left_out.items() if count}


def _names(own: Row, other: Row) -> Row:
    kept = ("model_identity", "hardware_identity", "roles")
    flat = [{name.removesuffix("_identity"): cell[name] for name in kept} | {"seed": cell["seed"]} for cell in (own, other)]
    return {
        **{f"{name}_{f}": cell[f] for name, cell in (("base", own), ("head", other)) for f in ("cell", "series", "hardware")},
        **{f: own[f] for f in NAMES},
        "concurrency": concurrency(own),
        "differs": differences(*flat),
    }


def _accuracy(counts: Counts, both: pd.DataFrame, reasons: dict[str, str]) -> Row:
    low, high = counts.interval()
    once = len(both) == both["problem"].nunique()
    single = once and bool((counts.items == 1).all())
    if not single:
        reasons["mcnemar_p"] = "several_items" if once else "several_trials"
    items = int(counts.items.sum())
    return {
        "items": items,
        "base_accuracy": float(counts.base.sum() / items),
        "head_accuracy": float(counts.head.sum() / items),
        "difference": counts.difference,
        "difference_low": low,
        "difference_high": high,
        "lost": counts.lost,
        "gained": counts.gained,
        "p_worse": counts.p_worse(),
        "p_two_sided": counts.p_two_sided(),
        "mcnemar_p": counts.p_two_sided() if single else None,
    }


# --- what it took -----------------------------------------------------------------------------------------------------------------------

_COLUMNS = {"output_tokens": "output", **{name: name for name in AMOUNTS if name != "output_tokens"}}


def _dollars(both: pd.DataFrame, wanted: str | None, reasons: dict[str, str]) -> tuple[pd.DataFrame, str | None]:
    """With `cost_usd_base` and `cost_usd_head` on one basis."""
    known = {b: bool(both[[f"{name}_base", f"{name}_head"]].notna().all(axis=None)) for b, name in DOLLARS.items()}
    basis = wanted or next((b for b, every in known.items() if every), None)
    if basis is None:
        reasons["cost_basis"] = "no_common_basis"
    columns = {f"cost_usd_{end}": both[f"{DOLLARS[basis]}_{end}"] if basis else math.nan for end in ("base", "head")}
    return both.assign(**columns), basis


def _amount(name: str, both: pd.DataFrame, own: Row, other: Row, reasons: dict[str, str]) -> Amounts | None:
    """Sums by problem of one thing, over the attempts that know it on both sides; None with the reason where it cannot be compared."""
    column = _COLUMNS[name]
    sides = [both[f"{column}_{end}"].astype(float) for end in ("base", "head")]
    known = sides[0].notna() & sides[1].notna()
    code = _why_not(name, both, known, own, other, reasons)
    if code is None and not sides[0][known].sum() > 0:
        code = "nothing_to_compare_with"
    if code is not None:
        reasons[name] = code
        return None
    doubt = _doubt(name, both[known])
    if doubt is not None:
        reasons[name] = doubt  # the ratio stands, with this said beside it
    grouped = [values[known].groupby(both["problem"][known], sort=True).sum().to_numpy() for values in sides]
    return Amounts(*grouped)


def _why_not(name: str, both: pd.DataFrame, known: pd.Series, own: Row, other: Row, reasons: Mapping[str, str]) -> str | None:
    if name in ON_EQUAL_HARDWARE and _hardware(own) != _hardware(other):
        return HARDWARE_DIFFERS
    if name == "energy_j" and len({*both["energy_source_base"][known], *both["energy_source_head"][known]}) > 1:
        return "energy_source_differs"
    if known.any():
        return None
    codes = [*both["energy_code_base"].dropna(), *both["energy_code_head"].dropna()]
    energy = max(sorted(set(codes)), key=codes.count) if codes else UNSETTLED
    dollars = reasons.get("cost_basis", NO_PRICE)
    return {"flop": UNKNOWN_FLOP, "latency_s": NOT_MEASURED, "energy_j": energy, "cost_usd": dollars}.get(name, NOT_MEASURED)


def _hardware(cell: Row) -> tuple[str, dict[str, str]]:
    """Everything that the cell ran on, its roles' hardware too."""
    return content_hash(cell["hardware_identity"]), {name: content_hash(role["hardware"]) for name, role in cell["roles"].items()}


def _doubt(name: str, known: pd.DataFrame) -> str | None:
    """Why the numbers that are known do not count as others do: the commonest code, of energy or of time."""
    column = {"energy_j": "energy_code", "latency_s": "latency_code"}.get(name)
    codes = [*known[f"{column}_base"].dropna(), *known[f"{column}_head"].dropna()] if column else []
    return max(sorted(set(codes)), key=codes.count) if codes else None


def _ratio(name: str, amounts: Amounts | None, both: pd.DataFrame) -> Row:
    fields = [f"{name}{end}" for end in ("_base", "_head", "_ratio", "_ratio_low", "_ratio_high")]
    if amounts is None:
        return dict.fromkeys(fields)
    column = _COLUMNS[name]
    known = both[[f"{column}_base", f"{column}_head"]].dropna()
    means = [float(known[c].astype(float).mean()) for c in known]
    return dict(zip(fields, [*means, amounts.ratio, *amounts.interval()], strict=True))
