"""What an experiment says of an OpenAI-compatible server, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from harness import models
from harness.types import INSIDE, Capabilities, Model
from perpass.errors import UserError, unknown

CAPABILITIES = [f.name for f in fields(Capabilities)]
NEED_TOKENIZER = ("token_ids", "prompt_logprobs")
EXAMPLE = "http://localhost:8000/v1"
UNKNOWN = "unknown"


def address(base_url: object) -> str:
    """`base_url` as requests append to it; without a path it gets /v1. What is wrong with it is not repeated: it may be secret."""
    parts = urlsplit(base_url.strip()) if isinstance(base_url, str) else None
    try:
        whole = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # a port that is no number
        whole = False
    if parts is None or not whole:
        raise UserError(f"engine openai: base_url must be the server's address, such as {EXAMPLE}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UserError("engine openai: base_url must hold no user, password or query; name the key's environment variable with key_env")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"


def variable(key_env: object) -> str | None:
    """The name of an environment variable. What is no such name is not repeated: it may be the key itself."""
    if key_env is None:
        return None
    if not isinstance(key_env, str) or re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", key_env) is None:
        raise UserError("engine openai: key_env must be the NAME of an environment variable, such as OPENAI_API_KEY, never the key itself")
    return key_env


def local(model: Model | str | Mapping[str, Any] | None, tokenizer: object, trust: bool) -> Model | None:
    """The model whose tokenizer and config are used here: the one named, else the Model itself if it is in a local folder."""
    if tokenizer is False:
        return None
    if tokenizer is None or tokenizer is True:
        found = model if isinstance(model, Model) and model.path else None
        if tokenizer is True and found is None:
            raise UserError("engine openai: tokenizer must be a shipped name, a folder or a hub id; the model has none of its own here")
        return found
    if not isinstance(tokenizer, str):
        raise UserError(f"engine openai: tokenizer must be a shipped name, a folder, a hub id or false, not {tokenizer!r}")
    return models.resolve(tokenizer, trust_remote_code=trust, device="cpu")


def described(model: Model | str | Mapping[str, Any] | None, tokenizer: Model | None, rendered_here: bool) -> Model:
    """The model as it is recorded. Of a name alone, revision and dtype are `unknown`: the server holds the weights."""
    if isinstance(model, Model):
        return model
    given = {"id": model} if isinstance(model, str) else dict(model) if isinstance(model, Mapping) else {}
    for key in given:
        if key not in models.KEYS:
            raise unknown("key", key, models.KEYS, "engine openai: model")
    if not isinstance(given.get("id"), str) or not given["id"].strip():
        raise UserError("engine openai: `model` must be the server's name of the model, such as model: Qwen/Qwen2.5-1.5B-Instruct")
    return Model(
        name=given["id"].strip(),
        revision=str(given.get("revision") or UNKNOWN),
        dtype=str(given.get("dtype") or UNKNOWN),
        config=tokenizer.config if tokenizer else None,
        context=tokenizer.context if tokenizer else None,
        think=_think(given.get("think"), tokenizer),
        template=tokenizer.template if tokenizer and rendered_here else "",
    )


def _think(asked: object, tokenizer: Model | None) -> tuple[str, str] | None:
    if asked is None:
        return tokenizer.think if tokenizer else None
    if isinstance(asked, bool):
        return models.THINK if asked else None
    if isinstance(asked, (list, tuple)) and len(asked) == 2 and all(isinstance(mark, str) and mark for mark in asked):
        return (asked[0], asked[1])
    raise UserError(f"engine openai: model: think must be true, false or [open, close], not {asked!r}")


def listed(capabilities: Sequence[str] | None, tokenizer: Model | None) -> tuple[str, ...] | None:
    """Capabilities that a person vouches for; None when they are to be found out."""
    if capabilities is None:
        return None
    if isinstance(capabilities, str) or not isinstance(capabilities, Sequence):
        raise UserError(f"engine openai: capabilities must be a list, such as [logprobs, prefix], not {capabilities!r}")
    for name in capabilities:
        if name not in CAPABILITIES:
            raise unknown("capability", name, CAPABILITIES, "engine openai")
        if name in NEED_TOKENIZER and tokenizer is None:
            raise UserError(f"engine openai: the capability {name!r} needs a `tokenizer`")
        if name in ("hidden_states", *INSIDE):
            raise UserError(f"engine openai: no server of this kind gives {name}")
    return tuple(capabilities)


def load_tokenizer(model: Model, trust_remote_code: bool) -> Any:
    """The tokenizer in the model's folder. Needs transformers, not torch. Raises UserError when it cannot be loaded."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise UserError(f"engine openai: a tokenizer needs {error.name}: pip install 'perpass[local]'") from error
    try:
        return AutoTokenizer.from_pretrained(model.path, local_files_only=True, trust_remote_code=trust_remote_code)
    except Exception as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"engine openai: the tokenizer of {model.name!r} cannot be loaded: {line}") from error
