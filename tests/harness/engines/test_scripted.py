"""The scripted engine keeps the engine's promises exactly."""

from __future__ import annotations

import asyncio

import pytest

from harness.engines.scripted import ScriptedEngine
from harness.types import Observe, PromptTooLong, Sample, Sampling, TransportFault
from perpass.errors import UserError
from tasks.types import Prompt

ASK = Prompt.chat("what?")


def reply(engine: ScriptedEngine, sampling: Sampling = Sampling(), seed: int = 1, prompt: Prompt = ASK, **more: object) -> Sample:
    return asyncio.run(engine.generate(prompt, sampling, seed, **more))  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_text() -> None:
    engine = ScriptedEngine(latency=(0, 0.003))
    assert reply(engine, seed=5).text == reply(engine, seed=5).text
    assert len({reply(engine, seed=s).text for s in range(20)}) > 5


def test_usage_is_exact_and_counted() -> None:
    engine = ScriptedEngine(script=lambda *_: "héllo")
    sample = reply(engine)
    assert (sample.usage.prompt, sample.usage.output, sample.finish) == (len(engine.tokens(ASK)), 7, "eos")
    assert engine.counters() == sample.usage


def test_stop_strings_stay_in_the_text() -> None:
    engine = ScriptedEngine(script=lambda *_: "one. two. three")
    sample = reply(engine, Sampling(stop=("two", "three")))
    assert (sample.text, sample.finish) == ("one. two", "stop")
    assert reply(engine, Sampling(stop=("two",), max_tokens=4)).finish == "length"


def test_watch_cuts_after_every_k_tokens() -> None:
    engine = ScriptedEngine(script=lambda *_: "a" * 100)
    sample = reply(engine, watch=lambda part: len(part.text) > 10, every=8)
    assert (sample.text, sample.finish, sample.usage.output) == ("a" * 16, "stop", 16)


def test_context_is_respected() -> None:
    room = len(ScriptedEngine().tokens(ASK))
    assert reply(ScriptedEngine(context=room + 3)).usage.output == 3
    with pytest.raises(PromptTooLong):
        reply(ScriptedEngine(context=room))


def test_observations_come_only_when_asked_for() -> None:
    engine = ScriptedEngine()
    assert reply(engine).logprob is None
    seen = reply(engine, observe=Observe(True, True))
    assert seen.logprob and seen.confidence and len(seen.logprob) == len(seen.confidence) == seen.usage.output
    assert all(x < 0 for x in seen.logprob)


def test_faults_come_on_request() -> None:
    with pytest.raises(TransportFault):
        for _ in range(200):
            reply(ScriptedEngine(faults=0.5))
    for bad in ({"faults": 1.0}, {"latency": (2, 1)}, {"latency": 3}):
        with pytest.raises(UserError):
            ScriptedEngine(**bad)  # type: ignore[arg-type]
