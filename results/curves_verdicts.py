"""Whether each sample of a pool is right, and which samples give the same answer: asked of the task once per text, then stored.

A vote's samples are judged nowhere else: `bench run` judges what an attempt answers, not what it drew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from perpass.identity import content_hash
from results import analyses, schema, texts
from results.analyses import Analysis
from results.curves_pools import Group
from results.database import transaction
from results.identities import problem_hash
from tasks.types import Ask, Outcome, Problem, Reply, Task

_ATTEMPT: Any = schema.Attempt.__table__
_CELL: Any = schema.Cell.__table__
_JUDGEMENT: Any = schema.Judgement.__table__
_PROBLEM: Any = schema.Problem.__table__
_TEXT: Any = schema.Text.__table__

KIND = "verdicts"
BATCH = 50  # problems judged and stored together
AT_ONCE = 16

Content = tuple[str, str]  # hash of a text, and how it ended
Contents = dict[int, dict[Content, int]]  # by problem; the id of the text


@dataclass(frozen=True)
class Verdict:
    """Of one text: per item, whether it is right, and the number of its answer's class among the problem's, None without an answer."""

    right: tuple[bool, ...]
    classes: tuple[int | None, ...]


@dataclass
class Judged:
    """Verdicts by problem and content. `changed`: problems that are not the task's any more; `failed`: some text's judge failed."""

    judge: str
    verdicts: dict[int, dict[Content, Verdict]]
    asked: int = 0  # texts that the task was asked about; the others were known
    changed: int = 0
    failed: int = 0


async def judged(
    engine: sa.Engine,
    group: Group,
    contents: Contents,
    task: Task,
    *,
    ask: Ask | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """The verdicts on all of `contents`; what is not stored yet is asked of the task and stored, so it is safe to interrupt and to repeat.

    progress(done, of): problems. Only problems that ask for one reply are judged; all others are `changed` or left out with them.
    """
    found = Judged(task.judge_version, {})
    with engine.connect() as connection:
        rows = connection.execute(sa.select(_PROBLEM.c.id, _PROBLEM.c.key, _PROBLEM.c.hash).where(_PROBLEM.c.id.in_(list(contents)))).all()
        pools = {problem: pool for pool, problem in group.pools.items()}
        stored = analyses.get(connection, KIND, (_key(pools[problem]) for problem in contents))
    now = {problem.key: problem for problem in task.problems()}
    todo: list[_Todo] = []
    for row in rows:
        problem = now.get(row.key)
        if problem is None or problem_hash(problem) != row.hash or problem.request != "generate":
            found.changed += 1
            continue
        before = stored.get(_key(pools[row.id]))
        if before is not None and before.inputs == _inputs(task, row.hash, contents[row.id]):
            found.verdicts[row.id] = _read(before)
        else:
            todo.append(_Todo(row.id, problem, row.hash, pools[row.id], before))
    for done, part in enumerate(texts.chunks(todo, BATCH)):
        if progress is not None:
            progress(done * BATCH, len(todo))
        await _judge(engine, group, contents, task, ask, part, found)
    return found


def _key(pool: str) -> str:
    return content_hash(KIND, pool)


def _inputs(task: Task, problem: str, contents: Mapping[Content, int]) -> str:
    return content_hash(task.judge_version, problem, sorted(contents))


def _read(stored: Analysis) -> dict[Content, Verdict]:
    return {
        (text, finish): Verdict(tuple(o == Outcome.CORRECT for o in outcomes), tuple(classes))
        for text, finish, outcomes, _, classes in stored.result["contents"]
    }


class _Todo(NamedTuple):
    """A problem whose texts are not all judged by its task as it is now."""

    number: int
    problem: Problem
    hash: str
    pool: str
    before: Analysis | None


Known = dict[Content, tuple[list[str], list[str | None]]]  # outcomes and extracted answers, per item


async def _judge(
    engine: sa.Engine, group: Group, contents: Contents, task: Task, ask: Ask | None, todo: Sequence[_Todo], found: Judged
) -> None:
    with engine.connect() as connection:
        attempts = _attempts(connection, group, [own.number for own in todo], task.judge_version)
        written = texts.get(connection, {text for own in todo for text in contents[own.number].values()})
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(own: _Todo) -> Analysis | None:
        wanted = contents[own.number]
        known = attempts.get(own.number, {}) | _known(own.before, task.judge_version)
        known = {content: verdict for content, verdict in known.items() if content in wanted}
        missing = [content for content in wanted if content not in known]
        replies = [Reply(str(written[wanted[content]]), content[1]) for content in missing]
        found.asked += len(missing)
        made = await asyncio.gather(*(_ask(task, own.problem, reply, ask, limit) for reply in replies))
        if any(verdict is None for verdict in made):
            found.failed += 1
            return None
        known |= {content: verdict for content, verdict in zip(missing, made, strict=True) if verdict is not None}
        return await _analysis(group, task, own, known, wanted)

    stored = [await one(own) for own in todo]
    done = {own.number: analysis for own, analysis in zip(todo, stored, strict=True) if analysis is not None}
    with transaction(engine) as connection:
        analyses.put(connection, list(done.values()))
    found.verdicts |= {number: _read(analysis) for number, analysis in done.items()}


def _known(before: Analysis | None, judge: str) -> Known:
    """What is stored by the same judge: samples that came later leave the earlier ones' verdicts as they are."""
    if before is None or before.parameters["judge"] != judge:
        return {}
    return {(text, finish): (outcomes, extracted) for text, finish, outcomes, extracted, _ in before.result["contents"]}


async def _ask(task: Task, problem: Problem, reply: Reply, ask: Ask | None, limit: asyncio.Semaphore) -> tuple[list[str], Any] | None:
    async with limit:
        try:
            verdict = await task.judge(problem, reply, ask)
        except Exception:
            return None
    extracted = list(verdict.extracted) or [None] * len(verdict.items)
    return [str(outcome) for outcome in verdict.items], extracted


async def _analysis(group: Group, task: Task, own: _Todo, known: Known, contents: Mapping[Content, int]) -> Analysis:
    ordered = sorted(known)
    numbered = [await task.classes([known[c][1][item] for c in ordered]) for item in range(task.items)]
    result = [
        [*c, *known[c], [classes[at] if known[c][1][item] is not None else None for item, classes in enumerate(numbered)]]
        for at, c in enumerate(ordered)
    ]
    return Analysis(
        kind=KIND,
        key=_key(own.pool),
        inputs=_inputs(task, own.hash, contents),
        result={"contents": result},
        parameters={"judge": task.judge_version, "problem": own.problem.key},
        cell_id=int(group.cell["id"]),
        series=str(group.cell["series"]),
    )


def _attempts(connection: sa.Connection, group: Group, problems: Sequence[int], judge: str) -> dict[int, Known]:
    """What this judge has said of attempts of the series whose answer is one text: those of cot are samples of the pool."""
    a, j = _ATTEMPT.c, _JUDGEMENT.c
    query = (
        sa.select(a.problem_id, _TEXT.c.hash, a.finish, j.outcomes, j.extracted)
        .join(_JUDGEMENT, sa.and_(j.attempt_id == a.id, j.judge == judge, j.error == 0))
        .join(_TEXT, _TEXT.c.id == a.text_id)
        .join(_CELL, _CELL.c.id == a.cell_id)
        .where(_CELL.c.name.in_(group.cells), _CELL.c.series == group.cell["series"], a.error.is_(None), a.answers.is_(sa.null()))
    )
    found: dict[int, Known] = {}
    for part in texts.chunks(problems):
        for row in connection.execute(query.where(a.problem_id.in_(part))):
            if len(row.extracted) == len(row.outcomes):
                found.setdefault(row.problem_id, {})[bytes(row.hash).hex(), row.finish] = (row.outcomes, row.extracted)
    return found
