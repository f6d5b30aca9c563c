"""A memory that is carried from problem to problem: in order, one after another, stored after each, gone on with by a later run."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.cell import Cell
from harness.context import Context
from harness.strategy import Strategy
from harness.testing import ScriptedEngine
from harness.types import Answer, Sampling, TransportFault
from tests.harness.digits import Digits, place
from tests.harness.test_context import custom
from tests.harness.test_context import run as attempt
from tests.harness.test_runner import QUICK, go, table


async def remembering(ctx: Context, order: int = 0) -> Answer:
    """Asks with all that it remembers, and remembers each question's number."""
    met = ctx.memory.state or []
    sample = await ctx.one(ctx.compose(f"After {met}."))
    ctx.memory.state = [*met, ctx.problem.key]
    return Answer.of(sample)


def memory_cell(engine: ScriptedEngine | None = None, *, order: int = 0, limit: int | None = None, trials: int = 1) -> Cell:
    declared = Strategy("remembering", 1, "test", "", frozenset(), None, "no", {}, remembering, memory=True)
    bound = declared.bind({"order": order}, Sampling(max_tokens=200), {})
    return Cell(place(engine), bound, Digits(), limit=limit, trials=trials)


def snapshots(db: Path) -> dict[tuple[int, int], Any]:
    """What each trial's memory held after each place of its order."""

    rows = table(db, "select trial, ordinal, data from memory join text on text.id = text_id")
    return {(r.trial, r.ordinal): json.loads(zlib.decompress(r.data)) for r in rows.itertuples()}


def test_each_problem_finds_what_the_one_before_left(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    done = go([memory_cell(ScriptedEngine(latency=(0, 0.004)), trials=2)], db)
    assert (done.status, done.state.attempts_done) == ("done", 12)
    keys = [f"digit/{i}" for i in range(6)]
    assert snapshots(db) == {(trial, i): keys[: i + 1] for trial in (0, 1) for i in range(6)}
    assert go([memory_cell(trials=2)], db).state.attempts == 0


def test_an_order_seed_shuffles_and_a_longer_limit_goes_on(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    shuffled = memory_cell(order=3)
    assert [p.key for p in shuffled.sequence] != [p.key for p in shuffled.problems]
    go([shuffled], db)
    assert snapshots(db)[0, 5] == [p.key for p in shuffled.sequence]
    first, more = tmp_path / "b.db", memory_cell()
    go([memory_cell(limit=2)], first)
    assert go([more], first).state.attempts_done == 4
    assert snapshots(first) == {(0, i): [f"digit/{k}" for k in range(i + 1)] for i in range(6)}


def test_a_memory_that_met_other_problems_is_not_gone_on_with(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    go([memory_cell(order=3, limit=3)], db)
    later = go([memory_cell(order=3)], db)
    assert later.state.attempts_done == 0 and "memory_order" in later.state.notes[0] and "--fresh" in later.state.notes[0]
    assert len(snapshots(db)) == 3


def test_an_error_stops_the_chain_and_the_next_run_goes_on_from_it(tmp_path: Path) -> None:
    db = tmp_path / "a.db"

    class Flaky(ScriptedEngine):
        broken = True

        async def generate(self, *args: Any, **kwargs: Any) -> Any:
            if Flaky.broken and "number 3" in str(args[0]):
                raise TransportFault("connection reset")
            return await super().generate(*args, **kwargs)

    first = go([memory_cell(Flaky())], db, replace(QUICK, retries=0))
    assert (first.status, first.state.attempts_done, first.state.errors) == ("errors", 4, 1)
    assert sorted(snapshots(db)) == [(0, 0), (0, 1), (0, 2)]
    Flaky.broken = False
    second = go([memory_cell(Flaky())], db)
    assert (second.status, second.state.attempts_done) == ("done", 3)
    assert snapshots(db)[0, 5] == [f"digit/{i}" for i in range(6)]
    whole = tmp_path / "b.db"
    go([memory_cell()], whole)
    texts = "select data from attempt join text on text.id = text_id order by problem_id"
    assert table(db, texts).data.tolist() == table(whole, texts).data.tolist()


def test_a_memory_has_to_be_declared() -> None:
    async def secretive(ctx: Context) -> Answer:
        ctx.memory.state = 1
        return Answer.of(await ctx.one(ctx.ask))

    done, _ = attempt(custom(secretive, ScriptedEngine()))
    assert "without declaring it" in done.answered.error


def test_a_trimmed_sample_is_charged_for_what_is_left() -> None:
    async def half(ctx: Context) -> Answer:
        sample = await ctx.one(ctx.ask)
        probes = await ctx.gather(*(ctx.one(ctx.ask.extend(sample.text[:k]), max_tokens=5) for k in (4, 8)))
        kept = ctx.trim(sample, 8)
        return Answer(text=kept.text + probes[1].text, samples=(kept,))

    done, made = attempt(custom(half, ScriptedEngine()))
    pooled, *probes = done.answered.calls
    assert pooled.kept.usage.output == 8 < pooled.made.usage.output and pooled.kept.finish == "stop"
    assert [u.output for u in done.answered.charged] == [8, 5, 5]
    assert done.answered.serial_tokens == 8 + 5
    assert done.answered.charged[2].cached == done.answered.charged[2].prompt - 1  # the kept trace is the probe's prefix
    assert made[0].sample.usage.output == pooled.made.usage.output  # spent whole
    assert len(probes) == 2


@pytest.mark.parametrize("tokens", [10_000, 50])
def test_trimming_to_more_than_there_is_changes_nothing(tokens: int) -> None:
    async def untouched(ctx: Context) -> Answer:
        sample = await ctx.one(ctx.ask, max_tokens=50)
        assert ctx.trim(sample, tokens) == sample
        return Answer.of(sample)

    done, _ = attempt(custom(untouched, ScriptedEngine()))
    assert done.answered.error is None
