"""Each published format on a tiny model of its architecture: the scores are those of a plain forward pass as its authors write it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Qwen2Model,
)

from harness.rewards.transformers import TransformersReward
from harness.types import Model, StepScores
from perpass.errors import UserError
from tests.harness.rewards import built

QUESTION = "Ana has 3 apples. She buys 4 more. How many + why - now?"
STEPS = ["3 + 4 = 7", "so it is 7 - 0", "\\boxed{7}"]


def scored(model: Model, steps: list[str] = STEPS, **settings: Any) -> StepScores:
    async def run() -> StepScores:
        reward = TransformersReward(model, device="cpu", **settings)
        await reward.open()
        try:
            found = await reward.steps(QUESTION, steps)
            assert reward.counters() == found.usage
            return found
        finally:
            await reward.close()

    return asyncio.run(run())


def rendered(words: Any, turns: list[tuple[str, str]], opened: bool = False) -> torch.Tensor:
    conversation = [{"role": role, "content": content} for role, content in turns]
    text = words.apply_chat_template(conversation, tokenize=False, add_generation_prompt=opened)
    return torch.tensor([words(text, add_special_tokens=False)["input_ids"]])


@torch.no_grad()
def qwen(model: Model) -> tuple[list[float], int]:
    words, weights = AutoTokenizer.from_pretrained(model.path), load_file(f"{model.path}/model.safetensors")
    trunk = Qwen2Model.from_pretrained(model.path, dtype=torch.float32)
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    ids = rendered(words, [("system", system), ("user", QUESTION), ("assistant", "<extra_0>".join(STEPS) + "<extra_0>")])
    hidden = trunk(input_ids=ids).last_hidden_state
    inner = torch.relu(hidden @ weights["score.0.weight"].T + weights["score.0.bias"])
    logits = inner @ weights["score.2.weight"].T + weights["score.2.bias"]
    marked = ids[0] == words.convert_tokens_to_ids("<extra_0>")
    return logits.softmax(-1)[0, marked, 1].tolist(), ids.numel()


@torch.no_grad()
def rlhflow(model: Model) -> tuple[list[float], int]:
    """As published: one pass per step over the conversation up to it, read at the third token from the end."""
    words, network = AutoTokenizer.from_pretrained(model.path), AutoModelForCausalLM.from_pretrained(model.path)
    candidates = [words.encode("+")[-1], words.encode("-")[-1]]
    turns: list[tuple[str, str]] = []
    found = []
    for place, step in enumerate(STEPS):
        turns += [("user", f"{QUESTION} {step}" if place == 0 else step), ("assistant", "+")]
        ids = rendered(words, turns)
        logits = network(ids).logits[:, -3, candidates]
        found.append(logits.softmax(-1)[0, 0].item())
    return found, ids.numel()


@torch.no_grad()
def shepherd(model: Model) -> tuple[list[float], int]:
    words, network = AutoTokenizer.from_pretrained(model.path), AutoModelForCausalLM.from_pretrained(model.path)
    candidates, tag = words.encode("+ -")[1:], words.encode("ки")[-1]
    output = "\n".join(f"Step {number}: {step} ки" for number, step in enumerate(STEPS, 1))
    ids = torch.tensor([words.encode(f"{QUESTION} {output}")])
    scores = network(ids).logits[:, :, candidates].softmax(-1)[:, :, 0]
    return scores[ids == tag].tolist(), ids.numel()


@torch.no_grad()
def lines(model: Model) -> tuple[list[float], int]:
    words, network = AutoTokenizer.from_pretrained(model.path), AutoModelForCausalLM.from_pretrained(model.path)
    asked = f"{QUESTION}\nPlease reason step by step. Put your final answer within \\boxed{{}}."
    ids = rendered(words, [("user", asked)], opened=True)[0].tolist()
    least, found = 0.0, []
    for step in STEPS:  # token by token, each from a pass of its own
        for token in words(step + "\n", add_special_tokens=False)["input_ids"]:
            chances = network(torch.tensor([ids])).logits[0, -1].softmax(-1)
            closes = token == words("\n", add_special_tokens=False)["input_ids"][0]
            least = min(least, (chances[token] + (chances[words.eos_token_id] if closes else 0)).log().item())
            ids.append(token)
        found.append(1 / (1 + math.exp(-(0.5 * least + 2.0))))
    return found, len(ids)


FORMATS: dict[str, tuple[Callable[..., Model], Callable[[Model], tuple[list[float], int]]]] = {
    "qwen2.5-math-prm": (built.qwen, qwen),
    "rlhflow": (built.rlhflow, rlhflow),
    "math-shepherd": (built.shepherd, shepherd),
    "perpass": (built.lines, lines),
}


@pytest.mark.parametrize("name", FORMATS)
def test_scores_are_those_of_a_plain_forward_pass(name: str, tmp_path: Path) -> None:
    build, plain = FORMATS[name]
    model = build(tmp_path / "model")
    wanted, tokens = plain(model)
    found = scored(model, format=name)
    assert found.scores == pytest.approx(wanted, abs=1e-6)
    assert len(set(found.scores)) > 1, "a head that says the same everywhere would pass"
    read = len("".join(step + "\n" for step in STEPS)) if name == "perpass" else len(STEPS)  # a token is a byte there
    assert (found.usage.prompt + found.usage.scored, found.usage.scored, found.usage.calls) == (tokens, read, 1)


@torch.no_grad()
def test_an_outcome_reward_scores_the_last_step(tmp_path: Path) -> None:
    model = built.outcome(tmp_path / "model")
    words, network = AutoTokenizer.from_pretrained(model.path), AutoModelForSequenceClassification.from_pretrained(model.path)
    ids = rendered(words, [("user", QUESTION), ("assistant", "\n".join(STEPS))])
    found = scored(model)  # its architecture says how it is asked
    assert found.scores[:2] == (None, None)
    assert found.scores[2] == pytest.approx(network(ids).logits[0, 0].sigmoid().item(), abs=1e-6)


def test_the_architecture_says_how_a_qwen_model_is_asked_and_no_code_of_its_repository_runs(tmp_path: Path) -> None:
    assert TransformersReward(built.qwen(tmp_path / "model")).settings["format"] == "qwen2.5-math-prm"


def test_a_numbered_step_is_not_numbered_again(tmp_path: Path) -> None:
    model = built.shepherd(tmp_path / "model")
    numbered = [f"Step {n}: {step}" for n, step in enumerate(STEPS, 1)]
    assert scored(model, numbered, format="math-shepherd").scores == scored(model, format="math-shepherd").scores


def test_a_language_model_needs_a_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="how model 'model' is asked is not known; give a format, one of perpass, qwen"):
        TransformersReward(built.rlhflow(tmp_path / "model"))
    with pytest.raises(UserError, match="unknown format 'rlhf'; did you mean 'rlhflow'"):
        TransformersReward(built.rlhflow(tmp_path / "model"), format="rlhf")


def test_weights_that_do_not_fit_the_format_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="its weights lack .* tensors"):
        scored(built.rlhflow(tmp_path / "model"), format="qwen2.5-math-prm")
    with pytest.raises(UserError, match="format perpass needs `reward` with scale and shift in the config.json of model 'model'"):
        scored(built.rlhflow(tmp_path / "model"), format="perpass")
    with pytest.raises(UserError, match="no chat template"):
        scored(built.shepherd(tmp_path / "shepherd"), format="rlhflow")
