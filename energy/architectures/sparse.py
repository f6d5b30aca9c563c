"""Decoders with routed experts. Sources: the modelling code of `transformers` for each `model_type`, and DeepSeek-V3 (arXiv:2412.19437)."""

from __future__ import annotations

from energy.architectures.dense import FULL, SLIDING, attention, gated, stack, uniform
from energy.architectures.parts import Experts, Latent, Layer, Shape
from energy.architectures.registry import Config, UnknownArchitecture, architecture, kinds, layers, size


@architecture("mixtral")
def mixtral(c: Config) -> Shape:
    """Every layer routes each token to `num_experts_per_tok` of `num_local_experts` SwiGLU experts."""
    return uniform(c, attention(c, c.get("sliding_window")) + routed(c, "intermediate_size"))


@architecture("qwen3_moe")
def qwen3_moe(c: Config) -> Shape:
    """Sparse layers as in Mixtral with `moe_intermediate_size`; layers in `mlp_only_layers` or off `decoder_sparse_step` are dense."""
    window = c.get("sliding_window") if c.get("use_sliding_window") else None
    mixing = attention(c, window, bias=bool(c.get("attention_bias")), head_norms=True)
    return _qwen(c, mixing, routed(c, "moe_intermediate_size"))


@architecture("qwen2_moe")
def qwen2_moe(c: Config) -> Shape:
    """As Qwen3-MoE, and a shared expert that every token passes through, weighed by a gate of its own."""
    if c.get("use_sliding_window"):  # no published model does; which layers slide has changed between versions of transformers
        raise UnknownArchitecture("sliding windows of model_type 'qwen2_moe' are not known (unknown_architecture)")
    shared = gated(c, "shared_expert_intermediate_size") + Layer(linear=size(c, "hidden_size"))
    mixing = attention(c, bias=c.get("qkv_bias", True) is not False, out_bias=False)
    return _qwen(c, mixing, routed(c, "moe_intermediate_size") + shared)


def _qwen(c: Config, mixing: Layer, sparse: Layer) -> Shape:
    dense_only, step = set(c.get("mlp_only_layers") or ()), c.get("decoder_sparse_step") or 1
    is_sparse = [experts_in(c) > 0 and i not in dense_only and (i + 1) % step == 0 for i in layers(c)]
    made = {True: mixing + sparse, False: mixing if all(is_sparse) else mixing + gated(c)}
    return stack(c, is_sparse, made)


@architecture("gpt_oss")
def gpt_oss(c: Config) -> Shape:
    """Biases everywhere, a learnt sink per head, which is no product; every second layer attends fully, the first and every other one a
    sliding window."""
    types = kinds(c, [SLIDING if (i + 1) % 2 else FULL for i in layers(c)], {FULL, SLIDING})
    width, heads, inner = size(c, "hidden_size"), size(c, "num_attention_heads"), size(c, "intermediate_size")
    experts = routed(c, "intermediate_size", other=2 * inner + width)
    extra = experts + Layer(other=heads + experts_in(c))  # sinks, router's bias
    bias, window = c.get("attention_bias", True) is not False, size(c, "sliding_window")
    made = {kind: attention(c, window if kind == SLIDING else None, bias=bias) + extra for kind in set(types)}
    return stack(c, types, made)


@architecture("deepseek_v3", "deepseek_v2", "kimi_k2")
def deepseek(c: Config) -> Shape:
    """Latent attention; SwiGLU layers up to `first_k_dense_replace`, then experts of `moe_intermediate_size`, `n_shared_experts` more that
    every token passes through. Multi-token prediction layers are not counted: they run only where an engine speculates with them."""
    first, every = size(c, "first_k_dense_replace", default=0), size(c, "moe_layer_freq", default=1)
    mixing = latent_attention(c)
    shared = gated(c, "moe_intermediate_size", times=c.get("n_shared_experts") or 0)
    is_sparse = [i >= first and i % every == 0 for i in layers(c)]
    made = {True: mixing + routed(c, "moe_intermediate_size") + shared, False: mixing if all(is_sparse) else mixing + gated(c)}
    return stack(c, is_sparse, made)


def latent_attention(c: Config) -> Layer:
    """Queries by way of `q_lora_rank` (none: at once), keys and values by way of a latent of `kv_lora_rank`, one rotary key for all."""
    width, heads = size(c, "hidden_size"), size(c, "num_attention_heads")
    plain, rotary, value = size(c, "qk_nope_head_dim"), size(c, "qk_rope_head_dim"), size(c, "v_head_dim")
    latent, rank = size(c, "kv_lora_rank"), c.get("q_lora_rank")
    key, expansion = plain + rotary, latent * heads * (plain + value)
    queries = width * heads * key if rank is None else rank * (width + heads * key)
    biases = bool(c.get("attention_bias")) * ((rank or 0) + latent + rotary + width)
    return Layer(
        linear=queries + width * (latent + rotary) + expansion + heads * value * width,
        other=2 * width + (rank or 0) + latent + biases,
        mixer=Latent(heads, key, value, cache=latent + rotary, latent=latent, expansion=expansion),
    )


def routed(c: Config, inner: str, other: int = 0) -> Layer:
    """Router and SwiGLU experts. other: biases of one expert."""
    active = min(size(c, "num_experts_per_tok", "experts_per_token"), experts_in(c))
    return Layer(linear=size(c, "hidden_size") * experts_in(c), experts=Experts(experts_in(c), active, gated(c, inner).linear, other))


def experts_in(c: Config) -> int:
    """How many routed experts a layer has."""
    return size(c, "num_local_experts", "num_experts", "n_routed_experts")
