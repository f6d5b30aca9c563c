"""What REST reports: accuracy with one question per prompt (single), the mean over the levels with several (stress), tokens per question.

Source: Pan et al. 2025 (arXiv:2507.10541); levels: `tasks.rest.LEVELS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from perpass.identity import content_hash
from results import breakdown, intervals, measures, report
from results.breakdown import CORRECT, ERROR
from results.database import Db, as_engine, reading
from results.matching import concurrency
from results.prices import PriceBook
from results.schema import Problem
from tasks.rest import COMPAT, LEVELS, places

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

KIND = "rest"
NAMES = ("series", "model", "engine", "hardware", "strategy", "mode", "concurrency")
SINGLE, STRESS = ("single", "single_low", "single_high"), ("stress", "stress_low", "stress_high")
FIELDS = (*NAMES, "base", "prompt", *SINGLE, *STRESS, "single_compat", "stress_compat", "levels", "missing", "partial", "reasons")
LEVEL = ("s", "cell", "problems", "accuracy", "accuracy_low", "accuracy_high", "output_tokens", "compat")
MISSING_LEVELS, UNEVEN, NO_SCORE = "missing_levels", "uneven_levels", "no_compat_score"


def rows(
    db: Db,
    *,
    experiment: str | None = None,
    series: str | None = None,
    task: str | None = None,
    common: bool = False,
    cells: pd.DataFrame | None = None,
    among: pd.DataFrame | None = None,
) -> list[Row]:
    """One row per series, model, engine, hardware, strategy and base among what the report shows (`results.report.select`; or among
    `cells`), with FIELDS.

    levels     those that were run, each with LEVEL: `output_tokens` are per question, `compat` is the mean of the score `rest-compat`
    single     accuracy at s = 1; stress: mean accuracy over the levels above 1 that REST prescribes for the base, or, for other bases,
               that any row of the series has. Intervals are 95 %; see `stress_interval`
    missing    levels of these that were not run; without one of them single, or stress, is None. `partial`: levels differ in problems
    common     restrict to the problems that all cells of a task and series have
    among      the cells whose levels say which are missing, where `cells` are some of them
    What is not known is None, with a code in `reasons`.
    """
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        own = _of_rest(chosen)
        if own.empty:
            return []
        known = own if among is None else _of_rest(among)
        attempts = report.charged(engine, own, PriceBook.load(), experiment)
        attempts = report.on_common_problems(attempts, own) if common else attempts
        judged = attempts.merge(breakdown.judged(engine, own["id"])[["attempt", "outcomes", "scores"]], on="attempt", how="left")
        seen: dict[str, set[int]] = {}
        for cell in map(_cell, known.to_dict("records")):
            seen.setdefault(cell["_base"], set()).add(cell["s"])
        return _rows([_cell(cell) for cell in own.to_dict("records")], judged, _sizes(engine), seen)
    finally:
        if engine is not db:
            engine.dispose()


def _of_rest(cells: pd.DataFrame) -> pd.DataFrame:
    return cells[[identity["name"] == KIND for identity in cells["task_identity"]]]


def _cell(cell: Mapping[Any, Any]) -> Row:
    """A cell with its `s`, and what its base and its row share: equal `_base` and `_row`."""
    task = cell["task_identity"]
    spec = {name: value for name, value in task["spec"].items() if name != "s"}
    base = [cell["series"], task["version"], task["revision"], spec]
    made: Row = {str(name): cell[name] for name in NAMES}
    made |= {"concurrency": concurrency(cell), "base": spec["base"], "prompt": spec.get("prompt", "open")}
    own = [cell[f"{name}_identity"] for name in ("model", "engine", "hardware", "strategy")]
    known = {"id": cell["id"], "cell": cell["cell"], "task_id": cell["task_id"], "s": task["spec"]["s"], "_base": content_hash(*base)}
    return made | known | {"_row": content_hash(base, own, cell["roles"], int(cell["seed"]), cell["mode"], made["concurrency"])}


def _sizes(db: sa.Engine) -> dict[int, int]:
    with reading(db) as connection:
        query = sa.select(Problem.task_id, sa.func.count()).group_by(Problem.task_id)
        return dict(connection.execute(query).tuples().all())


def _rows(cells: Sequence[Row], judged: pd.DataFrame, sizes: Mapping[int, int], seen: Mapping[str, set[int]]) -> list[Row]:
    columns = measures.by_cell(judged, [cell["id"] for cell in cells])
    groups: dict[str, list[Row]] = {}
    for cell in sorted(cells, key=lambda cell: cell["s"]):
        own = judged[judged["cell_id"] == cell["id"]]
        level = _level(cell, measures.measure(columns[cell["id"]]), own)
        level["_items"] = _items(own, cell["s"], sizes[cell["task_id"]])
        groups.setdefault(cell["_row"], []).append(cell | {"_level": level})
    made = [_row(members, seen[members[0]["_base"]]) for members in groups.values()]
    return sorted(made, key=lambda row: tuple(str(row[name]) for name in ("series", "base", "prompt", *NAMES)))


def _level(cell: Row, measured: Mapping[str, Any], own: pd.DataFrame) -> Row:
    scored = [(share[COMPAT] * n, n) for share, n in zip(own["scores"], own["items"], strict=True) if _has_score(share)]
    compat = sum(right for right, _ in scored) / sum(n for _, n in scored) if scored else None
    level = {name: measured[name] for name in LEVEL if name in measured} | {"s": cell["s"], "cell": cell["cell"], "compat": compat}
    return {name: level[name] for name in LEVEL} | {"_why": measured["reasons"].get("accuracy")}


def _has_score(scores: Any) -> bool:
    return isinstance(scores, Mapping) and COMPAT in scores


def _items(own: pd.DataFrame, s: int, size: int) -> list[tuple[int, int, float]]:
    """(question, prompt, right) of every graded item; `size`: problems of the base, whose numbers the questions are."""
    found = []
    for prompt, at, outcomes in zip(own["problem_id"], own["ordinal"], own["outcomes"], strict=True):
        if isinstance(outcomes, list):
            asked = zip(places(int(at), s, size), outcomes, strict=True)
            found += [(question, int(prompt), float(outcome == CORRECT)) for question, outcome in asked if outcome != ERROR]
    return found


def _row(members: Sequence[Row], seen: set[int]) -> Row:
    """The averages of the cells that differ in `s` only."""
    first = members[0]
    kind = first["base"].get("kind") if isinstance(first["base"], Mapping) else first["base"]
    wanted = LEVELS.get(str(kind), tuple(sorted({1} | seen)))
    levels = {cell["s"]: cell["_level"] for cell in members}
    row: Row = dict.fromkeys(FIELDS) | {name: first[name] for name in (*NAMES, "base", "prompt")} | {"reasons": {}}
    row["missing"] = [s for s in wanted if s not in levels]
    used = [levels[s] for s in wanted if s in levels]
    row["partial"] = len({level["problems"] for level in used}) > 1
    if row["partial"]:
        row["reasons"]["partial"] = UNEVEN
    _average(row, SINGLE, "single_compat", [levels.get(s) for s in wanted if s == 1])
    _average(row, STRESS, "stress_compat", [levels.get(s) for s in wanted if s > 1])
    row["levels"] = [{name: value for name, value in level.items() if name in LEVEL} for level in levels.values()]
    return row


def _average(row: Row, fields: tuple[str, str, str], compat: str, levels: Sequence[Row | None]) -> None:
    """Write the mean over levels, with its interval, and that of the score `rest-compat`; None with the reason where one is missing."""
    known = [level for level in levels if level is not None]
    why = MISSING_LEVELS if not levels or len(known) < len(levels) else next((level["_why"] for level in known if level["_why"]), None)
    no_score = why or (NO_SCORE if any(level["compat"] is None for level in known) else None)
    if no_score:
        row["reasons"][compat] = no_score
    else:
        row[compat] = sum(level["compat"] for level in known) / len(known)
    if why:
        row["reasons"] |= dict.fromkeys(fields, why)
        return
    mean = sum(level["accuracy"] for level in known) / len(known)
    only = known[0]
    low, high = (only["accuracy_low"], only["accuracy_high"]) if len(known) == 1 else stress_interval([level["_items"] for level in known])
    row |= dict(zip(fields, (mean, low, high), strict=True))


def stress_interval(levels: Sequence[Sequence[tuple[int, int, float]]]) -> tuple[float, float]:
    """95 % interval of the mean over levels of the mean over items; an item is (question, prompt, right), a level has at least one.

    A question comes at every level and position, and one slip can cost all questions of a prompt, so items depend on each other where they
    share either: the delta method with both as clusters. Where all items ended alike, Wilson's interval on the number of questions.
    """
    import numpy as np

    questions = len({question for items in levels for question, _, _ in items})
    means = [float(np.mean([right for _, _, right in items])) for items in levels]
    mean = sum(means) / len(levels)
    if set(means) in ({0.0}, {1.0}):
        return intervals.wilson(questions * mean, questions)
    parts = [(right - own) / len(items) / len(levels) for own, items in zip(means, levels, strict=True) for _, _, right in items]
    asked = [question for items in levels for question, _, _ in items]
    prompts = [prompt for items in levels for _, prompt, _ in items]
    half = intervals.Z * sqrt(intervals.crossed(parts, asked, prompts))
    return max(0.0, mean - half), min(1.0, mean + half)
