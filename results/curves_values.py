"""Accuracy against k with intervals, from judged pools: what every estimator says of each problem, and of the task.

The unit of resampling is the problem: what a problem's pool says for one k and another, or by one rule and another, moves together, so one
set of draws serves all curves, and they can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from results import estimators, intervals, votes

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

TAUS = {"g_pass_50": 0.5, "g_pass_75": 0.75}
NAMES = {
    "pass": "pass@k",
    "self_consistency": "self-consistency",
    "best_logprob": "best-of-k, log-probability",
    "weighted_logprob": "weighted vote, probability",
    "best_confidence": "best-of-k, confidence",
    "weighted_confidence": "weighted vote, confidence",
    "g_pass_50": "G-Pass@k, τ = 0.5",
    "g_pass_75": "G-Pass@k, τ = 0.75",
    "mg_pass": "mG-Pass@k",
    "all_pass": "pass^k",
}
"""The estimators by name, as they are written. All but self-consistency, best-of-k and votes need a verifier that knows the answer."""

NO_ANSWERS, NOT_OBSERVED = "no_answers", "observation_missing"
DRAWS = 2_000  # resampled sets of problems
ORDERS = 200_000  # random orders of pools, all problems of a curve together, for what has no closed form
FEWEST_ORDERS, MOST_ORDERS = 200, 4_000  # of one pool
FIT_POINTS, FEWEST_POINTS = 40, 4  # as many as the paper takes; two parameters go through two
FIT_DRAWS = 400


@dataclass(frozen=True)
class Pool:
    """The samples of one problem; the lists of `right` and `classes` stand per item. `logprob` and `confidence`: NaN where not observed."""

    right: Sequence[Sequence[bool]]
    classes: Sequence[Sequence[int | None]]
    logprob: Sequence[float]
    confidence: Sequence[float]

    @property
    def size(self) -> int:
        return len(self.logprob)


def depth(sizes: Sequence[int]) -> int:
    """How many samples a curve goes to: as many as make problems × samples the most, where some problems have more than others."""
    return max(set(sizes), key=lambda d: (d * sum(size >= d for size in sizes), d), default=0)


@dataclass
class Values:
    """By estimator: problems × k, means over items; and the standard error of the task's mean where it was sampled. `reasons`: code by
    estimator that is not known."""

    by_problem: dict[str, Numbers]
    errors: dict[str, Numbers]
    reasons: dict[str, str]


def values(pools: Sequence[Pool], k: int, lost: int = 0, seed: int = 0) -> Values:
    """What each estimator says for 1…k, all pools having at least k samples; `lost` more problems are wrong whatever one does."""
    import numpy as np

    found = Values({}, {}, {})
    units = [(at, item) for at, pool in enumerate(pools) for item in range(len(pool.right))]
    per_problem = np.bincount([at for at, _ in units], minlength=len(pools)) if units else np.zeros(0)

    def add(name: str, curves: Numbers) -> None:
        sums = np.zeros((len(pools), k))
        np.add.at(sums, [at for at, _ in units], curves)
        means = np.clip(sums / per_problem[:, None], 0.0, 1.0)  # 1 + 1e-16 would be another tick on an axis
        found.by_problem[name] = np.vstack([means, np.zeros((lost, k))])

    _verified(pools, units, k, add)
    if any(any(own) for pool in pools for own in pool.right) and not any(c is not None for p in pools for own in p.classes for c in own):
        found.reasons |= dict.fromkeys((name for name in NAMES if name == "self_consistency" or name.startswith("weighted")), NO_ANSWERS)
    else:
        add("self_consistency", _plurality(pools, units, k))
    for observed in ("logprob", "confidence"):
        _scored(pools, units, k, observed, add, found, seed)
    for name, error in found.errors.items():
        found.errors[name] = error * len(pools) / (len(pools) + lost)
    found.by_problem = {name: found.by_problem[name] for name in NAMES if name in found.by_problem}
    return found


def _by_size(pools: Sequence[Pool], units: Sequence[tuple[int, int]]) -> dict[int, list[int]]:
    sizes: dict[int, list[int]] = {}
    for place, (at, _) in enumerate(units):
        sizes.setdefault(pools[at].size, []).append(place)
    return sizes


def _verified(pools: Sequence[Pool], units: Sequence[tuple[int, int]], k: int, add: Any) -> None:
    """What depends on the number of correct samples alone."""
    import numpy as np

    rules: dict[str, Any] = {"pass": estimators.pass_curve, "all_pass": estimators.all_pass_curve, "mg_pass": estimators.mg_pass_curve}
    rules |= {name: partial(estimators.g_pass_curve, tau=tau) for name, tau in TAUS.items()}
    for name, rule in rules.items():
        curves = np.empty((len(units), k))
        for size, places in _by_size(pools, units).items():
            curves[places] = rule(size, [sum(pools[at].right[item]) for at, item in (units[p] for p in places)])[:, :k]
        add(name, curves)


def _plurality(pools: Sequence[Pool], units: Sequence[tuple[int, int]], k: int) -> Numbers:
    import numpy as np

    curves = np.empty((len(units), k))
    for size, places in _by_size(pools, units).items():
        profiles = [votes.profile(pools[at].classes[item], pools[at].right[item]) for at, item in (units[p] for p in places)]
        curves[places] = votes.maj_curves(size, profiles)[:, :k]
    return curves


def _scored(pools: Sequence[Pool], units: Sequence[tuple[int, int]], k: int, observed: str, add: Any, found: Values, seed: int) -> None:
    """Best-of-k by what was observed of each sample, and the vote that it weighs: as the strategies best_of_n and weighted_vote do, and
    deepconf_offline with the mean of all tokens and nothing left out."""
    import numpy as np

    scores = [np.asarray(getattr(pool, observed), dtype=float) for pool in pools]
    best, weighted = f"best_{observed}", f"weighted_{observed}"
    if not pools or any(np.isnan(own).any() for own in scores):
        found.reasons[best] = NOT_OBSERVED
        found.reasons.setdefault(weighted, NOT_OBSERVED)
        return
    add(best, np.array([estimators.best_curve(scores[at].tolist(), pools[at].right[item])[:k] for at, item in units]))
    if weighted in found.reasons:
        return
    weights = [np.exp(np.exp(own) - 1) for own in scores] if observed == "logprob" else scores
    draws = min(MOST_ORDERS, max(FEWEST_ORDERS, ORDERS // len(units)))
    both = [
        votes.weighted_curve(pools[at].classes[item], pools[at].right[item], weights[at].tolist(), draws, seed + place)
        for place, (at, item) in enumerate(units)
    ]
    add(weighted, np.array([curve[:k] for curve, _ in both]))
    error = np.sqrt(np.sum([error[:k] ** 2 for _, error in both], axis=0)) / len(units)
    if error.any():
        found.errors[weighted] = error


# --- over problems ------------------------------------------------------------------------------------------------------------------------


def resampled(problems: int, draws: int = DRAWS, seed: int = 0) -> Numbers:
    """How often each of `draws` resampled sets takes each problem, as shares of the set: draws × problems."""
    import numpy as np

    return np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=draws) / problems


def band(by_problem: Numbers, shares: Numbers) -> tuple[list[float], list[float]]:
    """95 % interval of the mean over problems at every k; Wilson's where all problems are alike, all right or all wrong."""
    import numpy as np

    low, high = np.clip(np.quantile(shares @ by_problem, [0.025, 0.975], axis=0), 0.0, 1.0)
    n = len(by_problem)
    for column, first in enumerate(by_problem[0]):
        if first in (0.0, 1.0) and (by_problem[:, column] == first).all():
            low[column], high[column] = intervals.wilson(n * first, n)
    return low.tolist(), high.tolist()


def power_law(by_problem: Numbers, shares: Numbers) -> dict[str, Any] | str:
    """Coverage ≈ exp(a k^b) (Large Language Monkeys, arXiv:2407.21787): least squares over k spaced evenly on a logarithmic scale.

    a, b and their 95 % intervals over problems; `error` and `worst`, mean and largest distance of the fit from the curve; `points`. A code
    instead: `few_samples` for fewer than four points, `all_alike` where coverage does not rise from above 0.
    """
    import numpy as np

    points = np.unique(np.round(np.geomspace(1, by_problem.shape[1], FIT_POINTS)).astype(int))
    if len(points) < FEWEST_POINTS:
        return "few_samples"
    coverage = by_problem[:, points - 1]
    mean = coverage.mean(axis=0)
    fit = _fitted(points, mean)
    if fit is None:
        return "all_alike"
    drawn = [found for curve in shares[:FIT_DRAWS] @ coverage if (found := _fitted(points, curve)) is not None]
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    distance = np.abs(np.exp(fit[0] * points ** fit[1]) - mean)
    named = dict(zip(("a", "a_low", "a_high", "b", "b_low", "b_high"), (fit[0], low[0], high[0], fit[1], low[1], high[1]), strict=True))
    named |= {"error": distance.mean(), "worst": distance.max()}
    return {name: float(value) for name, value in named.items()} | {"points": len(points)}


def _fitted(k: Any, curve: Numbers) -> tuple[float, float] | None:
    """a and b; None where the curve does not rise from above 0, or no fit is found. Begins at the law through two of its points."""
    import numpy as np
    from scipy.optimize import curve_fit

    rising = np.flatnonzero((curve > curve[0]) & (curve < 1))
    if not 0 < curve[0] < 1 or not len(rising):
        return None
    a = math.log(curve[0])
    last = rising[-1]
    try:
        with np.errstate(over="ignore"):  # on its way it may try what is too large
            fit, _ = curve_fit(lambda k, a, b: np.exp(a * k**b), k, curve, (a, math.log(math.log(curve[last]) / a) / math.log(k[last])))
    except RuntimeError:  # it did not converge
        return None
    return float(fit[0]), float(fit[1])


def estimates(found: Values, shares: Numbers) -> Mapping[str, dict[str, list[float]]]:
    """By estimator: value, low, high and, where it was sampled, error; each a list over k from 1."""
    made = {}
    for name, by_problem in found.by_problem.items():
        low, high = band(by_problem, shares)
        made[name] = {"value": by_problem.mean(axis=0).tolist(), "low": low, "high": high}
        if name in found.errors:
            made[name]["error"] = found.errors[name].tolist()
    return made
