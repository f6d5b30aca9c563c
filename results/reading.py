"""What the runner reads back: finished attempts, pooled samples, what an attempt used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from results import texts
from results.records import SampleRecord, Twin, Use
from results.schema import Attempt, AttemptSample, Engine, Hardware, Judgement, RewardScore, Run, Sample

_S: Any = Sample.__table__
PLAIN = [f for f in SampleRecord.__dataclass_fields__ if f in _S.c]  # fields that are columns of the same name
_POOLS = (
    sa.select(_S)
    .where(_S.c.pool.in_(sa.bindparam("pools", expanding=True)), _S.c.trial.in_(sa.bindparam("trials", expanding=True)))
    .order_by(_S.c.pool, _S.c.trial, _S.c.position)
)
TEXTS = {field: f"{field}_id" for field in ("prompt", "text", "token_ids", "logprobs", "confidence", "chunks")}


def finished(connection: sa.Connection, cell_id: int) -> set[tuple[int, int]]:
    query = sa.select(Attempt.problem_id, Attempt.trial).where(Attempt.cell_id == cell_id, Attempt.error.is_(None))
    return {(problem, trial) for problem, trial in connection.execute(query)}


def pool(connection: sa.Connection, name: str, trial: int | None) -> list[SampleRecord]:
    query = sa.select(_S).where(_S.c.pool == name).order_by(_S.c.trial, _S.c.position)
    if trial is not None:
        query = query.where(_S.c.trial == trial)
    return records(connection, connection.execute(query).mappings().all())


def pools(connection: sa.Connection, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], list[SampleRecord]]:
    found: dict[tuple[str, int], list[SampleRecord]] = {place: [] for place in wanted}
    rows: list[Any] = []
    for part in texts.chunks(wanted):
        names, trials = sorted({name for name, _ in part}), sorted({trial for _, trial in part})
        rows += connection.execute(_POOLS, {"pools": names, "trials": trials}).mappings().all()
    for record in records(connection, [row for row in rows if (row["pool"], row["trial"]) in found]) if rows else ():
        assert record.pool is not None
        found[record.pool, record.trial].append(record)
    return found


def samples(connection: sa.Connection, keys: Sequence[str]) -> dict[str, SampleRecord]:
    rows: list[Any] = []
    for part in texts.chunks(keys):
        rows += connection.execute(sa.select(_S).where(_S.c.key.in_(part))).mappings().all()
    return {record.key: record for record in records(connection, rows)}


def attempt_samples(connection: sa.Connection, attempt_id: int) -> list[tuple[Use, SampleRecord]]:
    a: Any = AttemptSample.__table__
    query = sa.select(a, _S.c.key).join(_S, _S.c.id == a.c.sample_id).where(a.c.attempt_id == attempt_id).order_by(a.c.ordinal)
    uses = [Use(r.key, r.ordinal, r.role, r.output, r.cached, r.share, r.chosen) for r in connection.execute(query)]
    found = samples(connection, [u.sample_key for u in uses])
    return [(use, found[use.sample_key]) for use in uses]


def records(connection: sa.Connection, rows: Sequence[Any]) -> list[SampleRecord]:
    """Whole samples from rows of the sample table, their texts read in bulk."""
    contents = texts.get(connection, (row[column] for row in rows for column in TEXTS.values()))
    scores = _scores(connection, [row["id"] for row in rows if row["kind"] == "reward"])
    made = []
    for row in rows:
        content: dict[str, Any] = {field: contents.get(row[column]) for field, column in TEXTS.items()}
        made.append(SampleRecord(**{f: row[f] for f in PLAIN}, **content, scores=scores.get(row["id"])))
    return made


def twins(connection: sa.Connection, series: str) -> dict[int, list[Twin]]:
    engines: dict[int, Any] = dict(connection.execute(sa.select(Engine.id, Engine.identity)).tuples().all())
    places: dict[int, Any] = dict(connection.execute(sa.select(Hardware.id, Hardware.identity)).tuples().all())
    query = sa.select(_S.c.seed, _S.c.key, _S.c.engine_id, _S.c.hardware_id).join(Run, Run.id == _S.c.run_id)
    found: dict[int, list[Twin]] = {}
    for seed, key, engine, hardware in connection.execute(query.where(_S.c.pool.is_not(None), Run.series == series).order_by(_S.c.id)):
        found.setdefault(seed, []).append(Twin(key, engines[engine], places[hardware]))
    return found


def _scores(connection: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[float | None, ...]]:
    found: dict[int, list[float | None]] = {}
    for part in texts.chunks(ids):
        query = sa.select(RewardScore.sample_id, RewardScore.score).where(RewardScore.sample_id.in_(part))
        for number, score in connection.execute(query.order_by(RewardScore.sample_id, RewardScore.step)):
            found.setdefault(number, []).append(score)
    return {number: tuple(values) for number, values in found.items()}


def judges(connection: sa.Connection, cell_id: int) -> dict[str, int]:
    query = sa.select(Judgement.judge, sa.func.count()).join(Attempt, Attempt.id == Judgement.attempt_id)
    query = query.where(Attempt.cell_id == cell_id, Judgement.current).group_by(Judgement.judge)
    return dict(connection.execute(query).tuples().all())


def environments(connection: sa.Connection, cell_id: int) -> list[dict[str, Any]]:
    used = sa.select(Attempt.run_id).where(Attempt.cell_id == cell_id).distinct()
    return list(connection.execute(sa.select(Run.environment).where(Run.id.in_(used)).order_by(Run.id)).scalars())
