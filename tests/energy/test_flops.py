"""Counts agree with torch's own counter on small random-weight instances of the real architectures, part by part."""

from __future__ import annotations

import pytest

from energy.architectures import ARCHITECTURES
from energy.flops import Flops, UnknownArchitecture, count, parameters, shape
from perpass.errors import UserError
from tests.energy.flops_cases import CASES, SMALL, Observed

LLAMA = {"model_type": "llama", **SMALL}
MIXTRAL = {"model_type": "mixtral", **SMALL, "num_local_experts": 4, "num_experts_per_tok": 2}
PROMPT, STEPS, BLOCK = 27, 4, 5
PARTS = ("linear", "attention", "head")


class Passes:
    """A prompt, some decode steps and a block after them, as counted by torch."""

    def __init__(self, name: str) -> None:
        pytest.importorskip("torch"), pytest.importorskip("transformers")
        model = Observed(*CASES[name])
        self.config, self.parameters = model.config, model.parameters
        self.prefill = model.forward(PROMPT)
        self.decode = sum((model.forward(1) for _ in range(STEPS)), Flops())
        self.block = model.forward(BLOCK)


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "_"))
def seen(request: pytest.FixtureRequest) -> Passes:
    return Passes(request.param)


def test_every_architecture_has_a_case() -> None:
    unseen = {"kimi_k2"}  # DeepSeek-V3 under another name; transformers has no class for it
    assert {name.split()[0] for name in CASES} | unseen == {kind.removesuffix("_text") for kind in ARCHITECTURES}


@pytest.mark.parametrize("part", PARTS)
def test_prefill_agrees_with_torch(seen: Passes, part: str) -> None:
    assert getattr(count(seen.config, prompt=PROMPT, output=1, causal=False), part) == getattr(seen.prefill, part)


@pytest.mark.parametrize("part", PARTS)
def test_decode_with_cache_agrees_with_torch(seen: Passes, part: str) -> None:
    whole, first = (count(seen.config, prompt=PROMPT, output=n, causal=False) for n in (STEPS + 1, 1))
    assert getattr(whole, part) - getattr(first, part) == getattr(seen.decode, part)


@pytest.mark.parametrize("part", PARTS)
def test_a_block_after_cached_tokens_agrees_with_torch(seen: Passes, part: str) -> None:
    before = PROMPT + STEPS
    assert getattr(count(seen.config, prompt=before + BLOCK, cached=before, output=1, causal=False), part) == getattr(seen.block, part)


def test_the_stored_count_is_the_eager_one_without_its_waste(seen: Passes) -> None:
    """A prefill's linear and head parts are equal but for the padding of convolutions, softmax attention has half the square, and a decode
    step of it is the same."""
    stored, eager = (count(seen.config, prompt=PROMPT, output=1, causal=causal) for causal in (True, False))
    scans = seen.config["model_type"] in ("mamba2", "jamba", "nemotron_h")
    assert stored.head == eager.head and stored.linear <= eager.linear <= stored.linear * (1.01 if scans else 1)
    if not scans:
        assert stored.attention < eager.attention
        assert count(seen.config, prompt=PROMPT, cached=PROMPT, output=STEPS + 1).attention == seen.decode.attention


def test_parameters_are_those_of_the_real_model(seen: Passes) -> None:
    assert parameters(seen.config).total == seen.parameters


def test_a_cached_prefix_is_not_computed_again() -> None:
    model = Observed(*CASES["mistral with a sliding window"])
    model.forward(16)
    assert count(model.config, prompt=24, cached=16, output=1, causal=False) == model.forward(8)


def test_the_last_output_token_is_never_fed_back() -> None:
    one, two = count(LLAMA, prompt=10, output=1), count(LLAMA, prompt=10, output=2)
    assert count(LLAMA, prompt=10, output=0).linear == one.linear
    assert two.linear - one.linear == 2 * shape(LLAMA).linear
    assert two.attention - one.attention == 4 * 64 * 3 * 11


def test_the_head_runs_for_output_and_scored_tokens_only() -> None:
    head = 2 * 97 * 64
    assert count(LLAMA, prompt=50, output=0).head == 0
    assert count(LLAMA, prompt=50, output=3).head == 3 * head
    assert count(LLAMA, prompt=50, output=0, scored=7).head == 7 * head


def test_scoring_takes_the_same_pass_as_a_longer_prompt() -> None:
    scored, prompt = count(LLAMA, prompt=50, output=0, scored=7), count(LLAMA, prompt=57, output=0)
    assert (scored.linear, scored.attention) == (prompt.linear, prompt.attention)


def test_causal_prefill_is_a_triangle() -> None:
    assert count(LLAMA, prompt=10, output=1).attention == 4 * 3 * 64 * 55
    assert count(LLAMA, prompt=10, output=1, causal=False).attention == 4 * 3 * 64 * 100


def test_nothing_fresh_costs_nothing() -> None:
    assert count(LLAMA, prompt=30, cached=30, output=0) == Flops()


@pytest.mark.parametrize("setting", ["experts", "num_experts_per_tok"])
def test_fewer_active_experts_cost_less(setting: str) -> None:
    saved = count(MIXTRAL, prompt=10, output=1).linear - count(MIXTRAL, prompt=10, output=1, **{setting: 1}).linear
    assert saved == 2 * 10 * 3 * (3 * 64 * 112)


@pytest.mark.parametrize("case", ["deepseek_v3", "gpt_oss", "jamba", "nemotron_h", "qwen3_moe with one dense layer"])
def test_another_number_of_experts_agrees_with_torch(case: str) -> None:
    name, sizes = CASES[case]
    config = Observed(name, sizes).config
    model = Observed(name, {**sizes, "num_experts_per_tok": 1})
    assert count(config, prompt=PROMPT, output=1, causal=False, experts=1) == model.forward(PROMPT)


@pytest.mark.parametrize(("case", "layers"), [("llama", 2), ("gemma3", 4), ("deepseek_v3", 2), ("jamba", 3)])
def test_an_early_exit_agrees_with_torch(case: str, layers: int) -> None:
    """Layers after the exit are not run; norm and head are."""
    model = Observed(*CASES[case])
    model.model.model.layers = model.model.model.layers[:layers]
    model.model.config.num_hidden_layers = layers
    seen = model.forward(PROMPT) + model.forward(1)
    assert count(model.config, prompt=PROMPT, output=2, causal=False, early_exit_layer=layers) == seen


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        (MIXTRAL, {"experts": 5}, "5 active experts: the model has 4 in a layer"),
        (MIXTRAL, {"experts": 0}, "0 active experts"),
        (MIXTRAL, {"experts": 1, "num_experts_per_tok": 2}, "experts: 1 and num_experts_per_tok: 2 differ"),
        (LLAMA, {"experts": 1}, "1 active experts: the model has no routed experts"),
        (LLAMA, {"early_exit_layer": 4}, "early_exit_layer: 4 is not one of the model's 3 layers"),
        (LLAMA, {"early_exit_layer": 0}, "early_exit_layer: 0"),
        (LLAMA, {"mla": "merged"}, "mla: 'merged' is not expanded or absorbed"),
    ],
)
def test_settings_that_the_model_cannot_have(config: dict[str, object], settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        count(config, prompt=10, output=1, **settings)


def test_a_setting_that_is_not_known_is_never_ignored() -> None:
    with pytest.raises(TypeError, match="tensor_parallel"):
        count(LLAMA, prompt=10, output=1, tensor_parallel=2)
    with pytest.raises(TypeError, match="'k'"):
        count(LLAMA, prompt=10, output=1, speculative={"k": 4})


def test_a_reward_model_has_a_small_head() -> None:
    config = {**LLAMA, "architectures": ["LlamaForTokenClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}
    assert count(config, prompt=10, output=0, scored=1).head == 2 * 64 * 3


@pytest.mark.parametrize(("kind", "labels"), [("ForTokenClassification", 3), ("ForSequenceClassification", 1)])
def test_a_head_of_labels_at_every_position_agrees_with_torch(kind: str, labels: int) -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    counting = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    sizes = {**SMALL, "num_labels": labels, "pad_token_id": 0, "architectures": [f"Qwen2{kind}"]}
    config = transformers.Qwen2Config(**sizes, attn_implementation="eager")
    network = getattr(transformers, f"Qwen2{kind}")(config).eval()
    with torch.no_grad(), counting:
        network(torch.arange(1, PROMPT + 1)[None])
    assert count(config.to_dict(), prompt=0, output=0, scored=PROMPT, causal=False).total == counting.get_total_flops()
    assert parameters(config.to_dict()).total == sum(p.numel() for p in network.parameters())


def test_the_head_of_a_process_reward_model_has_a_layer_between() -> None:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    counting = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    from harness.rewards.scoring import Qwen2ForProcessRewardModel

    config = transformers.Qwen2Config(**SMALL, architectures=["Qwen2ForProcessRewardModel"])
    network = Qwen2ForProcessRewardModel(config)
    with counting:
        network.score(torch.zeros(3, config.hidden_size))
    assert count(config.to_dict(), prompt=10, output=0, scored=3).head == counting.get_total_flops() == 3 * 2 * 64 * (64 + 2)
    assert parameters(config.to_dict()).total == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "mamba", **SMALL},
        dict(SMALL),
        {"model_type": "llama", "hidden_size": 64},
        {**LLAMA, "num_hidden_layers": True},
        {**LLAMA, "architectures": ["LlamaForCausalLMEagle3"]},
        {"model_type": "gemma3_text", **SMALL, "head_dim": 32, "use_bidirectional_attention": True},
        {"model_type": "qwen3", **SMALL, "layer_types": ["full_attention", "linear_attention", "full_attention"]},
        {"model_type": "qwen3", **SMALL, "layer_types": ["full_attention"]},
        {"model_type": "nemotron_h", **SMALL, "head_dim": 16, "mamba_num_heads": 2, "mamba_head_dim": 8, "hybrid_override_pattern": "M?"},
    ],
)
def test_what_is_not_known_is_an_error_and_not_a_number(config: dict[str, object]) -> None:
    with pytest.raises(UnknownArchitecture, match="unknown_architecture") as caught:
        count(config, prompt=10, output=1)
    assert isinstance(caught.value, UserError)
    assert caught.value.code == "unknown_architecture"


@pytest.mark.parametrize("tokens", [{"prompt": -1, "output": 0}, {"prompt": 4, "output": 0, "cached": 5}])
def test_impossible_token_counts(tokens: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        count(LLAMA, **tokens)
