"""How confident each attempt was, from what is stored: the agreement of its samples, or the probability of its text."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

import tasks
from perpass.errors import UserError
from results import schema, texts
from results.database import Db, reading
from tasks.types import Task

_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_SAMPLE: Any = schema.Sample.__table__
_USE: Any = schema.AttemptSample.__table__

AGREEMENT, PROBABILITY = "agreement", "probability"
NO_CONFIDENCE, TASK_MISSING = "no_confidence", "task_missing"


@dataclass
class Confidences:
    """Of a cell's attempts with an answer, by attempt, in [0, 1]. `kind`: agreement | probability, or None with `reason`, a code."""

    kind: str | None
    by_attempt: dict[int, float] = field(default_factory=dict)
    reason: str | None = None


@dataclass
class _Attempt:
    """An attempt with an answer, the sample that it is, and those drawn from the same prompt, the former included."""

    answer: str
    chosen: Any
    peers: list[Any] = field(default_factory=list)


def of_cell(db: Db, cell_id: int, spec: Any, load: Callable[[Any], Task] = tasks.load) -> Confidences:
    """The confidences of one cell, whose task has the spec `spec`; only of answers that are one whole sample's text.

    agreement    where attempts drew several samples from one prompt: the share of them whose answer is equivalent to the attempt's, as the
                 task extracts and compares it; samples without an answer agree with none
    probability  where they drew one: the geometric mean of its tokens' probabilities, e to the mean log-probability, where that is stored
    One attempt without it, and the cell has none: `no_confidence`. `task_missing`: the task that would read the samples cannot be loaded.
    """
    with reading(db) as connection:
        found = _attempts(connection, cell_id)
        if not found or any(a is None for a in found.values()):
            return Confidences(None, reason=NO_CONFIDENCE)
        known = {number: a for number, a in found.items() if a is not None}
        if max(len(a.peers) for a in known.values()) < 2:
            return _probabilities(connection, known)
        contents = texts.get(connection, {s.text_id for a in known.values() for s in a.peers})
    try:
        task = load(spec)
    except UserError:
        return Confidences(None, reason=TASK_MISSING)
    answers = {n: task.extract(str(text))[0] for n, text in contents.items()}
    with ThreadPoolExecutor(1) as alone:  # a caller may have an event loop of its own running
        return Confidences(AGREEMENT, alone.submit(asyncio.run, _agreements(task, known, answers)).result())


async def _agreements(task: Task, attempts: dict[int, _Attempt], answers: dict[int, str | None]) -> dict[int, float]:
    found = {}
    for number, attempt in attempts.items():
        own, *others = await task.classes([attempt.answer, *(answers[s.text_id] for s in attempt.peers)])
        found[number] = others.count(own) / len(others)
    return found


def _probabilities(connection: sa.Connection, attempts: dict[int, _Attempt]) -> Confidences:
    arrays = texts.get(connection, {a.chosen.logprobs_id for a in attempts.values()})
    kept: dict[int, Sequence[float]] = {n: arrays.get(a.chosen.logprobs_id, ())[: a.chosen.output] for n, a in attempts.items()}  # type: ignore[misc]
    if not all(kept.values()):
        return Confidences(None, reason=NO_CONFIDENCE)
    return Confidences(PROBABILITY, {n: math.exp(sum(logprobs) / len(logprobs)) for n, logprobs in kept.items()})


def _attempts(connection: sa.Connection, cell_id: int) -> dict[int, _Attempt | None]:
    """The cell's attempts with an answer, by id; None for one whose answer is not the text of one sample."""
    a, s, u = _ATTEMPT.c, _SAMPLE.c, _USE.c
    judged = sa.select(a.id, a.text_id, _JUDGEMENT.c.extracted, _JUDGEMENT.c.outcomes).join(
        _JUDGEMENT, sa.and_(_JUDGEMENT.c.attempt_id == a.id, _JUDGEMENT.c.current)
    )
    used = (
        sa.select(u.attempt_id, u.chosen, u.output, s.text_id, s.prompt_id, s.logprobs_id)
        .join(_SAMPLE, s.id == u.sample_id)
        .join(_ATTEMPT, a.id == u.attempt_id)
        .where(a.cell_id == cell_id, u.role == "policy", s.kind == "generate")
        .order_by(u.attempt_id, u.ordinal)
    )
    samples: dict[int, list[Any]] = {}
    for row in connection.execute(used):
        samples.setdefault(row.attempt_id, []).append(row)
    found: dict[int, _Attempt | None] = {}
    for row in connection.execute(judged.where(a.cell_id == cell_id)):
        if row.outcomes[0] not in ("correct", "wrong"):
            continue
        own = samples.get(row.id, [])
        chosen = next((one for one in own if one.chosen and one.text_id == row.text_id), None)
        answer = row.extracted[0] if row.extracted else None
        peers = [one for one in own if chosen is not None and one.prompt_id == chosen.prompt_id]
        found[row.id] = None if chosen is None or answer is None else _Attempt(answer, chosen, peers)
    return found
