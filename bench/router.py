"""Training a router between two models on stored attempts, and what it would have come to on questions that it was not trained on.

The question of an attempt of the policy, or also its sample, foretells whether it is correct: logistic regression with a ridge penalty of 1
on standardised features (harness.routing). Chances are out of sample: problems are dealt into folds, all attempts of a problem into one,
and each fold is foretold by a router that was trained on the others. The router that is kept is trained on all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import routing
from harness.routing import Router
from perpass.errors import PerPassError, UserError, unknown
from perpass.identity import seed_from
from results import frames, labels, report, schema, texts
from results.database import Db, reading

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

FEWEST = 20  # problems
FOLDS = 5
COSTS = ("output_tokens", "flop")


class Row(NamedTuple):
    """An attempt of the policy: its problem, the features, the share of items that it and, on average, the helper had right, and costs of
    either by COSTS (means per attempt; None where not known)."""

    problem: str
    features: tuple[float, ...]
    policy: float
    helper: float
    policy_cost: tuple[float | None, ...]
    helper_cost: tuple[float | None, ...]


class Point(NamedTuple):
    """What a threshold comes to: the share of attempts that stay with the policy, accuracy, that of as many chosen by chance, and costs."""

    threshold: float
    policy_share: float
    accuracy: float
    at_random: float
    output_tokens: float | None
    flop: float | None


@dataclass(frozen=True)
class Trained:
    """A router, its rows with their out-of-sample chances, the curve over thresholds, and how well chances rank (AUROC; None: unknown)."""

    router: Router
    rows: Sequence[Row]
    chances: tuple[float, ...]
    curve: Sequence[Point]
    auroc: float | None

    def write(self, path: Path, **about: Any) -> None:
        """The file that the strategy `router` reads: the router first, then what it was trained on, feature by feature, and the curve."""
        known = zip(self.rows, self.chances, strict=True)
        rows = [[row.problem, *(round(x, 6) for x in (row.policy, row.helper, p, *row.features))] for row, p in known]
        content = {
            "kind": routing.KIND,
            "router": self.router.plain(),
            **about,
            "auroc": self.auroc,
            "curve": [point._asdict() for point in self.curve],
            "columns": ["problem", "policy", "helper", "chance", *self.router.names],
            "rows": rows,
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def train(rows: Sequence[Row], after: bool, seed: int = 0) -> Trained:
    """Fit a router, `after` the policy's sample or before it; `seed` deals the problems into folds.

    Raises PerPassError where there is nothing to learn: too few problems, or a policy that is always, or never, right.
    """
    import numpy as np

    problems = sorted({row.problem for row in rows}, key=lambda key: seed_from("router", seed, key))
    if len(problems) < FEWEST:
        raise PerPassError(f"a router needs at least {FEWEST} problems that both models have answered, not {len(problems)}")
    right = np.array([row.policy for row in rows])
    if right.min() == right.max():
        raise PerPassError(f"there is nothing to route: the policy had {right.max():.0%} right in every attempt")
    fold = {key: place % FOLDS for place, key in enumerate(problems)}
    place, features = np.array([fold[row.problem] for row in rows]), np.array([row.features for row in rows])
    weights = _even(rows)
    names = (*routing.QUESTION, *routing.SAMPLE) if after else routing.QUESTION
    chances = np.zeros(len(rows))
    for number in range(FOLDS):
        learned = fit(names, features[place != number], right[place != number], weights[place != number])
        chances[place == number] = [learned.chance(tuple(x)) for x in features[place == number]]
    found = tuple(float(p) for p in chances)
    return Trained(fit(names, features, right, weights), rows, found, curve(rows, found, after), auroc(found, [row.policy for row in rows]))


def fit(names: tuple[str, ...], features: Numbers, right: Numbers, weights: Numbers) -> Router:
    """Logistic regression, by minimising Σ weight · cross-entropy + ½ |β|² over standardised features; the bias is not penalised."""
    import numpy as np
    from scipy.optimize import minimize

    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    x = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    ridge = np.append(np.ones(features.shape[1]), 0.0)

    def loss(beta: Numbers) -> tuple[float, Numbers]:
        z = x @ beta
        error = weights * (1 / (1 + np.exp(-np.clip(z, -700, 700))) - right)
        return float(weights @ (np.logaddexp(0, z) - right * z) + ridge @ beta**2 / 2), x.T @ error + ridge * beta

    beta = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 1000}).x
    rounded = [tuple(round(float(v), 6) for v in values) for values in (mean, scale, beta)]
    return Router(names, rounded[0], rounded[1], rounded[2][:-1], rounded[2][-1])


def curve(rows: Sequence[Row], chances: Sequence[float], after: bool) -> list[Point]:
    """Points from all to the policy to all to the helper, at every tenth of the attempts. With `after` the policy is always asked."""
    import numpy as np

    p, weights = np.array(chances), _even(rows) / _even(rows).sum()
    right = np.array([[row.policy, row.helper] for row in rows])
    own, other = (np.array([getattr(row, name) for row in rows], dtype=float) for name in ("policy_cost", "helper_cost"))  # None is NaN
    points = []
    for threshold in (0.0, *np.quantile(p, np.linspace(0.1, 0.9, 9)), float(np.nextafter(p.max(), 1))):
        stays = p >= threshold
        share = float(weights @ stays)
        taken = weights @ np.where(stays[:, None], own, other + (own if after else 0.0))
        costs = [None if np.isnan(cost) else float(cost) for cost in taken]
        accuracy, at_random = float(weights @ np.where(stays, *right.T)), float(weights @ right @ [share, 1 - share])
        points.append(Point(float(threshold), share, accuracy, at_random, *costs))
    return points


def _even(rows: Sequence[Row]) -> Any:
    """Weights that make problems count alike, however many attempts they have."""
    import numpy as np

    _, which, count = np.unique([row.problem for row in rows], return_inverse=True, return_counts=True)
    return 1.0 / count[which]


def auroc(chances: Sequence[float], right: Sequence[float]) -> float | None:
    """The probability that a right attempt has a higher chance than a wrong one, ties half; shares of items count as parts of both."""
    import numpy as np

    p, y = np.array(chances), np.array(right)
    pairs = y.sum() * (1 - y).sum()
    if not pairs:
        return None
    order = np.argsort(p, kind="stable")
    values, first = np.unique(p[order], return_index=True)
    wrong = np.add.reduceat((1 - y)[order], first)
    good = np.add.reduceat(y[order], first)
    return float(good @ (np.cumsum(wrong) - wrong / 2) / pairs) if len(values) else None


# --- from the database ------------------------------------------------------------------------------------------------------------------


def gather(
    db: Db,
    policy: str,
    helper: str,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    strategy: str = "cot",
    after: bool = False,
) -> list[Row]:
    """The policy's attempts at problems that the helper has answered too, each model with one cell of `strategy` per task.

    Raises UserError for a model, task or strategy that the database has not, and where several cells of a model could be meant.
    """
    cells = report.select(db, experiment=experiment, series=series, task=task)
    models = [labels.named(identity) for identity in cells["model_identity"]]
    for name in (policy, helper):
        if name not in models:
            raise unknown("model", name, set(models), "train-router")
    used = [identity["name"] for identity in cells["strategy_identity"]]
    if strategy not in used:
        raise unknown("strategy", strategy, set(used), "train-router")
    chosen = cells.assign(named=models)[[name == strategy for name in used]]
    pairs = {name: _one_per_task(chosen[chosen["named"] == name], name, strategy) for name in (policy, helper)}
    both = sorted(set(pairs[policy]) & set(pairs[helper]))
    if not both:
        raise UserError(f"train-router: no task has cells of both models with strategy {strategy}")
    tries = {name: _attempts(db, [pairs[name][t] for t in both]) for name in pairs}
    questions = _questions(db, set(tries[policy]["problem_id"]) & set(tries[helper]["problem_id"]))
    return _rows(tries[policy], tries[helper], questions, after)


def _one_per_task(cells: pd.DataFrame, name: str, strategy: str) -> dict[int, int]:
    """The cell of each task."""
    several = cells[cells["task_id"].duplicated(keep=False)]
    if len(several):
        found = ", ".join(sorted(several["cell"])[:4])
        raise UserError(f"train-router: several cells of {name} with {strategy} could be meant ({found}); name an experiment or a series")
    return dict(zip(cells["task_id"], cells["id"], strict=True))


def _attempts(db: Db, cell_ids: Sequence[int]) -> pd.DataFrame:
    """Attempts without infrastructure errors, with the share that is right and costs."""
    found = frames.attempts(db, cell_ids=cell_ids)
    found = found[~found["failed"] & (found["error"] == 0) & (found["items"] > 0)]
    spent = frames.ledger(db, cell_ids=cell_ids).groupby("attempt")
    costs = spent[["output", "flop"]].sum(min_count=1).rename(columns={"output": "output_tokens"})
    costs.loc[spent["flop"].count() < spent.size(), "flop"] = float("nan")  # one call unknown, and the sum is
    return found.assign(right=found["correct"] / found["items"]).merge(costs, left_on="attempt", right_index=True)


def _questions(db: Db, problem_ids: set[int]) -> dict[int, tuple[str, str]]:
    """Key and question of problems."""
    problem, task = schema.Problem, schema.Task
    import sqlalchemy as sa

    query = sa.select(problem.id, problem.key, problem.question_id, task.name).join(task, task.id == problem.task_id)
    with reading(db) as connection:
        rows = [row for row in connection.execute(query) if row.id in problem_ids]
        contents = texts.get(connection, {row.question_id for row in rows})
    return {row.id: (f"{row.name}/{row.key}", json.loads(str(contents[row.question_id]))["question"]) for row in rows}


def _rows(policy: pd.DataFrame, helper: pd.DataFrame, questions: dict[int, tuple[str, str]], after: bool) -> list[Row]:
    other = helper.groupby("problem_id")[["right", *COSTS]].mean().to_dict("index")
    rows = []
    for own in policy[policy["problem_id"].isin(list(questions))].to_dict("records"):
        key, question = questions[own["problem_id"]]
        sample = (int(own["output_tokens"]), own["finish"] == "length") if after else ()
        beside = other[own["problem_id"]]
        rows.append(Row(key, routing.features(question, *sample), own["right"], beside["right"], _costs(own), _costs(beside)))
    return rows


def _costs(row: dict[Any, Any]) -> tuple[float | None, ...]:
    return tuple(None if row[name] != row[name] else float(row[name]) for name in COSTS)  # NaN is not known
