"""What one token passes through in each model architecture: one row per architecture, read from its `config.json`.

To add one, write a function from config to `Shape` with the decorator `@architecture("<model_type>")`, and a case in
`tests/energy/test_flops.py`, which compares it with `torch.utils.flop_counter.FlopCounterMode`. Sources: the modelling code of
`transformers` for each `model_type`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from perpass.errors import UserError

Config = Mapping[str, Any]


class UnknownArchitecture(UserError):
    """FLOPs cannot be counted for this model. Stored as null with the code `unknown_architecture`, never as 0."""

    code = "unknown_architecture"


@dataclass(frozen=True)
class Shape:
    """The sizes that a count needs."""

    linear: int
    """Matmul parameters of all layers that one token passes through: active experts and router; no embeddings, norms, biases."""
    attention: int
    """heads × d_head of one layer, equal for keys and values."""
    windows: tuple[tuple[int | None, int], ...]
    """(sliding window in tokens or None for full attention, number of such layers), …"""
    head: int
    """Parameters of the output head."""
    cache: int
    """Numbers that one layer keeps of one token: its keys and values."""


ARCHITECTURES: dict[str, Callable[[Config], Shape]] = {}
"""model_type → its row."""


def architecture(*model_types: str) -> Callable[[Callable[[Config], Shape]], Callable[[Config], Shape]]:
    """Registers a row under each `model_type`."""

    def register(row: Callable[[Config], Shape]) -> Callable[[Config], Shape]:
        ARCHITECTURES.update(dict.fromkeys(model_types, row))
        return row

    return register


@architecture("gpt2")
def gpt2(c: Config) -> Shape:
    """Fused q, k, v; a two-matrix MLP, four times as wide unless `n_inner` says otherwise."""
    width, layers = _int(c, "n_embd"), _int(c, "n_layer")
    inner = c.get("n_inner") or 4 * width
    return Shape(layers * (4 * width * width + 2 * width * inner), width, ((None, layers),), width * _outputs(c), 2 * width)


@architecture("llama", "mistral")
def llama(c: Config) -> Shape:
    """Grouped-query attention and SwiGLU; Mistral adds one sliding window for all layers (null in its later models)."""
    return _decoder(c, _gated(c, "intermediate_size"), _same_window(c))


@architecture("qwen2", "qwen3")
def qwen(c: Config) -> Shape:
    """Llama's shape. Sliding windows only with `use_sliding_window`, and only from layer `max_window_layers` on."""
    window = c.get("sliding_window") if c.get("use_sliding_window") else None
    first = _int(c, "max_window_layers") if window and not c.get("layer_types") else 0
    types = c.get("layer_types") or ["sliding_attention" if window and i >= first else "full_attention" for i in _layers(c)]
    return _decoder(c, _gated(c, "intermediate_size"), _windows(types, window))


@architecture("mixtral")
def mixtral(c: Config) -> Shape:
    """Every layer routes each token to `num_experts_per_tok` of `num_local_experts` SwiGLU experts."""
    experts = _first(c, "num_local_experts", "num_experts")
    router = _int(c, "hidden_size") * experts
    active = min(_int(c, "num_experts_per_tok"), experts)
    return _decoder(c, router + active * _gated(c, "intermediate_size"), _same_window(c))


@architecture("qwen3_moe")
def qwen3_moe(c: Config) -> Shape:
    """Sparse layers as in Mixtral with `moe_intermediate_size`; layers in `mlp_only_layers` or off `decoder_sparse_step` are dense."""
    experts = _first(c, "num_experts", "num_local_experts")
    router = _int(c, "hidden_size") * experts
    active = min(_int(c, "num_experts_per_tok"), experts)
    sparse = router + active * _gated(c, "moe_intermediate_size")
    dense_only, step = set(c.get("mlp_only_layers") or ()), c.get("decoder_sparse_step") or 1
    is_sparse = [experts > 0 and i not in dense_only and (i + 1) % step == 0 for i in _layers(c)]
    dense = 0 if all(is_sparse) else _gated(c, "intermediate_size")
    window = c.get("sliding_window") if c.get("use_sliding_window") else None
    return _decoder(c, [sparse if s else dense for s in is_sparse], ((window, len(is_sparse)),))


@architecture("gemma3_text", "gemma3")
def gemma3(c: Config) -> Shape:
    """Gated MLP; every `sliding_window_pattern`-th layer (6th) attends fully, the others a sliding window. `gemma3`: its text part only."""
    c = {**c, **(c.get("text_config") or {})}
    pattern = c.get("sliding_window_pattern") or 6
    types = c.get("layer_types") or ["full_attention" if (i + 1) % pattern == 0 else "sliding_attention" for i in _layers(c)]
    return _decoder(c, _gated(c, "intermediate_size"), _windows(types, _int(c, "sliding_window")))


def _decoder(c: Config, mlp: int | list[int], windows: tuple[tuple[int | None, int], ...]) -> Shape:
    """A decoder with grouped-query attention. mlp: matmul parameters of one layer's MLP, or of each layer's."""
    width, heads, layers = _int(c, "hidden_size"), _int(c, "num_attention_heads"), len(_layers(c))
    groups = c.get("num_key_value_heads") or heads
    size = c.get("head_dim") or width // heads
    projections = 2 * width * heads * size + 2 * width * groups * size  # q and o, k and v
    mlps = layers * mlp if isinstance(mlp, int) else sum(mlp)
    return Shape(layers * projections + mlps, heads * size, windows, width * _outputs(c), 2 * groups * size)


def _gated(c: Config, inner: str) -> int:
    """gate, up and down."""
    return 3 * _int(c, "hidden_size") * _int(c, inner)


def _outputs(c: Config) -> int:
    """Width of the output head: the vocabulary, or the labels of a reward model or classifier."""
    if any(name.endswith(("ForTokenClassification", "ForSequenceClassification")) for name in c.get("architectures") or ()):
        return len(c.get("id2label") or ()) or int(c.get("num_labels") or 2)
    return _int(c, "vocab_size")


def _layers(c: Config) -> range:
    return range(_int(c, "num_hidden_layers"))


def _same_window(c: Config) -> tuple[tuple[int | None, int], ...]:
    return ((c.get("sliding_window") or None, len(_layers(c))),)


def _windows(types: Iterable[str], window: int | None) -> tuple[tuple[int | None, int], ...]:
    """Layers by window. types: `full_attention` or `sliding_attention` per layer."""
    found = Counter(types)
    if strange := set(found) - {"full_attention", "sliding_attention"}:
        raise UnknownArchitecture(f"layer types {', '.join(sorted(strange))} are not known (unknown_architecture)")
    return tuple((window if kind == "sliding_attention" else None, n) for kind, n in sorted(found.items()))


def _int(c: Config, key: str) -> int:
    """A size that the count cannot do without."""
    value = c.get(key)
    if not isinstance(value, int):
        raise UnknownArchitecture(f"the config of model_type {c.get('model_type')!r} has no {key} (unknown_architecture)")
    return value


def _first(c: Config, *keys: str) -> int:
    """The first of several spellings that is there."""
    return _int(c, next((key for key in keys if c.get(key) is not None), keys[0]))
