"""Accuracy within a cell: by the position of a question in its prompt, and by what a problem's `meta` says of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from results import intervals, schema
from results.database import Db, reading

if TYPE_CHECKING:
    import pandas as pd

_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_PROBLEM: Any = schema.Problem.__table__

ERROR, CORRECT = "error", "correct"


def by_position(db: Db, cell_ids: Collection[int]) -> pd.DataFrame:
    """Accuracy by the place of a question in its prompt: cell_id, position (from 1), items, accuracy, low, high (95 %).

    Items that ended in an infrastructure error are left out, as everywhere.
    """
    import pandas as pd

    frame = judged(db, cell_ids)
    rows = []
    for cell, own in frame.groupby("cell_id", sort=True):
        table = pd.DataFrame(own["outcomes"].tolist(), index=own["problem_id"])
        for place, column in enumerate(table.columns, start=1):
            outcomes = table[column].dropna()
            counted = outcomes[outcomes != ERROR]
            rows.append({"cell_id": cell, "position": place, **_accuracy(counted.index, (counted == CORRECT).astype(float))})
    return pd.DataFrame(rows, columns=["cell_id", "position", *FOUND])


def by_meta(db: Db, cell_ids: Collection[int], key: str, scores: Sequence[str] = ()) -> pd.DataFrame:
    """Accuracy and mean scores by the value of `meta[key]` of the problems: cell_id, `key`, measure, items, accuracy, low, high (95 %).

    measure    `accuracy`, or the name of a score of the judgements, which is averaged over the attempts that have it
    key        problems without it are left out
    """
    import pandas as pd

    frame = judged(db, cell_ids)
    values = [meta.get(key) for meta in frame["meta"]]
    rows = []
    for (cell, value), own in (
        frame.assign(value=pd.Series(values, index=frame.index, dtype=object))
        .dropna(subset="value")
        .groupby(["cell_id", "value"], sort=True)
    ):
        items, wrong = own["items"] - own["error"], own["items"] == own["error"]
        ran = own[~wrong]
        rows.append({"cell_id": cell, key: value, "measure": "accuracy", **_accuracy(ran["problem_id"], ran["correct"], items[~wrong])})
        for name in scores:
            found = pd.Series([s.get(name) for s in ran["scores"]], index=ran["problem_id"], dtype=float).dropna()
            if len(found):
                rows.append({"cell_id": cell, key: value, "measure": name, **_accuracy(found.index, found)})
    return pd.DataFrame(rows, columns=["cell_id", key, "measure", *FOUND])


FOUND = ("items", "accuracy", "low", "high")


def _accuracy(problems: Any, correct: Any, items: Any = None) -> dict[str, Any]:
    """Of equally long columns: each attempt's problem, correct items (or score), and items (1 where None)."""
    counts = [1] * len(correct) if items is None else [int(n) for n in items]
    if not sum(counts):
        return dict.fromkeys(FOUND) | {"items": 0}
    own: dict[int, list[tuple[Any, int]]] = {}
    for problem, right, count in zip(problems, correct, counts, strict=True):
        own.setdefault(problem, []).append((right, count))
    low, high = intervals.accuracy(list(own.values()))
    return {"items": sum(counts), "accuracy": float(sum(correct) / sum(counts)), "low": low, "high": high}


def judged(db: Db, cell_ids: Collection[int]) -> pd.DataFrame:
    """One row per attempt with its current judgement: attempt, cell_id, problem_id, items, correct, error, outcomes, scores, meta."""
    import pandas as pd

    a, j = _ATTEMPT.c, _JUDGEMENT.c
    query = sa.select(a.id.label("attempt"), a.cell_id, a.problem_id, j["items"], j.correct, j.error, j.outcomes, j.scores)
    query = query.join(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.current)).where(a.cell_id.in_(sorted(int(n) for n in cell_ids)))
    with reading(db) as connection:
        frame = pd.DataFrame(connection.execute(query).all(), columns=[c.name for c in query.selected_columns])
        asked = sa.select(_PROBLEM.c.id, _PROBLEM.c.meta).where(
            _PROBLEM.c.id.in_(sa.select(a.problem_id).where(a.cell_id.in_(sorted(cell_ids))))
        )
        meta: dict[int, Any] = dict(connection.execute(asked).tuples().all())
    return frame.assign(meta=[meta[n] for n in frame["problem_id"]])
