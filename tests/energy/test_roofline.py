"""Seconds at a device's peak rates: the two bounds worked out by hand, and what they must obey."""

from __future__ import annotations

import pytest

from energy import flops, hardware, roofline

CONFIG = {
    "model_type": "llama",
    "vocab_size": 1000,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
H100 = hardware.declared("H100x1")


def seconds(prompt: int, output: int, together: int = 1, place: hardware.Hardware = H100, dtype: str = "bfloat16") -> tuple[float, float]:
    found = roofline.seconds(CONFIG, place, dtype, prompt=prompt, output=output, together=together)
    assert found is not None
    return found


def test_one_token_after_another_reads_all_weights_and_the_cache() -> None:
    shape, parameters = flops.shape(CONFIG), flops.parameters(CONFIG)
    assert shape.cache == 2 * 2 * 2 * 16  # keys and values of 2 heads of 16 numbers in two layers
    weights = 2 * (parameters.total - parameters.embedding)
    contexts = 11 + 12  # two passes after the prompt of ten
    _, worst = seconds(10, 3)
    assert worst == pytest.approx((3 * weights + 2 * contexts * shape.cache) / 3.35e12)


def test_at_best_it_computes_at_the_peak_rate_or_shares_the_weights() -> None:
    prefill, _ = seconds(100_000, 1, together=256)
    assert prefill == pytest.approx(flops.count(CONFIG, prompt=100_000, output=1).total / 989.4e12)
    alone, together = seconds(10, 100)[0], seconds(10, 100, together=100)[0]
    assert together < alone / 5


@pytest.mark.parametrize("together", [1, 8, 256])
@pytest.mark.parametrize(("prompt", "output"), [(1, 0), (1, 1), (500, 1), (10, 4000), (30_000, 2)])
def test_the_best_is_never_worse_than_the_worst(prompt: int, output: int, together: int) -> None:
    best, worst = seconds(prompt, output, together)
    assert 0 < best <= worst
    assert seconds(prompt, output + 2, together)[1] > worst  # the first token comes with the prompt's own pass


def test_more_devices_are_faster_and_draw_more() -> None:
    two = hardware.declared("H100x2")
    assert seconds(10, 100, place=two)[1] == pytest.approx(seconds(10, 100)[1] / 2)
    assert roofline.joules(two, 3.0) == 2 * 700 * 3.0


def test_what_no_source_gives_is_none() -> None:
    cpu = hardware.declared("AMD EPYC 9654")
    assert roofline.seconds(CONFIG, cpu, "float32", prompt=10, output=10) is None
    assert roofline.seconds(CONFIG, hardware.declared("T4"), "bfloat16", prompt=10, output=10) is None  # no BF16 units
    assert roofline.seconds(CONFIG, H100, "fp4", prompt=10, output=10) is None
    assert roofline.joules(hardware.Hardware("?", "gpu", "?", 1), 1.0) is None
    with pytest.raises(flops.UnknownArchitecture):
        roofline.seconds({"model_type": "new"}, H100, "bfloat16", prompt=1, output=1)
