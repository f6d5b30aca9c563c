"""From prompts and sampling to the bodies of requests, for a server of known features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.engines.openai_reading import TOP
from harness.types import Observe, Sampling
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt

CHAT, COMPLETIONS = "chat/completions", "completions"
OURS = {"model", "messages", "prompt", "stream", "stream_options", "n", "echo", "logprobs", "top_logprobs", "return_token_ids"} | {
    "seed", "stop", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "min_tokens"
}  # fmt: skip
NEUTRAL = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}
"""What switches off the sampling defaults that a server may take from the model's generation_config.json, as vLLM does."""


@dataclass(frozen=True)
class Features:
    """What a server was found to do, beyond answering.

    usage        counts tokens at the end of a stream
    continuous   counts them with every chunk
    ids          sends the ids of generated tokens (return_token_ids)
    names_stop   says which stop string ended an answer
    neutral      takes NEUTRAL
    long_limit   wants max_completion_tokens for max_tokens
    scoring      how it scores a given text: prompt_logprobs (vLLM) | echo | ""
    """

    usage: bool = True
    continuous: bool = False
    ids: bool = False
    names_stop: bool = False
    neutral: bool = False
    long_limit: bool = False
    seed: bool = False
    logprobs: bool = False
    confidence: bool = False
    prefix: bool = False
    chat: bool = True
    scoring: str = ""


@dataclass(frozen=True)
class Request:
    """A request for one completion.

    ids       the prompt's token ids, None without a tokenizer; sent as such on `completions`
    thinking  a think marker is open at the prompt's end
    stops     stop strings that are left to us to find
    """

    path: str
    body: dict[str, Any]
    ids: tuple[int, ...] | None = None
    thinking: bool = False
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendering:
    """A prompt as it is sent: the body's part that holds it, and its ids where a tokenizer knows them."""

    path: str
    part: Mapping[str, Any]
    ids: tuple[int, ...] | None = None
    thinking: bool = False
    raw: bool = field(default=False, kw_only=True)


def rendering(prompt: Prompt, thinking: bool | str | None, api: str, rendered: Any, can_think: bool) -> Rendering:
    """How `prompt` is put to the server. `rendered`: by the tokenizer, or None. Raises UserError for turns on `completions` without one."""
    ids, inside = (rendered.ids, rendered.thinking) if rendered else (None, False)
    if prompt.raw is not None or api == COMPLETIONS:
        if ids is None and prompt.raw is None:
            raise UserError("engine openai: api: completions takes chat turns only with a `tokenizer`, whose chat template renders them")
        part = list(ids) if ids is not None else (prompt.raw or "") + prompt.prefix
        return Rendering(COMPLETIONS, {"prompt": part}, ids, inside, raw=prompt.raw is not None)
    part_of_chat: dict[str, Any] = {"messages": [{"role": turn.role, "content": turn.content} for turn in prompt.turns]}
    if prompt.prefix:
        part_of_chat["messages"].append({"role": "assistant", "content": prompt.prefix})
        part_of_chat |= {"add_generation_prompt": False, "continue_final_message": True}
    if isinstance(thinking, str):
        part_of_chat["reasoning_effort"] = thinking
    elif thinking or (thinking is False and can_think):
        part_of_chat["chat_template_kwargs"] = {"enable_thinking": thinking}
    return Rendering(CHAT, part_of_chat, ids, inside)


def completion(
    model: str, rendering: Rendering, sampling: Sampling, seed: int, observe: Observe, features: Features, limit: int, running: bool
) -> Request:
    """The request for one completion of at most `limit` tokens. `running`: it may be cut, so its tokens are to be counted as they come.

    Raises UserError for a key in `sampling.extra` that is not free.
    """
    body: dict[str, Any] = {"model": model, **rendering.part, "stream": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
    body["max_completion_tokens" if features.long_limit and rendering.path == CHAT else "max_tokens"] = limit
    if features.usage:
        body["stream_options"] = {"include_usage": True}
    stops = () if features.names_stop else sampling.stop
    if sampling.stop and not stops:
        body |= {"stop": list(sampling.stop), "include_stop_str_in_output": True}
    if (running or stops) and features.continuous and not features.ids:
        body["stream_options"]["continuous_usage_stats"] = True
    if features.neutral:
        body |= NEUTRAL
    for name, value in (("top_k", sampling.top_k), ("min_p", sampling.min_p), ("min_tokens", min(sampling.min_tokens, limit))):
        if value:
            body[name] = value
    if features.seed:
        body["seed"] = seed
    if features.ids:
        body["return_token_ids"] = True
    body |= observed(rendering.path, observe, features)
    return Request(rendering.path, _extended(body, sampling.extra), rendering.ids, rendering.thinking, stops)


def observed(path: str, observe: Observe, features: Features) -> dict[str, Any]:
    """The fields that ask for log-probabilities. Raises PerPassError naming what the server lacks."""
    for name in ("logprobs", "confidence"):
        if getattr(observe, name) and not getattr(features, name):
            raise lacking(name)
    if not (observe.logprobs or observe.confidence):
        return {}
    if path == CHAT:
        return {"logprobs": True, "top_logprobs": TOP} if observe.confidence else {"logprobs": True}
    # By their ids, or likely tokens of equal text would fall together in the answer's mapping.
    told_apart = {"return_tokens_as_token_ids": True} if features.ids else {}
    return {"logprobs": TOP if observe.confidence else 1, **told_apart}


def lacking(capability: str) -> PerPassError:
    """The error for a call that needs what the server was found not to do."""
    return PerPassError(
        f"the server does not offer {capability!r}, as it was found when the engine was opened; leave out strategies that need it,"
        " or list the engine's true `capabilities` in the experiment"
    )


def _extended(body: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    for name, value in extra.items():
        if name in OURS:
            raise UserError(f"engine openai: sampling.extra: {name!r} is set by the engine itself")
        both = isinstance(value, Mapping) and isinstance(body.get(name), Mapping)
        body[name] = {**body[name], **value} if both else value
    return body


def scoring(model: str, ids: tuple[int, ...], how: str) -> dict[str, Any]:
    """A request that scores every token of `ids` after the first. It generates one token, which costs no forward pass of its own."""
    body: dict[str, Any] = {"model": model, "prompt": list(ids), "max_tokens": 1, "temperature": 0.0}
    return body | ({"prompt_logprobs": 0} if how == "prompt_logprobs" else {"echo": True, "logprobs": 1})


def scores(answer: Mapping[str, Any], ids: tuple[int, ...], count: int) -> list[float] | None:
    """Log-probabilities (nats) of the last `count` of `ids` in the answer to a scoring request; None where it has none."""
    try:
        choice = answer["choices"][0]
        if choice.get("prompt_logprobs"):
            tokens = choice["prompt_logprobs"][len(ids) - count : len(ids)]
            found = [token[str(i)]["logprob"] for token, i in zip(tokens, ids[-count:], strict=True)]
        else:
            found = choice["logprobs"]["token_logprobs"][len(ids) - count : len(ids)]
        return [float(x) for x in found] if len(found) == count else None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None


def greedy(answer: Mapping[str, Any], ids: tuple[int, ...], count: int) -> bool | None:
    """Whether each of the last `count` of `ids` is the likeliest at its place, by the answer to a scoring request; None if not told."""
    try:
        choice = answer["choices"][0]
        if choice.get("prompt_logprobs"):
            tokens = choice["prompt_logprobs"][len(ids) - count : len(ids)]
            ranks = [token[str(i)]["rank"] for token, i in zip(tokens, ids[-count:], strict=True)]
            return None if None in ranks else all(rank == 1 for rank in ranks)
        found = choice["logprobs"]["token_logprobs"][len(ids) - count : len(ids)]
        tops = choice["logprobs"]["top_logprobs"][len(ids) - count : len(ids)]
        return all(own >= max(top.values()) for own, top in zip(found, tops, strict=True)) if len(found) == count else None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return None
