"""The openai engine against a server of ours, on a real socket: its settings, what it finds out, its answers."""
# ruff: noqa: F811  # fixtures are imported, and named again where they are used

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from energy import hardware
from harness.cell import Deployment
from harness.engines import engines
from harness.engines.openai import OpenAIEngine
from harness.types import Engine, Model, Observe, Sampling
from perpass.errors import PerPassError, UserError
from perpass.identity import content_hash
from tasks.types import Prompt
from tests.harness.engines.faulty_server import Server
from tests.harness.engines.openai_case import ASK, HOT, KEY, RAW, ask, everything, exact, folder, key, made, plain, use, vllm  # noqa: F401


# -- settings ------------------------------------------------------------------------------------------------------------------------
def test_it_is_an_engine_that_the_registry_knows() -> None:
    engine = engines.get("openai")("m", base_url="http://localhost:8000")
    assert isinstance(engine, Engine) and engine.kind == "openai"
    assert engine.base_url == "http://localhost:8000/v1"


def test_identity_holds_neither_address_nor_key(folder: Path) -> None:
    here, there = (OpenAIEngine("m", base_url=f"http://{host}:1/v1", key_env="TEST_KEY") for host in ("a", "b"))
    place = [Deployment(e, hardware.declared("H100x1")) for e in (here, there)]
    assert place[0].hash == place[1].hash
    assert here.settings == {"model": "m", "api": "chat", "tokenizer": None, "prefix_caching": False, "server": {}}
    exact = OpenAIEngine("m", base_url="http://a/v1", tokenizer=str(folder), server={"quantization": "fp8"})
    assert exact.settings["api"] == "completions" and exact.settings["tokenizer"] == "tiny"
    assert exact.model.config and exact.model.context == 4096 and exact.model.think == ("<think>", "</think>")
    assert str(folder) not in str(exact.settings) + str(exact.model.identity())
    assert len({content_hash(e.settings) for e in (here, exact)}) == 2


def test_a_local_model_lends_its_tokenizer_and_keeps_its_identity(folder: Path) -> None:
    from harness import models

    model = models.resolve(str(folder))
    engine = OpenAIEngine(model, base_url="http://a/v1", model_name="served")
    assert engine.model is model and engine.settings["tokenizer"] == "tiny" and engine.settings["model"] == "served"
    assert OpenAIEngine(model, base_url="http://a/v1", tokenizer=False).settings["api"] == "chat"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"base_url": ""}, "base_url must be the server's address, such as http://localhost:8000/v1"),
        ({"base_url": "localhost:8000"}, "base_url must be"),
        ({"base_url": f"http://me:{KEY}@host/v1"}, "must hold no user, password or query"),
        ({"base_url": f"http://host/v1?key={KEY}"}, "must hold no user, password or query"),
        ({"key_env": KEY}, "key_env must be the NAME"),
        ({"api": "chats"}, "did you mean 'chat'?"),
        ({"timeout_s": 0}, "timeout_s must be"),
        ({"max_connections": 0}, "max_connections must be"),
        ({"capabilities": ["logprob"]}, "did you mean 'logprobs'?"),
        ({"capabilities": ["token_ids"]}, "needs a `tokenizer`"),
        ({"tokenizer": "/nowhere/at/all"}, "no such folder"),
        ({"server": "fast"}, "server must be a mapping"),
    ],
)
def test_bad_settings_are_one_sentence_without_the_key(settings: Mapping[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        OpenAIEngine("m", **{"base_url": "http://a/v1", **settings})
    assert said in str(caught.value) and KEY not in str(caught.value)


def test_a_model_must_be_named() -> None:
    with pytest.raises(UserError, match="`model` must be the server's name"):
        OpenAIEngine(None, base_url="http://a/v1")
    with pytest.raises(UserError, match="did you mean 'revision'"):
        OpenAIEngine({"id": "m", "revison": "x"}, base_url="http://a/v1")
    model = OpenAIEngine({"id": "m", "revision": "abc", "dtype": "bfloat16", "think": True}, base_url="http://a/v1").model
    assert model == Model("m", "abc", "bfloat16", think=("<think>", "</think>"))


# -- opening -------------------------------------------------------------------------------------------------------------------------
def test_capabilities_are_found_out(vllm: Server, plain: Server, exact: tuple[Server, OpenAIEngine]) -> None:
    found = {}
    for name, engine in (("vllm", made(vllm)), ("plain", made(plain)), ("exact", exact[1])):
        use(engine, lambda e: asyncio.sleep(0))
        found[name] = engine.capabilities
    assert not found["vllm"].missing(["prefix", "logprobs", "confidence", "seed", "abort"])
    assert found["vllm"].missing(["token_ids", "prompt_logprobs", "thinking"]) == ["token_ids", "prompt_logprobs", "thinking"]
    assert not found["plain"].missing(["logprobs", "confidence", "seed"])
    assert found["plain"].missing(["prefix", "abort"]) == ["prefix", "abort"]
    assert not found["exact"].missing(["prefix", "logprobs", "confidence", "seed", "abort", "token_ids", "prompt_logprobs", "thinking"])
    assert all(body["max_tokens"] <= 2 for server in (vllm, plain, exact[0]) for body in server.bodies)  # probes cost next to nothing


def test_what_was_not_found_is_named_by_the_call_that_needs_it(plain: Server) -> None:
    plain.logprobs = False
    engine = made(plain)
    assert engine.capabilities.logprobs  # a plan is made without asking
    for more in ({"observe": Observe(logprobs=True)}, {"observe": Observe(confidence=True)}, {"prompt": ASK.extend("The")}):
        with pytest.raises(PerPassError, match="does not offer '(logprobs|confidence|prefix)'"):
            ask(engine, **more)


def test_listed_capabilities_are_taken_at_their_word(plain: Server) -> None:
    engine = made(plain, capabilities=["logprobs"])
    use(engine, lambda e: asyncio.sleep(0))
    assert engine.capabilities.logprobs and not engine.capabilities.confidence
    assert not any("logprobs" in body for body in plain.bodies)


def test_a_rejected_key_is_told_by_the_name_of_its_variable(vllm: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", "wrong-key-3c1f")
    with pytest.raises(PerPassError, match=r"rejects the key in \$OTHER_KEY") as caught:
        ask(made(vllm, key_env="OTHER_KEY"))
    assert "wrong-key-3c1f" not in everything(caught.value) and "Bearer [key]" in str(caught.value)
    with pytest.raises(PerPassError, match="name one with key_env"):
        ask(made(vllm, key_env=None))
    monkeypatch.delenv("OTHER_KEY")
    with pytest.raises(UserError, match="OTHER_KEY .* is not set"):
        ask(made(vllm, key_env="OTHER_KEY"))


def test_an_unknown_model_names_the_nearest(vllm: Server) -> None:
    vllm.model = "tiny-model"
    with pytest.raises(UserError, match="does not serve 'tiny'; did you mean 'tiny-model'"):
        ask(made(vllm))


def test_nobody_there() -> None:
    engine = OpenAIEngine("m", base_url="http://127.0.0.1:9/v1", timeout_s=1)
    with pytest.raises(PerPassError, match=r"127.0.0.1:9.*6 tries"):
        ask(engine)
    with pytest.raises(PerPassError, match="not open"):
        asyncio.run(engine.generate(ASK, HOT, 1))
    asyncio.run(engine.close())


def test_opening_survives_faults(vllm: Server) -> None:
    vllm.next_faults.extend(["500", "half a chunk", "429"])
    assert ask(made(vllm)).usage.output


# -- answers -------------------------------------------------------------------------------------------------------------------------
def test_an_answer_on_chat(vllm: Server) -> None:
    before = time.time()
    sample = ask(made(vllm), seed=5)
    text = vllm.reply("<|user|>what?<|end|><|assistant|>", 5)
    assert (sample.text, sample.finish, sample.token_ids) == (text, "eos", ())
    prompt = len(b"<|user|>what?<|end|><|assistant|>")
    assert (sample.usage.prompt, sample.usage.cached, sample.usage.output, sample.usage.calls) == (prompt, 32, len(text) + 1, 1)
    assert before <= sample.timing.sent <= sample.timing.first <= sample.timing.last <= time.time()
    assert sample.logprob is None and sample.confidence is None


def test_an_answer_by_token_ids(exact: tuple[Server, OpenAIEngine]) -> None:
    server, engine = exact
    prompt = ASK.extend("The answer ")
    sample = ask(engine, prompt, seed=5)
    assert server.bodies[-1]["prompt"] == list(engine.tokens(prompt)) and "messages" not in server.bodies[-1]
    assert sample.usage.prompt == len(engine.tokens(prompt))
    assert sample.usage.output == len(sample.token_ids) == len(sample.text) + 1
    assert engine.text(sample.token_ids) == sample.text
    assert engine.counters() == sample.usage


def test_min_tokens_are_cut_to_the_room_that_is_left_like_max_tokens(exact: tuple[Server, OpenAIEngine]) -> None:
    server, engine = exact
    prompt = Prompt.chat("x" * 4060)
    room = 4096 - len(engine.tokens(prompt))
    ask(engine, prompt, HOT.but(max_tokens=900, min_tokens=800))
    assert 0 < room < 40 and (server.bodies[-1]["max_tokens"], server.bodies[-1]["min_tokens"]) == (room, room)


def test_the_same_seed_gives_the_same_text(vllm: Server) -> None:
    async def several(engine: OpenAIEngine) -> list[str]:
        seeds = [7, 7, *range(20, 35), 2**63 - 1]
        return [s.text for s in await asyncio.gather(*(engine.generate(ASK, HOT, seed) for seed in seeds))]

    texts = use(made(vllm), several)
    assert texts[0] == texts[1] and len(set(texts)) > 8


def test_sampling_is_sent_in_full_and_server_defaults_are_switched_off(vllm: Server, plain: Server) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=7, min_tokens=2, min_p=0.1, extra={"repetition_penalty": 1.1})
    ask(made(vllm), sampling=sampling)
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "min_tokens": 2, "min_p": 0.1, "top_k": -1, "repetition_penalty": 1.1}
    assert {k: vllm.bodies[-1].get(k) for k in (*expected, "seed")} == expected | {"seed": 1}
    ask(made(plain))
    assert not {"top_k", "min_p", "min_tokens", "repetition_penalty"} & set(plain.bodies[-1])
    with pytest.raises(PerPassError, match="Unrecognized request argument supplied: top_k"):
        ask(made(plain), sampling=Sampling(top_k=5))
    with pytest.raises(UserError, match="'stream' is set by the engine"):
        ask(made(vllm), sampling=Sampling(extra={"stream": False}))


def test_thinking_is_switched(vllm: Server, exact: tuple[Server, OpenAIEngine]) -> None:
    engine = OpenAIEngine({"id": "tiny", "think": True}, base_url=vllm.base_url, key_env="TEST_KEY")
    ask(engine, sampling=Sampling(thinking=False))
    assert vllm.bodies[-1]["chat_template_kwargs"] == {"enable_thinking": False}
    ask(engine, sampling=Sampling(thinking="low"))
    assert vllm.bodies[-1]["reasoning_effort"] == "low"
    ask(exact[1], sampling=Sampling(thinking=False))
    assert exact[1].text(exact[0].bodies[-1]["prompt"]).endswith("<think></think>")


def test_reasoning_that_is_sent_apart_stands_between_markers(vllm: Server) -> None:
    vllm.reply, vllm.reasoning_parser = lambda *_: "let me see\nfour", True
    assert ask(made(vllm)).text == "<think>let me see\n</think>four"


def test_reasoning_is_counted_by_the_tokenizer(exact: tuple[Server, OpenAIEngine]) -> None:
    exact[0].reply = lambda *_: "<think>hm</think>four"
    sample = ask(exact[1])
    assert (sample.text, sample.usage.reasoning, sample.usage.output) == ("<think>hm</think>four", 4, 9)


@pytest.mark.parametrize("kind", ["vllm", "plain"])
def test_raw_prompts_go_to_completions(kind: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)
    sample = ask(made(server), RAW.extend(" upon"))
    assert server.bodies[-1]["prompt"] == "Once upon" and sample.text == server.reply("Once upon", 1)


def test_a_server_that_does_not_stream_answers_at_once(vllm: Server) -> None:
    vllm.streams = False
    sample = ask(made(vllm), seed=5)
    assert sample.text == vllm.reply("<|user|>what?<|end|><|assistant|>", 5) and sample.finish == "eos"
    assert sample.usage.output == len(sample.text) + 1 and sample.timing.first == sample.timing.last


def test_a_server_without_chat_takes_raw_prompts(vllm: Server) -> None:
    vllm.chat = False
    assert ask(made(vllm), RAW).text
    with pytest.raises(PerPassError, match="has no chat"):
        ask(made(vllm))


def test_token_ids_that_a_server_does_not_take_are_told_at_opening(plain: Server, folder: Path) -> None:
    with pytest.raises(PerPassError, match="api: chat, or leave out `tokenizer`"):
        ask(made(plain, tokenizer=str(folder)))
    assert ask(made(plain, tokenizer=str(folder), api="chat")).text


def test_open_prefixes(vllm: Server) -> None:
    sample = ask(made(vllm), ASK.extend("The answer"))
    body = vllm.bodies[-1]
    assert body["messages"][-1] == {"role": "assistant", "content": "The answer"}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert sample.text == vllm.reply("<|user|>what?<|end|><|assistant|>The answer", 1)


@pytest.mark.parametrize("kind", ["vllm", "exact"])
def test_log_probabilities(kind: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind)
    engine = made(found) if kind == "vllm" else found[1]
    sample = ask(engine, observe=Observe(logprobs=True, confidence=True))
    assert sample.logprob and sample.confidence
    assert len(sample.logprob) == len(sample.confidence) == sample.usage.output
    assert all(x <= -1 for x in sample.logprob)
    assert sample.confidence[0] == pytest.approx(sum(0.5 + i / 8 for i in range(20)) / 20)
    assert ask(engine, observe=Observe(logprobs=True)).confidence is None
