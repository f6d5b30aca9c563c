"""The gate: which of the compared cells are so much worse that somebody should look. Rules only; see `results.compare` for the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from results.compare import AMOUNTS, Comparison, Pair
from results.paired import holm

LEVEL = 0.05
SHARED_LOAD = "shared_load"
Numbers = tuple[float | None, float | None, float | None]
METRICS = ("accuracy", *AMOUNTS)
SLACK = 1e-9  # a fall of exactly the margin is allowed, whatever the last binary digit says


@dataclass(frozen=True)
class Gate:
    """`level`: the chance that an unchanged head alarms at all. `margins`: what each metric may get worse by, accuracy in points, others as
    a relative rise (0.1: 10 %). Accuracy is always judged, another metric when it has a margin, 0 included."""

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

    worse          by how much head is worse: points of accuracy lost, or the relative rise; negative when it is better
    p, p_adjusted  one-sided p of "head is worse", alone and by Holm over everything that the gate judges
    reason         the code for why it is not judged (all numbers are None), or a doubt about the numbers
    """

    pair: Pair
    metric: str
    margin: float
    level: float
    worse: float | None
    p: float | None
    p_adjusted: float | None
    reason: str | None

    @property
    def alarm(self) -> bool:
        """Head is worse by the test, and by more than the margin."""
        if self.worse is None or self.p_adjusted is None:
            return False
        return self.p_adjusted < self.level and self.worse > self.margin + SLACK

    @cached_property
    def bound(self) -> float | None:
        """How much worse head may be at most: the upper end of a one-sided interval at confidence 1 − level."""
        if self.worse is None:
            return None
        if self.metric == "accuracy":
            return -100 * self.pair.counts.interval(self.level)[0]
        return self.pair.amounts[self.metric].interval(self.level)[1] - 1

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
    drafts = [(pair, metric, _measured(pair, metric)) for pair in comparison.pairs for metric in gate.metrics]
    adjusted = iter(holm([found[1] for _, _, found in drafts if found is not None]))
    made = []
    for pair, metric, found in drafts:
        numbers: Numbers = (None, None, None) if found is None else (*found, next(adjusted))
        made.append(Check(pair, metric, gate.margin(metric), gate.level, *numbers, pair.row["reasons"].get(metric)))
    return made


def alarms(checks: Sequence[Check]) -> list[Check]:
    """Those that alarm."""
    return [check for check in checks if check.alarm]


def _measured(pair: Pair, metric: str) -> tuple[float, float] | None:
    """(worse, p), or None where it is not known, or where it says nothing about head: times under shared load."""
    if metric == "accuracy":
        return 0.0 - 100 * pair.counts.difference, pair.counts.p_worse()
    amounts = pair.amounts.get(metric)
    return None if amounts is None or pair.row["reasons"].get(metric) == SHARED_LOAD else (amounts.ratio - 1, amounts.p_worse())
