"""Loading a model's tokenizer and weights with transformers, with errors in one sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from harness import models
from harness.types import Model
from perpass.errors import PerPassError, UserError


def load_tokenizer(model: Model, trust_remote_code: bool) -> Any:
    """The tokenizer in the model's folder. Raises UserError when it has none that can be loaded."""
    if model.path is None:
        raise UserError(f"model {model.name!r} has no local folder: a server holds it")
    try:
        return AutoTokenizer.from_pretrained(model.path, local_files_only=True, trust_remote_code=trust_remote_code)
    except Exception as error:
        raise UserError(f"model {model.name!r}: its tokenizer cannot be loaded from {model.path}: {_brief(error)}") from error


def load(model: Model, device: str, attention: str, trust_remote_code: bool) -> Any:
    """The causal language model, ready to run on `device` in the model's dtype.

    Raises UserError when weights are missing or do not fit the architecture, PerPassError when the device has no room.
    """
    folder = models.weights(model)
    try:
        with _quiet():
            found: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=getattr(torch, model.dtype),
                attn_implementation=attention,
                local_files_only=True,
                trust_remote_code=trust_remote_code,
                output_loading_info=True,
            )
        loaded, info = found
        _complete(model, info)
        return loaded.eval().requires_grad_(False).to(device)
    except UserError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise PerPassError(f"model {model.name!r} does not fit on {device}") from error
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise UserError(f"model {model.name!r} cannot be loaded: {_brief(error)}") from error


def _complete(model: Model, info: Any) -> None:
    """transformers fills weights that it does not find with random numbers."""
    for what in ("missing_keys", "mismatched_keys"):
        if lost := sorted(str(key) for key in info.get(what) or ()):
            raise UserError(f"model {model.name!r}: its weights lack {len(lost)} tensors that its config asks for, such as {lost[0]}")


def end_ids(loaded: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end a completion, from generation config, config and tokenizer."""
    found: set[int] = set()
    for holder in (loaded.generation_config, loaded.config.get_text_config(), tokenizer):
        ids = getattr(holder, "eos_token_id", None)
        found.update(ids if isinstance(ids, (list, tuple)) else [] if ids is None else [ids])
    return frozenset(found)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bar of transformers in the middle of ours."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _brief(error: Exception) -> str:
    """The first sentence of what a library says at length."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]
