"""Small random-weight instances of the real architectures, and what `FlopCounterMode` sees them do, part by part."""

from __future__ import annotations

from typing import Any

from energy.flops import Flops

SMALL: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
HALF = {**SMALL, "head_dim": 32}
LATENT = {
    **SMALL,
    "num_key_value_heads": 4,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 24,
    "kv_lora_rank": 20,
    "q_lora_rank": 28,
    "moe_intermediate_size": 40,
    "n_routed_experts": 8,
    "n_shared_experts": 2,
    "num_experts_per_tok": 3,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
HYBRID = {
    **{key: value for key, value in HALF.items() if key != "num_hidden_layers"},
    "ssm_state_size": 8,
    "mamba_num_heads": 6,
    "mamba_head_dim": 16,
    "n_groups": 2,
    "chunk_size": 8,
    "n_routed_experts": 4,
    "n_group": 1,
    "topk_group": 1,
    "moe_intermediate_size": 24,
    "moe_shared_expert_intermediate_size": 40,
    "layers_block_type": ["linear_attention", "mlp", "full_attention", "moe"],
}
SPARSE = {**HALF, "moe_intermediate_size": 48, "num_experts": 8, "num_experts_per_tok": 3}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": (
        "GPT2Config",
        {"vocab_size": 97, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 0},
    ),
    "llama": ("LlamaConfig", SMALL),
    "llama with its own head_dim": ("LlamaConfig", {**SMALL, "head_dim": 24}),
    "llama with biases": ("LlamaConfig", {**SMALL, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "mistral with a sliding window": ("MistralConfig", {**SMALL, "sliding_window": 8}),
    "mistral without": ("MistralConfig", {**SMALL, "sliding_window": None}),
    "phi3": ("Phi3Config", {**SMALL, "sliding_window": 8, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}),
    "qwen2": ("Qwen2Config", SMALL),
    "qwen2 with some sliding layers": ("Qwen2Config", {**SMALL, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", HALF),
    "smollm3": ("SmolLM3Config", {**SMALL, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0}),
    "gemma2": ("Gemma2Config", {**HALF, "sliding_window": 8}),
    "gemma3": ("Gemma3TextConfig", {**HALF, "num_hidden_layers": 7, "sliding_window": 8}),
    "bitnet": ("BitNetConfig", {**SMALL, "bos_token_id": 0, "eos_token_id": 0}),
    "mixtral": ("MixtralConfig", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen2_moe with every second layer sparse": (
        "Qwen2MoeConfig",
        {**SPARSE, "head_dim": 16, "shared_expert_intermediate_size": 80, "decoder_sparse_step": 2},
    ),
    "qwen3_moe with one dense layer": ("Qwen3MoeConfig", {**SPARSE, "mlp_only_layers": [1]}),
    "gpt_oss": ("GptOssConfig", {**HALF, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 8}),
    "deepseek_v2 with queries at once": ("DeepseekV2Config", {**LATENT, "q_lora_rank": None, "topk_method": "greedy"}),
    "deepseek_v3": ("DeepseekV3Config", {**LATENT, "bos_token_id": 0, "eos_token_id": 0}),
    "mamba2": (
        "Mamba2Config",
        {**SMALL, "expand": 2, "num_heads": 8, "head_dim": 16, "state_size": 8, "n_groups": 2, "chunk_size": 8, "pad_token_id": 0},
    ),
    "jamba": (
        "JambaConfig",
        {
            **SMALL,
            "num_hidden_layers": 4,
            "attn_layer_period": 4,
            "attn_layer_offset": 2,
            "num_experts": 4,
            "mamba_d_state": 8,
            "mamba_dt_rank": 5,
        },
    ),
    "nemotron_h": ("NemotronHConfig", HYBRID),
    "nemotron_h with latent experts": (
        "NemotronHConfig",
        {**HYBRID, "moe_latent_size": 16, "layers_block_type": ["moe", "full_attention"]},
    ),
}
"""name → (configuration class of transformers, its arguments)."""


class Observed:
    """One small model, its config as transformers writes it, and counted passes through it.

    A product is the head's where one factor is the head's weight, linear where one is another parameter, else attention.
    """

    def __init__(self, name: str, sizes: dict[str, Any]) -> None:
        import torch
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, name)(**sizes)
        moe = {"experts_implementation": "eager"} if any("experts" in key for key in config.to_dict()) else {}
        self.model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager", **moe).eval()
        self.config = config.to_dict()
        self.past: Any = None
        self.keep = "cache_params" if name == "Mamba2Config" else "past_key_values"

    @property
    def parameters(self) -> int:
        """Of the real model; shared ones once."""
        return sum(p.numel() for p in self.model.parameters())

    def forward(self, tokens: int) -> Flops:
        """What one pass over `tokens` more tokens takes; logits of the last one only."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode
        from torch.utils.flop_counter import FlopCounterMode, flop_registry

        head = self.model.lm_head.weight.untyped_storage().data_ptr()
        weights = {p.untyped_storage().data_ptr() for p in self.model.parameters()}
        found = {"linear": 0, "attention": 0, "head": 0}

        class Parts(TorchDispatchMode):
            def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                out = func(*args, **(kwargs or {}))
                if formula := flop_registry.get(func._overloadpacket):
                    used = {a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)}
                    part = "head" if head in used else "linear" if used & weights else "attention"
                    found[part] += formula(*args, **(kwargs or {}), out_val=out)
                return out

        with torch.no_grad(), FlopCounterMode(display=False) as counter, Parts():
            out = self.model(torch.randint(0, 97, (1, tokens)), use_cache=True, logits_to_keep=1, **{self.keep: self.past})
        self.past = out[self.keep]
        assert sum(found.values()) == counter.get_total_flops()  # nothing that the counter sees is left out or invented
        return Flops(**found)
