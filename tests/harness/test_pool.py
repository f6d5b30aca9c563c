"""Pools read the database once for all that ask meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from harness.pool import Place, Pools, sample_key
from harness.types import Observe, Sample, Timing, Usage
from results.records import SampleRecord

Answers = Mapping[Place, Sequence[SampleRecord]]


def record(pool: str, trial: int, position: int) -> SampleRecord:
    counts = dict.fromkeys(("prompt_tokens", "cached_tokens", "output_tokens", "reasoning_tokens", "scored_tokens"), 1)
    ids = dict.fromkeys(("run_id", "model_id", "engine_id", "hardware_id", "problem_id"), 1)
    work = dict.fromkeys(("flop_linear", "flop_attention", "flop_head"), 1.0)
    return SampleRecord(
        key=sample_key(pool, trial, position),
        kind="generate",
        pool=pool,
        trial=trial,
        position=position,
        role="policy",
        seed=0,
        prompt="?",
        text="stored",
        finish="eos",
        sent=0.0,
        first=None,
        last=1.0,
        **counts,
        **ids,
        **work,
    )


async def made() -> Sample:
    return Sample("made", (), "eos", Usage(), Timing(0.0, None, 0.0))


def test_what_is_asked_while_a_reading_is_under_way_is_read_together() -> None:
    asked: list[list[Place]] = []

    async def work() -> list[str]:
        free = asyncio.Event()

        async def load(wanted: Sequence[Place]) -> Answers:
            asked.append(list(wanted))
            await free.wait()
            return {place: [record(*place, 0)] for place in wanted if place[1] == 1}

        pools = Pools(load)
        draw = lambda pool, trial: asyncio.ensure_future(pools.draw(pool, trial, 0, Observe(), made))  # noqa: E731
        draws = [draw("a", 0), draw("a", 0), draw("b", 1)]
        while not asked:
            await asyncio.sleep(0)
        draws += [draw("c", 0), draw("d", 1), draw("a", 0)]
        for _ in range(5):
            await asyncio.sleep(0)
        free.set()
        found = [drawn.sample.text for drawn in await asyncio.gather(*draws)]
        await pools.draw("b", 1, 0, Observe(), made)  # is known
        return found

    assert asyncio.run(work()) == ["made", "made", "stored", "made", "stored", "made"]
    assert asked == [[("a", 0), ("b", 1)], [("c", 0), ("d", 1)]]


def test_a_reading_that_fails_fails_all_that_wait_for_it_and_no_other() -> None:
    async def load(wanted: Sequence[Place]) -> Answers:
        if ("a", 0) in wanted:
            raise OSError("the disk is gone")
        return {}

    async def work() -> None:
        pools = Pools(load)
        ended = await asyncio.gather(*(pools.draw("a", 0, i, Observe(), made) for i in range(3)), return_exceptions=True)
        assert [str(error) for error in ended] == ["the disk is gone"] * 3
        assert (await pools.draw("b", 0, 0, Observe(), made)).sample.text == "made"

    asyncio.run(work())


def test_cancelling_ends_a_reading_and_all_that_wait_for_it() -> None:
    async def load(wanted: Sequence[Place]) -> Answers:
        await asyncio.Event().wait()
        raise AssertionError

    async def work() -> None:
        pools = Pools(load)
        draws = [asyncio.ensure_future(pools.draw("a", trial, 0, Observe(), made)) for trial in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        await pools.cancel()
        for ended in await asyncio.gather(*draws, return_exceptions=True):
            assert isinstance(ended, asyncio.CancelledError)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(work())


def test_one_that_is_cancelled_leaves_the_reading_to_the_others() -> None:
    async def work() -> None:
        free = asyncio.Event()

        async def load(wanted: Sequence[Place]) -> Answers:
            await free.wait()
            return {}

        pools = Pools(load)
        first, second = (asyncio.ensure_future(pools.draw("a", 0, 0, Observe(), made)) for _ in range(2))
        for _ in range(5):
            await asyncio.sleep(0)
        first.cancel()
        free.set()
        assert (await second).sample.text == "made"
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(work())
