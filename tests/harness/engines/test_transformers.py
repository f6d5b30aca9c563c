from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from harness import models
from harness.engines import engines
from harness.engines.transformers import TransformersEngine
from harness.types import Engine, Observe, PromptTooLong, Sample, Sampling, Usage
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.driving import END, GREEDY, SAMPLING, crowd, library_greedy, prompts, raw_logits, run, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[TransformersEngine]:
    made = TransformersEngine(models.resolve(str(folder)), max_batch=32)
    asyncio.run(made.open())
    yield made
    asyncio.run(made.close())


@pytest.fixture(scope="module")
def readable(engine: TransformersEngine) -> tuple[Prompt, Sampling, int, Sample]:
    """An ASCII sample, a token per character, whose sixth and seventh characters occur together there first: somewhere to stop."""
    for seed in range(200):
        prompt = Prompt.chat("stop")
        sample = run(engine.generate(prompt, SAMPLING, seed))
        text = sample.text
        if len(text) == len(sample.token_ids) >= 12 and text.isascii() and text.find(text[5:7]) == 5:
            return prompt, SAMPLING, seed, sample
    raise AssertionError("no sample to stop in")


def test_registered_and_keeps_the_protocol(engine: TransformersEngine) -> None:
    assert engines.get("transformers") is TransformersEngine
    assert isinstance(engine, Engine)
    assert set(engine.settings) == {"device", "attention", "max_batch", "max_batch_tokens", "threads"}
    assert {"torch", "transformers", "threads", "device"} <= set(engine.environment())


def test_batched_greedy_equals_the_library_token_for_token(engine: TransformersEngine) -> None:
    asked = prompts(40)
    for prompt, sample in zip(asked, run(crowd(engine, asked, GREEDY)), strict=True):
        assert list(sample.token_ids) == library_greedy(engine, prompt, 24)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"]}),
        ("qwen3", {}),
        ("mistral", {"sliding_window": 16}),
        ("gemma2", {"sliding_window": 16, "attn_logit_softcapping": 20.0, "query_pre_attn_scalar": 8}),
    ],
)
def test_other_architectures_and_sliding_windows(tmp_path: Path, architecture: str, config: dict[str, Any]) -> None:
    engine = TransformersEngine(models.resolve(str(tiny.write(tmp_path / "m", architecture=architecture, **config))))

    async def work() -> list[Sample]:
        await engine.open()
        return await crowd(engine, asked, GREEDY)

    asked = prompts(8, longest=40)
    for prompt, sample in zip(asked, run(work()), strict=True):
        assert list(sample.token_ids) == library_greedy(engine, prompt, 24)
    run(engine.close())


def test_a_text_does_not_depend_on_who_else_is_in_the_batch(engine: TransformersEngine) -> None:
    asked = prompts(120)

    async def one_by_one() -> list[Sample]:
        return [await engine.generate(p, SAMPLING, seed) for seed, p in enumerate(asked)]

    alone, together = run(one_by_one()), run(crowd(engine, asked, SAMPLING))
    same = sum(a.token_ids == b.token_ids for a, b in zip(alone, together, strict=True))
    assert same >= 0.995 * len(asked)
    assert len({s.token_ids for s in together}) > 100


def test_first_tokens_follow_softmax(engine: TransformersEngine) -> None:
    prompt, sampling = Prompt.chat("chi"), Sampling(temperature=0.7, top_p=1.0, max_tokens=1)
    drawn = run(crowd(engine, [prompt] * 3000, sampling))
    counts = np.bincount([s.token_ids[0] for s in drawn], minlength=weights(engine).config.vocab_size)
    expected = torch.softmax(raw_logits(engine, engine.tokens(prompt))[-1] / 0.7, -1).double().numpy() * len(drawn)
    often = expected >= 5
    observed, wanted = [*counts[often], counts[~often].sum()], [*expected[often], expected[~often].sum()]
    assert stats.chisquare(observed, np.array(wanted) * sum(observed) / sum(wanted)).pvalue > 1e-3


def test_logprobs_and_confidence_are_of_the_raw_distribution(engine: TransformersEngine) -> None:
    asked = prompts(6)
    for prompt, sample in zip(asked, run(crowd(engine, asked, SAMPLING, observe=Observe(True, True))), strict=True):
        ids = engine.tokens(prompt)
        logprobs = torch.log_softmax(raw_logits(engine, (*ids, *sample.token_ids)), -1)[len(ids) - 1 : -1]
        assert sample.logprob is not None and sample.confidence is not None
        assert sample.logprob == pytest.approx(logprobs.gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0].tolist(), abs=1e-4)
        assert sample.confidence == pytest.approx((-logprobs.topk(20).values.mean(-1)).tolist(), abs=1e-4)
    plain = run(engine.generate(asked[0], SAMPLING, 0))
    assert plain.logprob is None and plain.confidence is None


def test_scoring_is_teacher_forced(engine: TransformersEngine) -> None:
    asked, text = prompts(12), "is it so?"
    scored = [run(_score_all(engine, asked, text)), [run(engine.logprob(p, text)) for p in asked]]
    for prompt, crowded, alone in zip(asked, *scored, strict=True):
        ids = engine.tokens(prompt)
        whole = (*ids, *engine._renderer().continuation(text))
        logprobs = torch.log_softmax(raw_logits(engine, whole), -1)[len(ids) - 1 : -1]
        expected = logprobs.gather(1, torch.tensor(whole[len(ids) :])[:, None])[:, 0].tolist()
        assert crowded.logprobs == pytest.approx(expected, abs=1e-4)
        assert alone.logprobs == pytest.approx(expected, abs=1e-4)
        assert crowded.usage == Usage(prompt=len(ids), scored=len(text), calls=1)
        assert crowded.timing.sent < crowded.timing.last and crowded.timing.first is None
    assert run(engine.logprob(asked[0], "")).logprobs == ()


async def _score_all(engine: TransformersEngine, asked: list[Prompt], text: str) -> list[Any]:
    return list(await asyncio.gather(*(engine.logprob(p, text) for p in asked)))


def test_a_sample_scores_what_it_observed(engine: TransformersEngine) -> None:
    prompt = Prompt.chat("again")
    for seed in range(20):
        sample = run(engine.generate(prompt, dataclasses.replace(SAMPLING, min_tokens=24), seed, Observe(logprobs=True)))
        if engine._renderer().continuation(sample.text) == sample.token_ids:
            assert run(engine.logprob(prompt, sample.text)).logprobs == pytest.approx(sample.logprob, abs=1e-4)
            return
    raise AssertionError("no sample round-trips")


def test_stop_string_stays_and_ends_the_text(engine: TransformersEngine, readable: tuple[Prompt, Sampling, int, Sample]) -> None:
    prompt, sampling, seed, whole = readable
    stop = whole.text[5:7]
    cut = run(engine.generate(prompt, sampling.but(stop=("never", stop)), seed))
    assert (cut.text, cut.finish, cut.usage.output) == (whole.text[:7], "stop", 7)
    assert cut.token_ids == whole.token_ids[:7]
    late = run(engine.generate(prompt, sampling.but(stop=stop, min_tokens=8), seed))
    assert late.finish != "stop" or late.usage.output >= 8


def test_end_token_counts_but_is_not_text(engine: TransformersEngine) -> None:
    ended = [s for s in run(crowd(engine, prompts(150), SAMPLING)) if s.finish == "eos"]
    assert ended
    for sample in ended:
        assert sample.token_ids[-1] == END and END not in sample.token_ids[:-1]
        assert sample.usage.output == len(sample.token_ids)
        assert "<|end|>" not in sample.text
    held = run(crowd(engine, prompts(150), SAMPLING.but(min_tokens=24)))
    assert all(s.finish == "length" and s.usage.output == 24 and END not in s.token_ids for s in held)


def test_min_tokens_leaves_observed_logprobs_alone(engine: TransformersEngine) -> None:
    sample = run(engine.generate(Prompt.chat("x"), SAMPLING.but(min_tokens=24), 5, Observe(logprobs=True)))
    ids = engine.tokens(Prompt.chat("x"))
    logprobs = torch.log_softmax(raw_logits(engine, (*ids, *sample.token_ids)), -1)[len(ids) - 1 : -1]
    assert sample.logprob == pytest.approx(logprobs.gather(1, torch.tensor(sample.token_ids)[:, None])[:, 0].tolist(), abs=1e-4)


def test_watch_sees_parts_and_cuts(engine: TransformersEngine) -> None:
    sampling = SAMPLING.but(min_tokens=24, max_tokens=24)
    label: contextvars.ContextVar[str] = contextvars.ContextVar("label", default="")
    seen: list[tuple[int, str, str]] = []

    def watch(part: Sample) -> bool:
        assert part.token_ids == whole.token_ids[: part.usage.output] and part.logprob is not None
        seen.append((part.usage.output, part.text, label.get()))
        return part.usage.output >= 16

    async def work() -> Sample:
        label.set("mine")
        return await engine.generate(prompts(1)[0], sampling, 3, Observe(logprobs=True), watch, every=8)

    whole = run(engine.generate(prompts(1)[0], sampling, 3))
    cut = run(work())
    assert [n for n, _, _ in seen] == [8, 16] and {name for _, _, name in seen} == {"mine"}
    assert (cut.finish, cut.usage.output, cut.token_ids) == ("stop", 16, whole.token_ids[:16])
    assert cut.text == engine.text(cut.token_ids) and whole.text.startswith(cut.text.rstrip("\ufffd"))


def test_watch_is_not_asked_at_the_end_and_its_error_reaches_the_caller(engine: TransformersEngine) -> None:
    sampling, calls = SAMPLING.but(min_tokens=16, max_tokens=16), []
    run(engine.generate(Prompt.chat("w"), sampling, 0, watch=lambda part: bool(calls.append(part)), every=8))
    assert [part.usage.output for part in calls] == [8]

    def broken(part: Sample) -> bool:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(engine.generate(Prompt.chat("w"), sampling, 0, watch=broken, every=8))
    assert engine._batcher is not None and engine._batcher.running == 0


def test_prompt_too_long_and_the_room_that_is_left(engine: TransformersEngine) -> None:
    with pytest.raises(PromptTooLong, match="the context is 256"):
        run(engine.generate(Prompt.chat("x" * 300), SAMPLING, 0))
    with pytest.raises(PromptTooLong):
        run(engine.logprob(Prompt.chat("x" * 240), "y" * 40))
    full = run(engine.generate(Prompt.chat("x" * 240), SAMPLING.but(min_tokens=24), 0))
    assert full.finish == "length" and full.usage.prompt + full.usage.output == 256


def test_prefix_continues_the_open_answer(engine: TransformersEngine) -> None:
    sampling = SAMPLING.but(temperature=0.0, min_tokens=24)
    continued = 0
    for asked, whole in zip(asked_all := prompts(20), run(crowd(engine, asked_all, sampling)), strict=True):
        for cut in (4, 9, 15):
            begun = engine.text(whole.token_ids[:cut])
            if engine._renderer().continuation(begun) != whole.token_ids[:cut]:  # half a character, or a special token
                continue
            rest = run(engine.generate(asked.extend(begun), sampling.but(max_tokens=24 - cut, min_tokens=24 - cut), 0))
            assert rest.token_ids == whole.token_ids[cut:]
            assert rest.usage.prompt == whole.usage.prompt + cut
            continued += 1
    assert continued >= 5


def test_usage_equals_the_tokenizers_counts_and_the_engines_counters(engine: TransformersEngine) -> None:
    asked, before = prompts(30), engine.counters()
    made = run(crowd(engine, asked, SAMPLING))
    scored = run(_score_all(engine, asked, "abc"))
    tokenizer = engine._renderer().tokenizer
    for prompt, sample in zip(asked, made, strict=True):
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        assert sample.usage.prompt == len(tokenizer(rendered, add_special_tokens=False)["input_ids"])
        assert sample.usage.cached == 0 and sample.usage.calls == 1
    total = sum((call.usage for call in (*made, *scored)), before)
    assert total == engine.counters()


def test_times_are_in_order_and_on_the_wall_clock(engine: TransformersEngine) -> None:
    begin = time.time()
    sample = run(engine.generate(Prompt.chat("t"), SAMPLING.but(min_tokens=24), 0))
    timing = sample.timing
    assert timing.first is not None
    assert begin - 0.1 <= timing.sent < timing.first < timing.last <= time.time() + 0.1


def test_logits_that_are_not_numbers_are_an_error(engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    head = weights(engine).get_output_embeddings()
    for sampling in (SAMPLING, GREEDY):
        with monkeypatch.context() as patch:
            patch.setattr(head, "forward", lambda hidden: hidden.new_full((*hidden.shape[:2], 50), float("nan")))
            with pytest.raises(PerPassError, match="not numbers"):
                run(engine.generate(Prompt.chat("n"), sampling, 0))


def test_what_a_user_can_get_wrong(engine: TransformersEngine, tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="unknown sampling parameter 'repetition_penalty'"):
        run(engine.generate(Prompt.chat("a"), Sampling(extra={"repetition_penalty": 1.1}), 0))
    with pytest.raises(UserError, match="no tokens"):
        run(engine.generate(Prompt(raw=""), SAMPLING, 0))
    with pytest.raises(UserError, match="max_batch must be"):
        TransformersEngine(engine.model, max_batch=0)
    with pytest.raises(UserError, match="did you mean 'sdpa'"):
        TransformersEngine(engine.model, attention="spda")
    base = TransformersEngine(models.resolve(str(tiny.write(tmp_path / "base", chat=False))))
    with pytest.raises(UserError, match="no chat template"):
        base.tokens(Prompt.chat("a").extend("b"))
    assert len(base.tokens(Prompt(raw="ab").extend("c"))) == 3
    for file in (tmp_path / "base").glob("*.safetensors"):
        file.unlink()
    with pytest.raises(UserError, match="no weights"):
        run(base.open())


def test_thinking_switch_and_reasoning_tokens(engine: TransformersEngine) -> None:
    asked = Prompt.chat("why")
    render = engine._renderer().render
    assert render(asked, False).ids != render(asked, None).ids == render(asked, True).ids
    with pytest.raises(UserError, match="no switch"):
        render(asked, "high")
    assert render(asked.extend("<think>so"), None).thinking and not render(asked.extend("<think>so</think>"), None).thinking
    count = engine._renderer().reasoning
    begin, end, a = tiny.SPECIALS.index("<think>"), tiny.SPECIALS.index("</think>"), 40
    assert count((a, begin, a, a, end, a), False) == 4
    assert count((a, a, end, a), True) == 3
    assert count((a, begin, a), False) == 2 and count((a, a), False) == 0 and count((a, a), True) == 2
    assert engine.text((begin, a, end, END)).startswith("<think>")


@pytest.mark.skipif("perpass/nano" not in models.shipped(), reason="the reference model is not there")
def test_nano_answers_as_the_library_does() -> None:
    engine = TransformersEngine(models.resolve("perpass/nano"))

    async def work() -> list[Sample]:
        await engine.open()
        return await crowd(engine, asked, GREEDY)

    asked = [Prompt.chat(f"{a} + {b} = ?") for a in range(3, 7) for b in range(11, 14)]
    made = run(work())
    assert [list(s.token_ids) for s in made] == [library_greedy(engine, p, 24) for p in asked]
    run(engine.close())
