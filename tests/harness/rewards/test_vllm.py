"""Reward models on vLLM's pooling: the same scores as with transformers."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from harness.rewards.transformers import TransformersReward
from harness.rewards.vllm import VLLMReward
from harness.types import Reward, StepScores, Usage
from perpass.errors import PerPassError, UserError
from tests.harness.engines.test_conformance import vllm_or_skip
from tests.harness.rewards import built

WIDE = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}  # vLLM's kernels take no narrower heads
CALLS = [("1 + 1?", ["1 + 1 = 2"]), ("Why?", ["because", "of that", "so"]), ("Long?", ["x" * 600])]


async def scored(reward: Any) -> tuple[list[StepScores], Usage]:
    await reward.open()
    try:
        return await asyncio.gather(*(reward.steps(*call) for call in CALLS)), reward.counters()
    finally:
        await reward.close()


def test_the_scores_are_those_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vllm_or_skip()
    monkeypatch.setattr(built, "SMALL", {**built.SMALL, **WIDE})
    model = built.qwen(tmp_path / "model")
    plain, used = asyncio.run(scored(TransformersReward(model, device="cpu")))
    found, counted = asyncio.run(scored(VLLMReward(model)))
    for a, b in zip(plain, found, strict=True):
        assert a.scores == pytest.approx(b.scores, abs=1e-5)
        assert b.usage == Usage(scored=a.usage.prompt + a.usage.scored, calls=1)  # vLLM computes the head at every token
    assert found[-1].scores == (None,) and counted == Usage(scored=used.prompt + used.scored, calls=used.calls)


def test_formats_without_labels_at_marks_are_refused(tmp_path: Path) -> None:
    model = built.rlhflow(tmp_path / "model")
    for name in ("rlhflow", "math-shepherd", "outcome"):
        with pytest.raises(UserError, match=f"format {name} has no labels at marks; use engine transformers"):
            VLLMReward(model, format=name)
    with pytest.raises(UserError, match="max_num_seqs must be a whole number above 0"):
        VLLMReward(built.qwen(tmp_path / "qwen"), max_num_seqs=0)


def test_it_is_a_reward_that_refuses_while_it_is_closed(tmp_path: Path) -> None:
    reward = VLLMReward(built.qwen(tmp_path / "model"))
    assert isinstance(reward, Reward) and reward.settings["format"] == "qwen2.5-math-prm" and reward.settings["max_model_len"] == 512
    with pytest.raises(PerPassError, match="not open"):
        asyncio.run(reward.steps("q", ["a"]))
