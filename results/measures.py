"""Numbers of one cell, from its attempts: means per item, percentiles, intervals and X-of-pass. No ranking, no comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results import intervals
from results.frames import OUTCOMES
from results.prices import NO_PRICE, REGION, PriceBook

if TYPE_CHECKING:
    import pandas as pd

COUNTS = {"prompt": "prompt_tokens", "cached": "cached_tokens", "output": "output_tokens"}
DOLLARS = {"hardware": "hardware_cost_usd", "token": "token_cost_usd", "energy": "energy_cost_usd"}
UNSETTLED = "unsettled"
UNKNOWN_FLOP = "unknown_architecture"
NOT_MEASURED = "not_measured"


def charge(attempts: pd.DataFrame, ledger: pd.DataFrame, cells: pd.DataFrame, models: Mapping[int, str], book: PriceBook) -> pd.DataFrame:
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
    rate = book.energy_price(REGION)
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


def measure(attempts: pd.DataFrame) -> dict[str, Any]:
    """All numbers of one cell's charged attempts, with the reasons for those that are None. Costs are per item, over attempts without an
    infrastructure error: what an error took is no cost of an answer."""
    reasons: dict[str, str] = {}
    ran = attempts[~attempts["failed"]]
    row: dict[str, Any] = {
        "problems": int(attempts["problem_id"].nunique()),
        "attempts": len(attempts),
        "items": int(attempts["items"].sum()),
        "outcomes": {name: int(count) for name in OUTCOMES if (count := attempts[name].sum())},
    }
    row |= _accuracy(attempts, reasons)
    row |= _means(ran, reasons)
    row |= _energy(ran, reasons)
    row |= _times(ran, reasons)
    return row | {"reasons": reasons}


def _accuracy(attempts: pd.DataFrame, reasons: dict[str, str]) -> dict[str, Any]:
    counted = attempts["items"] - attempts["error"]
    if not counted.sum():
        code = "no_attempts" if attempts.empty else "all_errors"
        reasons.update(dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), code))
        return {"accuracy": None, "accuracy_low": None, "accuracy_high": None}
    problems: dict[int, list[tuple[int, int]]] = {}
    for problem, correct, items in zip(attempts["problem_id"], attempts["correct"], counted, strict=True):
        problems.setdefault(problem, []).append((int(correct), int(items)))
    low, high = intervals.accuracy(list(problems.values()))
    return {"accuracy": float(attempts["correct"].sum() / counted.sum()), "accuracy_low": low, "accuracy_high": high}


def per_item(attempts: pd.DataFrame, column: str) -> float | None:
    """Σ column / Σ items over the attempts whose value is known; None when none is."""
    known = attempts[attempts[column].notna()]
    items = known["items"].sum()
    return float(known[column].sum() / items) if items else None


def _means(ran: pd.DataFrame, reasons: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {name: per_item(ran, column) for column, name in COUNTS.items()}
    row["serial_tokens"] = per_item(ran, "serial_tokens")
    complete = bool(ran["flop"].notna().all()) and not ran.empty
    row["flop"] = per_item(ran, "flop") if complete else None
    for name in (*COUNTS.values(), "serial_tokens"):
        if row[name] is None:
            reasons[name] = "no_attempts"
    if row["flop"] is None:
        reasons["flop"] = "no_attempts" if ran.empty else UNKNOWN_FLOP
    return row


def _energy(ran: pd.DataFrame, reasons: dict[str, str]) -> dict[str, Any]:
    known = ran[ran["energy_j"].notna()]
    lost = ran[ran["energy_j"].isna()]
    # What a resumed live cell did outside its longest window is left out by rule; it casts no doubt on that window.
    doubts = [*lost.loc[lost["energy_code"] != "resumed", "energy_code"].fillna(UNSETTLED), *known["energy_code"].dropna()]
    row: dict[str, Any] = {"energy_j": per_item(known, "energy_j")}
    sources = set(known["energy_source"].dropna())
    row["energy_source"] = "none" if known.empty or not sources else next(iter(sources)) if len(sources) == 1 else "mixed"
    if row["energy_j"] is None:
        reasons["energy_j"] = "no_attempts" if ran.empty else _commonest(lost["energy_code"].fillna(UNSETTLED))
    row["energy_valid"] = row["energy_j"] is not None and not doubts
    if not row["energy_valid"]:
        reasons["energy_valid"] = _commonest(doubts) if doubts else reasons.get("energy_j", UNSETTLED)
    for basis, name in DOLLARS.items():
        row[name] = per_item(ran, name)
        if row[name] is None:
            reasons[name] = _why_no_dollars(ran, basis, reasons)
    return row


def _why_no_dollars(ran: pd.DataFrame, basis: str, reasons: Mapping[str, str]) -> str:
    if ran.empty:
        return "no_attempts"
    if basis == "token":
        return NO_PRICE
    measured = ran["device_s"] if basis == "hardware" else ran["energy_j"]
    return NO_PRICE if measured.notna().any() else reasons.get("energy_j", _commonest(ran["energy_code"].fillna(UNSETTLED)))


def _times(ran: pd.DataFrame, reasons: dict[str, str]) -> dict[str, Any]:
    latency, first = ran["latency_s"].dropna(), ran["ttft_s"].dropna()
    row: dict[str, Any] = {
        "latency_p50_s": float(latency.quantile(0.5)) if len(latency) else None,
        "latency_p90_s": float(latency.quantile(0.9)) if len(latency) else None,
        "ttft_p50_s": float(first.quantile(0.5)) if len(first) else None,
    }
    codes = ran["latency_code"].dropna()
    code = _commonest(codes) if len(codes) else None
    for name, value in row.items():
        if value is None:
            reasons[name] = "no_attempts" if ran.empty else code if code and code != "shared_load" else NOT_MEASURED
        elif code:
            reasons[name] = code  # the number stands, but not beside one taken alone on the device
    return row


def _commonest(codes: Any) -> str:
    counts: dict[str, int] = {}
    for code in codes:
        counts[code] = counts.get(code, 0) + 1
    return max(sorted(counts), key=lambda code: counts[code]) if counts else UNSETTLED


# --- X-of-pass --------------------------------------------------------------------------------------------------------------------------


def of_pass(attempts: pd.DataFrame, columns: Sequence[str], human: float | None = None) -> dict[str, float | None]:
    """For each column: mean over problems of (mean per item / success rate per item), infinite when a problem is unsolved; None when not
    known. With `human` (USD per problem) each problem costs at most that. `unsolved_share`: problems without a correct item.
    """
    import numpy as np

    ran = attempts[~attempts["failed"] & (attempts["items"] > attempts["error"])]
    if ran.empty:
        return dict.fromkeys((*columns, "unsolved_share"))
    per = ran[[*columns]].astype(float).div(ran["items"], axis=0)
    means = per.groupby(ran["problem_id"]).mean()
    sums = ran.groupby("problem_id")[["correct", "items", "error"]].sum()
    rate = sums["correct"] / (sums["items"] - sums["error"])
    solved = (rate > 0).to_numpy()
    found: dict[str, float | None] = {"unsolved_share": float(1 - solved.mean())}
    for column in columns:
        if not means[column].notna().any():
            found[column] = None
            continue
        values = np.where(solved, means[column] / rate.where(rate > 0), math.inf)
        values = values[~np.isnan(values)]  # a problem whose attempts all lost their window leaves the mean, as they leave the cell's
        found[column] = float(np.minimum(values, math.inf if human is None else human).mean())
    return found


def per_correct(attempts: pd.DataFrame, column: str) -> float | None:
    """Σ column / Σ correct items; infinite without any; None when not known. Not X-of-pass: the two can rank in opposite orders."""
    known = attempts[~attempts["failed"] & attempts[column].notna()]
    if known.empty:
        return None
    correct = known["correct"].sum()
    return float(known[column].sum() / correct) if correct else math.inf
