"""Inside the model: every change and every signal against a plain forward pass of the library's own model."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModelForCausalLM

from energy import flops
from energy.hardware import Hardware
from harness import models
from harness.calls import executed
from harness.cell import Deployment
from harness.engines import signals
from harness.engines.sampler import Knobs, contrast, draw, uniforms
from harness.engines.transformers import TransformersEngine
from harness.pool import ObservationMissing, _observed
from harness.types import Observe, Sample, Sampling, Usage
from perpass.errors import UserError
from tasks.types import Prompt
from tests.harness.digits import cell, place
from tests.harness.engines import tiny
from tests.harness.engines.driving import GREEDY, SAMPLING, crowd, prompts, run

HIDDEN = Observe(hidden=True)
MIXTURES: dict[str, dict[str, Any]] = {
    "qwen3_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "norm_topk_prob": True},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2},
}


def library(folder: Path, **config: Any) -> Any:
    """The model as the library loads it, with another config if asked."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **config).eval()


def opened(folder: Path, **settings: Any) -> TransformersEngine:
    engine = TransformersEngine(models.resolve(str(folder)), max_batch=8, **settings)
    asyncio.run(engine.open())
    return engine


def states(model: Any, ids: Sequence[int]) -> tuple[torch.Tensor, ...]:
    """Of one forward pass: embeddings, then each layer's output, the last one after the final norm; (tokens, width) each."""
    with torch.inference_mode():
        return tuple(h[0] for h in model(input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("models") / "four", num_hidden_layers=4)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    made = opened(folder)
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def plain(folder: Path) -> Any:
    return library(folder)


def outputs(engine: TransformersEngine, prompt: Prompt, sample: Sample) -> tuple[tuple[int, ...], slice]:
    """All ids of prompt and sample, and the places whose logits the sample was drawn from."""
    before = engine.tokens(prompt)
    return (*before, *sample.token_ids), slice(len(before) - 1, len(before) + len(sample.token_ids) - 1)


# Early exit -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("llama", {}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"] * 2}),
    ],
)
def test_early_exit_is_norm_and_head_after_the_first_layers(tmp_path: Path, architecture: str, config: dict[str, Any]) -> None:
    folder = tiny.write(tmp_path / "m", architecture=architecture, num_hidden_layers=4, **config)
    engine, model, asked = opened(folder, early_exit_layer=2), library(folder), prompts(6, longest=40)
    assert engine.settings["early_exit_layer"] == 2
    for prompt, sample in zip(asked, run(crowd(engine, asked, GREEDY)), strict=True):
        ids, drawn = outputs(engine, prompt, sample)
        with torch.inference_mode():
            logits = model.lm_head(model.model.norm(states(model, ids)[2]))[drawn]
        assert logits.argmax(-1).tolist() == list(sample.token_ids)
    scored = run(engine.logprob(asked[0], "so"))
    assert len(scored.logprobs) == 2
    asyncio.run(engine.close())


def test_flops_are_those_of_what_runs(folder: Path, tmp_path: Path) -> None:
    config = models.resolve(str(folder)).config
    assert config is not None
    usage = Usage(prompt=30, output=10, calls=1)
    short = TransformersEngine(models.resolve(str(folder)), early_exit_layer=3)
    expected = flops.count({**config, "num_hidden_layers": 3}, prompt=30, output=10)
    assert executed(deployed(short), usage) == expected

    mixed = TransformersEngine(models.resolve(str(tiny.write(tmp_path / "m", architecture="mixtral", **MIXTURES["mixtral"]))), experts=3)
    config = mixed.model.config
    assert config is not None
    assert executed(deployed(mixed), usage) == flops.count({**config, "num_experts_per_tok": 3}, prompt=30, output=10)
    one = executed(deployed(mixed), usage, Sampling(extra={"experts": 1}))
    assert one == flops.count({**config, "num_experts_per_tok": 1}, prompt=30, output=10)

    once, twice = executed(deployed(short), usage), executed(deployed(short), usage, Sampling(extra={"dola": 1}))
    assert once is not None and twice is not None
    assert (twice.head, twice.total - once.total) == (2 * once.head, once.head)


def deployed(engine: TransformersEngine) -> Deployment:
    return Deployment(engine, Hardware("test CPU", "cpu", "test CPU", 1))


# Experts --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", MIXTURES)
def test_numbers_of_experts_mixed_in_a_crowd(tmp_path: Path, architecture: str) -> None:
    folder = tiny.write(tmp_path / "m", architecture=architecture, **MIXTURES[architecture])
    engine, asked = opened(folder, experts=1), prompts(18, longest=40)
    assert engine.capabilities.experts and engine.settings["experts"] == 1
    wanted = [(None, 1, 2, 4, 3, 1)[i % 6] for i in range(len(asked))]

    async def work() -> list[Sample]:
        calls = [engine.generate(p, GREEDY.but(extra={"experts": k} if k else {}), 0) for p, k in zip(asked, wanted, strict=True)]
        work = asyncio.ensure_future(asyncio.gather(*calls))
        between = []
        while not work.done():  # runs with the engine's own number, in the midst of them
            between.append((await engine.logprob(asked[0], "so")).logprobs)
        assert len(between) > 3
        for logprobs in between:
            assert logprobs == pytest.approx((await engine.logprob(asked[0], "so")).logprobs, abs=1e-4)
        return list(await work)

    plain, made = {k: library(folder, num_experts_per_tok=k) for k in range(1, 5)}, run(work())
    for prompt, k, sample in zip(asked, wanted, made, strict=True):
        ids, drawn = outputs(engine, prompt, sample)
        with torch.inference_mode():
            logits = plain[k or 1](input_ids=torch.tensor([ids]), use_cache=False).logits[0, drawn]
        assert logits.argmax(-1).tolist() == list(sample.token_ids), k
    texts = {k: run(engine.generate(asked[0], GREEDY.but(extra={"experts": k}), 0)).token_ids for k in (1, 2, 3, 4)}
    assert len(set(texts.values())) > 1
    asyncio.run(engine.close())


# Hidden states --------------------------------------------------------------------------------------------------------------------------


def test_signals_are_those_of_a_direct_forward_pass(engine: TransformersEngine, plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SEGMENT", 5)
    asked, moved = prompts(12), 0
    for i, sample in enumerate(run(crowd(engine, asked, SAMPLING, observe=HIDDEN))):
        ids, drawn = outputs(engine, asked[i], sample)
        trace = states(plain, ids)[-1][drawn].numpy()
        h = np.array([trace[at : at + 5].mean(axis=0) for at in range(0, len(trace), 5)])
        steps, whole = h[1:] - h[:-1], h[-1] - h[0]
        assert sample.signals is not None
        if len(h) == 1:
            assert sample.signals == ()
            continue
        moved += 1
        lengths = np.linalg.norm(steps, axis=1)
        aligned = np.mean(steps @ whole / lengths / np.linalg.norm(whole))
        assert sample.signals == pytest.approx((np.linalg.norm(whole), lengths.sum(), aligned), rel=1e-3, abs=1e-4)
    assert moved >= 6 and run(engine.generate(asked[0], SAMPLING, 0)).signals is None


def test_observing_changes_no_text_and_a_short_trace_has_no_signals(engine: TransformersEngine) -> None:
    asked = prompts(8)
    seen, unseen = run(crowd(engine, asked, SAMPLING, observe=HIDDEN)), run(crowd(engine, asked, SAMPLING))
    assert [s.token_ids for s in seen] == [s.token_ids for s in unseen]
    assert {s.signals for s in seen} == {()}  # 24 tokens are less than a segment


def test_a_stored_sample_has_no_signals(engine: TransformersEngine) -> None:
    sample = run(engine.generate(Prompt.chat("x"), SAMPLING, 0))
    with pytest.raises(ObservationMissing, match="hidden-state signals"):
        _observed(sample, HIDDEN, "k")


# Decoding -------------------------------------------------------------------------------------------------------------------------------


def test_dola_contrasts_the_last_layer_with_an_early_one(engine: TransformersEngine, plain: Any) -> None:
    asked, layers = prompts(9), (None, 1, 3)

    async def work() -> list[Sample]:
        wanted = [GREEDY.but(extra={"dola": k} if k else {}, min_tokens=4) for k in layers * 3]
        calls = zip(asked, wanted, strict=True)
        return list(await asyncio.gather(*(engine.generate(p, s, 0, Observe(logprobs=True)) for p, s in calls)))

    different = 0
    for prompt, layer, sample in zip(asked, layers * 3, run(work()), strict=True):
        ids, drawn = outputs(engine, prompt, sample)
        seen = states(plain, ids)
        with torch.inference_mode():
            final, early = (torch.log_softmax(plain.lm_head(seen[at])[drawn], -1).numpy() for at in (-1, layer or 1))
        found = final.copy()
        found[:4, tiny.SPECIALS.index("<|end|>")] = -np.inf  # min_tokens
        best = found.max(axis=1, keepdims=True)
        chosen = np.where(found < best + math.log(0.1), -np.inf, found - early) if layer else found
        assert chosen.argmax(axis=1).tolist() == list(sample.token_ids)
        assert sample.logprob == pytest.approx(final[np.arange(len(final)), sample.token_ids], abs=1e-3)  # of the raw logits
        different += list(sample.token_ids) != found.argmax(axis=1).tolist()
    assert different >= 3


def test_a_contrast_of_what_is_not_a_number_is_none() -> None:
    assert contrast(torch.tensor([[math.nan, 1.0]]), torch.zeros(1, 2)).isnan().all()


def test_the_temperature_follows_the_entropy(engine: TransformersEngine) -> None:
    logits = np.array([2.0, 1.5, 1.5, 0.3, 0.0, -0.7, -1.0, -3.0, 1.0, -np.inf], np.float32)
    p = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
    entropy = -(p[:-1] * np.log(p[:-1])).sum()
    n = 20_000
    thetas = np.array([0.0, 0.5, 3.0], np.float32).repeat(n)
    rows = len(thetas)
    full = lambda value, kind: np.full(rows, value, kind)  # noqa: E731
    knobs = Knobs(full(1.2, np.float32), full(1, np.float32), full(0, np.int64), full(0, np.float32), thetas)
    drawn = draw(torch.tensor(logits).expand(rows, -1).clone(), knobs, uniforms(full(7, np.uint64), np.arange(rows, dtype=np.uint64)))
    for i, theta in enumerate((0.0, 0.5, 3.0)):
        expected = p ** (1 / (1.2 * 0.8 ** (theta / entropy)))
        counts = np.bincount(drawn[i * n : (i + 1) * n].numpy(), minlength=10)
        assert counts[9] == 0
        assert stats.chisquare(counts[:9], expected[:9] / expected.sum() * n).pvalue > 1e-3

    asked = prompts(8)
    cold, greedy = run(crowd(engine, asked, SAMPLING.but(extra={"entropy": 100}))), run(crowd(engine, asked, GREEDY))
    assert sum(a.token_ids == b.token_ids for a, b in zip(cold, greedy, strict=True)) >= 7
    certain = torch.tensor([[90.0, 0.0, 0.0]])  # without any entropy: greedy, and not a division by 0
    one = np.ones(1, np.float32)
    assert draw(certain, Knobs(one, one, np.zeros(1, np.int64), 0 * one, one), np.array([0.9], np.float32)).tolist() == [0]


# What is refused ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        ({"dolla": 1}, "dola"),
        ({"dola": 4}, "4 is not a layer before the last; the model runs 4"),
        ({"dola": 1.5}, "dola must be a whole number, not 1.5"),
        ({"entropy": 0}, "entropy must be a number above 0"),
        ({"entropy": 0.1, "temperature": 0}, "entropy scales the temperature, which is 0"),
        ({"experts": 2}, "2 active experts: the model has no routed experts"),
    ],
)
def test_refused_by_one_sentence(engine: TransformersEngine, extra: dict[str, Any], sentence: str) -> None:
    heat = extra.pop("temperature", 1.0)
    with pytest.raises(UserError, match=sentence):
        run(engine.generate(Prompt.chat("x"), SAMPLING.but(extra=extra, temperature=heat), 0))
    assert re.search(sentence, engine.obstacle(SAMPLING.but(extra=extra, temperature=heat)) or "")  # the plan says so already
    assert engine.obstacle(SAMPLING.but(extra={"dola": 3, "entropy": 0.1})) is None


def test_settings_are_refused_before_anything_is_loaded(folder: Path) -> None:
    model = models.resolve(str(folder))
    for settings, sentence in (
        ({"early_exit_layer": 5}, "5 is not one of the model's 4 layers"),
        ({"early_exit_layer": True}, "must be a whole number, not True"),
        ({"experts": 2}, "no routed experts"),
    ):
        with pytest.raises(UserError, match=sentence):
            TransformersEngine(model, **settings)
    assert not TransformersEngine(model).capabilities.experts


def test_an_engine_that_cannot_is_named_in_the_plan() -> None:
    asked = cell("self_consistency", place(), sampling={"extra": {"dola": 2, "entropy": 0.1, "thinking": "mine"}})
    assert asked.lacking == ["dola", "entropy"]
