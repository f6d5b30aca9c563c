"""Strategies that look inside the model: who is chosen by which signal; how samples are spread over numbers of experts, at what cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from energy import flops
from harness import models
from harness.attempt import ledger
from harness.cell import Deployment
from harness.engines.transformers import TransformersEngine
from harness.testing import attempt_alone
from harness.types import Sample
from tests.harness.digits import CPU, cell, place
from tests.harness.engines import tiny
from tests.harness.strategies.told import Told, ask, boxes

MOVED = dict(zip(boxes("1234"), [(5.0, 9.0, 0.1), (3.0, 7.0, 0.4), (2.0, 8.0, 0.9), ()], strict=True))


class Moving(Told):
    """Each text has its signals."""

    async def generate(self, *args: Any, **kwargs: Any) -> Sample:
        made = await super().generate(*args, **kwargs)
        assert made.signals is not None, "they were not observed"
        return replace(made, signals=MOVED[made.text])


@pytest.mark.parametrize(("signal", "winner"), [("net", "1"), ("cumulative", "2"), ("aligned", "3")])
def test_the_sample_whose_states_move_best_wins(signal: str, winner: str) -> None:
    done = ask("latent_trajectory", Moving(boxes("4123")), n=4, signal=signal)
    assert done.answer is not None and done.answer.text == boxes(winner)[0]


def test_traces_that_are_too_short_rank_last_and_the_first_of_them_wins() -> None:
    done = ask("latent_trajectory", Moving(boxes("44")), n=2)
    assert done.answer is not None and done.answer.text == boxes("4")[0]


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "m"
    return tiny.write(folder, architecture="qwen3_moe", context=1024, moe_intermediate_size=16, num_experts=8, num_experts_per_tok=2)


def test_samples_are_spread_over_numbers_of_experts_and_charged_by_them(mixture: Path) -> None:
    engine = TransformersEngine(models.resolve(str(mixture)))
    asked = cell("dynamic_experts", Deployment(engine, CPU), n=5, low=1, high=3, sampling={"max_tokens": 12})
    assert asked.lacking == [] and asked.strategy.strategy.obstacle is not None and asked.strategy.strategy.obstacle(asked) is None

    async def work() -> Any:
        await engine.open()
        try:
            return (await attempt_alone(asked, asked.problems[0]))[0].answered
        finally:
            await engine.close()

    done = asyncio.run(work())
    assert done.error is None, done.error
    numbers = [call.sampling.extra["experts"] for call in done.calls]
    assert numbers == [1, 1, 2, 2, 3] and all(call.pooled for call in done.calls)
    config, total = engine.model.config, flops.Flops()
    assert config is not None
    for k, usage in zip(numbers, done.charged, strict=True):
        total += flops.count({**config, "num_experts_per_tok": k}, prompt=usage.prompt, output=usage.output)
    assert [spent for _, spent in ledger(done).values()] == [total]
    fewest = flops.count({**config, "num_experts_per_tok": 1}, prompt=100, output=10)
    assert total != fewest and fewest.linear < flops.count(config, prompt=100, output=10).linear


@pytest.mark.parametrize(
    ("params", "sentence"), [({"low": 1, "high": 9}, "9 active experts: the model has 8 in a layer"), ({"low": 3, "high": 2}, "low=3")]
)
def test_numbers_that_the_model_cannot_have(mixture: Path, params: dict[str, Any], sentence: str) -> None:
    asked = cell("dynamic_experts", Deployment(TransformersEngine(models.resolve(str(mixture))), CPU), **params)
    assert asked.strategy.strategy.obstacle is not None and sentence in (asked.strategy.strategy.obstacle(asked) or "")


def test_more_numbers_than_samples_and_the_cells_own_extra_are_kept() -> None:
    asked = cell("dynamic_experts", place(), n=2, low=2, high=9, sampling={"extra": {"entropy": 0.1}})
    done = asyncio.run(attempt_alone(asked, asked.problems[0]))[0].answered
    assert [dict(call.sampling.extra) for call in done.calls if call.sampling] == [{"entropy": 0.1, "experts": k} for k in (2, 3)]
