"""Answering only where it pays: points at a confidence target, risk against coverage, calibration. Of cells of the task `abstention`.

Sources: points, Kalai et al. 2025 (arXiv:2509.04664); risk and coverage, El-Yaniv & Wiener 2010 and Geifman & El-Yaniv 2017
(arXiv:1705.08500); calibration error, Naeini et al. 2015 and Guo et al. 2017 (arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import tasks
from results import confidence, intervals, report
from results.database import Db, as_engine
from results.frames import OUTCOMES
from results.matching import concurrency
from tasks.abstention import penalty, points
from tasks.types import Task

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

KIND = "abstention"
BINS = 10
NAMES = ("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode", "concurrency")
OF_CONFIDENCE = ("ece", "curve", "coverage_at_target", "points_above_target")
FIELDS = (
    *(*NAMES, "base", "target", "problems", "attempts", "items", "outcomes", "coverage", "risk", "points", "points_low", "points_high"),
    *("confidence", *OF_CONFIDENCE, "reasons"),
)
ALL_ALIKE = "all_alike"


def risk_coverage(confidences: Sequence[float], right: Sequence[bool], items: int) -> list[tuple[float, float, float]]:
    """(coverage, risk, least confidence) for every threshold, from the most confident answers on: coverage is the share of all `items`,
    answered or not, whose confidence is at least that; risk the share of these that is wrong. Equal confidences come in together."""
    found: list[tuple[float, float, float]] = []
    covered = wrong = 0
    pairs = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
    for n, (level, correct) in enumerate(pairs):
        covered, wrong = covered + 1, wrong + (not correct)
        if n + 1 == len(pairs) or pairs[n + 1][0] < level:
            found.append((covered / items, wrong / covered, level))
    return found


def calibration_error(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """Expected calibration error: over `bins` of equal width, the mean of |share that is right − mean confidence|, weighed by answers.

    Confidences are in [0, 1]; raises ValueError without any. 1 belongs to the last bin.
    """
    if not confidences:
        raise ValueError("no answers")
    gaps = [0.0] * bins
    for level, correct in zip(confidences, right, strict=True):
        gaps[min(int(level * bins), bins - 1)] += correct - level
    return sum(map(abs, gaps)) / len(confidences)


def rows(
    db: Db,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    cells: pd.DataFrame | None = None,
    load: Callable[[Any], Task] = tasks.load,
) -> list[Row]:
    """One row per abstention cell among what the report shows (`results.report.select`; or among `cells`), with FIELDS.

    coverage      share of the items that are answered: correct or wrong; risk: share of these that is wrong
    points        mean per item, with its 95 % interval: 1, 0 or −t/(1 − t); what is cut off or unreadable has 0, as "I don't know" has
    confidence    agreement | probability, see `results.confidence`; from it `ece`, the `curve` of risk and coverage (`risk_coverage`),
                  coverage_at_target: the largest coverage on it with a risk of at most 1 − t,
                  points_above_target: mean points had it answered only where its confidence exceeds t
    Infrastructure errors are left out. What is None has a code in `reasons`. `load` reads samples' answers: `tasks.load`.
    """
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        chosen = chosen[[identity["name"] == KIND for identity in chosen["task_identity"]]]
        if chosen.empty:
            return []
        attempts = report.asked(engine, chosen, experiment)
        return [_row(engine, cell, attempts[attempts["cell_id"] == cell["id"]], load) for cell in chosen.to_dict("records")]
    finally:
        if engine is not db:
            engine.dispose()


def _row(db: Any, cell: Any, attempts: pd.DataFrame, load: Callable[[Any], Task]) -> Row:
    spec = cell["task_identity"]["spec"]
    target = spec["target"]
    ran = attempts[(attempts["items"] > 0) & ~attempts["failed"] & (attempts["error"] == 0)]
    counts = {name: int(ran[name].sum()) for name in OUTCOMES}
    items, answered = int(ran["items"].sum()), counts["correct"] + counts["wrong"]
    row: Row = dict.fromkeys(FIELDS) | {name: cell[name] for name in NAMES} | {"concurrency": concurrency(cell)}
    row |= {"base": spec["base"], "target": target, "problems": int(ran["problem_id"].nunique()), "attempts": len(ran), "items": items}
    row |= {"outcomes": {name: count for name, count in counts.items() if count}, "reasons": {}}
    if not items:
        code = "no_attempts" if attempts.empty else "all_errors"
        return row | {"reasons": dict.fromkeys(("coverage", "risk", "points", "points_low", "points_high", *OF_CONFIDENCE), code)}
    row["coverage"] = answered / items
    row |= _points(ran, target, row["reasons"])
    if not answered:
        row["reasons"] |= dict.fromkeys(("risk", "confidence", *OF_CONFIDENCE), "nothing_answered")
        return row
    row["risk"] = counts["wrong"] / answered
    return row | _of_confidence(confidence.of_cell(db, int(cell["id"]), spec, load), ran, target, items, row["reasons"])


def _points(ran: pd.DataFrame, target: float, reasons: dict[str, str]) -> Row:
    """Mean points and their interval, by the bootstrap of accuracies; none where all attempts abstained, since nothing varies then."""
    own = ran[list(OUTCOMES)].mul([points(name, target) for name in OUTCOMES]).sum(axis=1)
    span = 1 + penalty(target)
    by_problem: dict[int, list[tuple[Any, int]]] = {}
    for problem, value in zip(ran["problem_id"], own, strict=True):
        by_problem.setdefault(problem, []).append(((float(value) + penalty(target)) / span, 1))  # 0 for wrong, 1 for correct
    low, high = intervals.accuracy(list(by_problem.values()))
    if low == high:
        reasons |= dict.fromkeys(("points_low", "points_high"), ALL_ALIKE)
        return {"points": float(own.mean())}
    return {"points": float(own.mean()), "points_low": low * span - penalty(target), "points_high": high * span - penalty(target)}


def _of_confidence(found: confidence.Confidences, ran: pd.DataFrame, target: float, items: int, reasons: dict[str, str]) -> Row:
    if found.kind is None:
        reasons |= dict.fromkeys(("confidence", *OF_CONFIDENCE), found.reason or confidence.NO_CONFIDENCE)
        return {}
    answered = ran[ran["correct"] + ran["wrong"] > 0]
    levels = [found.by_attempt[n] for n in answered["attempt"]]
    right = [bool(n) for n in answered["correct"]]
    curve = risk_coverage(levels, right, items)
    above = sum(points("correct" if ok else "wrong", target) for level, ok in zip(levels, right, strict=True) if level > target)
    return {
        "confidence": found.kind,
        "ece": calibration_error(levels, right),
        "curve": curve,
        "coverage_at_target": max((coverage for coverage, risk, _ in curve if risk <= 1 - target + 1e-12), default=0.0),
        "points_above_target": above / items,
    }
