"""An LLM as a reward."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness import models
from harness.rewards.judge import ASK, JudgeReward
from harness.types import Capabilities, Model, StepScores, Usage
from perpass.errors import UserError
from tests.harness.engines import tiny


def judged(reward: JudgeReward, question: str, steps: list[str]) -> StepScores:
    async def run() -> StepScores:
        await reward.open()
        try:
            return await reward.steps(question, steps)
        finally:
            await reward.close()

    return asyncio.run(run())


@torch.no_grad()
def test_the_verdict_is_the_probability_of_yes(tmp_path: Path) -> None:
    model = models.resolve(str(tiny.write(tmp_path / "model", spread=0.1)), device="cpu")
    found = judged(JudgeReward(model, engine={"kind": "transformers", "device": "cpu"}), "1 + 1?", ["1 + 1", "= 2"])
    words, network = AutoTokenizer.from_pretrained(model.path), AutoModelForCausalLM.from_pretrained(model.path)
    turns = [{"role": r, "content": c} for r, c in (("user", "1 + 1?"), ("assistant", "1 + 1\n= 2"), ("user", ASK))]
    asked = words(words.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))["input_ids"]
    yes = words("yes")["input_ids"]
    logits = network(torch.tensor([[*asked, *yes]])).logits[0].log_softmax(-1)
    wanted = sum(logits[len(asked) - 1 + i, token].item() for i, token in enumerate(yes))
    assert found.scores == (None, pytest.approx(math.exp(wanted), rel=1e-4))
    assert found.usage == Usage(prompt=len(asked), scored=len(yes), calls=1)


def test_what_is_over_long_has_no_verdict(tmp_path: Path) -> None:
    model = models.resolve(str(tiny.write(tmp_path / "model")), device="cpu")
    found = judged(JudgeReward(model, engine={"kind": "transformers", "device": "cpu"}), "1 + 1?", ["a", "x" * 300])
    assert found.scores == (None, None) and found.usage == Usage(calls=1)


def test_its_settings_are_the_engines_and_its_own(tmp_path: Path) -> None:
    model = Model("scripted", "1", "none", context=1000)
    reward = JudgeReward(model, engine={"kind": "scripted", "context": 500}, separator="\n\n")
    assert reward.settings["engine"] == "scripted" and reward.settings["context"] == 500 and reward.settings["ask"] == ASK
    assert reward.outcome and judged(reward, "q", []).scores == ()


def test_bad_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model("scripted", "1", "none", context=1000)
    for engine, message in (
        ("scriptd", "unknown engine 'scriptd'; did you mean 'scripted'"),
        ({"context": 5}, "must be a name or a mapping with `kind`"),
        ({"kind": "scripted", "contxt": 5}, "reward judge: engine: .*contxt"),
    ):
        with pytest.raises(UserError, match=message):
            JudgeReward(model, engine=engine)
    monkeypatch.setattr("harness.engines.scripted.ScriptedEngine.capabilities", Capabilities(prefix=True))
    with pytest.raises(UserError, match="engine scripted cannot score given texts"):
        JudgeReward(model, engine="scripted")
