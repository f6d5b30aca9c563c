"""What every count obeys, for all architectures, and counts by hand of windows, scans, latent attention and speculative decoding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.architectures import Latent, Scan
from energy.flops import Flops, Speculation, count, shape

CONFIGS: dict[str, dict[str, Any]] = {
    name: row["config"] for name, row in json.loads((Path(__file__).parent / "published_models.json").read_text()).items()
}
V3, LLAMA = CONFIGS["deepseek-ai/DeepSeek-V3"], CONFIGS["meta-llama/Meta-Llama-3-8B"]
SETTINGS: dict[str, dict[str, Any]] = {name: {} for name in CONFIGS} | {"absorbed": {"mla": "absorbed"}}
CONFIGS["absorbed"] = V3
models = st.sampled_from(sorted(CONFIGS))
tokens = st.integers(0, 3000)


def flops(name: str, **sizes: Any) -> Flops:
    return count(CONFIGS[name], **sizes, **SETTINGS[name])


def at_least(more: Flops, less: Flops) -> bool:
    return more.linear >= less.linear and more.attention >= less.attention and more.head >= less.head


@given(models, tokens, st.integers(1, 500), st.integers(1, 500), st.integers(0, 3000))
def test_a_call_is_its_beginning_and_the_rest(name: str, prompt: int, first: int, rest: int, cached: int) -> None:
    cached = min(cached, prompt)
    whole = flops(name, prompt=prompt, output=first + rest, cached=cached)
    beginning = flops(name, prompt=prompt, output=first, cached=cached)
    if prompt + first > 1:  # a first token with nothing before it is no continuation
        assert whole == beginning + flops(name, prompt=prompt + first, cached=prompt + first - 1, output=rest)


@given(models, st.integers(0, 3000), st.integers(2, 3000))
def test_cached_tokens_cost_nothing_but_are_attended_to(name: str, cached: int, fresh: int) -> None:
    whole, again = flops(name, prompt=cached + fresh, output=0), flops(name, prompt=cached + fresh, output=0, cached=cached)
    assert whole == again + flops(name, prompt=cached, output=0)
    alone = flops(name, prompt=fresh, output=0)
    assert (again.linear, again.head) == (alone.linear, alone.head) and again.attention >= alone.attention
    if cached and any(not isinstance(mixer, Scan) for mixer, _ in shape(CONFIGS[name]).mixers):
        assert again.attention > alone.attention


@given(models, tokens, tokens, tokens, st.integers(0, 20))
def test_more_tokens_never_cost_less(name: str, prompt: int, output: int, scored: int, more: int) -> None:
    call = flops(name, prompt=prompt, output=output, scored=scored)
    assert at_least(flops(name, prompt=prompt + more, output=output, scored=scored), call)
    assert at_least(flops(name, prompt=prompt, output=output + more, scored=scored), call)
    assert at_least(flops(name, prompt=prompt, output=output, scored=scored + more), call)
    if not SETTINGS[name]:  # one absorbed step may cost more than two expanded ones
        assert at_least(call, flops(name, prompt=prompt, output=output, scored=scored, cached=min(more, prompt)))


@given(st.sampled_from(["google/gemma-3-27b-it (text)", "openai/gpt-oss-20b", "microsoft/Phi-3-mini-4k-instruct"]), tokens, tokens, tokens)
def test_windows_bound_contexts(name: str, cached: int, fresh: int, output: int) -> None:
    config, sizes = CONFIGS[name], {"prompt": cached + fresh, "cached": cached, "output": output}
    text = config.get("text_config") or config
    wide = {**config, **({"text_config": {**text, "sliding_window": 10**9}} if text is not config else {"sliding_window": 10**9})}
    windowed, full = count(config, **sizes), count(wide, **sizes)
    assert windowed.attention <= full.attention and windowed.linear == full.linear
    span = text["sliding_window"]
    passed = fresh + max(output - 1, 0)
    most = sum(
        2 * mixer.heads * (mixer.key + mixer.value) * passed * min(mixer.window or 10**9, cached + passed) * times
        for mixer, times in shape(config).mixers
        if not isinstance(mixer, Scan)
    )
    assert windowed.attention <= most
    assert (windowed.attention == full.attention) == (cached + passed <= span or not passed)


@given(models, st.integers(1, 400), st.integers(1, 400), st.data())
def test_fewer_layers_and_fewer_experts_cost_less(name: str, prompt: int, output: int, data: st.DataObject) -> None:
    config, model = CONFIGS[name], shape(CONFIGS[name])
    last = data.draw(st.integers(1, len(model.layers) - 1))
    early, later = (count(config, prompt=prompt, output=output, early_exit_layer=n) for n in (last, last + 1))
    assert at_least(later, early) and later.linear + later.attention > early.linear + early.attention and later.head == early.head
    if most := max((layer.experts.number for layer in model.layers if layer.experts), default=0):
        few = data.draw(st.integers(1, most - 1))
        one, two, base = (count(config, prompt=prompt, output=output, experts=n).linear for n in (few, few + 1, 1))
        assert one - base == (few - 1) * (two - one) > 0 or few == 1


def test_all_layers_are_no_early_exit() -> None:
    for config in CONFIGS.values():
        assert count(config, prompt=9, output=3, early_exit_layer=len(shape(config).layers)) == count(config, prompt=9, output=3)


@given(models, tokens, st.integers(2, 300), st.data())
def test_accepted_proposals_cost_what_decoding_costs(name: str, prompt: int, output: int, data: st.DataObject) -> None:
    """One round verifies what it takes: the same tokens with the same contexts, in fewer passes. Rejected tokens come on top."""
    accepted, rejected = data.draw(st.integers(0, output - 2)), data.draw(st.integers(0, 200))
    plain = count(CONFIGS[name], prompt=prompt, output=output)
    exact = count(CONFIGS[name], prompt=prompt, output=output, speculative=Speculation(accepted, accepted))
    assert exact == plain
    wasted = count(CONFIGS[name], prompt=prompt, output=output, speculative=Speculation(accepted + rejected, accepted))
    model = shape(CONFIGS[name])
    assert wasted.linear - plain.linear == 2 * model.linear * rejected
    assert wasted.head - plain.head == 2 * model.head * rejected
    assert wasted.attention >= plain.attention


def test_rounds_by_hand() -> None:
    """Output of 7 after a prompt of 10: one token from the prompt's pass, then two rounds that propose 4, keep 2 and yield 3 each."""
    draft = CONFIGS["HuggingFaceTB/SmolLM3-3B"]
    found = count(LLAMA, prompt=10, output=7, speculative={"proposed": 8, "accepted": 4, "draft": draft})
    target, small = shape(LLAMA), shape(draft)
    contexts = sum(range(1, 11)) + sum(range(11, 16)) + sum(range(14, 19))  # the second round starts three tokens later
    drafted = sum(range(1, 11)) + sum(range(11, 15)) + sum(range(14, 18))
    assert found == Flops(
        linear=2 * target.linear * (10 + 5 + 5) + 2 * small.linear * (10 + 4 + 4),
        attention=32 * 4 * 4096 * contexts + 36 * 4 * 2048 * drafted,
        head=2 * target.head * (1 + 5 + 5) + 2 * small.head * 8,
    )
    own = count(LLAMA, prompt=10, output=7, speculative={"proposed": 8, "accepted": 4})
    assert found.total > own.total > count(LLAMA, prompt=10, output=7).total


@pytest.mark.parametrize(("proposed", "accepted"), [(1, 2), (-1, -1), (8, 7), (6, 6)])
def test_speculation_that_cannot_be(proposed: int, accepted: int) -> None:
    with pytest.raises(ValueError, match="impossible speculation"):
        count(LLAMA, prompt=10, output=7, speculative=Speculation(proposed, accepted))


@pytest.mark.parametrize("sizes", [{"prompt": 30, "output": 0}, {"prompt": 30, "output": 9}, {"prompt": 30, "output": 5, "cached": 12}])
@pytest.mark.parametrize(("window", "pattern"), [(8, 6), (1, 2), (100, 6)])
def test_windowed_attention_by_hand(sizes: dict[str, int], window: int, pattern: int) -> None:
    config = {
        "model_type": "gemma3_text",
        "vocab_size": 50,
        "hidden_size": 24,
        "intermediate_size": 30,
        "num_hidden_layers": 7,
        "num_attention_heads": 3,
        "num_key_value_heads": 1,
        "head_dim": 4,
        "sliding_window": window,
        "sliding_window_pattern": pattern,
    }
    done = 0
    for layer in range(1, 8):
        for query in range(sizes.get("cached", 0), sizes["prompt"] + max(sizes["output"] - 1, 0)):
            for key in range(query + 1):
                if layer % pattern == 0 or query - key < window:
                    done += 3 * (2 * 4 + 2 * 4)  # three heads; a score and a weighted value of four numbers
    assert count(config, **sizes).attention == done


def test_a_mamba2_scan_by_hand() -> None:
    """h ← a·h + (Δx)·B and y = C·h for every head, channel of it and number of the state."""
    config = {**CONFIGS["AntonV/mamba2-2.7b-hf"], "num_hidden_layers": 2, "num_heads": 3, "head_dim": 2, "state_size": 4, "n_groups": 1}
    done = 0
    for _layer in range(2):
        for _token in range(10 + 2):
            for _head in range(3):
                for _channel in range(2):
                    for _state in range(4):
                        done += 1 + 1 + 1  # a·h, (Δx)·B, their sum
                        done += 2  # C·h, and adding it up
    assert count(config, prompt=10, output=3).attention == done


def test_jambas_scan_and_attention_by_hand() -> None:
    config = {
        **CONFIGS["ai21labs/Jamba-v0.1"],
        "num_hidden_layers": 8,
        "hidden_size": 6,
        "num_attention_heads": 3,
        "num_key_value_heads": 3,
    }
    channels, state, length = 2 * 6, 16, 10 + 2
    scan = 7 * length * channels * state * (1 + 3 + 2)  # Δ·A of each number; the update; reading it
    attention = sum(3 * (2 * 2 + 2 * 2) * context for context in range(1, length + 1))
    assert count(config, prompt=10, output=3).attention == scan + attention


def test_scans_of_published_models() -> None:
    """A token through the scans of Mamba-2 2.7B: 64 layers × 5,120 channels × 128 numbers × 5 operations, whatever came before it."""
    config = CONFIGS["AntonV/mamba2-2.7b-hf"]
    step = count(config, prompt=1000, cached=1000, output=2)
    assert step.attention == 64 * 5120 * 128 * 5 == count(config, prompt=9, cached=9, output=2).attention
    assert count(config, prompt=2000, output=0).attention == 2000 * step.attention


def test_latent_attention_by_hand() -> None:
    """DeepSeek-V3 at a context of 1,000: for each of 128 heads keys of 128 + 64 numbers and values of 128, or latents of 512 + 64, 512."""
    step, absorbed = (count(V3, prompt=999, cached=999, output=2, mla=mla) for mla in ("expanded", "absorbed"))
    assert step.attention == 61 * 128 * 1000 * 2 * (192 + 128)
    assert absorbed.attention == 61 * 128 * 1000 * 2 * (576 + 512)
    assert step.linear == absorbed.linear
    prompts = [count(V3, prompt=999, output=1, mla=mla) for mla in ("expanded", "absorbed")]
    assert prompts[0] == prompts[1]  # engines expand a prompt
    mixer = shape(V3).layers[0].mixer
    assert isinstance(mixer, Latent) and mixer.expansion == 512 * 128 * (128 + 128)
    eager = count(V3, prompt=999, cached=999, output=2, causal=False)
    assert eager.linear - step.linear == 61 * 2 * mixer.expansion * 999  # transformers expands all latents again


@settings(max_examples=25)
@given(models, st.integers(1, 60), st.integers(0, 60))
def test_what_eager_code_does_is_at_least_the_products_of_the_definition(name: str, fresh: int, cached: int) -> None:
    stored, eager = (flops(name, prompt=cached + fresh, cached=cached, output=1, causal=causal) for causal in (True, False))
    assert eager.linear >= stored.linear and eager.head == stored.head
    if not SETTINGS[name] and not any(isinstance(mixer, Scan) for mixer, _ in shape(CONFIGS[name]).mixers):
        assert eager.attention >= stored.attention
