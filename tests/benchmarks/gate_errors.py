"""How often the gate cries wolf, and how often it sees a wolf: `python -m tests.benchmarks.gate_errors`.

Problems differ in difficulty: each has a success rate of its own, logistic of a normal variable, the same on both sides but for the fall,
which takes the same share of every rate. Given the rate, the two sides' attempts are independent (another seed, or sampling that changed):
the hardest case that a paired comparison meets. `spread`, the deviation of that variable, sets how alike the sides are; 0 means that they
have nothing in common, which makes pairing worthless. Printed per spread and design: correlation of the two sides' problem scores, false
alarms of 400 unchanged pairs, alarms of 200 pairs with a fall of 5 points, on 1,319 problems at an accuracy of about 0.8.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from results.compare import Comparison, Pair
from results.gate import Gate, alarms, judge
from results.paired import Counts

PROBLEMS, ACCURACY, FALL = 1_319, 0.8, 0.05
UNCHANGED, FALLEN = 400, 200


class Found(NamedTuple):
    """What a design showed; `correlation` is the mean over the unchanged pairs."""

    false_alarms: int
    caught: int
    correlation: float


def simulate(spread: float, trials: int = 1, items: int = 1, seed: int = 0) -> Found:
    """The gate on simulated pairs of `trials` attempts of `items` items per problem."""
    rng = np.random.default_rng(seed)
    unchanged = [_counts(rng, spread, trials * items, 0.0) for _ in range(UNCHANGED)]
    fallen = [_counts(rng, spread, trials * items, FALL) for _ in range(FALLEN)]
    alike = float(np.mean([np.corrcoef(c.base, c.head)[0, 1] for c in unchanged]))
    return Found(sum(map(_alarms, unchanged)), sum(map(_alarms, fallen)), alike)


def _counts(rng: np.random.Generator, spread: float, attempts: int, fall: float) -> Counts:
    ability = _ability(spread)
    rate = 1 / (1 + np.exp(-rng.normal(ability, spread, PROBLEMS)))
    lower = rate * (1 - fall / ACCURACY)
    return Counts(rng.binomial(attempts, rate), rng.binomial(attempts, lower), np.full(PROBLEMS, attempts))


@cache
def _ability(spread: float) -> float:
    """The mean of the normal variable at which the mean rate is ACCURACY, by bisection."""
    points = np.random.default_rng(0).normal(size=20_000) * spread
    low, high = 0.0, 20.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if np.mean(1 / (1 + np.exp(-points - middle))) < ACCURACY else (low, middle)
    return low


def _alarms(counts: Counts) -> bool:
    pair = Pair({"reasons": {}}, counts, {})
    return bool(alarms(judge(Comparison("base", "head", [pair], []), Gate())))


def main() -> None:
    """Print the table."""
    print(f"{'spread':>6}  {'trials':>6}  {'items':>5}  {'correlation':>11}  {'false alarms':>12}  {'caught':>8}")
    for spread in (0.0, 1.5, 3.0):
        for trials, items in ((1, 1), (4, 1), (2, 3)):
            found = simulate(spread, trials, items)
            counts = f"{found.false_alarms:>8}/{UNCHANGED}  {found.caught:>4}/{FALLEN}"
            print(f"{spread:>6}  {trials:>6}  {items:>5}  {found.correlation:>11.2f}  {counts}", flush=True)


if __name__ == "__main__":
    main()
