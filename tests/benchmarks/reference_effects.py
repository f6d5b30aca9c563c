"""The measured effects of the reference models, in Markdown.

`bench run reference --db DB`, then `python -m tests.benchmarks.reference_effects DB`.

Every accuracy is per question, with the 95 % interval of `bench report`; every difference is paired by problem (results.paired).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from results import frames, report, schema
from results.database import reading
from results.intervals import accuracy
from results.paired import Counts

COT, VOTE, DIRECT = "cot", "self_consistency(n=8)", "direct"


def main(db: str) -> None:
    cells = pd.DataFrame(report.rows(db, experiment="reference"))
    attempts = frames.attempts(db)
    models = list(dict.fromkeys(cells["model"]))
    tasks = list(dict.fromkeys(cells["task"]))
    print("| task | strategy | " + " | ".join(models) + " |\n| --- | --- |" + " --- |" * len(models))
    for task in tasks:
        for strategy in (DIRECT, COT, VOTE):
            print(f"| {task} | {strategy} | " + " | ".join(_accuracy(cells, task, strategy, m) for m in models) + " |")
    print("\n| effect, in points | " + " | ".join(models) + " |\n| --- |" + " --- |" * len(models))
    for name, base, head in _effects(tasks):
        print(f"| {name} | " + " | ".join(_difference(cells, attempts, m, base, head) for m in models) + " |")
    print("\n| procedure, 2 to 6 steps | " + " | ".join(f"{m}: {s}" for m in models for s in (COT, DIRECT)) + " |")
    print("| --- |" + " --- |" * 2 * len(models))
    short = next(t for t in tasks if t.startswith("procbench") and "steps=[2, 6]" in t)
    shares = {(m, s): _by_procedure(db, cells, attempts, (short, s, m)) for m in models for s in (COT, DIRECT)}
    for procedure in next(iter(shares.values())):
        print(f"| {procedure} | " + " | ".join(found[procedure] for found in shares.values()) + " |")


def _effects(tasks: list[str]) -> Iterator[tuple[str, tuple[str, str], tuple[str, str]]]:
    for task in tasks:
        yield f"step by step − answer only, {task}", (task, DIRECT), (task, COT)
    for task in tasks:
        yield f"a vote of 8 − one sample, {task}", (task, COT), (task, VOTE)


def _cell(cells: pd.DataFrame, task: str, strategy: str, model: str) -> pd.Series:
    found = cells[(cells["task"] == task) & (cells["strategy"] == strategy) & (cells["model"] == model)]
    assert len(found) == 1, (task, strategy, model, len(found))
    return found.iloc[0]


def _accuracy(cells: pd.DataFrame, task: str, strategy: str, model: str) -> str:
    cell = _cell(cells, task, strategy, model)
    return f"{100 * cell['accuracy']:.1f} % ({100 * cell['accuracy_low']:.1f}–{100 * cell['accuracy_high']:.1f})"


def _counts(attempts: pd.DataFrame, cell: pd.Series) -> pd.DataFrame:
    return attempts[attempts["cell"] == cell["cell"]].groupby("problem")[["correct", "items"]].sum()


def _difference(cells: pd.DataFrame, attempts: pd.DataFrame, model: str, base: tuple[str, str], head: tuple[str, str]) -> str:
    both = _counts(attempts, _cell(cells, *base, model)).merge(
        _counts(attempts, _cell(cells, *head, model)), on="problem", suffixes=("_a", "_b")
    )
    assert (both["items_a"] == both["items_b"]).all()
    counts = Counts(*(np.asarray(both[c]) for c in ("correct_a", "correct_b", "items_a")))
    low, high = counts.interval()
    return f"{100 * counts.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


def _by_procedure(db: str, cells: pd.DataFrame, attempts: pd.DataFrame, where: tuple[str, str, str]) -> dict[str, str]:
    problem: Any = schema.Problem.__table__
    with reading(db) as connection:
        metas: dict[str, Any] = dict(connection.execute(sa.select(problem.c.key, problem.c.meta)).all())  # type: ignore[arg-type]
    counts = _counts(attempts, _cell(cells, *where)).reset_index()
    counts["procedure"] = [metas[key]["procedure"] for key in counts["problem"]]
    found = {}
    for name, group in counts.groupby("procedure"):
        share = group["correct"].sum() / group["items"].sum()
        low, high = accuracy([[(c, n)] for c, n in zip(group["correct"].tolist(), group["items"].tolist(), strict=True)])
        found[str(name)] = f"{100 * share:.0f} % ({100 * low:.0f}–{100 * high:.0f})"
    return found


if __name__ == "__main__":
    main(sys.argv[1])
