"""The commands that are useful next, after a run or a report, ready to be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.plan import Plan
    from results.report import Row

Command = tuple[str, list[str]]  # what it shows, and its words
OTHER_AXES = {
    "energy_j": "the same in joules",
    "cost_usd": "the same in dollars",
    "flop": "the same in FLOPs",
    "output_tokens": "the same in tokens",
}
COLUMN = 27


def after_run(plan: Plan, rows: Sequence[Row], asked: str | None, db: str | None) -> None:
    """Print them for a run that ended with the cells `rows`; `asked`: the experiment as it was named."""
    from bench import stored

    report = ["bench", "report", asked or plan.experiment.name, *_series(plan.series), *_db(db)]
    found: list[Command] = [("again, from the database", report), *_from(rows, report, db)]
    wrong = stored.wrong_attempt(plan, db)
    if wrong is not None:
        found.append(("one wrong answer, whole", ["bench", "show", str(wrong), *_db(db)]))
    if stored.older_judges(plan, db):
        found.append(("newer judges are there", ["bench", "rejudge", *_db(db)]))
    _say(found)


def after_report(rows: Sequence[Row], experiment: str | None, flags: Sequence[tuple[str, str | None]], db: str | None) -> None:
    """Print them for a report that was asked for with these flags, other axes apart."""
    given = [part for flag, value in flags if value is not None for part in (flag, value) if part]
    _say(_from(rows, ["bench", "report", *([experiment] if experiment is not None else []), *given, *_db(db)], db))


def after_curves(experiment: str | None, flags: Sequence[tuple[str, str | None]], db: str | None) -> None:
    """Print them for curves against samples that were asked for with these flags."""
    given = [part for flag, value in flags if value is not None for part in (flag, value)]
    curves = ["bench", "curves", *([experiment] if experiment is not None else []), *given, "--by", "energy", *_db(db)]
    _say([("against joules", curves), ("the same in a browser", ["bench", "leaderboard", *_db(db)])])


def _from(rows: Sequence[Row], report: Sequence[str], db: str | None) -> list[Command]:
    """The frontier in what else is known of two cells, and the whole of the first task's cheapest cell."""
    from results import advice

    found: list[Command] = []
    first = [row for row in rows if all(row[f] == rows[0][f] for f in ("series", "task"))]
    for field, words in OTHER_AXES.items():
        if first and field not in first[0]["frontier_axes"] and sum(row[field] is not None and not row["partial"] for row in first) > 1:
            found.append((words, [*report, "--axes", f"accuracy,{field}"]))
            break
    known = [choice for choice in advice.choices(first) if choice.winners] if len(first) > 1 else []
    for choice in known[:1]:
        winner = choice.winners[0]
        found.append((f"the {choice.title}, whole", ["bench", "show", winner["cell"], *_series(winner["series"]), *_db(db)]))
    return found


def _series(name: str) -> list[str]:
    return [] if name == "main" else ["--series", name]


def _db(db: str | None) -> list[str]:
    return [] if db is None or "@" in db else ["--db", db]  # a URL with a password is not repeated


def _say(commands: Sequence[Command]) -> None:
    if commands:
        print()
    for words, command in commands:
        print(f"{words:<{COLUMN}}{shlex.join(command)}")
