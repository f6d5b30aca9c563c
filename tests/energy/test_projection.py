"""Projection to other hardware: laws of the model, constants recovered from made steps, and what ships."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy import flops, profiles, projection
from energy.projection import CannotProject, Constants, Place, Point, fit, place, ratio, shipped, step, work

LLAMA = projection.published_config("meta-llama/Llama-3.1-8B-Instruct")
SPARSE = projection.published_config("Qwen/Qwen3-30B-A3B-Instruct-2507")
NUMBERS = st.floats(0.1, 5)


def hardware(name: str, count: int = 1, rate: str = "bf16") -> Place:
    profile = profiles.by_name(name)
    assert profile is not None
    return place(profile, count, rate)


@given(batch=st.integers(1, 512), output=st.integers(1, 4000), count=st.integers(1, 8))
def test_nothing_changes_between_equal_hardware_and_there_and_back_is_one(batch: int, output: int, count: int) -> None:
    assert LLAMA is not None
    one = work(LLAMA, batch=batch, prompt=100, output=output)
    here, there = hardware("H100", count), hardware("B200")
    same = ratio(one, here, here, Constants())
    assert (same.seconds, same.joules) == (1, 1)
    away, back = ratio(one, here, there, Constants()), ratio(one, there, here, Constants())
    assert away.seconds * back.seconds == pytest.approx(1) and away.joules * back.joules == pytest.approx(1)


@given(st.builds(Constants, **dict.fromkeys(asdict(Constants()), NUMBERS)))
def test_more_bandwidth_or_a_higher_peak_never_takes_longer_and_power_stays_below_the_tdp(constants: Constants) -> None:
    assert SPARSE is not None
    one, base = work(SPARSE, batch=64, prompt=0, output=900), hardware("H100", 2)
    for better in (replace(base, bandwidth=2 * base.bandwidth), replace(base, peak=2 * base.peak)):
        assert step(one, better, constants).seconds <= step(one, base, constants).seconds
    assert 0 < step(one, base, constants).watts <= base.count * base.tdp_w


def test_a_step_by_hand() -> None:
    """10 GB at 1 TB/s take 10 ms, 1 TFLOP at 1 PFLOP/s 1 ms; overheads 10 layers · 100 µs and 4 sequences · 250 µs."""
    one = projection.Work(
        weights=8e9, experts=1e9, cache=1e9, flop=0.5e12, expert_flop=0.5e12, layers=10, batch=4, rate="bf16", resident=9e9
    )
    there = Place("here", 1, peak=1e15, bandwidth=1e12, tdp_w=1000, memory=None)
    ones = Constants(1, 1, 1, 1, 1, layer_us=100, parallel_us=50, sequence_us=250, static=0.1, busy=0.5, arithmetic=0.26)
    made = step(one, there, ones)
    assert made.seconds == pytest.approx(0.013)
    assert made.watts == pytest.approx(1000 * (0.1 + 0.5 * 11 / 13 + 0.26 * 1 / 13))
    two = step(one, replace(there, count=2), ones)  # half the GPU time each, and 10 · 50 µs more
    assert two.seconds == pytest.approx(0.0055 + 0.002 + 0.0005)


def test_work_of_a_step_is_what_flops_and_traffic_count() -> None:
    assert LLAMA is not None and SPARSE is not None
    dense, sparse = work(LLAMA, batch=8, prompt=0, output=200), work(SPARSE, batch=8, prompt=0, output=200)
    assert dense.experts == dense.expert_flop == 0 < sparse.expert_flop
    parameters = flops.parameters(LLAMA)
    attention = 4 * 32 * 4096 * 101  # layers · width · tokens attended to in the middle of the output
    assert dense.flop / 8 == pytest.approx(2 * (parameters.total - parameters.embedding) + attention, rel=1e-3)
    assert dense.weights == pytest.approx(2 * 7.5e9, rel=0.01)  # 8.03 billion in bfloat16 without the input embedding
    assert work(LLAMA, batch=8, prompt=200, output=200).flop > 1.9 * dense.flop  # every output token brings a prompt's token along
    eighth = work(LLAMA, batch=8, prompt=0, output=200, quantization="fp8")
    assert dense.resident == 2 * flops.parameters(LLAMA).total and sparse.resident == pytest.approx(2 * 30.5e9, rel=0.01)
    assert eighth.rate == "fp8" and eighth.weights < 0.6 * dense.weights


def test_constants_are_recovered_from_steps_made_with_them() -> None:
    assert LLAMA is not None and SPARSE is not None
    true = Constants(1.2, 1.8, 1.4, 1.5, 3.0, 60, 40, 20, 0.25, 0.5, 0.6)
    points = []
    for config in (LLAMA, SPARSE):
        for batch in (1, 8, 64, 256, 1024):
            for here in (hardware("H100"), hardware("H100", 4), hardware("B200")):
                one = work(config, batch=batch, prompt=0, output=2000)
                made = step(one, here, true)
                points.append(Point(one, here, made.seconds, made.watts))
    found = fit(points)
    for p in points:  # constants may stand for each other, so what counts is what they give
        again = step(p.work, p.place, found)
        assert again.seconds == pytest.approx(p.seconds, rel=0.1) and again.watts == pytest.approx(p.watts, rel=0.1)
    assert fit(points) == found
    with pytest.raises(ValueError, match="too few"):
        fit(points[:10])


def test_what_is_not_known_is_said() -> None:
    assert LLAMA is not None
    cpu = next(p for p in profiles.profiles("cpu"))
    with pytest.raises(CannotProject, match="peak at bf16"):
        place(cpu, 1, "bf16")
    with pytest.raises(CannotProject, match="at which rate 'fp8_e5m2'"):
        work(LLAMA, batch=1, prompt=0, output=1, dtype="fp8_e5m2")


def test_shipped_constants_state_their_errors_on_another_table() -> None:
    assert {(f.table, f.tested_on) for f in shipped()} == {("gpqa", "lm-arena-chat"), ("lm-arena-chat", "gpqa")}
    for found in shipped():
        assert set(found.errors) == {("H100", "B200"), ("B200", "H100")}
        assert all(value > 0 for value in asdict(found.constants).values())
        assert all(0 < e.energy_median <= 0.30 and e.energy_median < e.energy_p90 and e.pairs > 80 for e in found.errors.values())


def test_configs_of_published_models_have_the_parameters_that_are_stated() -> None:
    configs, models = projection._published()
    assert set(models.values()) == set(configs)
    for name, row in configs.items():
        assert flops.parameters(row["config"]).total == pytest.approx(row["parameters"] * 1e9, rel=0.005), name
        assert row["source"]
