"""The key-value cache of a running batch: one row per request, right-padded, preallocated, written in place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import Cache


class SlotCache(Cache):
    """Keys and values of `rows` requests of up to `cols` tokens, per layer of shape (rows, cols, heads, width).

    Before a forward pass, `prefill` or `decode` says where its tokens go. A prefill attends to itself only and so returns what it was
    given; a decoding step writes one token per row and returns the first `width` columns of rows 0 … n−1, which the mask must cut.
    Storage is zeroed: a masked column weighs 0, but 0 × NaN is NaN.
    """

    def __init__(self, layers: int):
        super().__init__(layers=[])
        self.rows = self.cols = 0
        self._keys: list[Tensor | None] = [None] * layers
        self._values: list[Tensor | None] = [None] * layers
        self._slots: Tensor | None = None
        self._flat: Tensor | None = None
        self._batch = self._width = 0

    def prefill(self, slots: Tensor) -> None:
        """The next forward pass brings the first tokens of the requests in rows `slots` (n,)."""
        self._slots, self._flat, self._width = slots, None, 0

    def decode(self, positions: Tensor, width: int) -> None:
        """The next forward pass brings one token for each of rows 0 … n−1, at `positions` (n,), all below `width`."""
        self._slots, self._batch, self._width = None, positions.shape[0], width
        self._flat = torch.arange(self._batch, device=positions.device) * self.cols + positions

    def resize(self, rows: int, cols: int, live: int, width: int) -> None:
        """Take a new shape, keeping the first `width` columns of the first `live` rows. Only one layer at a time is held twice."""
        for store in (self._keys, self._values):
            for layer, old in enumerate(store):
                if old is not None:
                    new = old.new_zeros(rows, cols, *old.shape[2:])
                    new[:live, :width] = old[:live, :width]
                    store[layer] = new
        self.rows, self.cols = rows, cols

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` tokens of row `source` to row `target`."""
        for store in (self._keys, self._values):
            for layer in store:
                if layer is not None:
                    layer[target, :length] = layer[source, :length]

    def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Called by the model's attention with new states of shape (n, heads, tokens, width)."""
        keys = self._write(self._keys, layer_idx, key_states)
        values = self._write(self._values, layer_idx, value_states)
        return keys, values

    def _write(self, store: list[Tensor | None], layer: int, states: Tensor) -> Tensor:
        held = store[layer]
        if held is None:
            held = store[layer] = states.new_zeros(self.rows, self.cols, states.shape[1], states.shape[3])
        if self._slots is not None:
            held[self._slots, : states.shape[2]] = states.transpose(1, 2)
            return states
        assert self._flat is not None
        held.view(-1, *held.shape[2:]).index_copy_(0, self._flat, states[:, :, 0])
        return held[: self._batch, : self._width].transpose(1, 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before this forward pass, as far as masks and default positions go."""
        return max(self._width - 1, 0)

    def get_mask_sizes(self, query_length: int | Tensor, layer_idx: int) -> tuple[int, int]:
        """(key length, offset) for the library's own masks, which only a prefill uses. transformers 4 gives the queries' positions."""
        queries = query_length if isinstance(query_length, int) else len(query_length)
        return (queries, 0) if self._slots is not None else (self._width, 0)

    def layers_held(self) -> int:
        """Layers that have stored anything so far."""
        return sum(layer is not None for layer in self._keys)
