"""What the tests of the openai engine share: servers, engines that talk to them, and a vocabulary for exact counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.engines import openai_probe
from harness.engines.openai import OpenAIEngine
from harness.types import Sample, Sampling
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.faulty_server import Server

KEY = "sk-test-4f9c1e77aa0d4b32"
ASK = Prompt.chat("what?")
RAW = Prompt(raw="Once")
HOT = Sampling(temperature=1.0, max_tokens=100)


class Words:
    """The vocabulary of tests' tiny model, for the server."""

    def __init__(self) -> None:
        self.tokenizer = tiny.tokenizer()
        self.end = tiny.SPECIALS.index("<|end|>")
        specials = {i: name.encode() if i >= 5 else b"" for i, name in enumerate(tiny.SPECIALS)}  # think markers have text
        self._pieces = specials | {i: bytes([_byte(c)]) for c, i in self.tokenizer.get_vocab().items() if i not in specials}

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def piece(self, token: int) -> bytes:
        return self._pieces[token]


def _byte(char: str) -> int:
    """GPT-2's printable stand-in of a byte, back to the byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return ord(char) if ord(char) in shown else hidden[ord(char) - 256]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("models") / "tiny", context=4096)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setattr(openai_probe, "PAUSE_S", 0.01)


@pytest.fixture
def vllm() -> Iterator[Server]:
    with Server(key=KEY) as server:
        yield server


@pytest.fixture
def plain() -> Iterator[Server]:
    with Server(vllm=False, key=KEY) as server:
        yield server


@pytest.fixture
def exact(folder: Path) -> Iterator[tuple[Server, OpenAIEngine]]:
    """A server of vLLM's kind, and an engine with its tokenizer."""
    with Server(key=KEY, words=Words()) as server:
        yield server, made(server, tokenizer=str(folder))


def made(server: Server, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine("tiny", **{"base_url": server.base_url, "key_env": "TEST_KEY", "timeout_s": 5, **settings})


def use(engine: OpenAIEngine, work: Callable[[OpenAIEngine], Awaitable[Any]]) -> Any:
    """`work` on the opened engine."""

    async def whole() -> Any:
        await engine.open()
        try:
            return await work(engine)
        finally:
            await engine.close()

    return asyncio.run(whole())


def ask(engine: OpenAIEngine, prompt: Prompt = ASK, sampling: Sampling = HOT, seed: int = 1, **more: Any) -> Sample:
    return use(engine, lambda e: e.generate(prompt, sampling, seed, **more))


def soon(true: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it comes true, however busy the machine is."""
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def everything(error: BaseException | None) -> str:
    """Whatever could be printed of an error and of those chained to it."""
    if error is None:
        return ""
    return repr(error) + str(error) + repr(vars(error)) + everything(error.__cause__) + everything(error.__context__)
