"""Pools as a curve sees them: which strategies share which, and what each of their samples took and showed.

A pool belongs to one prompt, so to one problem. A `Group` is the pools of one way to ask, a problem each, in one series, of one model on
one engine: what `cot` and `self_consistency` draw from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from perpass.identity import content_hash
from results import frames, schema, texts
from results.database import Db, reading

if TYPE_CHECKING:
    import pandas as pd

_ATTEMPT: Any = schema.Attempt.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_PROBLEM: Any = schema.Problem.__table__
_SAMPLE: Any = schema.Sample.__table__
_TEXT: Any = schema.Text.__table__
_USE: Any = schema.AttemptSample.__table__

TOO_LONG = "too_long"


@dataclass(frozen=True)
class Group:
    """cell     the one that names the group, a row of `frames.cells`: of the cells that draw all they use from it, the one with the fewest
             calls per attempt (cot, where it was run)
    cells    the names of all of these cells
    pools    problem id by pool
    caches   whether an attempt's second sample finds the prompt in the engine's cache, and is charged so
    key      content hash: the same however many problems and samples are added
    """

    cell: Mapping[str, Any]
    cells: tuple[str, ...]
    pools: Mapping[str, int]
    caches: bool
    key: str


@dataclass(frozen=True)
class _Member:
    cell_id: int
    calls: float  # per attempt
    pools: dict[str, int]
    cached: bool


def groups(db: Db, cells: pd.DataFrame) -> list[Group]:
    """The groups that these cells (rows of `frames.cells`) draw from, in the order of the cells that name them.

    A cell belongs to one when its attempts draw nothing but samples of one pool per problem, each of which is one reply to be judged; live
    cells never do.
    """
    import pandas as pd

    chosen = cells[cells["mode"] == "pooled"]
    if chosen.empty:
        return []
    alike = frames.cells(db).merge(chosen[["series", "task_id"]].drop_duplicates(), on=["series", "task_id"])
    rows = {int(row["id"]): row for row in pd.concat([chosen, alike]).drop_duplicates("id").to_dict("records")}
    with reading(db) as connection:
        members = _members(connection, [n for n, row in rows.items() if row["mode"] == "pooled"])
        ordinals = _ordinals(connection, {n for member in members for n in member.pools.values()})
    first: dict[str, _Member] = {}
    joined: dict[int, list[_Member]] = {}
    for member in members:
        if not set(member.pools.values()) <= ordinals.keys():
            continue
        named = next((first[pool] for pool in member.pools if pool in first), member)
        joined.setdefault(named.cell_id, []).append(member)
        first |= dict.fromkeys(member.pools, named)
    wanted = [own for own, some in sorted(joined.items()) if {m.cell_id for m in some} & set(chosen["id"])]
    return [_group(rows[own], joined[own], rows, ordinals) for own in wanted]


def _ordinals(connection: sa.Connection, problems: Collection[int]) -> dict[int, int]:
    """Where problems stand in their task's order, those that ask for one reply."""
    p = _PROBLEM.c
    found: dict[int, int] = {}
    for part in texts.chunks(sorted(problems)):
        query = sa.select(p.id, p.ordinal).where(p.id.in_(part), p.request == "generate")
        found |= dict(connection.execute(query).tuples().all())
    return found


def _group(cell: Mapping[Any, Any], members: Sequence[_Member], rows: Mapping[int, Any], ordinals: Mapping[int, int]) -> Group:
    pools = {pool: problem for member in members for pool, problem in member.pools.items()}
    settings = cell["engine_identity"].get("settings") or {}
    caches = bool(settings.get("prefix_caching")) or any(member.cached for member in members)
    leading = min(pools, key=lambda pool: ordinals[pools[pool]])
    return Group(cell, tuple(rows[m.cell_id]["cell"] for m in members), pools, caches, content_hash("curves", leading))


def _members(connection: sa.Connection, cell_ids: Sequence[int]) -> list[_Member]:
    """The cells that draw from pools alone, those with the fewest calls per attempt first."""
    a, s, u = _ATTEMPT.c, _SAMPLE.c, _USE.c
    query = (
        sa.select(
            a.cell_id,
            a.problem_id,
            sa.func.min(s.pool).label("pool"),
            (sa.func.count(s.pool.distinct()) == 1).label("one"),
            (sa.func.count(s.pool) == sa.func.count()).label("all"),
            sa.func.max(u.role).label("role"),
            sa.func.min(u.role).label("other"),
            sa.func.count().label("calls"),
            sa.func.count(u.attempt_id.distinct()).label("attempts"),
            sa.func.max(u.cached).label("cached"),
        )
        .join(_USE, u.attempt_id == a.id)
        .join(_SAMPLE, s.id == u.sample_id)
        .group_by(a.cell_id, a.problem_id)
    )
    found: dict[int, list[Any]] = {}
    for part in texts.chunks(cell_ids):
        for row in connection.execute(query.where(a.cell_id.in_(part))):
            found.setdefault(row.cell_id, []).append(row)
    made = []
    for cell_id, own in found.items():
        if all(row.one and row.all and row.role == row.other == "policy" for row in own):
            calls = sum(row.calls for row in own) / sum(row.attempts for row in own)
            made.append(_Member(cell_id, calls, {row.pool: row.problem_id for row in own}, any(row.cached for row in own)))
    return sorted(made, key=lambda member: (member.calls, member.cell_id))


# --- what a group holds -------------------------------------------------------------------------------------------------------------------


def inputs(connection: sa.Connection, group: Group) -> str:
    """A hash of what a curve is computed from, in no time: samples never change, so their number, ids and settled energy tell; and the
    judges whose judgements of the naming cell are current."""
    s = _SAMPLE.c
    counts, sums = [0, 0], [0.0, 0.0]
    for part in texts.chunks(sorted(group.pools)):
        totals = (sa.func.count(), *(sa.func.coalesce(sa.func.sum(c), 0) for c in (s.id, s.energy_j, s.device_s)))
        row = connection.execute(sa.select(*totals).where(s.pool.in_(part))).one()
        counts = [a + int(b) for a, b in zip(counts, row[:2], strict=True)]
        sums = [a + float(b) for a, b in zip(sums, row[2:], strict=True)]
    judges = sa.select(_JUDGEMENT.c.judge).distinct().join(_ATTEMPT, _ATTEMPT.c.id == _JUDGEMENT.c.attempt_id)
    judges = judges.where(_ATTEMPT.c.cell_id == int(group.cell["id"]), _JUDGEMENT.c.current)
    return content_hash(counts, [f"{x:.9g}" for x in sums], sorted(connection.execute(judges).scalars()), group.caches)


def samples(connection: sa.Connection, group: Group, observed: bool = True) -> pd.DataFrame:
    """One row per sample of the group, by problem, trial and position: problem_id, text_id, content (hash of its text), finish, prompt,
    cached, output (tokens), flop and flop_further (charged as an attempt's first sample, and as a later one), energy_j, device_s,
    energy_source, energy_code; `observed`: with logprob and confidence, means over its tokens, NaN where not observed."""
    import pandas as pd

    s = _SAMPLE.c
    numbers = (s.energy_j, s.device_s, s.energy_source, s.energy_code, s.logprobs_id, s.confidence_id)
    counts = (s.prompt_tokens.label("prompt"), s.cached_tokens.label("cached"), s.output_tokens.label("output"))
    flops = (s.flop_linear, s.flop_attention, s.flop_head)
    query = sa.select(s.problem_id, s.trial, s.position, s.text_id, _TEXT.c.hash, s.finish, *counts, *flops, *numbers)
    query = query.join(_TEXT, _TEXT.c.id == s.text_id).where(s.kind == "generate")
    parts = [pd.read_sql(query.where(s.pool.in_(part)), connection) for part in texts.chunks(sorted(group.pools))]
    found = pd.concat(parts).sort_values(["problem_id", "trial", "position"]).reset_index(drop=True)
    found["content"] = [bytes(h).hex() for h in found["hash"]]
    found["flop"] = charged(found, 0)
    found["flop_further"] = charged(found, shared(found["prompt"], group.caches))
    for name in ("logprob", "confidence") if observed else ():
        column = "logprobs_id" if name == "logprob" else "confidence_id"
        means = _means(connection, found[column].dropna().astype(int).tolist())
        found[name] = found[column].map(means).astype(float)
    return found.drop(columns=["hash", "flop_linear", "flop_attention", "flop_head", "logprobs_id", "confidence_id"])


def shared(prompt: pd.Series, caches: bool) -> pd.Series:
    """Prompt tokens that an attempt's later samples find in the engine's cache: all but one, which is always fresh (`harness.calls`)."""
    return (prompt - 1).clip(lower=0) if caches else prompt * 0


def charged(rows: pd.DataFrame, cached: Any) -> pd.Series:
    """FLOPs of samples, had `cached` of their prompt's tokens been in the cache, from what they took with those that were.

    The linear part goes by the tokens passed through the model, attention by Σ context lengths (`energy.flops.count`): exact for causal
    attention over everything, a little off for sliding windows.
    """
    end = rows["prompt"] + (rows["output"] - 1).clip(lower=0)
    before = rows["cached"]

    def contexts(start: Any) -> Any:
        return end * (end + 1) / 2 - start * (start + 1) / 2

    linear = rows["flop_linear"].astype(float) * ((end - cached) / (end - before))
    return linear + rows["flop_attention"].astype(float) * (contexts(cached) / contexts(before)) + rows["flop_head"].astype(float)


def _means(connection: sa.Connection, ids: Sequence[int]) -> dict[int, float]:
    found: dict[int, float] = {}
    for part in texts.chunks(sorted(set(ids))):
        arrays: Any = texts.get(connection, part)
        found |= {number: math.fsum(values) / len(values) for number, values in arrays.items() if values}
    return found


def too_long(connection: sa.Connection, group: Group) -> list[int]:
    """The problems of the naming cell whose prompt did not fit: they have no samples, and are wrong however many one asks for."""
    a = _ATTEMPT.c
    query = sa.select(a.problem_id).distinct().join(_JUDGEMENT, sa.and_(_JUDGEMENT.c.attempt_id == a.id, _JUDGEMENT.c.current))
    query = query.where(a.cell_id == int(group.cell["id"]), _JUDGEMENT.c[TOO_LONG] > 0)
    return sorted(set(connection.execute(query).scalars()) - set(group.pools.values()))
