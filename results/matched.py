"""Strategies against self-consistency at equal cost: what votes of the same model's samples would have reached for the same tokens, FLOPs
or joules.

At equal numbers of samples a search looks better than it is (it makes more than n rollouts) and an adaptive method worse (it makes
fewer), so costs are matched, not samples. The vote's accuracy between two k is a straight line: a mix of both costs what lies between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results import curves_values, frames
from results.curves import Curve
from results.database import Db

AXES = {"output_tokens": "equal output tokens", "flop": "equal FLOPs", "energy_j": "equal joules"}
ITSELF = frozenset({"cot", "self_consistency"})
BEYOND, BELOW, NO_CURVE, FEW = "beyond_the_pool", "below_one_sample", "no_curve", "fewer_problems"
PLACE = ("series", "task", "model", "engine", "hardware")
Row = dict[str, Any]


def rows(db: Db, curves: Sequence[Curve], reported: Sequence[Row], budgets: Sequence[str] = tuple(AXES)) -> list[Row]:
    """One row per reported cell that is neither cot nor self-consistency and has a computed curve beside it: labels, accuracy, and per
    budget of AXES `{budget}_k` (samples that cost as much), `{budget}_vote` (their accuracy), `{budget}_difference` with `{budget}_low` and
    `_high` (95 %, paired over problems). What is None has a code in `reasons`.
    """
    known: dict[tuple[Any, ...], Curve] = {}
    for drawn in curves:
        if drawn.result is not None and str(drawn.cell["strategy"]).partition("(")[0] in ITSELF:
            known[tuple(drawn.cell[name] for name in PLACE)] = drawn
    found = []
    cells = frames.cells(db)
    ids = {(name, series): int(number) for name, series, number in zip(cells["cell"], cells["series"], cells["id"], strict=True)}
    for row in reported:
        curve = known.get(tuple(row[name] for name in PLACE))
        if curve is None or row["strategy"].partition("(")[0] in ITSELF or row["mode"] != "pooled" or row["accuracy"] is None:
            continue
        own = _accuracies(db, ids[row["cell"], row["series"]])
        found.append(_row(row, curve.result or {}, own, budgets))
    return found


def _accuracies(db: Db, cell_id: int) -> dict[int, float]:
    """By problem: mean accuracy per item over its attempts, infrastructure errors left out."""
    attempts = frames.attempts(db, cell_ids=[cell_id])
    ran = attempts[~attempts["failed"] & (attempts["items"] > attempts["error"])]
    sums = ran.groupby("problem_id")[["correct", "items", "error"]].sum()
    return {int(p): float(c / (i - e)) for p, c, i, e in sums.itertuples()}


def _row(row: Row, result: Mapping[str, Any], own: Mapping[int, float], budgets: Sequence[str]) -> Row:
    made: Row = {name: row[name] for name in ("cell", *PLACE, "strategy", "accuracy", "accuracy_low", "accuracy_high", *AXES)}
    made["reasons"] = {}
    votes: Mapping[str, list[float]] = result["votes"]
    shared = sorted(set(own) & set(map(int, votes)))
    for budget in budgets:
        k = _samples(row[budget], result["charged"].get(budget))
        made |= dict.fromkeys(f"{budget}_{name}" for name in ("vote", "difference", "low", "high")) | {f"{budget}_k": k}
        code = NO_CURVE if k is None else BELOW if k < 0.995 else BEYOND if k > result["depth"] + 0.005 else FEW if len(shared) < 2 else ""
        if code:
            made["reasons"][budget] = code
            continue
        made |= {f"{budget}_{name}": value for name, value in _against(own, votes, shared, float(k or 1), result["depth"]).items()}
    return made


def _samples(cost: float | None, charged: Sequence[float] | None) -> float | None:
    """How many samples of the pool cost as much, the first being charged otherwise than the others where prefixes are cached."""
    if cost is None or not charged:
        return None
    first, further = charged
    return cost / first if cost <= first else 1 + (cost - first) / further


def _against(own: Mapping[int, float], votes: Mapping[str, list[float]], shared: Sequence[int], k: float, depth: int) -> Row:
    import numpy as np

    low = min(max(int(k), 1), depth)
    high, part = min(low + 1, depth), min(max(k - low, 0.0), 1.0)
    vote = np.array([(1 - part) * votes[str(p)][low - 1] + part * votes[str(p)][high - 1] for p in shared])
    difference = np.array([own[p] for p in shared]) - vote
    drawn = curves_values.resampled(len(shared)) @ difference
    lower, upper = np.quantile(drawn, (0.025, 0.975))
    return {"vote": float(vote.mean()), "difference": float(difference.mean()), "low": float(lower), "high": float(upper)}


# --- in words ---------------------------------------------------------------------------------------------------------------------------


def lines(found: Sequence[Row]) -> list[dict[str, str]]:
    """A line per row: accuracy, and per budget the difference in points to a vote of equal cost, with how many samples that is."""
    from results.wording import MISSING

    differ = [name for name in PLACE if len({str(row[name]) for row in found}) > 1]
    made = []
    for row in found:
        line = {name: str(row[name]) for name in differ} | {"strategy": str(row["strategy"]), "accuracy %": f"{100 * row['accuracy']:.1f}"}
        for budget, words in AXES.items():
            if f"{budget}_k" in row:
                difference, code = row[f"{budget}_difference"], row["reasons"].get(budget, "")
                line[f"{words} (samples)"] = f"{_said(row, budget)}" if difference is not None else f"{MISSING} {_short(row, budget, code)}"
        made.append(line)
    return made


def notes(found: Sequence[Row]) -> list[str]:
    """What the columns say."""
    said = [
        "Points above (+) or below (−) a vote of samples of the same model that cost as much, 95 % interval over problems, paired; in "
        "brackets how many samples that is. ✓ and ✗: the interval is above or below zero."
    ]
    codes = {code for row in found for code in row["reasons"].values()}
    words = {
        BEYOND: "beyond the pool: it costs more than all stored samples of a problem together.",
        BELOW: "below one sample: it costs less than a single sample.",
        NO_CURVE: "this cost is not known for it or for the samples.",
        FEW: "it has fewer than two problems of the pool.",
    }
    return said + [f"– {words[code]}" for code in sorted(codes)]


def _said(row: Row, budget: str) -> str:
    difference, low, high = (100 * row[f"{budget}_{name}"] for name in ("difference", "low", "high"))
    mark = " ✓" if low > 0 else " ✗" if high < 0 else ""
    return f"{_points(difference)} ({_points(low)} to {_points(high)}){mark} [{row[f'{budget}_k']:.1f}]"


def _points(value: float) -> str:
    text = f"{value:+.1f}".replace("-", "−")
    return "0.0" if text in {"+0.0", "−0.0"} else text


def _short(row: Row, budget: str, code: str) -> str:
    k = row[f"{budget}_k"]
    return "" if k is None else f"[{k:.1f}]" if code in {BEYOND, BELOW} else ""
