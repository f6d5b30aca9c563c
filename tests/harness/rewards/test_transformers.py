"""The reward `transformers`: batches, what is over-long, what is counted, bad input."""

from __future__ import annotations

import asyncio

import pytest

from harness.rewards import find
from harness.rewards.scoring import Scorer
from harness.rewards.transformers import TransformersReward
from harness.types import Model, Reward, StepScores, Usage
from perpass.errors import PerPassError, UserError
from tests.harness.rewards import built

CALLS = [(f"question {n}" * (n % 4 + 1), [f"step {i} of {n}" for i in range(n % 5 + 1)]) for n in range(24)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return built.lines(tmp_path_factory.mktemp("reward") / "model", context=512)


async def opened(model: Model, **settings: object) -> TransformersReward:
    reward = TransformersReward(model, format="perpass", device="cpu", **settings)  # type: ignore[arg-type]
    await reward.open()
    return reward


async def together(model: Model, **settings: object) -> list[StepScores]:
    reward = await opened(model, **settings)
    try:
        return await asyncio.gather(*(reward.steps(*call) for call in CALLS))
    finally:
        await reward.close()


async def one_by_one(model: Model) -> list[StepScores]:
    reward = await opened(model, collect_ms=0)
    try:
        return [await reward.steps(*call) for call in CALLS]
    finally:
        await reward.close()


def test_scores_do_not_depend_on_the_batch(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    plain = Scorer._pass
    monkeypatch.setattr(Scorer, "_pass", lambda self, asked: passes.append(len(asked)) or plain(self, asked))
    alone = asyncio.run(one_by_one(model))
    assert passes == [1] * len(CALLS)
    for settings, most in (({}, 1), ({"max_batch_tokens": 1500}, len(CALLS))):
        passes.clear()
        batched = asyncio.run(together(model, **settings))
        assert sum(passes) == len(CALLS) and len(passes) <= most
        for a, b in zip(alone, batched, strict=True):
            assert a.scores == pytest.approx(b.scores, abs=1e-6) and a.usage == b.usage
    assert len(passes) > 1, "max_batch_tokens limits a pass"


def test_a_verdict_does_not_depend_on_later_steps(model: Model) -> None:
    async def run() -> tuple[StepScores, StepScores]:
        reward = await opened(model)
        try:
            return await reward.steps("q", ["one", "two"]), await reward.steps("q", ["one", "two", "three"])
        finally:
            await reward.close()

    shorter, longer = asyncio.run(run())
    assert longer.scores[:2] == pytest.approx(shorter.scores, abs=1e-6)


def test_what_is_over_long_has_no_score_and_costs_nothing(model: Model) -> None:
    async def run() -> tuple[StepScores, StepScores, Usage]:
        reward = await opened(model)
        try:
            fits = await reward.steps("q", ["x" * 100, "y"])
            return fits, await reward.steps("q", ["x" * 600, "y"]), reward.counters()
        finally:
            await reward.close()

    fits, over, counted = asyncio.run(run())
    assert None not in fits.scores
    assert over.scores == (None, None) and over.usage == Usage(calls=1)
    assert counted == fits.usage + over.usage


def test_no_steps_are_no_call(model: Model) -> None:
    async def run() -> StepScores:
        reward = await opened(model)
        try:
            return await reward.steps("q", [])
        finally:
            await reward.close()

    assert asyncio.run(run()).scores == ()


def test_a_closed_reward_refuses_and_what_waited_fails(model: Model) -> None:
    async def run() -> None:
        reward = await opened(model, collect_ms=1000)
        waiting = asyncio.ensure_future(reward.steps("q", ["a"]))
        await asyncio.sleep(0)
        await reward.close()
        with pytest.raises(PerPassError, match="closed before this call was done"):
            await waiting
        with pytest.raises(PerPassError, match="not open"):
            await reward.steps("q", ["a"])
        await reward.open()  # and may be opened again
        assert (await reward.steps("q", ["a"])).scores[0] is not None
        await reward.close()

    asyncio.run(run())


def test_a_cancelled_call_does_not_harm_its_company(model: Model) -> None:
    async def run() -> StepScores:
        reward = await opened(model, collect_ms=20)
        gone, stays = (asyncio.ensure_future(reward.steps("q", [name])) for name in ("a", "b"))
        await asyncio.sleep(0)
        gone.cancel()
        try:
            return await stays
        finally:
            await reward.close()

    assert asyncio.run(run()).scores[0] is not None


def test_it_is_a_reward_with_complete_settings(model: Model) -> None:
    reward = TransformersReward(model, format="perpass", device="cpu")
    assert isinstance(reward, Reward) and not reward.outcome
    assert dict(reward.settings) == {
        "format": "perpass",
        "separator": "\n",
        "device": "cpu",
        "collect_ms": 10.0,
        "max_batch_tokens": 16_384,
        "threads": None,
        "scale": 0.5,
        "shift": 2.0,
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"collect_ms": -1}, "collect_ms must be between 0 and 1000, not -1"),
        ({"max_batch_tokens": 0}, "max_batch_tokens must be a whole number above 0"),
        ({"threads": 1.5}, "threads must be a whole number above 0"),
        ({"device": "cdua"}, "unknown device 'cdua'; did you mean 'cuda'"),
    ],
)
def test_bad_settings(model: Model, settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TransformersReward(model, format="perpass", **settings)  # type: ignore[arg-type]


def test_rewards_are_found_by_name_and_engines_after_them() -> None:
    assert find("transformers") is TransformersReward
    assert find("scripted").__name__ == "ScriptedEngine"
    with pytest.raises(UserError, match="unknown reward 'juge'; did you mean 'judge'"):
        find("juge")
