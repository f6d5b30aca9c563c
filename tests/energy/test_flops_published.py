"""Configs as hubs write them give the published numbers of parameters, and those of the real model classes, exactly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from energy.flops import count, parameters, shape

MODELS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "published_models.json").read_text())
EXACT = {
    "openai-community/gpt2": 124_439_808,
    "meta-llama/Meta-Llama-3-8B": 8_030_261_248,
    "microsoft/Phi-3-mini-4k-instruct": 3_821_079_552,
    "mistralai/Mixtral-8x7B-v0.1": 46_702_792_704,
    "mistralai/Mamba-Codestral-7B-v0.1": 7_285_403_648,
    "Qwen/Qwen3-30B-A3B": 30_532_122_624,
}
"""As the files on the hub count them."""
UNITS = {"M": 1e6, "B": 1e9, "T": 1e12}


def number(text: str) -> float:
    return float(text[:-1]) * UNITS[text[-1]]


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_as_published(name: str) -> None:
    row = MODELS[name]
    found = parameters(row["config"])
    assert found.total == pytest.approx(number(row["total"]), rel=0.01)
    active = found.active - (found.embedding if row.get("active_is") == "without the input embedding" else 0)
    assert active == pytest.approx(number(row["active"]), rel=0.025)  # publishers round to two digits, some down
    assert found.total == EXACT.get(name, found.total)


@pytest.mark.parametrize(
    ("name", "embedding", "rest"), [("google/gemma-3-4b-it (text)", 675e6, 3_209e6), ("google/gemma-2-2b", 590e6, 2_024e6)]
)
def test_embedding_and_the_rest_as_published(name: str, embedding: float, rest: float) -> None:
    found = parameters(MODELS[name]["config"])
    assert found.embedding == pytest.approx(embedding, rel=0.006)
    assert found.total - found.embedding == pytest.approx(rest, rel=0.001)


@pytest.mark.parametrize("name", MODELS)
def test_the_real_model_class_has_as_many(name: str) -> None:
    """Built at full size without memory for its weights. What a hub's config leaves out, its configuration class fills in: the same."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    written = {key: value for key, value in MODELS[name]["config"].items() if key != "quantization_config"}
    kind = "deepseek_v3" if written["model_type"] == "kimi_k2" else written["model_type"]
    config = transformers.CONFIG_MAPPING[kind].from_dict(written)
    assert shape(written) == shape(config.to_dict())
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config.get_text_config())
    assert parameters(written).total == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_a_token_costs_two_flops_per_active_parameter(name: str) -> None:
    """All parameters but norms, biases and the input embedding are in a matrix product, so 2·N is the known rule."""
    found = parameters(MODELS[name]["config"])
    token = count(MODELS[name]["config"], prompt=1, output=1)
    used = found.active - found.embedding + (shape(MODELS[name]["config"]).head if shape(MODELS[name]["config"]).tied else 0)
    assert token.linear + token.head == pytest.approx(2 * used, rel=0.002)


ORDER = {"M": "linear_attention", "*": "full_attention", "-": "mlp", "E": "moe"}


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nvidia/Nemotron-H-8B-Base-8K", lambda c: {"layers_block_type": [ORDER[kind] for kind in c["hybrid_override_pattern"]]}),
        ("nvidia/Nemotron-H-8B-Base-8K", lambda c: {"layers_block_type": [_old(kind) for kind in c["hybrid_override_pattern"]]}),
        ("google/gemma-3-27b-it (text)", lambda c: {"text_config": {**c["text_config"], "layer_types": _gemma(62)}}),
        ("google/gemma-3-27b-it (text)", lambda c: {"text_config": {**c["text_config"], "sliding_window_pattern": 6}}),
        ("google/gemma-3-27b-it (text)", lambda c: {**c["text_config"], "text_config": None}),
        ("openai/gpt-oss-20b", lambda c: {"layer_types": None, "num_experts_per_tok": None}),
        ("ai21labs/Jamba-v0.1", lambda c: {"mamba_dt_rank": "auto", "num_experts": None, "num_local_experts": 16}),
        ("Qwen/Qwen3-30B-A3B", lambda c: {"mlp_only_layers": None, "decoder_sparse_step": None, "num_local_experts": 128}),
        ("deepseek-ai/DeepSeek-V2-Lite", lambda c: {"first_k_dense_replace": 1, "moe_layer_freq": None}),
        ("Qwen/Qwen3-8B", lambda c: {"layer_types": ["full_attention"] * 36, "head_dim": None}),
    ],
)
def test_spellings_of_the_same_model(name: str, change: Any) -> None:
    config = MODELS[name]["config"]
    assert shape({**config, **change(config)}) == shape(config)


def _old(kind: str) -> str:
    return {"M": "mamba", "*": "attention"}.get(kind, ORDER[kind])


def _gemma(layers: int) -> list[str]:
    return ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(layers)]


@pytest.mark.parametrize(
    ("name", "change", "sparse"),
    [
        ("Qwen/Qwen3-30B-A3B", {"decoder_sparse_step": 2}, range(1, 48, 2)),
        ("Qwen/Qwen3-30B-A3B", {"mlp_only_layers": [0, 5]}, [i for i in range(48) if i not in (0, 5)]),
        ("deepseek-ai/DeepSeek-V3", {}, range(3, 61)),
        ("deepseek-ai/DeepSeek-V3", {"moe_layer_freq": 2}, range(4, 61, 2)),
        ("ai21labs/Jamba-v0.1", {}, range(1, 32, 2)),
        ("ai21labs/Jamba-v0.1", {"expert_layer_period": 4, "expert_layer_offset": 3}, range(3, 32, 4)),
    ],
)
def test_which_layers_have_experts(name: str, change: dict[str, Any], sparse: Any) -> None:
    layers = shape({**MODELS[name]["config"], **change}).layers
    assert [i for i, layer in enumerate(layers) if layer.experts] == list(sparse)


def test_which_layers_attend_and_how_far() -> None:
    windows = {name: [getattr(layer.mixer, "window", "none") for layer in shape(MODELS[name]["config"]).layers] for name in MODELS}
    assert windows["google/gemma-3-4b-it (text)"][:7] == [1024] * 5 + [None, 1024]
    assert windows["google/gemma-2-2b"][:3] == [4096, None, 4096]
    assert windows["openai/gpt-oss-20b"][:3] == [128, None, 128]
    assert windows["microsoft/Phi-3-mini-4k-instruct"] == [2047] * 32
    assert [i for i, window in enumerate(windows["ai21labs/Jamba-v0.1"]) if window != "none"] == [4, 12, 20, 28]
    assert windows["nvidia/Nemotron-H-8B-Base-8K"].count(None) == 4
