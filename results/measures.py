"""Numbers of one cell, from its attempts: means per item, percentiles, intervals and X-of-pass. No ranking, no comparison."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results import intervals
from results.frames import OUTCOMES
from results.prices import NO_PRICE, REGION, PriceBook

if TYPE_CHECKING:
    import pandas as pd

COUNTS = {"prompt": "prompt_tokens", "cached": "cached_tokens", "output": "output_tokens"}
DOLLARS = {"hardware": "hardware_cost_usd", "token": "token_cost_usd", "energy": "energy_cost_usd"}
WORDS = ("energy_source", "energy_code", "latency_code", "judge")
VALUES = (
    *("problem_id", "failed", "items", *OUTCOMES, *COUNTS, "all_tokens", "serial_tokens", "flop", "latency_s", "ttft_s"),
    *("energy_j", "device_s", *DOLLARS.values()),
)
Columns = dict[str, Any]  # arrays by column, equally long; NaN is not known
UNSETTLED = "unsettled"
UNKNOWN_FLOP = "unknown_architecture"
NOT_MEASURED = "not_measured"


def charge(
    attempts: pd.DataFrame, ledger: pd.DataFrame, cells: pd.DataFrame, models: Mapping[int, str], book: PriceBook, region: str = REGION
) -> pd.DataFrame:
    """`attempts` with what each is charged: tokens, `flop`, `device_s` and the three dollar costs; NaN as soon as one part is unknown.

    models: name by id. The hardware of a role is its own where the cell gives it one.
    """
    table = ledger.assign(
        token_cost_usd=_token_cost(ledger, models, book),
        hardware_cost_usd=ledger["device_s"] * _hardware_rate(ledger, cells, book),
    )
    summed = ("prompt", "cached", "output", "scored", "calls", "flop", "token_cost_usd", "hardware_cost_usd")
    grouped = table.groupby("attempt")
    sums = grouped[list(summed)].sum(min_count=1)
    known = grouped[list(summed)].count().eq(grouped.size(), axis=0)
    charged = attempts.merge(sums.where(known), left_on="attempt", right_index=True, how="left")
    # An attempt that made no call, because its prompt did not fit, took nothing: that is known, and it is zero.
    idle = ~charged["attempt"].isin(ledger["attempt"]) & ~charged["failed"]
    charged.loc[idle, list(summed)] = 0.0
    rate = book.energy_price(region)
    charged["energy_cost_usd"] = math.nan if rate is None else charged["energy_j"].astype(float) * rate / 3.6e6
    return charged


def _token_cost(ledger: pd.DataFrame, models: Mapping[int, str], book: PriceBook) -> pd.Series:
    prices = {number: book.token_price(name) for number, name in models.items()}
    rates = {
        column: ledger["model_id"].map({n: getattr(p, column) for n, p in prices.items() if p}).astype(float)
        for column in ("input", "cached", "output")
    }
    fresh = ledger["prompt"] - ledger["cached"] + ledger["scored"]
    return (fresh * rates["input"] + ledger["cached"] * rates["cached"] + ledger["output"] * rates["output"]) / 1e6


def _hardware_rate(ledger: pd.DataFrame, cells: pd.DataFrame, book: PriceBook) -> pd.Series:
    """USD per device-second of each ledger row."""
    rates: dict[tuple[int, str], float] = {}
    places = zip(cells["id"], cells["roles"], cells["hardware_identity"], strict=True)
    own = {cell: (roles, hardware) for cell, roles, hardware in places}
    pairs = list(zip(ledger["cell_id"], ledger["role"], strict=True))
    for cell, role in set(pairs):
        roles, hardware = own[cell]
        price = book.hardware_price(roles.get(role, {}).get("hardware", hardware))
        rates[cell, role] = math.nan if price is None else price / 3600
    return ledger["cell_id"].astype(float).mul(0).add([rates[pair] for pair in pairs]) if pairs else ledger["cell_id"].astype(float)


# --- one cell ---------------------------------------------------------------------------------------------------------------------------


def by_cell(attempts: pd.DataFrame, cell_ids: Iterable[int]) -> dict[int, Columns]:
    """The charged attempts of each of these cells as arrays: on a cell's few hundred attempts, pandas takes a hundred times as long."""
    columns = {name: attempts[name].to_numpy(dtype=object) for name in WORDS}
    columns |= {name: attempts[name].to_numpy(dtype=float, na_value=math.nan) for name in VALUES}
    places = attempts.groupby("cell_id").indices
    return {n: _where(columns, places.get(n, [])) for n in cell_ids}


def measure(own: Columns) -> dict[str, Any]:
    """All numbers of one cell's charged attempts, with the reasons for those that are None. Costs are per item, over attempts without an
    infrastructure error: what an error took is no cost of an answer."""
    reasons: dict[str, str] = {}
    ran = _where(own, own["failed"] == 0)
    row: dict[str, Any] = {
        "problems": len(problems(own)),
        "attempts": len(own["failed"]),
        "items": int(own["items"].sum()),
        "outcomes": {name: int(count) for name in OUTCOMES if (count := own[name].sum())},
        "judge": ",".join(sorted(_words(own["judge"]))) or None,
    }
    row |= _accuracy(own, reasons)
    row |= _means(ran, reasons)
    row |= _energy(ran, reasons)
    row |= _times(ran, reasons)
    return row | {"reasons": reasons}


def problems(own: Columns) -> frozenset[int]:
    """The ids of the problems that were attempted."""
    return frozenset(own["problem_id"].astype(int).tolist())


def _where(columns: Columns, mask: Any) -> Columns:
    import numpy as np

    mask = np.asarray(mask, dtype=np.intp) if isinstance(mask, list) else mask
    return {name: values[mask] for name, values in columns.items()}


def _accuracy(own: Columns, reasons: dict[str, str]) -> dict[str, Any]:
    counted = own["items"] - own["error"]
    if not counted.sum():
        code = "no_attempts" if not len(counted) else "all_errors"
        reasons.update(dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), code))
        return {"accuracy": None, "accuracy_low": None, "accuracy_high": None}
    by_problem: dict[int, list[tuple[int, int]]] = {}
    for problem, correct, items in zip(*(c.astype(int).tolist() for c in (own["problem_id"], own["correct"], counted)), strict=True):
        by_problem.setdefault(problem, []).append((correct, items))
    low, high = intervals.accuracy(list(by_problem.values()))
    return {"accuracy": float(own["correct"].sum() / counted.sum()), "accuracy_low": low, "accuracy_high": high}


def _per_item(ran: Columns, column: str) -> float | None:
    """Σ column / Σ items over the attempts whose value is known; None when none is."""
    known = ran[column] == ran[column]
    items = ran["items"][known].sum()
    return float(ran[column][known].sum() / items) if items else None


def _means(ran: Columns, reasons: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: _per_item(ran, column) for column, name in COUNTS.items()}
    row["serial_tokens"] = _per_item(ran, "serial_tokens")
    empty = not len(ran["flop"])
    complete = not empty and bool((ran["flop"] == ran["flop"]).all())
    row["flop"] = _per_item(ran, "flop") if complete else None
    for name in (*COUNTS.values(), "serial_tokens"):
        if row[name] is None:
            reasons[name] = "no_attempts"
    if row["flop"] is None:
        reasons["flop"] = "no_attempts" if empty else UNKNOWN_FLOP
    return row


def _energy(ran: Columns, reasons: dict[str, str]) -> dict[str, Any]:
    is_known = ran["energy_j"] == ran["energy_j"]
    known, lost = _where(ran, is_known), _where(ran, ~is_known)
    empty = not len(is_known)
    why_lost = _words(lost["energy_code"], UNSETTLED)
    # What a resumed live cell did outside its longest window is left out by rule; it casts no doubt on that window.
    doubts = Counter({code: n for code, n in why_lost.items() if code != "resumed"}) + _words(known["energy_code"])
    row: dict[str, Any] = {"energy_j": _per_item(known, "energy_j")}
    sources = set(_words(known["energy_source"]))
    row["energy_source"] = "none" if not sources else next(iter(sources)) if len(sources) == 1 else "mixed"
    if row["energy_j"] is None:
        reasons["energy_j"] = "no_attempts" if empty else _commonest(why_lost)
    row["energy_valid"] = row["energy_j"] is not None and not doubts
    if not row["energy_valid"]:
        reasons["energy_valid"] = _commonest(doubts) if doubts else reasons.get("energy_j", UNSETTLED)
    for basis, name in DOLLARS.items():
        row[name] = _per_item(ran, name)
        if row[name] is None:
            reasons[name] = _why_no_dollars(ran, basis, reasons)
    return row


def _why_no_dollars(ran: Columns, basis: str, reasons: Mapping[str, str]) -> str:
    if not len(ran["items"]):
        return "no_attempts"
    if basis == "token":
        return NO_PRICE
    measured = ran["device_s"] if basis == "hardware" else ran["energy_j"]
    known = bool((measured == measured).any())
    return NO_PRICE if known else reasons.get("energy_j", _commonest(_words(ran["energy_code"], UNSETTLED)))


def _times(ran: Columns, reasons: dict[str, str]) -> dict[str, Any]:
    import numpy as np

    latency, first = (ran[name][ran[name] == ran[name]] for name in ("latency_s", "ttft_s"))
    row: dict[str, Any] = {
        "latency_p50_s": float(np.quantile(latency, 0.5)) if len(latency) else None,
        "latency_p90_s": float(np.quantile(latency, 0.9)) if len(latency) else None,
        "ttft_p50_s": float(np.quantile(first, 0.5)) if len(first) else None,
    }
    codes = _words(ran["latency_code"])
    code = _commonest(codes) if codes else None
    for name, value in row.items():
        if value is None:
            reasons[name] = "no_attempts" if not len(ran["items"]) else code if code and code != "shared_load" else NOT_MEASURED
        elif code:
            reasons[name] = code  # the number stands, but not beside one taken alone on the device
    return row


def _words(values: Any, missing: str | None = None) -> Counter[str]:
    """How often a column holds which text; what is missing counts as `missing`, or not at all."""
    counts: Counter[str] = Counter()
    for value, count in Counter(values.tolist()).items():
        text = value if isinstance(value, str) else missing
        if text is not None:
            counts[text] += count
    return counts


def _commonest(counts: Mapping[str, int]) -> str:
    return max(sorted(counts), key=lambda code: counts[code]) if counts else UNSETTLED


# --- X-of-pass --------------------------------------------------------------------------------------------------------------------------


def of_pass(own: Columns, columns: Sequence[str], human: float | None = None) -> dict[str, float | None]:
    """For each column: mean over problems of (mean per item / success rate per item), infinite when a problem is unsolved; None when not
    known. With `human` (USD per problem) each problem costs at most that. `unsolved_share`: problems without a correct item.
    """
    import numpy as np

    ran = _where(own, (own["failed"] == 0) & (own["items"] > own["error"]))
    if not len(ran["items"]):
        return dict.fromkeys((*columns, "unsolved_share"))
    _, at = np.unique(ran["problem_id"], return_inverse=True)
    correct, items = (np.bincount(at, weights=ran[name]) for name in ("correct", "items"))
    rate = correct / (items - np.bincount(at, weights=ran["error"]))
    solved = rate > 0
    found: dict[str, float | None] = {"unsolved_share": float(1 - solved.mean())}
    for column in columns:
        known = ran[column] == ran[column]
        if not known.any():
            found[column] = None
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = np.bincount(at[known], weights=ran[column][known] / ran["items"][known], minlength=len(rate))
            means = sums / np.bincount(at[known], minlength=len(rate))
            values = np.where(solved, means / rate, math.inf)
        values = values[~np.isnan(values)]  # a problem whose attempts all lost their window leaves the mean, as they leave the cell's
        found[column] = float(np.minimum(values, math.inf if human is None else human).mean())
    return found


def per_correct(own: Columns, column: str) -> float | None:
    """Σ column / Σ correct items; infinite without any; None when not known. Not X-of-pass: the two can rank in opposite orders."""
    known = (own["failed"] == 0) & (own[column] == own[column])
    if not known.any():
        return None
    correct = own["correct"][known].sum()
    return float(own[column][known].sum() / correct) if correct else math.inf
