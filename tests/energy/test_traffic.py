"""Bytes by hand on a small model, published sizes of real ones, and what traffic obeys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.architectures import UnknownArchitecture
from energy.flops import Speculation, parameters, shape
from energy.traffic import Bytes, Traffic, UnknownPrecision, count, precision
from perpass.errors import UserError

CONFIGS: dict[str, dict[str, Any]] = {
    name: row["config"] for name, row in json.loads((Path(__file__).parent / "published_models.json").read_text()).items()
}
LLAMA, MIXTRAL = CONFIGS["meta-llama/Meta-Llama-3-8B"], CONFIGS["mistralai/Mixtral-8x7B-v0.1"]
OSS, V3 = CONFIGS["openai/gpt-oss-20b"], CONFIGS["deepseek-ai/DeepSeek-V3"]
SMALL = {
    "model_type": "llama",
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "torch_dtype": "bfloat16",
}
WEIGHTS = 2 * (2 * (16 * 16 * 2 + 16 * 8 * 2 + 3 * 16 * 20 + 2 * 16) + 16)  # two bytes each; q and o, k and v, MLP, norms; the last norm
HEAD = 2 * 16 * 50
TOKEN = 2 * 2 * 2 * 2 * 4  # bytes of a token's keys and values: two layers, keys and values of two heads of four numbers
GiB = 2**30
models = st.sampled_from(sorted(CONFIGS))


def test_a_call_by_hand() -> None:
    found = count(SMALL, prompt=10, output=4)
    assert found.prefill == Bytes(WEIGHTS + HEAD, cache_read=10 * TOKEN, cache_written=10 * TOKEN)
    assert found.decode == Bytes(3 * (WEIGHTS + HEAD), cache_read=(11 + 12 + 13) * TOKEN, cache_written=3 * TOKEN)
    assert found.total == found.prefill.total + found.decode.total


def test_calls_that_run_together_share_the_weights_and_nothing_else() -> None:
    one, many = count(SMALL, prompt=10, output=4), count(SMALL, prompt=10, output=4, batch=8)
    assert many.decode == Bytes(one.decode.weights, 8 * one.decode.cache_read, 8 * one.decode.cache_written)
    assert many.prefill.weights == one.prefill.weights


def test_the_head_is_read_where_a_token_is_sampled_or_scored() -> None:
    assert count(SMALL, prompt=10, output=0).prefill.weights == WEIGHTS
    assert count(SMALL, prompt=10, output=0, scored=3).prefill == Bytes(WEIGHTS + HEAD, 13 * TOKEN, 13 * TOKEN)


def test_a_cached_prefix_is_read_and_not_written() -> None:
    assert count(SMALL, prompt=10, output=1, cached=6).prefill == Bytes(WEIGHTS + HEAD, 10 * TOKEN, 4 * TOKEN)
    assert count(SMALL, prompt=10, output=1, cached=10) == Traffic(Bytes(), Bytes())


def test_a_window_bounds_what_is_read() -> None:
    config = {**SMALL, "model_type": "mistral", "sliding_window": 4}
    found = count(config, prompt=10, output=4, cached=6)
    assert found.prefill.cache_read == (3 + 4) * TOKEN and found.prefill.cache_written == 4 * TOKEN
    assert found.decode.cache_read == 3 * 4 * TOKEN


def test_dtypes() -> None:
    plain, single = count(SMALL, prompt=10, output=4), count(SMALL, prompt=10, output=4, dtype="float32")
    assert single.total == 2 * plain.total
    small = count(SMALL, prompt=10, output=4, cache_dtype="fp8")
    assert small.decode == Bytes(plain.decode.weights, plain.decode.cache_read / 2, plain.decode.cache_written / 2)
    assert count(SMALL, prompt=10, output=4, cache_dtype="auto") == plain
    assert precision({**SMALL, "dtype": "torch.float16"}, None, None, None).plain == 16


def test_which_experts_are_read() -> None:
    """One token reads two of Mixtral's eight; very many read all; in between the expectation for independent picks."""
    layers, expert = 32, 2 * 3 * 4096 * 14336
    base = 2 * (parameters(MIXTRAL).active - parameters(MIXTRAL).embedding) - 2 * layers * expert

    def experts(batch: int) -> float:
        return (count(MIXTRAL, prompt=9, output=2, batch=batch).decode.weights - base) / layers / expert

    assert experts(1) == pytest.approx(2)
    assert experts(2) == pytest.approx(2 + 2 * 6 / 8)
    assert experts(10_000) == pytest.approx(8)
    assert count(MIXTRAL, prompt=9, output=2, experts=1).decode.weights == pytest.approx(base + layers * expert)


def test_published_sizes_of_the_cache_and_of_the_weights() -> None:
    """Llama 3 8B: 128 KiB a token in 16 bits. DeepSeek-V3: 70.272 KB a token (arXiv:2505.09343, table 1). gpt-oss: checkpoints of 12.8 and
    60.8 GiB (arXiv:2508.10925, table 1); of a huge batch all experts are read."""
    assert count(LLAMA, prompt=1, output=0).prefill.cache_written == 128 * 1024
    assert count(V3, prompt=1, output=0).prefill.cache_written == 70_272
    for name, size in (("openai/gpt-oss-20b", 12.8), ("openai/gpt-oss-120b", 60.8)):
        read = count(CONFIGS[name], prompt=1, output=1, batch=100_000).prefill.weights
        assert (read + 2 * parameters(CONFIGS[name]).embedding) / GiB == pytest.approx(size, rel=0.01)


def test_fp8_and_ternary_weights() -> None:
    assert precision(V3, None, None, None).linear == 8 + 32 / 128**2
    bitnet = CONFIGS["microsoft/bitnet-b1.58-2B-4T"]
    read = count(bitnet, prompt=9, output=2).decode.weights
    layers = shape(bitnet).linear
    assert read == pytest.approx(layers / 4 + 2 * (parameters(bitnet).total - layers))
    online = {**bitnet, "quantization_config": {**bitnet["quantization_config"], "quantization_mode": "online"}}
    assert count(online, prompt=9, output=2).decode.weights == 2 * parameters(bitnet).total  # its head is its embedding


@pytest.mark.parametrize(
    ("said", "bits"),
    [
        ({"quant_method": "gptq", "bits": 4, "group_size": 128}, 4 + 20 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8),
        ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, 4 + 20 / 64),
        ({"quant_method": "awq", "bits": 4}, 4 + 20 / 128),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 8),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.5),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}, 4 + 0.127),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 32}}}}, 4.5),
        ({"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": {"num_bits": 8, "group_size": None}}}}, 8),
        ({"quant_method": "nvfp4"}, 4.5),
    ],
)
def test_bits_of_quantized_weights(said: dict[str, Any], bits: float) -> None:
    found = precision({**SMALL, "quantization_config": said}, None, None, None)
    assert found.linear == found.experts == pytest.approx(bits, abs=1e-3) and found.plain == 16
    assert precision({**SMALL, "quantization_config": said}, None, None, "none").linear == 16


def test_an_engine_that_quantizes() -> None:
    assert precision(SMALL, None, None, "fp8").linear == 8
    assert precision(SMALL, None, None, "gptq_marlin").linear == 4 + 20 / 128
    marlin = {**SMALL, "quantization_config": {"quant_method": "gptq", "bits": 8, "group_size": 32}}
    assert precision(marlin, None, None, "gptq_marlin").linear == 8 + 24 / 32
    oss = precision(OSS, None, None, None)
    assert (oss.linear, oss.experts) == (16, 4.25)


def test_states_do_not_grow() -> None:
    """Mamba-2 2.7B: 64 layers × 5,120 × 128 numbers, and three of the convolution of 5,376 channels; out and in for every token."""
    config = CONFIGS["AntonV/mamba2-2.7b-hf"]
    kept = 4 * 64 * (5120 * 128 + 3 * 5376)
    found = count(config, prompt=1000, output=4)
    assert found.prefill.state == kept and found.decode.state == 3 * 2 * kept  # a prompt has nothing to read
    assert found.decode.cache_read == found.decode.cache_written == 0
    assert count(config, prompt=9, output=4).decode.state == found.decode.state
    nano = CONFIGS["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16"]
    assert precision(nano, None, None, None).state == 32 and precision(nano, None, None, None).cache == 16


def moved(name: str, **arguments: Any) -> Traffic:
    return count(CONFIGS[name], dtype="bfloat16", **arguments)


@given(models, st.integers(0, 2000), st.integers(1, 100), st.integers(1, 100), st.integers(1, 64))
def test_a_calls_decoding_is_its_beginning_and_the_rest(name: str, prompt: int, first: int, rest: int, batch: int) -> None:
    whole = moved(name, prompt=prompt, output=first + rest, batch=batch)
    beginning = moved(name, prompt=prompt, output=first, batch=batch)
    if prompt + first > 1:
        after = moved(name, prompt=prompt + first, cached=prompt + first - 1, output=rest, batch=batch)
        assert whole.total == pytest.approx(beginning.total + after.total, rel=1e-9)


@given(models, st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 200), st.integers(0, 9))
def test_larger_batches_move_more_in_all_and_less_for_each(name: str, prompt: int, output: int, batch: int, more: int) -> None:
    few, many = (moved(name, prompt=prompt, output=output, batch=n).total for n in (batch, batch + more))
    assert many >= few * (1 - 1e-12) and many / (batch + more) <= few / batch * (1 + 1e-12)
    assert moved(name, prompt=prompt, output=output + more).total >= moved(name, prompt=prompt, output=output).total


@given(models, st.integers(1, 300), st.integers(2, 200), st.data())
def test_accepted_proposals_save_passes(name: str, prompt: int, output: int, data: st.DataObject) -> None:
    accepted = data.draw(st.integers(0, output - 2))
    plain = moved(name, prompt=prompt, output=output)
    faster = moved(name, prompt=prompt, output=output, speculative=Speculation(accepted, accepted))
    assert faster.prefill == plain.prefill and faster.decode.cache_written == plain.decode.cache_written
    assert faster.decode.cache_read <= plain.decode.cache_read and faster.decode.state <= plain.decode.state
    assert faster.decode.weights <= plain.decode.weights * (1 + 1e-12)


def test_speculation_by_hand() -> None:
    """One token from the prompt's pass, then two passes over 1 + 4 tokens that yield three each; the draft makes a pass per proposal."""
    draft = {**SMALL, "num_hidden_layers": 1}
    found = count(SMALL, prompt=10, output=7, speculative={"proposed": 8, "accepted": 4, "draft": draft})
    own = count(SMALL, prompt=10, output=7, speculative={"proposed": 8, "accepted": 4})
    assert own.decode == Bytes(2 * (WEIGHTS + HEAD), (15 + 18) * TOKEN, 10 * TOKEN)
    small, layer = (WEIGHTS + 2 * 16) // 2, TOKEN // 2  # one layer and the last norm
    drafted = Bytes(8 * (small + HEAD), (11 + 12 + 13 + 14 + 14 + 15 + 16 + 17) * layer, 8 * layer)
    assert found.decode == own.decode + drafted
    assert found.prefill == own.prefill + Bytes(small, 10 * layer, 10 * layer)


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ({**SMALL, "torch_dtype": None}, {}),
        (SMALL, {"dtype": "int3"}),
        (SMALL, {"cache_dtype": "fp6"}),
        (SMALL, {"quantization": "aqlm"}),
        ({**SMALL, "quantization_config": {"quant_method": "compressed-tensors"}}, {}),
    ],
)
def test_a_precision_that_is_not_known_is_an_error_and_not_a_number(config: dict[str, Any], arguments: dict[str, Any]) -> None:
    with pytest.raises(UnknownPrecision, match="unknown_precision") as caught:
        count(config, prompt=10, output=1, **arguments)
    assert isinstance(caught.value, UserError) and caught.value.code == "unknown_precision"


def test_what_flops_refuse_traffic_refuses() -> None:
    with pytest.raises(UnknownArchitecture):
        count({"model_type": "new"}, prompt=1, output=1)
    for arguments in ({"cached": 5}, {"batch": 0}, {"output": -1}):
        with pytest.raises(ValueError, match="impossible"):
            count(SMALL, **{"prompt": 4, "output": 1, **arguments})
