"""The engine `openai`: models behind a server that speaks OpenAI's HTTP interface, such as vLLM's, llama.cpp's or a provider's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness.engines import engine
from harness.engines import openai_settings as given
from harness.engines.clock import now
from harness.engines.openai_errors import lengths
from harness.engines.openai_reading import Cutter, Kept, Reading, number
from harness.engines.openai_requests import (
    CHAT,
    COMPLETIONS,
    Features,
    Rendering,
    Request,
    completion,
    greedy,
    lacking,
    rendering,
    scores,
    scoring,
)
from harness.engines.openai_usage import Meter
from harness.types import Capabilities, Model, Observe, PromptTooLong, Sample, Sampling, Scored, Timing, TransportFault, Usage, Watch
from perpass.errors import PerPassError, UserError, unknown
from tasks.types import Prompt

if TYPE_CHECKING:  # aiohttp and transformers are needed by an engine that is opened, not by a plan
    from harness.engines.openai_http import Client
    from harness.engines.rendering import Rendered, Renderer

log = logging.getLogger("perpass")
NOTHING = Observe()


@engine("openai")
class OpenAIEngine:
    """Asks the server at `base_url` for completions of `model`.

    model            the server's name of the model, or {id, revision, dtype, think} where more is known; or a Model that is found locally,
                     which then also lends its tokenizer
    base_url         where the server is, such as http://localhost:8000/v1. Location, not identity: two servers of one model with equal
                     settings on equal hardware are one deployment
    model_name       the name to ask the server for, where it serves a local Model under another
    api              chat | completions | auto. auto with a tokenizer is completions: prompts are rendered here, by its chat template, and
                     sent as token ids, so that nothing is tokenised anew at an open prefix; without one it is chat. Raw prompts always go
                     to completions
    key_env          NAME of the environment variable that holds the key. The key is read when the engine is opened and shown to nobody
                     but the server
    tokenizer        a shipped name, a folder or a hub id: gives token ids, exact prompt counts, scoring of given texts, and FLOPs by the
                     model's config. false: none, even for a local Model
    prefix_caching   the server is known to reuse the prefixes of earlier prompts; then charges count an attempt's own shared prefixes
    server           settings of the server that matter and that it cannot be asked for, such as {quantization: fp8}
    capabilities     what the server can do (names of Capabilities), taken at its word and not probed
    timeout_s        longest wait in seconds for a connection and between two pieces of an answer; the wait in the server's queue counts
    max_connections  most requests under way at once

    Identity are model, model_name, api, tokenizer, prefix_caching and server.

    Capabilities. A plan is made without asking the server, so before `open` they are what such servers usually do. `open` probes, by
    requests for one or two tokens each, and narrows them; a later call that needs what was not found raises a PerPassError naming it.
    `seed` is provenance: that the server takes one says nothing of how exactly it repeats. `abort` is missing where nothing counts the
    tokens of an unfinished answer; then what is cut here (by `watch`, or at a stop string) is read to its end all the same, and costs that.

    A sample's text keeps the stop string. Where a server names the one it stopped at (vLLM, SGLang), it does the stopping; elsewhere an end
    by the model and one by a stop string look alike, so stop strings are found here and not sent. Usage is the server's own count; where it
    gives none, the tokenizer's; without either a call fails. `cached` is 0 for an answer that was cut, since the count of a cache comes
    last, and `reasoning` is 0 where neither server nor tokenizer tells it apart. `first` is the first chunk with a token in it.
    Sampling defaults of the server (vLLM takes a model's generation_config.json) are switched off by neutral values, if it takes them.
    """

    kind = "openai"
    remote = True  # it takes `model` as written, and what it runs on cannot be detected from here

    def __init__(
        self,
        model: Model | str | Mapping[str, Any] | None = None,
        *,
        base_url: str = "",
        model_name: str | None = None,
        api: str = "auto",
        key_env: str | None = None,
        tokenizer: str | bool | None = None,
        prefix_caching: bool = False,
        server: Mapping[str, Any] | None = None,
        capabilities: Sequence[str] | None = None,
        timeout_s: float = 600.0,
        max_connections: int = 256,
        trust_remote_code: bool = False,
    ):
        self.base_url = given.address(base_url)
        self._key_env = given.variable(key_env)
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or timeout_s <= 0:
            raise UserError(f"engine openai: timeout_s must be a number of seconds above 0, not {timeout_s!r}")
        if isinstance(max_connections, bool) or not isinstance(max_connections, int) or max_connections < 1:
            raise UserError(f"engine openai: max_connections must be a whole number above 0, not {max_connections!r}")
        if api not in ("auto", "chat", "completions"):
            raise unknown("api", api, ("auto", "chat", "completions"), "engine openai")
        if server is not None and not isinstance(server, Mapping):
            raise UserError(f"engine openai: server must be a mapping such as {{quantization: fp8}}, not {server!r}")
        self.in_flight = max_connections
        self._timeout_s, self._connections, self._trust = float(timeout_s), max_connections, trust_remote_code
        self._local = given.local(model, tokenizer, trust_remote_code)
        self._api = CHAT if api == "chat" or (api == "auto" and self._local is None) else COMPLETIONS
        self.model = given.described(model, self._local, rendered_here=self._api == COMPLETIONS)
        self._name = model_name or self.model.name
        self._prefix_caching, self._server = bool(prefix_caching), dict(server or {})
        self._listed = given.listed(capabilities, self._local)
        self.capabilities = self._expected()
        self._features = Features()
        self._context = self.model.context
        self._client: Client | None = None
        self._text: Renderer | None = None
        self._version: str | None = None
        self._fingerprint = ""
        self._used = Usage()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What identifies the engine, complete with defaults. Neither the address nor the name of the key's variable is part of it."""
        return {
            "model": self._name,
            "api": "chat" if self._api == CHAT else "completions",
            "tokenizer": self._local.name if self._local else None,
            "prefix_caching": self._prefix_caching,
            "server": self._server,
        }

    def _expected(self) -> Capabilities:
        """What is taken for granted until the server was asked."""
        if self._listed is not None:
            return Capabilities(**dict.fromkeys(self._listed, True) | ({"prefix_caching": True} if self._prefix_caching else {}))
        exact = self._local is not None
        return Capabilities(
            prefix=True,
            logprobs=True,
            confidence=True,
            prompt_logprobs=exact,
            seed=True,
            thinking=self.model.think is not None,
            token_ids=exact,
            abort=True,
            prefix_caching=self._prefix_caching,
        )

    # -- opening ---------------------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Connect and find out what the server does.

        Raises UserError when aiohttp or the key's variable is missing or the server does not serve the model, PerPassError when it cannot
        be reached, rejects the key, or refuses the plainest request.
        """
        if self._client is not None:
            return
        try:
            from harness.engines.openai_http import Client, Secret
        except ImportError as error:
            raise UserError(f"engine openai needs {error.name}: pip install aiohttp") from error
        key = os.environ.get(self._key_env, "").strip() if self._key_env else ""
        if self._key_env and not key:
            raise UserError(f"engine openai: the environment variable {self._key_env} (key_env) is not set")
        client = Client(self.base_url, Secret(key), self._key_env, self._timeout_s, self._connections)
        try:
            await self._probe(client)
        except BaseException:
            await client.close()
            raise
        self._client = client

    async def _probe(self, client: Client) -> None:
        from harness.engines.openai_probe import Probe, context_of, version_of

        limits = [c for c in (await context_of(client, self._name), self.model.context) if c is not None]
        self._context = min(limits, default=None)
        self._version = await version_of(client)
        ids = await asyncio.to_thread(self._greeting) if self._local else None
        listed = self._listed if self._listed is not None else ()
        wanted = frozenset(n for n in given.CAPABILITIES if getattr(self.capabilities, n)) if self._listed is None else frozenset()
        known = Features(
            logprobs="logprobs" in listed,
            confidence="confidence" in listed,
            prefix="prefix" in listed,
            scoring="prompt_logprobs" if "prompt_logprobs" in listed else "",
        )
        self._features = found = await Probe(client, self._name, self._api, ids, wanted, known).features()
        log.debug("%s: %s", client.where, found)
        if self._listed is None:
            self.capabilities = replace(
                self._expected(),
                prefix=found.prefix,
                logprobs=found.logprobs,
                confidence=found.confidence,
                prompt_logprobs=bool(found.scoring),
                seed=found.seed,
                token_ids=found.ids,
                abort=self._counts(),
            )

    def _greeting(self) -> tuple[int, ...]:
        text = self._renderer()
        return text.continuation("Hi there") or tuple(text.tokenizer("Hi there")["input_ids"])

    def _counts(self) -> bool:
        """Whether the tokens of an answer that is cut short can be counted."""
        return self._features.ids or self._features.continuous or self._local is not None

    async def close(self) -> None:
        """Close all connections. Closing twice is harmless."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _opened(self) -> Client:
        if self._client is None:
            raise PerPassError("the engine is not open")
        return self._client

    def _renderer(self) -> Renderer:
        """The tokenizer, loaded on first use. Raises PerPassError when the engine has none."""
        if self._local is None:
            raise PerPassError("engine openai: token ids need a `tokenizer`")
        if self._text is None:
            from harness.engines.rendering import Renderer

            self._text = Renderer(self.model, given.load_tokenizer(self._local, self._trust))
        return self._text

    # -- calls -----------------------------------------------------------------------------------------------------------------------
    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, observe: Observe = NOTHING, watch: Watch | None = None, every: int = 32
    ) -> Sample:
        """One completion, streamed. Raises TransportFault for what another try may overcome, PromptTooLong when the context has no room for
        a token, UserError for what this engine cannot be asked, PerPassError for what the server refuses or was found not to do.

        `watch` is shown exact multiples of `every` tokens where the server sends ids, else what has arrived; tokens that nobody counts are
        taken to come one to a chunk. Cancelling the task closes the request's connection, upon which vLLM stops working on it.
        """
        client, asked = self._opened(), self._asked(prompt, sampling.thinking)
        limit = self._limit(asked, sampling.max_tokens)
        make = lambda room: completion(  # noqa: E731
            self._name, asked, sampling, seed, observe, self._features, room, running=watch is not None
        )
        try:
            sample = await self._complete(client, make(limit), sampling, observe, watch, every)
        except PromptTooLong as error:
            room = await self._room(client, make(limit), str(error))
            if room is None or not 1 <= room < limit:
                raise
            sample = await self._complete(client, make(room), sampling, observe, watch, every)
        if asked.path == COMPLETIONS and self._local:
            self._renderer().remember(prompt, sample.token_ids)
        return sample

    def _asked(self, prompt: Prompt, thinking: bool | str | None) -> Rendering:
        rendered: Rendered | None = self._renderer().render(prompt, thinking) if self._local else None
        asked = rendering(prompt, thinking, self._api, rendered, can_think=self.model.think is not None)
        if asked.path == CHAT and not self._features.chat:
            raise PerPassError(f"the server has no chat for {self._name!r}: it takes raw prompts, or chat turns with a `tokenizer`")
        if asked.path == CHAT and prompt.prefix and not self._features.prefix:
            raise lacking("prefix")
        return asked

    def _limit(self, asked: Rendering, wanted: int) -> int:
        """Most tokens to ask for, cut to the room that is left where that is known."""
        if self._context is None:
            return wanted
        room = self._context - (len(asked.ids) if asked.ids is not None else 1)
        if room < 1:
            length = len(asked.ids) if asked.ids is not None else 1
            raise PromptTooLong(f"the prompt has {length} tokens; the context {self._context}")
        return min(wanted, room)

    async def _room(self, client: Client, request: Request, said: str) -> int | None:
        """Tokens left beside a prompt that the server found too long together with the answer asked for, None when nobody can tell."""
        context, prompt = lengths(said)
        if request.ids is not None:
            prompt = len(request.ids)
        else:
            parts = ("model", "messages", "prompt", "add_generation_prompt", "continue_final_message", "chat_template_kwargs")
            with contextlib.suppress(PerPassError):  # vLLM's; its message tells only where it stopped counting
                found = await client.json("/tokenize", {k: request.body[k] for k in parts if k in request.body})
                prompt, context = number(found, "count") or prompt, number(found, "max_model_len") or context
        context = self._context if self._context is not None else context
        return None if context is None or prompt is None else context - prompt

    async def _complete(
        self, client: Client, request: Request, sampling: Sampling, observe: Observe, watch: Watch | None, every: int
    ) -> Sample:
        reading, kept, closed = Reading(self.model.think), None, False
        async with client.send(request.path, request.body) as exchange:
            sent = exchange.sent
            show = lambda part: self._sample(reading, request, sent, observe, part, unfinished=True, shown=True)  # noqa: E731
            cutter = Cutter(request.stops, sampling.min_tokens, watch, every, show)
            async with contextlib.aclosing(exchange.chunks()) as chunks:
                async for chunk in chunks:
                    if kept is not None:
                        reading.count_only(chunk)
                        continue
                    kept = cutter(reading, reading.feed(chunk, now()))
                    closed = kept is not None and reading.reason is None and self._counts()
                    if closed:
                        break
        if reading.reason is None and kept is None:
            raise TransportFault(f"{client.where} ended a stream before the answer was complete")
        self._fingerprint = reading.fingerprint or self._fingerprint
        sample = self._sample(reading, request, sent, observe, kept, unfinished=closed)
        self._used += sample.usage
        return sample

    def _sample(
        self, reading: Reading, request: Request, sent: float, observe: Observe, kept: Kept | None, *, unfinished: bool, shown: bool = False
    ) -> Sample:
        """What has arrived, as a sample. `kept`: what remains after a cut; `unfinished`: the server's last count is not there; `shown`: it
        is for a watch to look at."""
        length = kept.length if kept and self._local else None
        ids = tuple(reading.ids[:length])
        text = reading.whole() if kept is None else reading.text[: kept.end]
        if length is not None:
            text = self._renderer().text(ids)
        meter = Meter(self._renderer() if self._local else None, request.ids, request.thinking)
        usage = meter.usage(reading, text, ids, exact=length is not None, unfinished=unfinished, shown=shown)
        for name in ("logprobs", "confidence"):
            if getattr(observe, name) and not getattr(reading, name) and reading.text:
                raise lacking(name)
        last = reading.last if reading.last is not None else now()
        first = reading.first if reading.first is not None or not usage.output else last
        return Sample(
            text=text,
            token_ids=ids,
            finish="stop" if kept else reading.finish,
            usage=usage,
            timing=Timing(sent, first, last, tuple(reading.chunks) if observe.chunks else ()),
            logprob=tuple(reading.logprobs[:length]) if observe.logprobs else None,
            confidence=tuple(reading.confidence[:length]) if observe.confidence else None,
        )

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        """Teacher-forced log-probabilities of `text` after `prompt`, one per token of `text`, each tokenised on its own.

        The server generates one token besides, which is not counted: it takes no forward pass of its own, but a place in the context.
        Raises as `generate`; needs a tokenizer and a server that scores prompts.
        """
        client, features = self._opened(), self._features
        if self._local is None or not features.scoring:
            raise lacking("prompt_logprobs")
        before, ids = self._renderer().render(prompt, None).ids, self._renderer().continuation(text)
        whole = (*before, *ids)
        if self._context is not None and len(whole) >= self._context:
            raise PromptTooLong(f"prompt and text have {len(whole)} tokens and need 1 more; the context is {self._context}")
        if not ids:
            at = now()
            return Scored((), Usage(), Timing(at, None, at), True)
        async with client.send(COMPLETIONS, scoring(self._name, whole, features.scoring)) as exchange:
            answer = await exchange.json()
            timing = Timing(exchange.sent, None, now())
        found = scores(answer, whole, len(ids))
        if found is None:
            raise PerPassError(f"{client.where} sent no log-probabilities of the given text")
        cached = min(number(answer.get("usage"), "prompt_tokens_details", "cached_tokens") or 0, len(before))
        usage = Usage(prompt=len(before), cached=cached, scored=len(ids), calls=1)
        self._used += usage
        return Scored(tuple(found), usage, timing, greedy(answer, whole, len(ids)))

    # -- what is known of it ---------------------------------------------------------------------------------------------------------
    def tokens(self, prompt: Prompt) -> tuple[int, ...] | None:
        """The prompt's token ids, with the model's default for thinking; None without a tokenizer."""
        return self._renderer().render(prompt, None).ids if self._local else None

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens other than think markers. Raises PerPassError without a tokenizer."""
        return self._renderer().text(token_ids)

    def counters(self) -> Usage:
        """The sum over all answers since the engine was made. What the server spent on probes and on answers that failed is not in it."""
        return self._used

    def environment(self) -> Mapping[str, str]:
        """Where the server is, and its version and fingerprint as far as it tells them. Never the key."""
        found = {"base_url": self.base_url}
        with contextlib.suppress(PackageNotFoundError):
            found["aiohttp"] = version("aiohttp")
        if self._version:
            found["server_version"] = self._version
        if self._fingerprint:
            found["system_fingerprint"] = self._fingerprint
        return found
