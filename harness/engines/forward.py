"""Forward passes over a batch of requests: prefill, one decoding step, scoring. Knows caches, masks and devices, not requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.engines.kv import SlotCache
from perpass.errors import PerPassError, UserError

ATTENTION = {"full_attention", "sliding_attention"}


class Forward:
    """A causal language model of transformers with its cache. All calls come from one thread, under `torch.inference_mode`.

    Prompts are padded on the right, where a causal model needs no mask for them; while decoding, a mask hides what lies beyond each row's
    own length. Logits are computed only where they are wanted, by narrowing what reaches the output projection.
    """

    def __init__(self, model: Any, pad: int = 0):
        self.model = model
        self.device: torch.device = model.device
        self.pad = pad
        config = model.config.get_text_config()
        self.vocabulary = int(config.vocab_size)
        self.window, self._mixed = sliding(config)
        self._layers = int(config.num_hidden_layers)
        self._holding = self._layers - int(getattr(config, "num_kv_shared_layers", None) or 0)
        self.cache = SlotCache(self._layers)
        self._wanted: tuple[Tensor, Tensor] | None = None
        model.get_output_embeddings().register_forward_pre_hook(self._narrow)

    def _narrow(self, module: Any, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        """Hidden states (n, tokens, width) → (wanted, 1, width)."""
        return None if self._wanted is None else (inputs[0][self._wanted].unsqueeze(1),)

    def _run(self, wanted: tuple[Tensor, Tensor] | None = None, **inputs: Any) -> Tensor:
        self._wanted = wanted
        try:
            logits: Tensor = self.model(**inputs).logits
        finally:
            self._wanted = None
        return logits[:, -1].float()

    def _padded(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        longest = max(map(len, sequences))
        table = np.full((len(sequences), longest), self.pad, dtype=np.int64)
        for row, ids in zip(table, sequences, strict=True):
            row[: len(ids)] = ids
        return self._to(table)

    def _to(self, array: NDArray[Any]) -> Tensor:
        """On a CPU this shares memory with `array`."""
        return torch.from_numpy(array).to(self.device)

    def prefill(self, slots: NDArray[np.int64], sequences: Sequence[Sequence[int]]) -> Tensor:
        """Fill rows `slots` (n,) of the cache with whole prompts. Returns the logits (n, vocabulary) after each, float32."""
        self.cache.prefill(self._to(slots))
        last = torch.tensor([len(ids) - 1 for ids in sequences], device=self.device)
        wanted = (torch.arange(len(sequences), device=self.device), last)
        logits = self._run(wanted, input_ids=self._padded(sequences), past_key_values=self.cache, use_cache=True)
        if self.cache.layers_held() < self._holding:  # without the keys of the prompt, what follows would be silently wrong
            kind = self.model.config.model_type
            raise PerPassError(f"engine transformers cannot batch {kind} models, whose state is not all keys and values")
        return logits

    def decode(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> Tensor:
        """One step of rows 0 … n−1: feed `tokens` (n,) at positions `lengths` (n,). Returns the logits (n, vocabulary), float32."""
        positions = self._to(lengths)
        width = int(lengths.max()) + 1
        self.cache.decode(positions, width)
        return self._run(
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
        self.cache = SlotCache(self._layers)


def sliding(config: Any) -> tuple[int | None, bool]:
    """(sliding window or None, whether masks go by layer type). Raises UserError for layers that hold no keys and values."""
    types = set(getattr(config, "layer_types", None) or ())
    if strange := sorted(types - ATTENTION):
        raise UserError(f"engine transformers cannot batch {config.model_type} models, which have {strange[0]} layers; use engine vllm")
    window = getattr(config, "sliding_window", None)
    if types:
        return (window, True) if "sliding_attention" in types else (None, False)
    return (window, False) if getattr(config, "use_sliding_window", True) else (None, False)
