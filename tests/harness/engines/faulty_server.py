"""A little OpenAI-compatible server on a real socket, with faults on request.

It behaves as vLLM's does, or as a plain server does that knows no field beyond OpenAI's own. Replies are a function of prompt and seed;
tokens are bytes, unless a vocabulary says otherwise, and one end token.
"""

from __future__ import annotations

import asyncio
import codecs
import hashlib
import json
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from aiohttp import web

FAULTS = (
    "429 with Retry-After",
    "429",
    "500",
    "503",
    "disconnect before headers",
    "disconnect mid-stream",
    "half a chunk",
    "malformed chunk",
    "empty body",
    "error in the stream",
    "no end",
    "stall",
)
TEMPLATE_END = "<|end|>"
OPENAI_FIELDS = {"model", "messages", "prompt", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature"} | {
    "top_p", "seed", "stop", "logprobs", "top_logprobs", "echo", "n", "presence_penalty", "frequency_penalty", "reasoning_effort"
}  # fmt: skip
TOP = 20


class Bytes:
    """Tokens that are bytes, and 256 for the end."""

    end = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


def boxed(prompt: str, seed: int) -> str:
    """The default reply: some words and a boxed digit, drawn by prompt and seed."""
    draw = random.Random(hashlib.sha256(f"{seed}|{prompt}".encode()).digest())
    return "so " * draw.randint(1, 12) + f"\\boxed{{{draw.randrange(10)}}}"


class Refusal(Exception):
    def __init__(self, message: str, status: int = 400, code: Any = None):
        super().__init__(message)
        self.status, self.code = status, code


@dataclass
class Server:
    """vllm: behave as vLLM does, else as a plain server; the switches below are what else a plain server may lack."""

    vllm: bool = True
    model: str = "tiny"
    key: str | None = None
    context: int = 4096
    reply: Callable[[str, int], str] = boxed
    words: Any = field(default_factory=Bytes)
    usage: bool = True
    chat: bool = True
    streams: bool = True
    logprobs: bool = True
    reasoning_parser: bool = False  # what stands before </think> is sent apart
    tokens_per_chunk: int = 1
    pause_s: float = 0.0  # between chunks
    faults: float = 0.0  # share of completion requests
    kinds: Sequence[str] = FAULTS
    stall_s: float = 5.0
    retry_after: str = "0.02"
    next_faults: deque[str] = field(default_factory=deque)  # taken first, one for each completion request

    def __post_init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.peers: set[Any] = set()
        self.served: Counter[str] = Counter()  # faults by kind, "whole" answers, "aborted" ones
        self._weather = random.Random(7)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    # -- life ------------------------------------------------------------------------------------------------------------------------
    def __enter__(self) -> Server:
        self._thread.start()
        assert self._ready.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        runner = web.AppRunner(self._app(), access_log=None)

        async def start() -> None:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.1)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_post("/v1/completions", self._complete)
        if self.vllm:
            app.router.add_get("/version", self._version)
            app.router.add_post("/tokenize", self._tokenize)
        return app

    # -- requests --------------------------------------------------------------------------------------------------------------------
    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        given = request.headers.get("Authorization", "")
        if self.key is not None and given != f"Bearer {self.key}":
            return self._error(401, f"Incorrect API key provided: {given}")
        try:
            return await handler(request)
        except Refusal as refusal:
            return self._error(refusal.status, str(refusal), code=refusal.code)

    def _error(self, status: int, message: str, code: Any = None, **headers: str) -> web.Response:
        # A careless server: it repeats the key in everything that it says.
        error = {"message": f"{message} (key {self.key})", "type": "Error", "code": code if code is not None else status}
        return web.json_response({"error": error}, status=status, headers=headers)

    async def _models(self, request: web.Request) -> web.Response:
        card: dict[str, Any] = {"id": self.model, "object": "model", "owned_by": "vllm" if self.vllm else "someone"}
        if self.vllm:
            card["max_model_len"] = self.context
        return web.json_response({"object": "list", "data": [card, {"id": "another-model"}]})

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.0.test"})

    async def _tokenize(self, request: web.Request) -> web.Response:
        ids = self._prompt(await request.json(), "messages" in await request.json())[0]
        return web.json_response({"count": len(ids), "max_model_len": self.context, "tokens": ids})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if fault := self._fault():
            self.served[fault] += 1
            if (answer := self._refusing(fault, request)) is not None:
                return answer
        chat = request.path.endswith("chat/completions")
        self._check(body, chat)
        ids, text = self._prompt(body, chat)
        steps, ending = self._generate(body, ids, text)
        if not (body.get("stream") and self.streams):
            answer = web.json_response(self._whole(body, ids, steps, ending))
            self.served["whole"] += 1
            return answer
        return await self._stream(request, body, chat, ids, steps, ending, fault)

    def _fault(self) -> str:
        if self.next_faults:
            return self.next_faults.popleft()
        return self._weather.choice(self.kinds) if self._weather.random() < self.faults else ""

    def _refusing(self, fault: str, request: web.Request) -> web.Response | None:
        """The answer of a fault that comes before the stream, if it is one."""
        if fault == "429 with Retry-After":
            return self._error(429, "slow down", **{"Retry-After": self.retry_after, "Date": formatdate(usegmt=True)})
        if fault in ("429", "500", "503"):
            return self._error(int(fault), "not now")
        if fault == "empty body":
            return web.Response(status=200, content_type="text/event-stream")
        if fault == "disconnect before headers":
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        return None

    def _check(self, body: dict[str, Any], chat: bool) -> None:
        if body["model"] != self.model:
            raise Refusal(f"The model `{body['model']}` does not exist.", 404)
        if chat and not self.chat:
            raise Refusal("As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template.")
        if chat and body.get("add_generation_prompt", True) and body.get("continue_final_message"):
            raise Refusal("Cannot set both `continue_final_message` and `add_generation_prompt` to True.")
        if body.get("logprobs") and not self.logprobs:
            raise Refusal("logprobs are not supported with this model")
        if not self.vllm:
            for name in body:
                if name not in OPENAI_FIELDS:
                    raise Refusal(f"Unrecognized request argument supplied: {name}")
            if "continuous_usage_stats" in (body.get("stream_options") or {}):
                raise Refusal("Unknown parameter: 'stream_options.continuous_usage_stats'.")
            if not isinstance(body.get("prompt", ""), str):
                raise Refusal("Invalid type for 'prompt'")

    def _prompt(self, body: dict[str, Any], chat: bool) -> tuple[list[int], str]:
        if not chat:
            prompt = body["prompt"]
            if isinstance(prompt, list):
                return prompt, b"".join(self.words.piece(i) for i in prompt).decode(errors="replace")
            return self.words.encode(prompt), prompt
        turns = list(body["messages"])
        prefix = turns.pop()["content"] if body.get("continue_final_message") else ""
        text = "".join(f"<|{t['role']}|>{t['content']}{TEMPLATE_END}" for t in turns) + "<|assistant|>" + prefix
        return self.words.encode(text), text

    # -- answers ---------------------------------------------------------------------------------------------------------------------
    def _generate(self, body: dict[str, Any], prompt: list[int], text: str) -> tuple[list[int], tuple[str, Any]]:
        """The generated ids, and (finish_reason, stop_reason)."""
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        if len(prompt) + limit > self.context:
            raise Refusal(
                f"This model's maximum context length is {self.context} tokens. However, you requested {len(prompt) + limit} tokens"
                f" ({len(prompt)} in the messages, {limit} in the completion). Please reduce the length of the messages or completion."
            )
        ids = [*self.words.encode(self.reply(text, body.get("seed", 0))), self.words.end]
        stops = [body["stop"]] if isinstance(body.get("stop"), str) else body.get("stop") or []
        said = b""
        for length, token in enumerate(ids[:limit] if stops else (), 1):
            said += self.words.piece(token)
            if (hit := next((s for s in stops if said.endswith(s.encode())), None)) is not None:
                return ids[:length], ("stop", hit)
        return (ids, ("stop", None)) if len(ids) <= limit else (ids[:limit], ("length", None))

    def _logprob(self, prompt: Sequence[int], at: int) -> list[float]:
        """Of the drawn token at `at`, then of the likeliest ones; a function of prompt and place."""
        noise = hashlib.sha256(f"{len(prompt)}|{at}".encode()).digest()
        return [-1 - noise[0] / 128, *(-0.5 - i / 8 for i in range(TOP))]

    def _shown(self, body: dict[str, Any], chat: bool, prompt: list[int], ids: Sequence[int], begin: int) -> Any:
        if not body.get("logprobs"):
            return None
        wanted = body.get("top_logprobs", 0) if chat else int(body["logprobs"])
        name = lambda i: f"token_id:{i}" if body.get("return_tokens_as_token_ids") else self.words.piece(i).decode(errors="replace")  # noqa: E731
        rows = [self._logprob(prompt, begin + k) for k in range(len(ids))]
        if chat:
            tops = [[{"token": str(k), "logprob": x} for k, x in enumerate(row[1 : wanted + 1])] for row in rows]
            shown = [{"token": name(i), "logprob": row[0], "top_logprobs": top} for i, row, top in zip(ids, rows, tops, strict=True)]
            return {"content": shown}
        by_name = [{f"token_id:{k}": x for k, x in enumerate(row[1 : wanted + 1])} for row in rows]
        return {"tokens": [name(i) for i in ids], "token_logprobs": [row[0] for row in rows], "top_logprobs": by_name}

    def _counted(self, prompt: list[int], output: int, details: bool = True) -> dict[str, Any]:
        found: dict[str, Any] = {"prompt_tokens": len(prompt), "completion_tokens": output, "total_tokens": len(prompt) + output}
        return found | ({"prompt_tokens_details": {"cached_tokens": len(prompt) // 16 * 16}} if details else {})

    def _whole(self, body: dict[str, Any], prompt: list[int], ids: list[int], ending: tuple[str, Any]) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": ending[0], "stop_reason": ending[1]}
        text = b"".join(map(self.words.piece, ids)).decode(errors="replace")
        choice |= {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
        scored = [None, *({str(i): {"logprob": self._logprob([], at)[0], "rank": 1}} for at, i in enumerate(prompt[1:], 1))]
        if self.vllm and body.get("prompt_logprobs") is not None:
            choice["prompt_logprobs"] = scored
        elif body.get("echo"):
            choice["logprobs"] = {"token_logprobs": [None if s is None else next(iter(s.values()))["logprob"] for s in scored] + [-1.0]}
        return {"id": "x", "choices": [choice], "usage": self._counted(prompt, len(ids))}

    def _chunks(
        self, body: dict[str, Any], chat: bool, prompt: list[int], ids: list[int], ending: tuple[str, Any]
    ) -> Iterator[dict[str, Any]]:
        options = body.get("stream_options") or {}
        decoder, made, thought = codecs.getincrementaldecoder("utf-8")(errors="replace"), 0, self.reasoning_parser
        if chat:
            opening = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
            first: dict[str, Any] = {"id": "x", "choices": [opening]}
            yield first | ({"usage": self._counted(prompt, 0, False)} if options.get("continuous_usage_stats") else {})
        hidden = self._hidden(body, ids, ending)
        for begin in range(0, len(ids), self.tokens_per_chunk):
            new = ids[begin : begin + self.tokens_per_chunk]
            made += len(new)
            text = decoder.decode(b"".join(self.words.piece(i) for k, i in enumerate(new, begin) if k < len(ids) - hidden))
            choice: dict[str, Any] = {"index": 0, "logprobs": self._shown(body, chat, prompt, new, begin), "finish_reason": None}
            choice |= {"delta": {"reasoning_content" if thought else "content": text}} if chat else {"text": text}
            if self.vllm and not chat:
                choice["stop_reason"] = None
            if body.get("return_token_ids"):
                choice |= {"token_ids": new} | ({"prompt_token_ids": prompt} if not begin else {})
            if made == len(ids):
                choice["finish_reason"] = ending[0]
                if self.vllm:
                    choice["stop_reason"] = ending[1]
            chunk: dict[str, Any] = {"id": "x", "choices": [choice], "system_fingerprint": "fp-test"}
            yield chunk | ({"usage": self._counted(prompt, made, False)} if options.get("continuous_usage_stats") else {})
            thought = thought and text != "\n"
        if self.usage and options.get("include_usage"):
            yield {"id": "x", "choices": [], "usage": self._counted(prompt, made)}

    def _hidden(self, body: dict[str, Any], ids: list[int], ending: tuple[str, Any]) -> int:
        """How many of the last tokens have no text in the answer: those of a stop string that is cut off."""
        return len(self.words.encode(ending[1])) if ending[1] and not body.get("include_stop_str_in_output") else 0

    async def _stream(
        self, request: web.Request, body: dict[str, Any], chat: bool, prompt: list[int], ids: list[int], ending: tuple[str, Any], fault: str
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        write = lambda text: response.write(text.encode())  # noqa: E731
        chunks = list(self._chunks(body, chat, prompt, ids, ending))
        try:
            for i, chunk in enumerate(chunks):
                if fault and i >= len(chunks) // 2:
                    return await self._broken(fault, request, response)
                await write(f"data: {json.dumps(chunk)}\n\n")
                if self.pause_s:
                    await asyncio.sleep(self.pause_s)
                    await write(": still here\n\n")
            await write("data: [DONE]\n\n")
        except (ConnectionError, asyncio.CancelledError):
            self.served["aborted"] += 1
            raise
        self.served["whole"] += 1
        return response

    async def _broken(self, fault: str, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        if fault == "disconnect mid-stream":
            assert request.transport is not None
            request.transport.abort()
        elif fault == "half a chunk":
            await response.write(b'data: {"id": "x", "choices": [{"ind')
        elif fault == "malformed chunk":
            await response.write(b"data: {this is not JSON}\n\n")
        elif fault == "error in the stream":
            error = {"message": f"the engine died (key {self.key})", "type": "InternalServerError", "code": 500}
            await response.write(b"data: " + json.dumps({"error": error}).encode() + b"\n\ndata: [DONE]\n\n")
        elif fault == "stall":
            until = self._loop.time() + self.stall_s
            while self._loop.time() < until and request.transport is not None and not request.transport.is_closing():
                await asyncio.sleep(0.05)
        return response  # "no end": a clean close in the middle
