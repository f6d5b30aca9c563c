"""Finds out what an OpenAI-compatible server does, by requests for one token each."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from harness.engines.clock import now
from harness.engines.openai_errors import Refused
from harness.engines.openai_http import Client
from harness.engines.openai_reading import TOP, Reading, number
from harness.engines.openai_requests import CHAT, COMPLETIONS, NEUTRAL, Features, scores, scoring
from harness.types import PromptTooLong, TransportFault
from perpass.errors import PerPassError, UserError

TRIES = 6
PAUSE_S = 0.25  # after the first fault, doubled each time
LISTED = 12  # most model names that an error lists

T = TypeVar("T")


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """What `ask` returns, after some tries where the server or the connection fails. Raises PerPassError when none succeeds."""
    for tries in range(TRIES):
        try:
            return await ask()
        except TransportFault as fault:
            if tries == TRIES - 1:
                raise PerPassError(f"{fault} ({TRIES} tries)") from None
            await asyncio.sleep(fault.retry_after if fault.retry_after is not None else PAUSE_S * 2**tries)
    raise AssertionError("unreachable")


async def context_of(client: Client, model: str) -> int | None:
    """Checks key and model name; the model's context in tokens where the server tells it.

    Raises UserError naming the nearest model when it does not serve `model`, PerPassError when it rejects the key or cannot be reached.
    """
    try:
        found = await patiently(lambda: client.json("models"))
    except Refused as refused:
        if refused.status in (401, 403):
            raise
        return None  # a server without a list of its models
    cards = {str(card["id"]): card for card in found.get("data") or () if isinstance(card, Mapping) and card.get("id")}
    if not cards:
        return None
    if model not in cards:
        close = difflib.get_close_matches(model, list(cards), n=1, cutoff=0.4)
        names = ", ".join(sorted(cards)[:LISTED]) + (", …" if len(cards) > LISTED else "")
        raise UserError(f"{client.where} does not serve {model!r}; " + (f"did you mean {close[0]!r}?" if close else f"it serves: {names}"))
    return number(cards[model], "max_model_len")


async def version_of(client: Client) -> str | None:
    """The server's version, where it tells (vLLM)."""
    try:
        found = await client.json("/version")
    except PerPassError:
        return None
    return str(found["version"]) if "version" in found else None


@dataclass(frozen=True)
class Probe:
    """Asks one server about one model.

    ids     token ids of a short prompt; None without a tokenizer
    wanted  capabilities that are not known yet
    known   what is taken for granted, as a person has said so
    """

    client: Client
    model: str
    api: str
    ids: tuple[int, ...] | None
    wanted: frozenset[str]
    known: Features

    async def features(self) -> Features:
        """What the server does. Raises PerPassError when it does not answer the plainest request."""
        found, plain = await self._plain()
        found = replace(found, usage=plain.usage is not None, names_stop=plain.names_stop)
        path, part = (CHAT, self._messages()) if found.chat and self.api == CHAT else (COMPLETIONS, self._prompt())
        found = await self._extras(found, path, part)
        if self.wanted & {"logprobs", "confidence"}:
            found = await self._logprobs(found, path, part)
        if "prefix" in self.wanted:
            found = replace(found, prefix=path == COMPLETIONS or await self._continues())
        if "prompt_logprobs" in self.wanted or self.known.scoring:
            found = replace(found, scoring=await self._scoring() or self.known.scoring)
        return found

    # -- inside ----------------------------------------------------------------------------------------------------------------------
    def _messages(self) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": "Hi"}]}

    def _prompt(self) -> dict[str, Any]:
        return {"prompt": list(self.ids) if self.ids else "Hi"}

    async def _ask(self, path: str, body: Mapping[str, Any]) -> Reading:
        """Raises Refused when the server does not take the request."""

        async def ask() -> Reading:
            reading = Reading()
            async with self.client.send(path, {"model": self.model, "stream": True, **body}) as exchange:
                async for chunk in exchange.chunks():
                    reading.feed(chunk, now())
            if reading.reason is None:
                raise TransportFault(f"{self.client.where} ended a stream before the answer was complete")
            return reading

        return await patiently(ask)

    async def _accepts(self, path: str, body: Mapping[str, Any]) -> Reading | None:
        """The answer, None when the request is refused."""
        try:
            return await self._ask(path, body)
        except (Refused, PromptTooLong):
            return None

    async def _plain(self) -> tuple[Features, Reading]:
        """The plainest request, with what the server needs to take it; on completions where it has no chat."""
        options: dict[str, Any] = {"stream_options": {"include_usage": True}}
        limit, features = "max_tokens", self.known
        path, part = (CHAT, self._messages()) if self.api == CHAT else (COMPLETIONS, self._prompt())
        first: Refused | None = None
        while True:
            try:
                reading = await self._ask(path, {**part, **options, limit: 1})
                return replace(features, chat=path == CHAT), reading
            except Refused as refused:
                first, said = first or refused, str(refused)
                if "max_completion_tokens" in said and not features.long_limit:
                    limit, features = "max_completion_tokens", replace(features, long_limit=True)
                elif "stream_options" in said and options:
                    options = {}
                elif path == CHAT and refused.status in (400, 404, 405, 422):  # a base model has no chat template
                    path, part, limit = COMPLETIONS, self._prompt(), "max_tokens"
                elif self.ids and self.api != CHAT:
                    raise PerPassError(
                        f"{first}; with a tokenizer, prompts are sent as token ids to {COMPLETIONS}, as vLLM takes them: elsewhere write"
                        " api: chat, or leave out `tokenizer`"
                    ) from None
                else:
                    raise first from None

    async def _extras(self, found: Features, path: str, part: Mapping[str, Any]) -> Features:
        """Fields that not every server takes: all at once, else one by one."""
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if found.usage else {}
        # Two tokens: the chunk of the first shows whether it is counted as it comes.
        limit = {"max_completion_tokens" if found.long_limit and path == CHAT else "max_tokens": 2}
        counting = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}} if found.usage else {}
        asked: dict[str, dict[str, Any]] = {"continuous": counting, "neutral": dict(NEUTRAL), "seed": {"seed": 1}}
        if self.ids is not None:
            asked["ids"] = {"return_token_ids": True}
        if not counting:
            del asked["continuous"]
        base = {**part, **options, **limit}
        together: dict[str, Any] = {**base}
        for fields in asked.values():
            together |= fields
        reading = await self._accepts(path, together)
        readings = dict.fromkeys(asked, reading)
        if reading is None:
            readings = {name: await self._accepts(path, {**base, **fields}) for name, fields in asked.items()}
        counted = readings.get("continuous")
        shown = readings.get("ids")
        return replace(
            found,
            continuous=counted is not None and counted.running,
            neutral=readings["neutral"] is not None,
            seed=readings["seed"] is not None,
            ids=shown is not None and bool(shown.ids),
        )

    async def _logprobs(self, found: Features, path: str, part: Mapping[str, Any]) -> Features:
        limit = {"max_completion_tokens" if found.long_limit and path == CHAT else "max_tokens": 1}
        by_id = {"return_tokens_as_token_ids": True} if found.ids else {}
        for top in (TOP, 1):
            fields: dict[str, Any] = {"logprobs": True, "top_logprobs": top} if path == CHAT else {"logprobs": top, **by_id}
            reading = await self._accepts(path, {**part, **limit, **fields})
            if reading and reading.logprobs:
                every = reading.widest >= TOP
                return replace(found, logprobs=True, confidence=every and bool(reading.confidence))
        return found

    async def _continues(self) -> bool:
        """Whether chat continues an open answer. A server that ignores the fields takes them too, so one that knows them is told by its
        refusing them where they contradict each other."""
        messages: Sequence[dict[str, str]] = [*self._messages()["messages"], {"role": "assistant", "content": "Hello"}]
        body = {"messages": messages, "max_tokens": 1, "continue_final_message": True}
        if await self._accepts(CHAT, {**body, "add_generation_prompt": True}) is not None:
            return False
        return await self._accepts(CHAT, {**body, "add_generation_prompt": False}) is not None

    async def _scoring(self) -> str:
        assert self.ids is not None
        ids = (*self.ids, *self.ids)[: max(2, len(self.ids))]
        for how in ("prompt_logprobs", "echo"):
            body = scoring(self.model, ids, how)
            try:
                answer = await patiently(lambda body=body: self.client.json(COMPLETIONS, body))  # type: ignore[misc]
            except (Refused, PromptTooLong):
                continue
            if scores(answer, ids, len(ids) - 1) is not None:
                return how
        return ""
