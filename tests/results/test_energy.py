"""Settling: joules are conserved, lost windows are null, and everything can be computed again."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy.codes import Code
from energy.windows import Domain, DomainEnergy, Source, Window
from results import energy
from results.records import Use
from tests.results.builders import World, cell_key


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def column(world: World, table: str, *names: str) -> list[Any]:
    with world.engine.connect() as connection:
        return [tuple(r) for r in connection.execute(sa.text(f'SELECT {", ".join(names)} FROM "{table}" ORDER BY 1'))]


def window(*domains: DomainEnergy) -> Window:
    return Window(0.0, 30.0, domains, Source.NVML_COUNTER)


GPU0, GPU1, CPU, DRAM, SOC = (
    DomainEnergy(Domain.GPU, "a", 70.0),
    DomainEnergy(Domain.GPU, "b", 30.0),
    DomainEnergy(Domain.CPU, "0", 5.0),
    DomainEnergy(Domain.DRAM, "0", 1.0),
    DomainEnergy(Domain.SOC, "0", 3.0),
)


@pytest.mark.parametrize(
    "domains, joules",
    [
        ([GPU0, GPU1, CPU, DRAM], 100.0),
        ([CPU, DRAM], 5.0),
        ([SOC], 3.0),
        ([DRAM], None),
        ([], None),
        ([dataclasses.replace(GPU0, energy_j=None), CPU], None),
        ([dataclasses.replace(GPU0, energy_j=None), GPU1], None),
    ],
)
def test_the_headline_is_one_domain_never_a_silent_sum(domains: list[DomainEnergy], joules: float | None) -> None:
    assert energy.headline(window(*domains)) == joules


def test_a_window_is_shared_out_by_flops_and_attempts_are_charged_what_they_used(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    small = world.sample(key, "small", p0, sent=0.0, first=1.0, last=10.0, flop_linear=100.0, flop_attention=0.0, flop_head=0.0)
    large = dataclasses.replace(small, key="large", flop_linear=300.0)
    one, both = world.attempt(row, key, "p0", ["wrong"], [small]), world.attempt(row, key, "p1", ["correct"], [small, large])
    half = dataclasses.replace(both, problem_id=world.ids[row.name]["p2"], uses=(Use("large", 0, "policy", 10, 0, 0.5),))
    world.store.write([small, large], [one, both, half], [world.window(0, 10, 40.0)])
    done = energy.settle(world.engine, world.run_id)
    assert (done.windows_j, done.attributed_j, done.idle_j) == (40.0, 40.0, 0.0)
    assert column(world, "sample", "key", "energy_j", "device_s", "energy_source", "energy_code") == [
        ("large", 30.0, 7.5, "rapl_counter", None),
        ("small", 10.0, 2.5, "rapl_counter", None),
    ]
    assert [e for _, e in column(world, "attempt", "id", "energy_j")] == [10.0, 40.0, 15.0]
    assert [e for _, e in column(world, "ledger", "id", "energy_j")] == [10.0, 40.0, 15.0]


def test_a_call_over_two_windows_takes_from_both(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    long = world.sample(key, "long", p0, sent=5.0, last=15.0)
    late = world.sample(key, "late", p0, sent=10.0, last=15.0, flop_linear=400.0)  # 500 FLOP: as many as `long` does in the second window
    world.store.write([long, late], [], [world.window(0, 10, 6.0), world.window(10, 20, 10.0)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "sample", "key", "energy_j") == [("late", 5.0), ("long", 11.0)]


def test_settling_again_gives_the_same(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct", "wrong"]})
    world.store.write(windows=[world.window(999, 1100, 12.0)])
    energy.settle(world.engine, world.run_id)
    before = column(world, "attempt", "id", "energy_j", "device_s")
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "device_s") == before
    assert column(world, "run", "settled") == [(1,)]


def test_a_call_outside_every_window_has_no_joules_and_says_so(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"], "p1": ["correct"]})  # tokens at 1000.25–1001 and 1001.25–1002: a third of these inside
    world.store.write(windows=[world.window(999, 1001.5, 8.0)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "energy_code") == [(1, pytest.approx(6.0), None), (2, None, "window_lost")]


def test_no_meter_is_not_a_lost_window_and_device_seconds_are_known(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(1000, 1004, None, domain="none", device="", source="none", valid=False, codes=("no_meter",))])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "device_s", "energy_code") == [(1, None, 4.0, "no_meter")]


def test_device_seconds_count_every_device_of_the_hardware(world: World) -> None:
    key = cell_key(hardware={"name": "H100", "count": 4})
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    gpus = [world.window(1000, 1006, 100.0, domain="gpu", device=f"GPU-{n}", source="nvml_counter") for n in range(4)]
    world.store.write(windows=[*gpus, world.window(1000, 1006, 9.0, source="nvml_counter")])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "device_s") == [(1, 400.0, 24.0)]


def test_unknown_flops_make_the_windows_joules_unknown(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]}, flop_head=None)
    world.store.write(windows=[world.window(999, 1010, 8.0)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "energy_code") == [(1, None, "unknown_architecture")]


def test_a_short_last_window_is_good_where_its_neighbours_make_the_span_long(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"], "p1": ["correct"]})
    short: dict[str, Any] = {"valid": False, "codes": (str(Code.WINDOW_TOO_SHORT),)}
    world.store.write(windows=[world.window(970, 1001, 8.0), world.window(1001, 1003, 1.0, **short)])
    energy.settle(world.engine, world.run_id)
    assert [c for _, c in column(world, "attempt", "id", "energy_code")] == [None, None]


def test_a_short_window_alone_stays_doubtful(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(999, 1002, 1.0, valid=False, codes=("window_too_short",))])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "energy_code") == [(1, 1.0, "window_too_short")]


def test_pooled_samples_of_an_earlier_run_keep_their_joules(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    pooled = world.sample(key, "pool:0:0", p0, pool="p", position=0)
    world.store.write([pooled], [], [world.window(1000, 1001, 7.0)])
    energy.settle(world.engine, world.run_id)
    again = dataclasses.replace(world, run_id=world.store.begin_run("demo", "", [], {}, "main"))
    more = again.sample(key, "own", p0, sent=2000.0, last=2001.0)
    again.store.write([more], [again.attempt(row, key, "p0", ["correct"], [pooled, more])], [again.window(2000, 2001, 2.0)])
    energy.settle(again.engine, again.run_id)
    assert column(world, "attempt", "id", "energy_j") == [(1, 9.0)]


def test_an_attempt_replayed_from_elsewhere_has_no_joules(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    sample = world.sample(key, "s", world.ids[row.name]["p0"])
    attempt = world.attempt(row, key, "p0", ["correct"], [sample], codes={"energy_j": "other_engine", "latency_s": "other_engine"})
    world.store.write([sample], [attempt], [world.window(999, 1010, 3.0)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "energy_code") == [(1, None, "other_engine")]


def test_a_resumed_live_cell_takes_its_longest_valid_window(world: World) -> None:
    key = cell_key(mode="live", concurrency=2)
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    live: dict[str, Any] = {"kind": "whole", "cell_id": row.id}
    world.store.write(windows=[world.window(999, 1005, 50.0, **live)])
    world.clock = 2000.0
    again = dataclasses.replace(world, run_id=world.store.begin_run("demo", "", [], {}, "main"))
    again.solve(row, key, {"p1": ["correct"], "p2": ["wrong"]})
    again.store.write(windows=[again.window(1999, 2019, 20.0, **live)])
    energy.settle(world.engine, world.run_id)
    energy.settle(again.engine, again.run_id)
    found = column(world, "attempt", "id", "energy_j", "energy_code")
    assert found == [(1, None, "resumed"), (2, 10.0, None), (3, 10.0, None)]


def test_live_windows_and_pooled_windows_do_not_mix(world: World) -> None:
    pooled_key, live_key = cell_key(), cell_key(mode="live", concurrency=1)
    pooled, live = world.cell(pooled_key), world.cell(live_key)
    world.solve(pooled, pooled_key, {"p0": ["correct"]})
    world.solve(live, live_key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(1000, 1001, 3.0), world.window(1001, 1002, 5.0, kind="whole", cell_id=live.id)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j") == [(1, 3.0), (2, 5.0)]


def test_a_call_whose_clock_was_set_back_has_no_joules_and_spoils_no_other(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    good, back = world.sample(key, "good", p0, sent=10.0, last=12.0), world.sample(key, "back", p0, sent=10.0, last=8.0)
    world.store.write([good, back], [], [world.window(0, 30, 4.0)])
    energy.settle(world.engine, world.run_id)
    assert column(world, "sample", "key", "energy_j", "energy_code") == [("back", None, "clock_stepped"), ("good", 4.0, None)]


def test_overlapping_windows_are_a_code_not_a_crash(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(999, 1010, 3.0), world.window(1000, 1011, 3.0, device="other")])
    energy.settle(world.engine, world.run_id)
    assert column(world, "attempt", "id", "energy_j", "energy_code") == [(1, None, "windows_overlap")]


def test_the_next_opener_settles_what_a_killed_run_left(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    world.store.write(windows=[world.window(999, 1010, 3.0)])
    with world.engine.begin() as connection:
        connection.execute(sa.text("UPDATE run SET started = 1000"))
    assert energy.settle_all(world.engine) == [world.run_id]
    assert column(world, "run", "status", "settled", "ended") == [("interrupted", 1, 1010.0)]
    assert column(world, "attempt", "id", "energy_j") == [(1, 3.0)]
    assert energy.settle_all(world.engine) == []


def test_a_run_that_may_be_at_work_is_computed_but_not_closed(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.clock = time.time()
    world.solve(row, key, {"p0": ["correct"]})
    energy.settle_all(world.engine)
    assert column(world, "run", "status", "settled") == [("running", 0)]
    assert column(world, "attempt", "id", "energy_code") == [(1, "window_lost")]


CALL = st.tuples(st.floats(0, 90), st.floats(0.01, 40), st.floats(1, 1e12), st.floats(0, 1))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(CALL, min_size=1, max_size=12), joules=st.lists(st.floats(0, 1e6), min_size=5, max_size=5))
def test_joules_are_conserved(tmp_path_factory: pytest.TempPathFactory, calls: Any, joules: list[float]) -> None:
    world = World.make(tmp_path_factory.mktemp("db") / "perpass.db")
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    samples = [
        world.sample(key, str(n), p0, sent=start, first=None, last=start + length, flop_linear=flop)
        for n, (start, length, flop, _) in enumerate(calls)
    ]
    attempts = [world.attempt(row, key, "p0", ["wrong"], [s], trial) for trial, s in enumerate(samples)]
    windows = [world.window(30.0 * n, 30.0 * (n + 1), j) for n, j in enumerate(joules)]  # 0–150 s: every call is covered
    world.store.write(samples, attempts, windows)
    done = energy.settle(world.engine, world.run_id)
    charged = sum(e for _, e in column(world, "attempt", "id", "energy_j"))
    assert charged == pytest.approx(done.attributed_j, rel=1e-9, abs=1e-9)
    assert done.attributed_j + done.idle_j == pytest.approx(sum(joules), rel=1e-9, abs=1e-9)
    world.engine.dispose()
