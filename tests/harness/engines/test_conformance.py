"""The conformance suite on every engine that comes with PerPass, all but the scripted one on perpass/nano.

vLLM is tested where it is installed; PERPASS_REQUIRE_VLLM=1 makes its absence a failure.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness import models
from harness.engines.openai import OpenAIEngine
from harness.engines.scripted import ScriptedEngine
from harness.engines.transformers import TransformersEngine
from harness.engines.vllm import VLLMEngine
from harness.types import Model
from tests.harness.engines.conformance import Case, Conformance, story

NANO = "perpass/nano"
STARTING_S = 600

pytestmark = pytest.mark.skipif(NANO not in models.shipped(), reason="the reference model is not there")


def vllm_or_skip() -> None:
    if importlib.util.find_spec("vllm") is None:
        (pytest.fail if os.environ.get("PERPASS_REQUIRE_VLLM") == "1" else pytest.skip)("vLLM is not installed")


@contextmanager
def opened(engine: Any, **more: Any) -> Iterator[Case]:
    with asyncio.Runner() as runner:
        runner.run(engine.open())
        try:
            yield Case(engine, runner, **more)
        finally:
            runner.run(engine.close())


@contextmanager
def scripted() -> Iterator[Case]:
    with opened(ScriptedEngine(script=story, context=4096, latency=(0, 0.002))) as case:
        yield case


@contextmanager
def transformers() -> Iterator[Case]:
    model = models.resolve(NANO)
    engine = TransformersEngine(model)
    with opened(engine, lacks=("prefix_caching",), folder=Path(model.path or ""), unopened=TransformersEngine(model)) as case:
        assert engine._batcher is not None
        case.busy = lambda: engine._batcher.running if engine._batcher else 0
        yield case


@contextmanager
def vllm() -> Iterator[Case]:
    vllm_or_skip()
    model = models.resolve(NANO)
    engine = VLLMEngine(model)
    with opened(engine, folder=Path(model.path or ""), unopened=VLLMEngine(model)) as case:
        case.busy = lambda: engine._core._llm.get_num_unfinished_requests() if engine._core else 0
        yield case


@contextmanager
def openai() -> Iterator[Case]:
    """With the server's tokenizer: prompts are rendered here and sent as token ids."""
    vllm_or_skip()
    model = models.resolve(NANO)
    with server(model) as port:
        make = lambda: OpenAIEngine(model, base_url=f"http://127.0.0.1:{port}/v1", prefix_caching=True)  # noqa: E731
        with opened(make(), folder=Path(model.path or ""), unopened=make(), busy=lambda: running(port)) as case:
            yield case


@contextmanager
def openai_chat() -> Iterator[Case]:
    """Without a tokenizer: the server renders the conversation."""
    vllm_or_skip()
    model = models.resolve(NANO)
    with server(model) as port:
        engine = OpenAIEngine(NANO, base_url=f"http://127.0.0.1:{port}/v1", prefix_caching=True)
        lacks = ("token_ids", "prompt_logprobs")
        with opened(engine, lacks=lacks, folder=Path(model.path or ""), busy=lambda: running(port)) as case:
            yield case


_servers = ExitStack()
_ports: dict[str, int] = {}


@pytest.fixture(scope="module", autouse=True)
def _end_servers() -> Iterator[None]:
    """A server serves all cases of this file."""
    yield
    _ports.clear()
    _servers.close()


@contextmanager
def server(model: Model) -> Iterator[int]:
    """The port of a vLLM server of `model`, started when it is first asked for."""
    if model.name not in _ports:
        _ports[model.name] = _servers.enter_context(started(model))
    yield _ports[model.name]


@contextmanager
def started(model: Model) -> Iterator[int]:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model.path), "--served-model-name", model.name]
    command += ["--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager", "--enable-prompt-tokens-details"]
    command += ["--no-enable-chunked-prefill"]  # with it, a CPU server dies of seeds: see harness.engines.vllm
    quiet = {"VLLM_LOGGING_LEVEL": "WARNING", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1"}
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1"} | dict(os.environ) | quiet
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            if not answers(process, port):
                log.seek(0)
                raise RuntimeError(f"the vLLM server did not start:\n{log.read()[-3000:]}")
            yield port
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing else is in this group
                process.wait()


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the server answers. False: it ended instead, or takes too long."""
    deadline = time.monotonic() + STARTING_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
            return True
        except OSError:
            time.sleep(0.5)
    return False


def running(port: int) -> int:
    """Requests that the server has under way, by its metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:  # a busy one takes its time
        text = answer.read().decode()
    found = re.findall(r"^vllm:num_requests_(?:running|waiting)\{[^\n]*\} ([\d.]+)$", text, re.MULTILINE)
    assert len(found) >= 2, text[:500]
    return int(sum(map(float, found)))


@pytest.fixture(scope="module", params=[scripted, transformers, vllm, openai, openai_chat], ids=lambda make: make.__name__)
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    with request.param() as made:
        yield made


class TestEveryEngine(Conformance):
    """Conformance, five times."""
