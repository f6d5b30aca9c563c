"""Cost-of-pass: the expected cost of a correct answer (arXiv:2504.13359).

For problem p and model m with mean attempt cost C and success rate R: v(m, p) = C / R, infinite where R = 0. A frontier takes the minimum
over models, and over the human expert where there is one, problem by problem; then the mean over problems. The same formula with joules,
seconds, FLOPs or tokens for C gives energy-of-pass and so on (its appendix D.1). Σ cost / Σ correct is a different number, which can rank
models in the opposite order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

Human = float | Mapping[object, float] | None


def frontier(frame: pd.DataFrame, human: Human = None) -> float:
    """V(M): the mean over problems of the smallest v over all models of `frame`, and `human`.

    frame   one row per attempt: model, problem, cost (USD or any other cost), correct (0 or 1, or the correct share of an attempt's items)
    human   the expert's cost per problem: one number, or one by problem (a problem that it lacks has no expert)
    Infinite when a problem is solved by nobody; NaN when `frame` is empty, or a problem has no known cost on any model that solves it.
    """
    return _mean(_best(frame, human, _problems(frame)))


def essentialness(frame: pd.DataFrame, models: str | Iterable[str], human: Human = None) -> float:
    """How much of the cost of doing without `models` they save: [V(without) − V] / V(without), in [0, 1], the human in both.

    Problems that only `models` attempted stay in: without them, the human answers, or nobody. Where nobody then does and V is finite, 1;
    where V is infinite as well, NaN: an expert price is needed to tell.
    """
    group = {models} if isinstance(models, str) else set(models)
    problems = _problems(frame)
    whole = _mean(_best(frame, human, problems))
    without = _mean(_best(frame[~frame["model"].isin(group)], human, problems))
    if math.isinf(without):
        return math.nan if math.isinf(whole) else 1.0
    return 0.0 if without == 0 else (without - whole) / without


def of_pass(frame: pd.DataFrame, value: str = "cost") -> float:
    """X-of-pass of one cell: mean over problems of mean `value` / success rate. frame: a row per attempt with problem, `value`, correct."""
    return _mean(per_problem(frame.assign(model=0), value)["v"].droplevel("model"))


def per_problem(frame: pd.DataFrame, value: str = "cost") -> pd.DataFrame:
    """C (mean of `value`, NaN left out), R (success rate) and v = C / R, by (model, problem); v is infinite where R = 0, whatever C."""
    grouped = frame.assign(correct=frame["correct"].astype(float)).groupby(["model", "problem"], sort=True)
    table = grouped.agg(C=(value, "mean"), R=("correct", "mean"))
    return table.assign(v=(table["C"] / table["R"]).where(table["R"] > 0, math.inf))


def _problems(frame: pd.DataFrame) -> list[object]:
    return list(dict.fromkeys(frame["problem"]))


def _best(frame: pd.DataFrame, human: Human, problems: list[object]) -> pd.Series:
    """The smallest v by problem, over `problems`."""
    import pandas as pd

    if frame.empty:
        best = pd.Series(math.inf, index=pd.Index(problems), dtype=float)
    else:
        best = per_problem(frame)["v"].groupby("problem").min().reindex(problems, fill_value=math.inf)
    if human is None:
        return best
    expert = pd.Series(
        [human if isinstance(human, (int, float)) else human.get(p, math.inf) for p in problems], index=best.index, dtype=float
    )
    smallest = best.where(best <= expert, expert)
    return smallest.where(best.notna() | (expert < math.inf))  # solved at an unknown cost and no expert: unknown, not infinite


def _mean(values: pd.Series) -> float:
    return float(values.mean(skipna=False)) if len(values) else math.nan
