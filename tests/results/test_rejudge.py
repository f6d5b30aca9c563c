"""Judging stored attempts again: nothing is generated, only judgements change."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from perpass.errors import UserError
from results import report
from results.rejudge import Summary, rejudge
from tasks.types import Ask, Judgement, Outcome, Problem, Reply
from tests.results.builders import World, cell_key, problems


@dataclass
class Lenient:
    """A fixed grader: every answer that mentions `answer` is right."""

    judge_version: str = "exact-2"
    version: int = 1
    name: str = "sums"
    items: int = 1
    revision: str = "generated"
    spec: dict[str, Any] = field(default_factory=dict)
    count: int = 4
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def problems(self) -> Sequence[Problem]:
        return problems(self.count)

    def extract(self, text: str) -> tuple[str | None, ...]:
        return (text,)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        self.asked.append(reply.text)
        if self.fails:
            raise RuntimeError("the grader crashed")
        right = "answer" in reply.text or reply.items == ("answer",)
        return Judgement((Outcome.CORRECT if right else Outcome.WRONG,), {"exact": float(right)}, (reply.text,))

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        return list(range(len(answers)))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def run(world: World, task: Lenient) -> Summary:
    return asyncio.run(rejudge(world.store, lambda spec: task))


def scalar(world: World, query: str) -> Any:
    with world.engine.connect() as connection:
        return connection.execute(sa.text(query)).scalar()


def test_a_fixed_grader_reaches_old_results_without_generating(world: World) -> None:
    row = world.cell(cell_key())
    world.solve(row, cell_key(), {"p0": ["wrong", "correct"], "p1": ["unparsable", "error"]})
    samples = scalar(world, "SELECT count(*) FROM sample")
    done = run(world, Lenient())
    assert (done.attempts, done.judged, done.changed, done.failed) == (3, 3, 2, 0)
    assert scalar(world, "SELECT count(*) FROM sample") == samples
    (shown,) = report.rows(world.engine)
    assert shown["outcomes"] == {"correct": 3, "error": 1} and shown["judge"] == "exact-1,exact-2"
    assert scalar(world, "SELECT correct FROM cell") == 3
    assert scalar(world, "SELECT count(*) FROM judgement WHERE NOT current") == 3  # the old ones stay, for comparison


def test_a_second_time_there_is_nothing_to_do(world: World) -> None:
    world.solve(world.cell(cell_key()), cell_key(), {"p0": ["wrong"]})
    run(world, Lenient())
    again = Lenient()
    assert run(world, again).judged == 0 and again.asked == []


def test_going_back_to_an_older_judge_makes_its_judgement_current_again(world: World) -> None:
    world.solve(world.cell(cell_key()), cell_key(), {"p0": ["wrong"]})
    run(world, Lenient("exact-2"))
    run(world, Lenient("exact-1"))
    assert scalar(world, "SELECT count(*) FROM judgement WHERE current") == 1
    assert scalar(world, "SELECT judge FROM judgement WHERE current") == "exact-1"


def test_a_vote_is_judged_as_it_was_cast_and_its_cell_marked(world: World) -> None:
    row = world.cell(cell_key())
    sample = world.sample(cell_key(), "s", world.ids[row.name]["p0"], text="nothing")
    world.store.write([sample], [world.attempt(row, cell_key(), "p0", ["wrong"], [sample], items=("answer",))])
    done = run(world, Lenient())
    assert done.changed == 1 and done.stale_cells == {row.name}
    assert report.rows(world.engine)[0]["codes"] == ["stale_extractor"]


def test_a_prompt_that_did_not_fit_never_had_an_answer(world: World) -> None:
    row = world.cell(cell_key())
    world.store.write([], [world.attempt(row, cell_key(), "p0", ["too_long"], [], text="")])
    task = Lenient()
    assert run(world, task).changed == 0 and task.asked == []
    assert report.rows(world.engine)[0]["outcomes"] == {"too_long": 1}


def test_an_attempt_whose_judge_failed_is_mended(world: World) -> None:
    row = world.cell(cell_key())
    sample = world.sample(cell_key(), "s", world.ids[row.name]["p0"])
    world.store.write([sample], [world.attempt(row, cell_key(), "p0", ["error"], [sample], error="judge: TimeoutError: 5 s")])
    assert run(world, Lenient("exact-1")).judged == 1
    assert world.store.finished(row.id) == {(world.ids[row.name]["p0"], 0)}
    assert report.rows(world.engine)[0]["outcomes"] == {"correct": 1}


def test_a_judge_that_fails_leaves_the_old_judgement(world: World) -> None:
    world.solve(world.cell(cell_key()), cell_key(), {"p0": ["correct"]})
    done = run(world, Lenient(fails=True))
    assert (done.failed, done.judged) == (1, 0)
    assert scalar(world, "SELECT judge FROM judgement WHERE current") == "exact-1"


def test_tasks_that_are_no_longer_the_same_are_left_with_a_note(world: World) -> None:
    world.solve(world.cell(cell_key()), cell_key(), {"p0": ["wrong"], "p3": ["wrong"]})
    assert "now version 2" in run(world, Lenient(version=2)).notes[0]
    fewer = run(world, Lenient(count=2))
    assert fewer.judged == 1 and "2 stored problems" in fewer.notes[0]

    def gone(spec: Any) -> Any:
        raise UserError("data set missing")

    assert asyncio.run(rejudge(world.engine, gone)).notes == ["task sums: not judged again: data set missing"]
