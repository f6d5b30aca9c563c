"""What an interruption does to a model that thinks: accuracy by mode and fraction, leakage, panic, self-doubt. Of cells of `interruption`.

Source: Wu et al. 2025, Are Large Reasoning Models Interruptible? (arXiv:2510.11713), who name the three failures; the thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from results import intervals, report, schema
from results.database import Db, as_engine, reading
from results.matching import concurrency
from results.paired import Amounts

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Value = tuple[float, float, float]  # with the bounds of its interval

_ATTEMPT: Any = schema.Attempt.__table__
_CELL: Any = schema.Cell.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_SAMPLE: Any = schema.Sample.__table__
_TASK: Any = schema.Task.__table__
_USE: Any = schema.AttemptSample.__table__

KIND = "interruption"
LEAK = 2
"""Reasoning leaked where the answer is more than this many times as long as the one that the whole trace came to."""
PANIC = 0.1
"""Reasoning was dropped where at most this share of the thinking that the whole trace still had followed."""
NAMES = ("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode", "concurrency")
SCORES = ("accuracy", "whole_accuracy", "leakage", "leaked", "panic", "self_doubt")
FIELDS = (
    *(*NAMES, "interruption", "fraction", "problems", "attempts", "interrupted"),
    *(f"{score}{end}" for score in SCORES for end in ("", "_low", "_high")),
    "reasons",
)
NO_ATTEMPTS, NOTHING_CUT, NO_OWN_ANSWER = "no_attempts", "nothing_interrupted", "no_own_answer"
NO_WHOLE, NONE_RIGHT, OTHER_MODE = "whole_not_judged", "no_whole_right", "other_mode"


@dataclass(frozen=True)
class Interrupted:
    """An attempt; lengths in tokens, with the markers. Of the `thinking` of its whole trace `kept` stood before the cut.

    right    correct items, of `items`; `whole`: those of the whole trace as judged elsewhere, None where nobody did
    own      the whole trace's own answer, behind its thinking
    further  thinking after the interruption, and `after` the answer behind it; None where there was no thinking to cut
    """

    problem: int
    right: int
    items: int
    whole: int | None
    thinking: int
    own: int
    kept: int
    further: int | None
    after: int | None

    @property
    def wrong(self) -> bool:
        return self.right < self.items

    @property
    def panicked(self) -> bool:
        return self.wrong and self.further is not None and self.further <= PANIC * (self.thinking - self.kept)

    @property
    def leaked(self) -> bool:
        return self.after is not None and self.after > LEAK * self.own


def rows(
    db: Db, *, experiment: str | None = None, series: str | None = None, task: str | None = None, cells: pd.DataFrame | None = None
) -> list[Row]:
    """One row per cell of `interruption` among what the report shows (`results.report.select`; or among `cells`), with FIELDS.

    accuracy        A(X), per item, over all attempts, those whose trace had no thinking to cut (not `interrupted`) included
    whole_accuracy  of the whole traces, where attempts of the series that are nothing else, such as those of `cot`, had them judged; in
                    mode update on the base task, without the update
    leakage         tokens of the answers after the interruption over those of the whole traces' own, where both came to one; leaked: the
                    share above LEAK
    panic           mode soft: of the attempts whose whole trace was right, the share that is wrong and dropped its reasoning (PANIC)
    self_doubt      mode update: of the attempts whose whole trace was right before the update, the share that is wrong after it
    All with 95 % intervals over problems. Infrastructure errors are left out. What is None has a code in `reasons`.
    """
    engine = as_engine(db)
    try:
        chosen = report.select(engine, experiment=experiment, series=series, task=task) if cells is None else cells
        chosen = chosen[[identity["name"] == KIND for identity in chosen["strategy_identity"]]]
        if chosen.empty:
            return []
        asked = report.asked(engine, chosen, experiment)
        ran = asked[(asked["items"] > 0) & ~asked["failed"] & (asked["error"] == 0)]
        with reading(engine) as connection:
            made = [_row(connection, cell, ran[ran["cell_id"] == cell["id"]]) for cell in chosen.to_dict("records")]
        return sorted(made, key=lambda row: (*(str(row[name]) for name in NAMES[1:6]), row["interruption"], row["fraction"]))
    finally:
        if engine is not db:
            engine.dispose()


def _row(connection: sa.Connection, cell: Mapping[Any, Any], ran: pd.DataFrame) -> Row:
    params = cell["strategy_identity"]["params"]
    attempts = _attempts(connection, cell, ran)
    row: Row = dict.fromkeys(FIELDS) | {name: cell[name] for name in NAMES} | {"concurrency": concurrency(cell)}
    row |= {"interruption": params["mode"], "fraction": params["fraction"], "problems": int(ran["problem_id"].nunique())}
    row |= {"attempts": len(attempts), "interrupted": sum(a.further is not None for a in attempts)}
    return row | scored(attempts, params["mode"])


def scored(attempts: Sequence[Interrupted], mode: str) -> Row:
    """SCORES of one cell's attempts with their intervals, and `reasons`."""
    cut = [a for a in attempts if a.further is not None]
    judged = [a for a in attempts if a.whole is not None]
    answered, right = [a for a in cut if a.own and a.after], [a for a in cut if a.whole == a.items]
    no_answer = NO_OWN_ANSWER if cut else NOTHING_CUT
    none_right = NOTHING_CUT if not cut else NONE_RIGHT if judged else NO_WHOLE
    found: dict[str, tuple[Value | None, str]] = {
        "accuracy": (_share((a.problem, a.right, a.items) for a in attempts), NO_ATTEMPTS),
        "whole_accuracy": (_share((a.problem, a.whole or 0, a.items) for a in judged), NO_WHOLE),
        "leakage": (_ratio(answered), no_answer),
        "leaked": (_share((a.problem, a.leaked, 1) for a in answered), no_answer),
        "panic": (_share((a.problem, a.panicked, 1) for a in right), none_right) if mode == "soft" else (None, OTHER_MODE),
        "self_doubt": (_share((a.problem, a.wrong, 1) for a in right), none_right) if mode == "update" else (None, OTHER_MODE),
    }
    row: Row = {"reasons": {}}
    for score, (value, reason) in found.items():
        names = (score, f"{score}_low", f"{score}_high")
        row |= dict(zip(names, value or (None, None, None), strict=True))
        row["reasons"] |= {} if value else dict.fromkeys(names, reason if attempts else NO_ATTEMPTS)
    return row


def _by_problem(counts: Iterable[tuple[int, int, int]]) -> dict[int, list[tuple[int, int]]]:
    found: dict[int, list[tuple[int, int]]] = {}
    for problem, *pair in counts:
        found.setdefault(problem, []).append((int(pair[0]), int(pair[1])))
    return found


def _share(counts: Iterable[tuple[int, int, int]]) -> Value | None:
    """Of (problem, how many, of how many), an attempt each. None without any."""
    own = list(_by_problem(counts).values())
    if not own:
        return None
    return (sum(n for p in own for n, _ in p) / sum(n for p in own for _, n in p), *intervals.accuracy(own))


def _ratio(attempts: Sequence[Interrupted]) -> Value | None:
    """Answer tokens after the interruption over those of the whole traces' own answers. None without any."""
    if not attempts:
        return None
    import numpy as np

    own = _by_problem((a.problem, a.own, a.after or 0) for a in attempts).values()
    pair = Amounts(*(np.array([float(sum(counts[side] for counts in problem)) for problem in own]) for side in (0, 1)))
    return (pair.ratio, *pair.interval())


# --- what is stored ---------------------------------------------------------------------------------------------------------------------


def _attempts(connection: sa.Connection, cell: Mapping[Any, Any], ran: pd.DataFrame) -> list[Interrupted]:
    """The cell's attempts: the first policy sample is the whole trace, the second what followed the interruption."""
    s, u = _SAMPLE.c, _USE.c
    columns = (s.prompt_id, s.text_id, s.finish, s.output_tokens, s.reasoning_tokens)
    query = sa.select(u.attempt_id, u.output, *columns).join(_SAMPLE, s.id == u.sample_id).join(_ATTEMPT, _ATTEMPT.c.id == u.attempt_id)
    query = query.where(_ATTEMPT.c.cell_id == int(cell["id"])).order_by(u.attempt_id, u.ordinal)
    samples: dict[int, list[Any]] = {}
    for row in connection.execute(query):
        samples.setdefault(row.attempt_id, []).append(row)
    known = _judged(connection, cell)
    made = []
    for attempt, problem, right, items in zip(*(ran[name].tolist() for name in ("attempt", "problem_id", "correct", "items")), strict=True):
        if not (own := samples.get(attempt)):  # the prompt was too long: nothing was made
            made.append(Interrupted(problem, right, items, None, 0, 0, 0, None, None))
            continue
        whole, rest = own[0], own[1] if len(own) > 1 else None
        before = known.get((whole.prompt_id, whole.text_id, whole.finish))
        lengths = (whole.reasoning_tokens, whole.output_tokens - whole.reasoning_tokens, whole.output)
        followed = (None, None) if rest is None else (rest.reasoning_tokens, rest.output_tokens - rest.reasoning_tokens)
        made.append(Interrupted(problem, right, items, before, *lengths, *followed))
    return made


def _judged(connection: sa.Connection, cell: Mapping[Any, Any]) -> dict[tuple[int, int, str], int]:
    """Correct items of every sample that is an attempt of its own in the series, by prompt, text and finish, as its current judge says."""
    a, s, u, j = _ATTEMPT.c, _SAMPLE.c, _USE.c, _JUDGEMENT.c
    query = (
        sa.select(s.prompt_id, s.text_id, a.finish, j.correct)
        .join(_USE, u.sample_id == s.id)
        .join(_ATTEMPT, sa.and_(a.id == u.attempt_id, a.text_id == s.text_id, a.finish == s.finish))
        .join(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.current, j.error == 0))
        .join(_CELL, _CELL.c.id == a.cell_id)
        .where(_CELL.c.series == cell["series"], _CELL.c.task_id.in_(_asked(connection, cell)), u.chosen, a.answers.is_(sa.null()))
    )
    return {(row.prompt_id, row.text_id, row.finish): int(row.correct) for row in connection.execute(query)}


def _asked(connection: sa.Connection, cell: Mapping[Any, Any]) -> list[int]:
    """The task that the whole traces answered: the cell's own; in mode update its base, at the version that the wrapper's holds."""
    if cell["strategy_identity"]["params"]["mode"] != "update":
        return [int(cell["task_id"])]
    task = cell["task_identity"]
    wanted = (task["spec"]["base"], task["revision"], task["version"] % 100)
    found = connection.execute(sa.select(_TASK.c.id, _TASK.c.identity))
    return [n for n, own in found if (own.get("spec"), own.get("revision"), own.get("version")) == wanted]
