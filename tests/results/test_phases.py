"""Joules by phase: conserved on random windows by either basis, in line with what settling stored, and null with a reason."""

from __future__ import annotations

import dataclasses
import random
from itertools import pairwise
from math import fsum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy import flops
from energy.windows import Domain, DomainEnergy, Source, Window
from results import energy, phases, show
from results.phases import Part
from tests.results.builders import World, cell_key

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 256,
    "tie_word_embeddings": True,
}


def made(folder: Path, kept: bool = True) -> tuple[World, Any, Any]:
    """A world whose run kept how its models are built, and a cell in it."""
    key = cell_key()
    identity = {"model": dict(key.model), "engine": dict(key.engine), "hardware": dict(key.hardware)}
    counting = {"config": LLAMA, "settings": {}}
    world = World.make(folder / "x.db", environment={"engines": [{"identity": identity, "counting": counting if kept else None}]})
    return world, key, world.cell(key)


def told(world: World, cell: Any) -> dict[tuple[str, str], dict[str, Any]]:
    energy.settle(world.engine, world.run_id)
    with world.engine.connect() as connection:
        return {(row["role"], row["phase"]): row for row in phases.of_cell(connection, cell.id)}


def test_a_call_is_split_by_flops_and_by_tokens(tmp_path: Path) -> None:
    """100 prompt and 20 output tokens that took 12 J: by tokens 10 and 2; by FLOPs as the two phases' passes."""
    world, key, cell = made(tmp_path)
    world.solve(cell, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(1000, 1001.5, 12.0)])
    found = told(world, cell)
    prefill, decode = found["policy", "prefill"], found["policy", "decode"]
    assert (prefill["tokens"], decode["tokens"]) == (100, 20)
    assert (prefill["tokens_j"], decode["tokens_j"]) == (pytest.approx(10), pytest.approx(2))
    share = flops.count(LLAMA, prompt=100, output=1).total / flops.count(LLAMA, prompt=100, output=20).total
    assert (prefill["flop_j"], decode["flop_j"]) == (pytest.approx(12 * share), pytest.approx(12 * (1 - share)))


def test_roles_are_apart_and_a_scored_text_is_all_prefill(tmp_path: Path) -> None:
    world, key, cell = made(tmp_path)
    p0 = world.ids[cell.name]["p0"]
    answer = world.sample(key, "answer", p0, prompt_tokens=10, output_tokens=10)
    judged = world.sample(key, "judged", p0, role="reward", kind="reward", prompt_tokens=40, output_tokens=0)
    world.store.write([answer, judged], [world.attempt(cell, key, "p0", ["correct"], [answer, judged])], [world.window(999, 1003, 60.0)])
    found = told(world, cell)
    assert set(found) == {("policy", "prefill"), ("policy", "decode"), ("reward", "prefill")}
    assert [found[k]["tokens_j"] for k in found] == [pytest.approx(10), pytest.approx(10), pytest.approx(40)]
    assert fsum(row["flop_j"] for row in found.values()) == pytest.approx(60)


def test_what_is_not_known_is_null_with_the_reason_and_never_zero(tmp_path: Path) -> None:
    world, key, cell = made(tmp_path, kept=False)
    world.solve(cell, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(1000, 1001.5, 12.0)])
    for row in told(world, cell).values():
        assert (row["flop_j"], row["reasons"]) == (None, {"flop_j": "config_not_kept"}) and row["tokens_j"] > 0
    (tmp_path / "b").mkdir()
    world, key, cell = made(tmp_path / "b")
    world.solve(cell, key, {"p0": ["correct"]})
    none = {"domain": "none", "device": "", "source": "none", "valid": False, "codes": ("no_meter",)}
    world.store.write(windows=[world.window(1000, 1001.5, None, **none)])
    for row in told(world, cell).values():
        assert (row["flop_j"], row["tokens_j"]) == (None, None)
        assert row["reasons"] == {"flop_j": "no_meter", "tokens_j": "no_meter"}


def test_attempts_with_a_lost_call_leave_the_means(tmp_path: Path) -> None:
    world, key, cell = made(tmp_path)
    world.solve(cell, key, {"p0": ["correct"], "p1": ["correct"]})  # the second runs until 1002, past the window
    world.store.write(windows=[world.window(999, 1001.1, 12.0)])
    row = told(world, cell)["policy", "prefill"]
    assert row["attempts"] == {"flop": 1, "tokens": 1} and row["of"] == 2 and row["flop_j"] > 0


def test_a_live_cell_is_split_in_its_longest_window(tmp_path: Path) -> None:
    world, _, _ = made(tmp_path)
    key = dataclasses.replace(cell_key(), mode="live", concurrency=1)
    cell = world.cell(key, 1)
    world.solve(cell, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(999, 1001.5, 24.0, kind="whole", cell_id=cell.id)])
    found = told(world, cell)
    assert fsum(row["tokens_j"] for row in found.values()) == pytest.approx(24)
    assert fsum(row["flop_j"] for row in found.values()) == pytest.approx(24)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_by_flops_the_parts_are_what_settling_stored(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = random.Random(seed)
    world, key, cell = made(tmp_path_factory.mktemp("w"))
    count = rng.randint(1, 3)
    world.solve(cell, key, {f"p{n}": ["correct"] * rng.randint(1, 3) for n in range(count)}, output_tokens=rng.randint(1, 50))
    edges = sorted([999.0, world.clock + 1, *(rng.uniform(999, world.clock) for _ in range(rng.randint(0, 3)))])
    world.store.write(windows=[world.window(a, b, rng.uniform(0, 100)) for a, b in pairwise(edges)])
    energy.settle(world.engine, world.run_id)
    shown = show.cell(world.engine, cell.name)
    total = fsum(row["flop_j"] for row in shown["phases"])
    assert total == pytest.approx(shown["report"]["energy_j"], rel=1e-9, abs=1e-12)


@settings(max_examples=1000)
@given(seed=st.integers(0, 2**64))
def test_parts_of_calls_add_up_to_random_windows(seed: int) -> None:
    """1,000 random runs of windows, by random weights of the phases: what parts take and what nobody took is what was read."""
    rng = random.Random(seed)
    edges = [1.7e9]
    for _ in range(rng.randint(1, 6)):
        edges.append(edges[-1] + rng.uniform(0.05, 60))
    windows = [
        Window(a, b, (DomainEnergy(Domain.GPU, "GPU-0", rng.choice([0.0, 10 ** rng.uniform(-6, 6)])),), Source.NVML_COUNTER)
        for a, b in pairwise(edges)
    ]
    times = [sorted(rng.uniform(edges[0], edges[-1]) for _ in range(2)) for _ in range(rng.randint(0, 8))]
    weights = [[10 ** rng.uniform(0, 18) if rng.random() < 0.9 else 0.0 for _ in phases.PHASES] for _ in times]
    parts = [
        Part((n, phase), *times[n], weight, 1) for n, own in enumerate(weights) for phase, weight in zip(phases.PHASES, own, strict=True)
    ]
    shares, done = energy.share_out(windows, parts, "window_lost")
    taken = [shares[part.id].energy_j for part in parts]
    read = [joules for w in windows if (joules := energy.headline(w)) is not None]
    assert len(read) == len(windows) and all(joules is not None and joules >= 0 for joules in taken)
    assert fsum(joules for joules in taken if joules is not None) + done.idle_j == pytest.approx(fsum(read), rel=1e-9, abs=1e-12)
    if all(map(any, weights)):  # where somebody works, a call's parts are the call
        whole, _ = energy.share_out(windows, [Part((n, "whole"), *times[n], sum(own), 1) for n, own in enumerate(weights)], "window_lost")
        for n in range(len(times)):
            both = fsum(shares[n, phase].energy_j or 0.0 for phase in phases.PHASES)
            assert both == pytest.approx(whole[n, "whole"].energy_j, rel=1e-9, abs=1e-12)
