"""The gate: which of the compared cells are so much worse that somebody should look. Rules only; see `results.compare` for the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from results.compare import AMOUNTS, Comparison, Pair
from results.paired import holm

LEVEL = 0.05
METRICS = ("accuracy", *AMOUNTS)
SLACK = 1e-9  # a fall of exactly the margin is allowed, whatever the last binary digit says


@dataclass(frozen=True)
class Gate:
    """`level`: the chance that an unchanged head alarms at all. `margins`: what each metric may get worse by, accuracy in points, all others
    as a relative rise (0.1: 10 %). Accuracy is always judged, another metric when it has a margin."""

    level: float = LEVEL
    margins: Mapping[str, float] = field(default_factory=dict)

    def margin(self, metric: str) -> float:
        return self.margins.get(metric, 0.0)

    @property
    def metrics(self) -> list[str]:
        """What is judged, in the order of METRICS."""
        return [m for m in METRICS if m == "accuracy" or m in self.margins]


@dataclass(frozen=True)
class Check:
    """One metric of one pair, judged.

    worse         by how much head is worse: points of accuracy lost, or the relative rise; negative when it is better
    bound         how much worse it may be at most, by the one-sided interval at the gate's level
    p, p_adjusted one-sided p of "head is worse", alone and by Holm over everything that the gate judges
    reason        the code for why it cannot be judged (all numbers are None), or a doubt about the numbers
    """

    pair: Pair
    metric: str
    margin: float
    worse: float | None
    bound: float | None
    p: float | None
    p_adjusted: float | None
    alarm: bool
    reason: str | None

    @property
    def non_inferior(self) -> bool | None:
        """Whether it is shown that head is not worse by more than the margin. No alarm is not the same: few problems show nothing."""
        return None if self.bound is None else self.bound <= self.margin + SLACK

    def row(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        names = ("metric", "margin", "worse", "bound", "p", "p_adjusted", "alarm", "non_inferior", "reason")
        return {name: getattr(self, name) for name in names}


def judge(comparison: Comparison, gate: Gate) -> list[Check]:
    """Every pair × metric, in that order.

    A cell alarms on a metric when head is worse by the one-sided paired test (p, Holm-adjusted, below the level) and by more than the
    margin. Holm's adjustment runs over all cells and all metrics judged, so that the whole gate keeps the level.
    """
    drafts = [(pair, metric, _measured(pair, metric, gate.level)) for pair in comparison.pairs for metric in gate.metrics]
    adjusted = iter(holm([found[2] for _, _, found in drafts if found is not None]))
    return [_check(pair, metric, gate, found, None if found is None else next(adjusted)) for pair, metric, found in drafts]


def alarms(checks: Sequence[Check]) -> list[Check]:
    return [check for check in checks if check.alarm]


def _measured(pair: Pair, metric: str, level: float) -> tuple[float, float, float] | None:
    """(worse, its one-sided upper bound, p), or None where it is not known."""
    if metric == "accuracy":
        return -100 * pair.counts.difference, -100 * pair.counts.interval(level)[0], pair.counts.p_worse()
    amounts = pair.amounts.get(metric)
    return None if amounts is None else (amounts.ratio - 1, amounts.interval(level)[1] - 1, amounts.p_worse())


def _check(pair: Pair, metric: str, gate: Gate, found: tuple[float, float, float] | None, adjusted: float | None) -> Check:
    margin, reason = gate.margin(metric), pair.row["reasons"].get(metric)
    if found is None or adjusted is None:
        return Check(pair, metric, margin, None, None, None, None, False, reason)
    worse, bound, p = found
    return Check(pair, metric, margin, worse, bound, p, adjusted, adjusted < gate.level and worse > margin + SLACK, reason)
