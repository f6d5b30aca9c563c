"""Decoders whose MLP is dense. Sources: the modelling code of `transformers` for each `model_type`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from energy.architectures.parts import Attention, Layer, Shape
from energy.architectures.registry import Config, UnknownArchitecture, architecture, ends, kinds, layers, size

Kind = TypeVar("Kind", bound=Hashable)
FULL, SLIDING = "full_attention", "sliding_attention"


@architecture("gpt2")
def gpt2(c: Config) -> Shape:
    """Fused q, k, v; a two-matrix MLP, four times as wide unless `n_inner` says otherwise; learnt positions; biases everywhere."""
    width, number = size(c, "n_embd"), size(c, "n_layer")
    inner = c.get("n_inner") or 4 * width
    heads = size(c, "n_head", default=1)  # heads × their size is the width whatever their number
    linear, other = 4 * width * width + 2 * width * inner, 3 * width + width + inner + width + 4 * width
    layer = Layer(linear, other, Attention(heads, width // heads, width // heads, 2 * width))
    positions = size(c, "n_positions", "n_ctx", default=1024)
    return Shape((layer,) * number, **ends(c, tied=True, norm=2 * width, positions=positions, width="n_embd"))


@architecture("llama", "mistral", "phi3")
def llama(c: Config) -> Shape:
    """Grouped-query attention and SwiGLU; Mistral and Phi-3 add one sliding window for all layers (null in later models). Phi-3 fuses q, k
    and v, and gate and up: the same products."""
    window, bias = c.get("sliding_window"), bool(c.get("attention_bias"))
    return uniform(c, attention(c, window, bias=bias) + gated(c, bias=bool(c.get("mlp_bias"))))


@architecture("qwen2")
def qwen2(c: Config) -> Shape:
    """Llama's shape; q, k, v have biases. Sliding windows only with `use_sliding_window`, and only from layer `max_window_layers` on."""
    windows = _qwen_windows(c)
    return stack(c, windows, {window: attention(c, window, bias=True, out_bias=False) + gated(c) for window in set(windows)})


@architecture("qwen3")
def qwen3(c: Config) -> Shape:
    """Llama's shape with norms on queries and keys; sliding windows as in Qwen2. Its heads have 128 numbers where a config does not say."""
    c = {**c, "head_dim": size(c, "head_dim", default=128)}
    windows, bias = _qwen_windows(c), bool(c.get("attention_bias"))
    return stack(c, windows, {window: attention(c, window, bias=bias, head_norms=True) + gated(c) for window in set(windows)})


@architecture("smollm3")
def smollm3(c: Config) -> Shape:
    """Llama's shape; some layers without rotary positions, which are no products. Sliding windows only where `layer_types` says so."""
    types = kinds(c, [FULL for _ in layers(c)], {FULL, SLIDING})
    window = c.get("sliding_window") if c.get("use_sliding_window") else None
    bias, mlp = bool(c.get("attention_bias")), gated(c, bias=bool(c.get("mlp_bias")))
    made = {kind: attention(c, window if kind == SLIDING else None, bias=bias) + mlp for kind in set(types)}
    return stack(c, types, made, tied=True)


@architecture("gemma2")
def gemma2(c: Config) -> Shape:
    """Gated MLP, four norms a layer; every second layer attends fully, the first and every other one a sliding window."""
    return _gemma(c, 2, 4096, head_norms=False)


@architecture("gemma3_text")
def gemma3(c: Config) -> Shape:
    """As Gemma 2 with norms on queries and keys; every `sliding_window_pattern`-th layer (6th) attends fully. Published configs of the 4B,
    12B and 27B models leave out what equals the defaults of their configuration class, which are given here."""
    if c.get("use_bidirectional_attention"):  # EmbeddingGemma
        raise UnknownArchitecture("FLOPs of attention to what comes after are not known (unknown_architecture)")
    c = {"num_attention_heads": 8, "num_key_value_heads": 4, "vocab_size": 262_208, **c}
    return _gemma(c, c.get("sliding_window_pattern") or c.get("_sliding_window_pattern") or 6, 4096, head_norms=True)


def _gemma(c: Config, pattern: int, window: int, *, head_norms: bool) -> Shape:
    c = {**c, "head_dim": size(c, "head_dim", default=256)}
    types = kinds(c, [SLIDING if (i + 1) % pattern else FULL for i in layers(c)], {FULL, SLIDING})
    window = size(c, "sliding_window", default=window)
    extra = Layer(other=2 * size(c, "hidden_size")) + gated(c)
    bias = bool(c.get("attention_bias"))
    made = {kind: attention(c, window if kind == SLIDING else None, bias=bias, head_norms=head_norms) + extra for kind in set(types)}
    return stack(c, types, made, tied=True)


@architecture("bitnet")
def bitnet(c: Config) -> Shape:
    """Llama's shape with two more norms. Its products are of ternary weights with 8-bit activations: as many operations, fewer bytes."""
    norms = Layer(other=size(c, "hidden_size") + size(c, "intermediate_size"))
    return uniform(c, attention(c, bias=bool(c.get("attention_bias"))) + gated(c) + norms)


def attention(
    c: Config, window: int | None = None, *, bias: bool = False, out_bias: bool | None = None, head_norms: bool = False, norms: int = 2
) -> Layer:
    """Grouped-query attention: q, k, v, o and the layer's norms. bias: of q, k and v, and of o unless `out_bias` says otherwise.
    head_norms: a norm over the numbers of a head, for queries and for keys."""
    width, heads = size(c, "hidden_size"), size(c, "num_attention_heads")
    groups = size(c, "num_key_value_heads", default=heads)
    each = size(c, "head_dim", default=width // heads)
    biases = bias * (heads + 2 * groups) * each + (bias if out_bias is None else out_bias) * width
    return Layer(
        linear=2 * width * heads * each + 2 * width * groups * each,
        other=norms * width + biases + 2 * each * head_norms,
        mixer=Attention(heads, each, each, 2 * groups * each, window or None),
    )


def gated(c: Config, inner: str = "intermediate_size", bias: bool = False, times: int = 1) -> Layer:
    """gate, up and down. times: how often as wide as `inner` says."""
    width, wide = size(c, "hidden_size"), times * size(c, inner)
    return Layer(linear=3 * width * wide, other=bias * (2 * wide + width))


def uniform(c: Config, layer: Layer) -> Shape:
    """All layers alike."""
    return Shape((layer,) * len(layers(c)), **ends(c, tied=False, norm=size(c, "hidden_size")))


def stack(c: Config, types: Sequence[Kind], made: Mapping[Kind, Layer], tied: bool = False) -> Shape:
    """Layers by their kinds."""
    return Shape(tuple(made[kind] for kind in types), **ends(c, tied=tied, norm=size(c, "hidden_size")))


def _qwen_windows(c: Config) -> list[int | None]:
    """The window of each layer."""
    window = c.get("sliding_window") if c.get("use_sliding_window") else None
    first = size(c, "max_window_layers") if window and not c.get("layer_types") else 0
    types = kinds(c, [SLIDING if window and i >= first else FULL for i in layers(c)], {FULL, SLIDING})
    return [window if kind == SLIDING else None for kind in types]
