"""How answers of the openai engine end, what they are counted, how given texts are scored, what is too long."""
# ruff: noqa: F811  # fixtures are imported, and named again where they are used

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.engines.openai import OpenAIEngine
from harness.engines.openai_errors import lengths
from harness.types import PromptTooLong, Sample, Sampling
from perpass.errors import PerPassError
from tasks.types import Prompt
from tests.harness.engines.faulty_server import Server
from tests.harness.engines.openai_case import ASK, HOT, KEY, Words, ask, exact, folder, key, made, plain, soon, use, vllm  # noqa: F401


# -- ends ----------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["vllm", "plain", "exact"])
def test_stop_strings_stay_in_the_text(kind: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind)
    server, engine = (found, made(found)) if kind != "exact" else found
    server.reply = lambda *_: "one. two. three"
    sample = ask(engine, sampling=Sampling(stop=("two", "three")))
    assert (sample.text, sample.finish) == ("one. two", "stop")
    assert ask(engine, sampling=Sampling(stop=("four",))).finish == "eos"
    assert ask(engine, sampling=Sampling(stop=("two",), max_tokens=4)).finish == "length"
    assert ("stop" in server.bodies[-1]) == (kind != "plain")
    assert sample.usage.output == (16 if kind == "plain" else 8)  # a plain server goes on to the end, and that is what it costs


def test_a_stop_string_that_is_cut_off_is_put_back(vllm: Server) -> None:
    vllm.reply = lambda *_: "one. two. three"
    vllm._hidden = lambda body, ids, ending: len(ending[1]) if ending[1] else 0  # type: ignore[method-assign]
    assert ask(made(vllm), sampling=Sampling(stop=("two", "three"))).text == "one. two"


def test_our_own_stop_strings_may_come_in_pieces(plain: Server) -> None:
    plain.reply, plain.tokens_per_chunk = lambda *_: "abcdefgh", 3
    assert ask(made(plain), sampling=Sampling(stop=("ef", "d"))).text == "abcd"
    assert ask(made(plain), sampling=Sampling(stop=("cd",))).text == "abcd"
    assert ask(made(plain), sampling=Sampling(stop=("b",), min_tokens=0)).text == "ab"


@pytest.mark.parametrize("pieces", [1, 5])
def test_watch_cuts_at_exact_multiples_where_ids_are_known(exact: tuple[Server, OpenAIEngine], pieces: int) -> None:
    server, engine = exact
    server.reply, server.tokens_per_chunk, server.pause_s = lambda *_: "a" * 90, pieces, 0.001
    seen: list[Sample] = []

    def watch(part: Sample) -> bool:
        seen.append(part)
        return len(part.text) > 10

    sample = ask(engine, watch=watch, every=8)
    assert (sample.text, sample.finish, sample.usage.output) == ("a" * 16, "stop", 16)
    assert [s.usage.output for s in seen] == [8, 16]
    assert sample.usage.prompt == len(engine.tokens(ASK)) and len(sample.token_ids) == 16
    assert soon(lambda: server.served["aborted"] == 1)


def test_watch_on_chat_counts_by_the_servers_running_count(vllm: Server) -> None:
    vllm.reply, vllm.pause_s = lambda *_: "a" * 90, 0.001
    sample = ask(made(vllm), watch=lambda part: len(part.text) > 10, every=8)
    assert (sample.text, sample.finish, sample.usage.output) == ("a" * 16, "stop", 16)
    assert sample.usage.prompt == 34 - 1 and soon(lambda: vllm.served["aborted"] == 1)


def test_where_nothing_counts_a_cut_answer_is_read_to_its_end(plain: Server) -> None:
    plain.reply = lambda *_: "a" * 60
    sample = ask(made(plain), watch=lambda part: len(part.text) > 10, every=8)
    assert (sample.text, sample.finish, sample.usage.output) == ("a" * 16, "stop", 61)
    assert not plain.served["aborted"]


def test_what_a_watch_raises_reaches_the_caller(vllm: Server) -> None:
    def watch(part: Sample) -> bool:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        ask(made(vllm), watch=watch, every=2)


def test_cancelling_closes_the_request(vllm: Server) -> None:
    vllm.reply, vllm.pause_s = lambda *_: "a" * 2000, 0.005

    async def cancelled(engine: OpenAIEngine) -> None:
        begun = asyncio.Event()
        watch = lambda part: bool(begun.set())  # noqa: E731
        task = asyncio.ensure_future(engine.generate(ASK, Sampling(max_tokens=2000), 1, watch=watch, every=1))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(soon, lambda: vllm.served["aborted"] == 1)
        vllm.reply = lambda *_: "ok"
        assert (await engine.generate(ASK, HOT, 1)).text == "ok"

    use(made(vllm, max_connections=1), cancelled)


# -- usage ---------------------------------------------------------------------------------------------------------------------------
def test_without_usage_the_tokenizer_counts(folder: Path) -> None:
    with Server(key=KEY, vllm=False, words=Words(), usage=False) as server:
        engine = made(server, tokenizer=str(folder), api="chat")
        sample = ask(engine, seed=3)
        assert (sample.usage.prompt, sample.usage.output) == (len(engine.tokens(ASK)), len(sample.text) + 1)


def test_without_usage_and_tokenizer_the_cause_is_told(plain: Server) -> None:
    plain.usage = False
    with pytest.raises(PerPassError, match="sent no `usage`"):
        ask(made(plain))


# -- scoring and length --------------------------------------------------------------------------------------------------------------
def test_given_texts_are_scored(exact: tuple[Server, OpenAIEngine]) -> None:
    server, engine = exact
    scored = use(engine, lambda e: e.logprob(ASK, "yes"))
    before = len(engine.tokens(ASK))
    assert scored.logprobs == pytest.approx([server._logprob([], before + i)[0] for i in range(3)])
    assert (scored.usage.prompt, scored.usage.scored, scored.usage.output, scored.usage.calls) == (before, 3, 0, 1)
    assert use(engine, lambda e: e.logprob(ASK, "")).logprobs == ()
    with pytest.raises(PromptTooLong):
        use(engine, lambda e: e.logprob(ASK, "y" * 5000))


def test_without_a_tokenizer_nothing_is_scored(vllm: Server) -> None:
    engine = made(vllm)
    with pytest.raises(PerPassError, match="does not offer 'prompt_logprobs'"):
        use(engine, lambda e: e.logprob(ASK, "yes"))
    assert engine.tokens(ASK) is None
    with pytest.raises(PerPassError, match="need a `tokenizer`"):
        engine.text([1])


@pytest.mark.parametrize("kind", ["vllm", "plain", "exact"])
def test_the_answer_is_cut_to_the_context_and_a_prompt_may_be_too_long(kind: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind)
    server, engine = (found, made(found)) if kind != "exact" else found
    server.context, server.reply = 200, lambda *_: "b" * 500
    frame = (len(engine.tokens(ASK)) if kind == "exact" else 33) - len("what?")
    sample = ask(engine, Prompt.chat("q" * (150 - frame)), Sampling(max_tokens=512))
    assert (sample.usage.prompt, sample.usage.output, sample.finish) == (150, 50, "length")
    with pytest.raises(PromptTooLong):
        ask(engine, Prompt.chat("q" * 300), Sampling(max_tokens=512))


def test_lengths_are_read_from_messages() -> None:
    for message, expected in {
        "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (1000 in the messages, …": (4097, 1000),
        "You passed 157 input tokens and requested 100 output tokens. However, the model's context length is only 256 tokens": (256, 157),
        "This model's maximum context length is 4097 tokens. However, your messages resulted in 6164 tokens.": (4097, 6164),
        "'max_tokens' is too large: 300. This model's maximum context length is 256 tokens and your request has 20 input tokens": (256, 20),
        "too long": (None, None),
    }.items():
        assert lengths(message) == expected
