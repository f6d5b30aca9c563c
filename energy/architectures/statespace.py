"""State-space models and their hybrids. Sources: the modelling code of `transformers` for each `model_type`, Mamba (arXiv:2312.00752),
Mamba-2 (arXiv:2405.21060)."""

from __future__ import annotations

from energy.architectures.dense import FULL, attention, gated, stack
from energy.architectures.parts import Experts, Layer, Scan, Shape
from energy.architectures.registry import Config, UnknownArchitecture, architecture, ends, layers, size
from energy.architectures.sparse import experts_in, routed


@architecture("mamba2")
def mamba2(c: Config) -> Shape:
    """Layers of one mixer and one norm, no MLP."""
    width, heads, each = size(c, "hidden_size"), size(c, "num_heads"), size(c, "head_dim")
    layer = ssd(c, heads, each, size(c, "state_size"), bias=bool(c.get("use_bias"))) + Layer(other=width)
    return Shape((layer,) * len(layers(c)), **ends(c, tied=False, norm=width))


@architecture("jamba")
def jamba(c: Config) -> Shape:
    """Mamba layers, one in `attn_layer_period` with attention; behind each an MLP, one in `expert_layer_period` with experts as wide."""
    mixing = {True: attention(c), False: _mamba(c)}
    number = size(c, "num_experts", "num_local_experts")
    mlp = {True: routed(c, "intermediate_size") if number > 1 else gated(c), False: gated(c)}
    attends, routes = (_every(c, kind) for kind in ("attn", "expert"))
    types = list(zip(attends, routes, strict=True))
    return stack(c, types, {(a, r): mixing[a] + mlp[r] for a, r in set(types)})


@architecture("nemotron_h")
def nemotron_h(c: Config) -> Shape:
    """Layers of one block each, in the order of `hybrid_override_pattern` (M Mamba-2, * attention, - MLP, E experts) or
    `layers_block_type`. MLPs and experts have two matrices (squared ReLU)."""
    width, norm = size(c, "hidden_size"), Layer(other=size(c, "hidden_size"))
    each = size(c, "head_dim", "attention_head_dim")
    heads, part = size(c, "mamba_num_heads"), size(c, "mamba_head_dim")
    make = {
        "M": lambda: norm + ssd(c, heads, part, size(c, "ssm_state_size"), bias=bool(c.get("use_bias"))),
        "*": lambda: attention({**c, "head_dim": each}, norms=1),
        "-": lambda: norm + _two(width, size(c, "intermediate_size"), bool(c.get("mlp_bias"))),
        "E": lambda: norm + _experts(c),
    }
    pattern = _pattern(c)
    return stack(c, pattern, {kind: make[kind]() for kind in set(pattern)})


def ssd(c: Config, heads: int, each: int, state: int, *, bias: bool) -> Layer:
    """A Mamba-2 mixer: one projection in (gate, x, B, C, Δ), convolution of x, B and C, scan, gated norm, projection out."""
    width, groups = size(c, "hidden_size"), size(c, "n_groups", "mamba_n_groups")
    kernel, chunk = size(c, "conv_kernel", "mamba_d_conv"), size(c, "chunk_size", "mamba_chunk_size")
    inner = heads * each
    channels = inner + 2 * groups * state
    into = inner + channels + heads
    return Layer(
        linear=width * into + kernel * channels + inner * width,
        other=3 * heads + inner + (c.get("use_conv_bias") is not False) * channels + bias * (into + width),  # Δ's bias, A, D; the norm
        mixer=Scan(inner * state, 5, channels, kernel, heads, state, chunk),
    )


def _mamba(c: Config) -> Layer:
    """Jamba's Mamba mixer: norms on Δ, B and C; a bias and decays of its own for every channel."""
    width, state, kernel = size(c, "hidden_size"), size(c, "mamba_d_state"), size(c, "mamba_d_conv")
    inner, rank = size(c, "mamba_expand") * width, c.get("mamba_dt_rank", "auto")
    rank = -(-width // 16) if rank == "auto" else size(c, "mamba_dt_rank")
    bias = bool(c.get("mamba_proj_bias")) * (2 * inner + width) + (c.get("mamba_conv_bias") is not False) * inner
    return Layer(
        linear=width * 2 * inner + kernel * inner + inner * (rank + 2 * state) + rank * inner + inner * width,
        other=2 * width + inner + inner * state + inner + rank + 2 * state + bias,  # two norms, Δ's bias, A, D, three norms
        mixer=Scan(inner * state, 6, inner, kernel),
    )


def _experts(c: Config) -> Layer:
    """Nemotron-H's experts and the shared one; with `moe_latent_size` the routed ones work in a narrower space, between two projections."""
    width, bias, number = size(c, "hidden_size"), bool(c.get("mlp_bias")), experts_in(c)
    latent = c.get("moe_latent_size")
    ways = Layer() if latent is None else Layer(linear=2 * width * latent, other=bias * (width + latent))
    each = _two(width if latent is None else latent, size(c, "moe_intermediate_size"), False).linear
    experts = Experts(number, min(size(c, "num_experts_per_tok"), number), each)
    shared = _two(width, size(c, "moe_shared_expert_intermediate_size"), bias)
    return Layer(linear=width * number, experts=experts) + shared + ways


def _two(width: int, inner: int, bias: bool) -> Layer:
    """up and down."""
    return Layer(linear=2 * width * inner, other=bias * (inner + width))


def _every(c: Config, kind: str) -> list[bool]:
    """Which layers are those that come once in `…_layer_period`, from `…_layer_offset` on."""
    period, offset = size(c, f"{kind}_layer_period"), size(c, f"{kind}_layer_offset")
    return [i % period == offset for i in layers(c)]


NAMES = {
    "M": ("mamba", "linear_attention"),
    "*": ("attention", FULL),
    "-": ("mlp",),
    "E": ("moe",),
}


def _pattern(c: Config) -> list[str]:
    """One letter per layer. Raises UnknownArchitecture."""
    said = c.get("layers_block_type") or c.get("layer_types") or list(c.get("hybrid_override_pattern") or "")
    letters = {name: letter for letter, names in NAMES.items() for name in (letter, *names)}
    strange = sorted({str(kind) for kind in said if kind not in letters})
    if strange or not said:
        which = ", ".join(strange) or "none given"
        raise UnknownArchitecture(f"layers of model_type 'nemotron_h' are not known (unknown_architecture): {which}")
    return [letters[kind] for kind in said]
