"""What a model is made of, as far as its FLOPs, bytes and parameters go: layers, what mixes their tokens, and their experts.

A mixer (attention, latent attention, a state-space scan) is asked for passes of two kinds: `block`, one pass over `fresh` tokens after
`before` ones, and `steps`, passes of one token each. Both give (linear, attention) FLOPs *beside* the layer's matmul parameters, once as
the model defines the work (`eager=False`), once as transformers' eager code executes it and `FlopCounterMode` sees it (`eager=True`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias


@dataclass(frozen=True)
class Attention:
    """Softmax attention of one layer. A token attends to itself and what is before it, at most `window` tokens in all."""

    heads: int
    key: int
    """Numbers in one head's query and key."""
    value: int
    """Numbers in one head's value."""
    cache: int
    """Numbers kept of one token: keys and values of all groups, or MLA's latent."""
    window: int | None = None

    state = convolution = 0
    """Numbers kept of a whole sequence whatever its length; none."""

    def block(self, before: int, fresh: int, eager: bool = False) -> tuple[int, int]:
        contexts = fresh * self.read(before, fresh) if eager else self._contexts(before, fresh)
        return 0, 2 * self.heads * (self.key + self.value) * contexts

    def steps(self, before: int, steps: int, eager: bool = False) -> tuple[int, int]:
        return 0, 2 * self.heads * (self.key + self.value) * self._contexts(before, steps)

    def read(self, before: int, fresh: int) -> int:
        """Tokens whose keys and values one pass over `fresh` tokens reads: itself, and what its first token still sees."""
        return (before if self.window is None else min(before, self.window - 1)) + fresh

    def read_by_steps(self, before: int, steps: int) -> int:
        """Tokens whose keys and values `steps` passes of one token read."""
        return self._contexts(before, steps)

    def _contexts(self, before: int, tokens: int) -> int:
        """Σ context lengths of `tokens` tokens after `before` ones."""
        return _triangle(before + tokens, self.window) - _triangle(before, self.window)


@dataclass(frozen=True)
class Latent(Attention):
    """Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434): what is kept of a token is a latent, the source of keys and values.

    As defined, each token's latent is expanded once, with the parameters counted in the layer. `absorbed` multiplies the expansion into
    queries and outputs instead and attends to the latents themselves, as vLLM and SGLang decode: more FLOPs, fewer bytes.
    transformers' eager code keeps latents and expands those of the whole context again in every pass.
    """

    latent: int = 0
    """Numbers in a latent; the cache has the rotary key beside it."""
    expansion: int = 0
    """Parameters that expand a latent; also counted in the layer."""
    absorbed: bool = False

    def block(self, before: int, fresh: int, eager: bool = False) -> tuple[int, int]:
        if self.absorbed and not eager and fresh == 1 and before:
            return self.steps(before, 1)  # one token after others is decoding
        again = before if eager and fresh else 0
        return 2 * self.expansion * again, super().block(before, fresh, eager)[1]

    def steps(self, before: int, steps: int, eager: bool = False) -> tuple[int, int]:
        if eager:
            again = steps * before + steps * (steps - 1) // 2  # Σ of before, before + 1, …, before + steps − 1
            return 2 * self.expansion * again, super().steps(before, steps)[1]
        if self.absorbed:
            return 0, 2 * self.heads * (self.cache + self.latent) * self._contexts(before, steps)
        return super().steps(before, steps)


@dataclass(frozen=True)
class Scan:
    """A state-space layer's scan: each token updates a state h ← a·h + (Δx)·B and reads it, y = C·h. Counted as attention.

    As defined, every token costs `operations` per number of the state: 5 for Mamba-2 (two products and a sum for the update, a product and
    a sum to read), 6 for Mamba, whose decay a = exp(ΔA) differs for each of them. Kernels that scan in chunks do more (docs/flops.md).
    """

    state: int
    """Numbers of the state: channels × state size."""
    operations: int
    channels: int
    """Of the convolution before the scan, whose kernel × channels parameters are counted in the layer."""
    kernel: int
    heads: int = 0
    size: int = 0
    """Of the state per channel; with `heads` and `chunk` for Mamba-2, whose eager prefill is chunked matrix products."""
    chunk: int = 0

    cache = 0
    """Numbers kept of each token; none."""

    @property
    def convolution(self) -> int:
        """Numbers of the convolution that are kept between passes."""
        return self.channels * (self.kernel - 1)

    def block(self, before: int, fresh: int, eager: bool = False) -> tuple[int, int]:
        if not eager or not fresh:
            return 0, self.operations * self.state * fresh
        if before and fresh == 1:
            return self.steps(before, 1, eager)
        # The eager convolution is padded on both sides and starts from `kernel` kept tokens, or from at least as many.
        outputs = (self.kernel + fresh if before else max(fresh, self.kernel)) + self.kernel - 1
        scan = self._chunked(fresh) if self.chunk else 2 * self.state * fresh
        return 2 * self.channels * self.kernel * (outputs - fresh), scan

    def steps(self, before: int, steps: int, eager: bool = False) -> tuple[int, int]:
        if not eager:
            return 0, self.operations * self.state * steps
        # The convolution has two outputs for one token; of the scan only C·h is a matrix product.
        return 2 * self.channels * self.kernel * steps, 2 * self.state * steps

    def _chunked(self, fresh: int) -> int:
        """The matrix products of the eager SSD form (arXiv:2405.21060, section 6): whole padded chunks, and all pairs of chunks."""
        chunks = -(-fresh // self.chunk)
        pairs = chunks * self.chunk * self.chunk
        within = 2 * pairs * (self.heads * self.size + self.state // self.size)  # C·B for each head, then times the values
        return within + 4 * self.state * chunks * self.chunk + 2 * self.state * (chunks + 1) ** 2

    def read(self, before: int, fresh: int) -> int:
        return 0

    def read_by_steps(self, before: int, steps: int) -> int:
        return 0


Mixer: TypeAlias = Attention | Scan


@dataclass(frozen=True)
class Experts:
    """The routed experts of one layer."""

    number: int
    active: int
    """How many of them a token goes to."""
    linear: int
    """Matmul parameters of one."""
    other: int = 0
    """Further parameters of one: its biases."""


@dataclass(frozen=True)
class Layer:
    """One layer, or a part of one: parts add up. At most one part has a mixer, one the experts."""

    linear: int = 0
    """Matmul parameters that every token passes through: projections, dense MLP, shared experts, router, convolution. No routed experts."""
    other: int = 0
    """Further parameters: norms, biases, decays, …"""
    mixer: Mixer | None = None
    experts: Experts | None = None

    def __add__(self, part: Layer) -> Layer:
        assert not (self.mixer and part.mixer) and not (self.experts and part.experts)
        return Layer(self.linear + part.linear, self.other + part.other, self.mixer or part.mixer, self.experts or part.experts)

    @property
    def active(self) -> int:
        """Matmul parameters that one token passes through, with its experts."""
        return self.linear + (self.experts.active * self.experts.linear if self.experts else 0)


@dataclass(frozen=True)
class Shape:
    """A model: its layers in order, embedding and head."""

    layers: tuple[Layer, ...]
    head: int
    """Matmul parameters of the output head."""
    embedding: int
    """Parameters of the input embeddings, learnt positions included."""
    tied: bool
    """Whether the head is the input embedding, and so stored once."""
    other: int = 0
    """Parameters outside the layers that are neither embedding nor head product: the last norm, a head's bias."""

    @cached_property
    def groups(self) -> tuple[tuple[Layer, int], ...]:
        """(layer, how many are alike), …"""
        return _alike(self.layers)

    @cached_property
    def mixers(self) -> tuple[tuple[Mixer, int], ...]:
        """(mixer, how many layers have it), …"""
        return tuple((layer.mixer, times) for layer, times in self.groups if layer.mixer is not None)

    @cached_property
    def linear(self) -> int:
        """Matmul parameters of all layers that one token passes through: active experts and router; no embeddings, norms, biases."""
        return sum(layer.active * times for layer, times in self.groups)

    @cached_property
    def cache(self) -> int:
        """Numbers that all layers together keep of one token: keys and values, or latents."""
        return sum(mixer.cache * times for mixer, times in self.mixers)

    def cut(self, layers: int) -> Shape:
        """The model with its first layers only, then norm and head."""
        return replace(self, layers=self.layers[:layers])

    def routing(self, active: int) -> Shape:
        """The model with another number of active experts per token."""
        return self._each(lambda layer: replace(layer, experts=replace(layer.experts, active=active)) if layer.experts else layer)

    def absorbed(self) -> Shape:
        """The model with its latent attention, if it has any, as engines decode it."""
        return self._each(
            lambda layer: replace(layer, mixer=replace(layer.mixer, absorbed=True)) if isinstance(layer.mixer, Latent) else layer
        )

    def _each(self, change: Callable[[Layer], Layer]) -> Shape:
        changed = {id(layer): change(layer) for layer, _ in self.groups}
        return replace(self, layers=tuple(changed[id(layer)] for layer in self.layers))


def _alike(layers: Iterable[Layer]) -> tuple[tuple[Layer, int], ...]:
    """Layers by identity: those of one kind are one object."""
    found: dict[int, list[Layer]] = {}
    for layer in layers:
        found.setdefault(id(layer), []).append(layer)
    return tuple((alike[0], len(alike)) for alike in found.values())


def _triangle(length: int, window: int | None) -> int:
    """Σ over positions 1…length of min(position, window)."""
    if window is None or length <= window:
        return length * (length + 1) // 2
    return window * (window + 1) // 2 + (length - window) * window
