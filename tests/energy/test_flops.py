"""Counts agree with torch's own counter on small random-weight instances of the real architectures, part by part."""

from __future__ import annotations

import pytest

from energy.flops import Flops, UnknownArchitecture, count, shape
from perpass.errors import UserError

SMALL = {
    "vocab_size": 97,
    "hidden_size": 64,
    "intermediate_size": 112,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
LLAMA = {"model_type": "llama", **SMALL}
CASES = {
    "gpt2": (
        "GPT2Config",
        {"vocab_size": 97, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 0},
    ),
    "llama": ("LlamaConfig", SMALL),
    "llama with its own head_dim": ("LlamaConfig", {**SMALL, "head_dim": 24}),
    "mistral with a sliding window": ("MistralConfig", {**SMALL, "sliding_window": 8}),
    "mistral without": ("MistralConfig", {**SMALL, "sliding_window": None}),
    "qwen2": ("Qwen2Config", SMALL),
    "qwen2 with some sliding layers": ("Qwen2Config", {**SMALL, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
    "qwen3": ("Qwen3Config", {**SMALL, "head_dim": 32}),
    "mixtral": ("MixtralConfig", {**SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "qwen3_moe with one dense layer": (
        "Qwen3MoeConfig",
        {**SMALL, "head_dim": 32, "moe_intermediate_size": 48, "num_experts": 8, "num_experts_per_tok": 3, "mlp_only_layers": [1]},
    ),
    "gemma3": ("Gemma3TextConfig", {**SMALL, "num_hidden_layers": 7, "head_dim": 32, "sliding_window": 8}),
}
PROMPT, STEPS = 24, 4


class Observed:
    """One architecture's small model under FlopCounterMode. In eager attention only QKᵀ and AV are products with a batch (bmm)."""

    def __init__(self, name: str, sizes: dict[str, object]) -> None:
        torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
        torch.manual_seed(0)
        config = getattr(transformers, name)(**sizes)
        moe = {"experts_implementation": "eager"} if "num_experts_per_tok" in sizes else {}
        self.model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager", **moe).eval()
        self.config = config.to_dict()
        self.past = None

    def forward(self, tokens: int) -> Flops:
        """What one pass over `tokens` more tokens takes; logits of the last one only."""
        import torch
        from torch.utils.flop_counter import FlopCounterMode

        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            out = self.model(torch.randint(0, 97, (1, tokens)), past_key_values=self.past, use_cache=True, logits_to_keep=1)
        self.past = out.past_key_values
        counts = counter.get_flop_counts()
        attention = counts["Global"].get(torch.ops.aten.bmm, 0)
        head = sum(v for k, ops in counts.items() if k.endswith("lm_head") for v in ops.values())
        return Flops(sum(counts["Global"].values()) - attention - head, attention, head)


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "_"))
def observed(request: pytest.FixtureRequest) -> tuple[dict[str, object], Flops, Flops]:
    """(config, counts of the prefill, counts of the decode steps)."""
    model = Observed(*CASES[request.param])
    prefill = model.forward(PROMPT)
    return model.config, prefill, sum((model.forward(1) for _ in range(STEPS)), Flops())


@pytest.mark.parametrize("part", ["linear", "attention", "head"])
def test_prefill_agrees_with_torch(observed, part):
    config, prefill, _ = observed
    assert getattr(count(config, prompt=PROMPT, output=1, causal=False), part) == pytest.approx(getattr(prefill, part), rel=0.01)


@pytest.mark.parametrize("part", ["linear", "attention"])
def test_decode_with_cache_agrees_with_torch(observed, part):
    config, _, decode = observed
    assert getattr(count(config, prompt=PROMPT, cached=PROMPT, output=STEPS + 1), part) == pytest.approx(getattr(decode, part), rel=0.01)


def test_a_whole_call_is_its_prefill_and_its_decode_steps(observed):
    config, prefill, decode = observed
    assert count(config, prompt=PROMPT, output=STEPS + 1, causal=False).total == pytest.approx((prefill + decode).total, rel=0.01)


@pytest.mark.parametrize("case", ["llama", "mistral with a sliding window"])
def test_a_cached_prefix_is_not_computed_again(case):
    model = Observed(*CASES[case])
    model.forward(16)
    assert count(model.config, prompt=24, cached=16, output=1, causal=False) == model.forward(8)


def test_the_last_output_token_is_never_fed_back():
    one, two = count(LLAMA, prompt=10, output=1), count(LLAMA, prompt=10, output=2)
    assert count(LLAMA, prompt=10, output=0).linear == one.linear
    assert two.linear - one.linear == 2 * shape(LLAMA).linear
    assert two.attention - one.attention == 4 * shape(LLAMA).attention * 3 * 11


def test_the_head_runs_for_output_and_scored_tokens_only():
    head = 2 * 97 * 64
    assert count(LLAMA, prompt=50, output=0).head == 0
    assert count(LLAMA, prompt=50, output=3).head == 3 * head
    assert count(LLAMA, prompt=50, output=0, scored=7).head == 7 * head


def test_scoring_takes_the_same_pass_as_a_longer_prompt():
    scored, prompt = count(LLAMA, prompt=50, output=0, scored=7), count(LLAMA, prompt=57, output=0)
    assert (scored.linear, scored.attention) == (prompt.linear, prompt.attention)


def test_causal_prefill_is_a_triangle():
    assert count(LLAMA, prompt=10, output=1).attention == 4 * 3 * 64 * 55
    assert count(LLAMA, prompt=10, output=1, causal=False).attention == 4 * 3 * 64 * 100


@pytest.mark.parametrize("sizes", [{"prompt": 30, "output": 0}, {"prompt": 30, "output": 9}, {"prompt": 30, "output": 5, "cached": 12}])
def test_causal_context_under_a_sliding_window_is_the_sum_over_positions(sizes):
    config = {**LLAMA, "sliding_window": 8}
    positions = range(sizes.get("cached", 0) + 1, sizes["prompt"] + max(sizes["output"] - 1, 0) + 1)
    assert count(config, **sizes).attention == 4 * 3 * 64 * sum(min(p, 8) for p in positions)


def test_the_parts_of_a_call_add_up():
    whole = count(LLAMA, prompt=30, output=5)
    prefill, rest = count(LLAMA, prompt=30, output=1), count(LLAMA, prompt=31, cached=30, output=4)
    assert whole == prefill + rest
    assert whole.total == whole.linear + whole.attention + whole.head


def test_nothing_fresh_costs_nothing():
    assert count(LLAMA, prompt=30, cached=30, output=0) == Flops()


def test_fewer_active_experts_cost_less():
    config = {"model_type": "mixtral", **SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}
    saved = count(config, prompt=10, output=1).linear - count(config, prompt=10, output=1, num_experts_per_tok=1).linear
    assert saved == 2 * 10 * 3 * (3 * 64 * 112)


def test_a_reward_model_has_a_small_head():
    config = {**LLAMA, "architectures": ["LlamaForTokenClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}
    assert count(config, prompt=10, output=0, scored=1).head == 2 * 64 * 3


def test_hub_configs_that_leave_out_what_has_a_rule():
    assert (
        count({"model_type": "gpt2", "vocab_size": 50257, "n_embd": 768, "n_layer": 12, "n_head": 12}, prompt=1, output=0).linear
        == 2 * 84_934_656
    )
    old_llama = {key: value for key, value in LLAMA.items() if key != "num_key_value_heads"}
    assert count(old_llama, prompt=9, output=2) == count({**LLAMA, "num_key_value_heads": 4}, prompt=9, output=2)


def test_gemma3_counts_its_text_part():
    text = {**SMALL, "head_dim": 32, "sliding_window": 8}
    whole = {"model_type": "gemma3", "text_config": text, "vision_config": {"hidden_size": 999}}
    assert count(whole, prompt=9, output=2) == count({"model_type": "gemma3_text", **text}, prompt=9, output=2)


@pytest.mark.parametrize("config", [{"model_type": "mamba", **SMALL}, dict(SMALL), {"model_type": "llama", "hidden_size": 64}])
def test_what_is_not_known_is_an_error_and_not_a_number(config):
    with pytest.raises(UnknownArchitecture, match="unknown_architecture") as caught:
        count(config, prompt=10, output=1)
    assert isinstance(caught.value, UserError)
    assert caught.value.code == "unknown_architecture"


@pytest.mark.parametrize("tokens", [{"prompt": -1, "output": 0}, {"prompt": 4, "output": 0, "cached": 5}])
def test_impossible_token_counts(tokens):
    with pytest.raises(ValueError, match="impossible"):
        count(LLAMA, **tokens)


def test_a_setting_that_is_not_known_is_never_ignored():
    with pytest.raises(TypeError, match="speculative"):
        count(LLAMA, prompt=10, output=1, speculative={"k": 4})
