"""Forward passes over a batch of requests: prefill, one decoding step, scoring. Knows caches, masks and devices, not requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.engines.inside import Routers, shorten, stack_of
from harness.engines.kv import SlotCache
from perpass.errors import PerPassError, UserError

ATTENTION = {"full_attention", "sliding_attention"}


@dataclass
class Look:
    """What is to be seen of a pass of n rows beside its logits, and then what was seen.

    rows     by layer (from 1): the rows whose logits after that layer are wanted
    hidden   the states that the output head gets, (n, width)
    early    by layer: the head's logits of the layer's output, (rows, vocabulary) float32; without final norm, as DoLa's authors do
    """

    rows: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    hidden: Tensor | None = None
    early: dict[int, Tensor] = field(default_factory=dict)


class Forward:
    """A causal language model of transformers with its cache. All calls come from one thread, under `torch.inference_mode`.

    Prompts are padded on the right, where a causal model needs no mask for them; while decoding, a mask hides what lies beyond each row's
    own length. Logits are computed only where they are wanted, by narrowing what reaches the output projection.

    early_exit_layer  run so many layers only, then final norm and output head; None: all
    experts           active experts per token of a mixture; None: the model's own number
    """

    def __init__(self, model: Any, pad: int = 0, early_exit_layer: int | None = None, experts: int | None = None):
        if early_exit_layer is not None:
            shorten(model, early_exit_layer)
        self.routers = Routers(model, experts)
        self.model = model
        self.device: torch.device = model.device
        self.pad = pad
        config = model.config.get_text_config()
        self.vocabulary = int(config.vocab_size)
        self.window, self._mixed = sliding(config)
        self.layers = int(config.num_hidden_layers)
        self._holding = self.layers - int(getattr(config, "num_kv_shared_layers", None) or 0)
        self.cache = SlotCache(self.layers)
        self._wanted: tuple[Tensor, Tensor] | None = None
        self._look: Look | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._narrow)

    def _narrow(self, module: Any, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        """Hidden states (n, tokens, width) → (wanted, 1, width)."""
        narrow = inputs[0] if self._wanted is None else inputs[0][self._wanted].unsqueeze(1)
        if self._look is not None:
            self._look.hidden = narrow[:, -1]
        return None if self._wanted is None else (narrow,)

    def _run(self, wanted: tuple[Tensor, Tensor] | None = None, look: Look | None = None, **inputs: Any) -> Tensor:
        self._wanted, self._look = wanted, look
        try:
            with self._early(look) as states:
                logits: Tensor = self.model(**inputs).logits
        finally:
            self._wanted = self._look = None
        for layer, state in states.items():
            assert look is not None
            last = state[:, -1] if wanted is None else state[wanted]
            look.early[layer] = self.model.get_output_embeddings()(last[self._to(look.rows[layer])]).float()
        return logits[:, -1].float()

    @contextmanager
    def _early(self, look: Look | None) -> Iterator[dict[int, Tensor]]:
        """What the layers that are looked at put out, (n, tokens, width) each, once the model has run."""
        states: dict[int, Tensor] = {}

        def keep(layer: int, output: Any) -> None:
            states[layer] = output[0] if isinstance(output, tuple) else output

        wanted = look.rows if look else ()
        stack = stack_of(self.model) if wanted else ()
        hooks = [stack[n - 1].register_forward_hook(lambda _, __, output, n=n: keep(n, output)) for n in wanted]
        try:
            yield states
        finally:
            for hook in hooks:
                hook.remove()

    def _padded(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        longest = max(map(len, sequences))
        table = np.full((len(sequences), longest), self.pad, dtype=np.int64)
        for row, ids in zip(table, sequences, strict=True):
            row[: len(ids)] = ids
        return self._to(table)

    def _to(self, array: NDArray[Any]) -> Tensor:
        """On a CPU this shares memory with `array`."""
        return torch.from_numpy(array).to(self.device)

    def prefill(self, slots: NDArray[np.int64], sequences: Sequence[Sequence[int]], look: Look | None = None) -> Tensor:
        """Fill rows `slots` (n,) of the cache with whole prompts. Returns the logits (n, vocabulary) after each, float32."""
        self.cache.prefill(self._to(slots))
        last = torch.tensor([len(ids) - 1 for ids in sequences], device=self.device)
        wanted = (torch.arange(len(sequences), device=self.device), last)
        logits = self._run(wanted, look, input_ids=self._padded(sequences), past_key_values=self.cache, use_cache=True)
        if self.cache.layers_held() < self._holding:  # without the keys of the prompt, what follows would be silently wrong
            kind = self.model.config.model_type
            raise PerPassError(f"engine transformers cannot batch {kind} models, whose state is not all keys and values")
        return logits

    def decode(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64], look: Look | None = None) -> Tensor:
        """One step of rows 0 … n−1: feed `tokens` (n,) at positions `lengths` (n,). Returns the logits (n, vocabulary), float32."""
        positions = self._to(lengths)
        width = int(lengths.max()) + 1
        self.cache.decode(positions, width)
        return self._run(
            look=look,
            input_ids=self._to(tokens)[:, None],
            position_ids=positions[:, None],
            attention_mask=self._masks(positions, width),
            past_key_values=self.cache,
            use_cache=True,
        )

    def score(self, sequences: Sequence[Sequence[int]], counts: Sequence[int]) -> list[tuple[list[float], bool]]:
        """Log-probabilities (nats) of the last `counts[i]` tokens of each sequence, in order, in one pass without a cache.

        With each: whether all of these tokens are the likeliest at their places.
        """
        rows = np.repeat(np.arange(len(sequences)), counts)
        places = np.concatenate([np.arange(len(ids) - count, len(ids)) for ids, count in zip(sequences, counts, strict=True)])
        ids = self._padded(sequences)
        wanted = (self._to(rows), self._to(places - 1))
        logits = self._run(wanted, input_ids=ids, use_cache=False)
        targets = ids[wanted[0], self._to(places)]
        chosen = torch.log_softmax(logits, dim=-1).gather(1, targets[:, None])[:, 0].tolist()
        likeliest = (logits.argmax(dim=-1) == targets).tolist()
        ends = np.cumsum(counts)
        return [(chosen[end - count : end], all(likeliest[end - count : end])) for end, count in zip(ends, counts, strict=True)]

    def _masks(self, positions: Tensor, width: int) -> Tensor | dict[str, Tensor]:
        """Additive masks (n, 1, 1, width) for one query per row, in the form that the architecture takes."""
        columns = torch.arange(width, device=self.device)
        whole = self._additive(columns > positions[:, None])
        if self.window is None:
            return whole
        near = self._additive((columns > positions[:, None]) | (columns <= positions[:, None] - self.window))
        return {"full_attention": whole, "sliding_attention": near} if self._mixed else near

    def _additive(self, hidden: Tensor) -> Tensor:
        mask = torch.zeros(hidden.shape, dtype=self.model.dtype, device=self.device).masked_fill_(hidden, float("-inf"))
        return mask[:, None, None]

    def forget(self) -> None:
        """Drop the cache, after an error that may have left it half written."""
        self.cache = SlotCache(self.layers)


def sliding(config: Any) -> tuple[int | None, bool]:
    """(sliding window or None, whether masks go by layer type). Raises UserError for layers that hold no keys and values."""
    types = set(getattr(config, "layer_types", None) or ())
    if strange := sorted(types - ATTENTION):
        raise UserError(f"engine transformers cannot batch {config.model_type} models, which have {strange[0]} layers; use engine vllm")
    window = getattr(config, "sliding_window", None)
    if types:
        return (window, True) if "sliding_attention" in types else (None, False)
    return (window, False) if getattr(config, "use_sliding_window", True) else (None, False)
