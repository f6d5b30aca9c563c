"""Attribution: the law (what calls take adds up to the windows), by hand on small cases, and by property on random ones."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.attribution import Call, attribute
from energy.codes import Code
from energy.windows import Domain, DomainEnergy, Source, Window


def gpu_window(start_s, end_s, joules, codes=(), cpu=None):
    rows = (DomainEnergy(Domain.GPU, "GPU-0", joules),) + ((DomainEnergy(Domain.CPU, "package-0", cpu),) if cpu is not None else ())
    return Window(start_s, end_s, rows, Source.NVML_COUNTER, codes)


def joules(found, call):
    return found.calls[call].energy_j[Domain.GPU]


def test_calls_in_one_window_share_it_by_flops():
    found = attribute([gpu_window(0, 10, 100.0, cpu=8.0)], [Call("a", 0, 10, 3e9), Call("b", 4, 5, 1e9)])
    assert (joules(found, "a"), joules(found, "b")) == (75.0, 25.0)
    assert found.calls["b"].energy_j[Domain.CPU] == 2.0
    assert found.calls["a"].device_s == 7.5
    assert found.unattributed_j == {Domain.CPU: 0.0, Domain.GPU: 0.0}


def test_a_call_over_two_windows_pays_in_both_for_what_it_did_there():
    windows = [gpu_window(0, 10, 100.0), gpu_window(10, 20, 40.0)]
    found = attribute(windows, [Call("long", 5, 15, 10.0), Call("late", 12, 14, 15.0)])
    assert joules(found, "long") == pytest.approx(100.0 + 40.0 * 5 / 20)
    assert joules(found, "late") == pytest.approx(40.0 * 15 / 20)


def test_every_device_counts_in_device_seconds():
    assert attribute([gpu_window(0, 10, 1.0)], [Call("a", 1, 2, 1.0)], devices=4).calls["a"].device_s == 40.0


def test_a_window_that_no_call_touches_is_unattributed():
    found = attribute([gpu_window(0, 10, 100.0), gpu_window(10, 30, 7.0)], [Call("a", 1, 2, 5.0)])
    assert joules(found, "a") == 100.0
    assert found.unattributed_j == {Domain.GPU: 7.0}
    assert found.unattributed_s == 20.0


@pytest.mark.parametrize(
    "call", [Call("x", -1, 5, 5.0), Call("x", 8, 15, 5.0), Call("x", 5, 40, 5.0), Call("x", 12, 13, 5.0), Call("x", 12, 12, 1.0)]
)
def test_a_call_that_is_not_covered_throughout_has_no_joules(call):
    found = attribute([gpu_window(0, 10, 100.0), gpu_window(20, 30, 50.0)], [call])
    assert joules(found, "x") is None
    assert found.calls["x"].device_s is None
    assert found.calls["x"].codes == (Code.WINDOW_LOST,)


def test_a_lost_call_takes_its_share_with_it():
    found = attribute([gpu_window(0, 10, 100.0)], [Call("ok", 0, 10, 1.0), Call("lost", 5, 15, 2.0)])
    assert joules(found, "ok") == 50.0


def test_clocks_may_differ_by_a_hair():
    assert joules(attribute([gpu_window(0, 10, 100.0)], [Call("a", -0.0004, 10.0004, 1.0)]), "a") == pytest.approx(100.0)


def test_unknown_flops_make_their_windows_null_and_no_others():
    windows = [gpu_window(0, 10, 100.0), gpu_window(10, 20, 40.0)]
    found = attribute(windows, [Call("known", 0, 5, 1.0), Call("unknown", 5, 8, None), Call("later", 12, 14, 1.0)])
    for call in ("known", "unknown"):
        assert joules(found, call) is None
        assert found.calls[call].codes == (Code.UNKNOWN_ARCHITECTURE,)
    assert joules(found, "later") == 40.0


def test_unknown_joules_are_null_and_device_seconds_still_count():
    found = attribute([gpu_window(0, 10, None, (Code.COUNTER_RESET,))], [Call("a", 1, 2, 1.0)])
    assert joules(found, "a") is None
    assert (found.calls["a"].device_s, found.calls["a"].codes) == (10.0, (Code.COUNTER_RESET,))


def test_without_a_meter_there_are_no_joules_and_device_seconds():
    found = attribute([Window(0, 10, (), Source.NONE, (Code.NO_METER,))], [Call("a", 0, 5, 1.0), Call("b", 5, 9, 3.0)])
    assert found.calls["a"].energy_j == {}
    assert found.calls["b"].device_s == 7.5


def test_calls_without_work_share_by_time_and_then_evenly():
    by_time = attribute([gpu_window(0, 10, 100.0)], [Call("a", 0, 3, 0.0), Call("b", 4, 5, 0.0)])
    assert (joules(by_time, "a"), joules(by_time, "b")) == (75.0, 25.0)
    evenly = attribute([gpu_window(0, 10, 100.0)], [Call("a", 10, 10, 0.0), Call("b", 0, 0, 0.0)])
    assert (joules(evenly, "a"), joules(evenly, "b")) == (50.0, 50.0)


def test_a_window_in_which_the_clock_was_set_back_covers_nothing():
    found = attribute([gpu_window(10, 4, 9.0, (Code.CLOCK_STEPPED,))], [Call("a", 4, 10, 1.0)])
    assert joules(found, "a") is None
    assert found.unattributed_j == {Domain.GPU: 9.0}


@pytest.mark.parametrize(
    ("windows", "calls", "says"),
    [
        ([gpu_window(0, 10, 1.0), gpu_window(9, 12, 1.0)], [], "overlap"),
        ([], [Call("a", 2, 1, 1.0)], "ends before"),
        ([], [Call("a", 1, 2, 1.0), Call("a", 2, 3, 1.0)], "share an id"),
    ],
)
def test_what_cannot_be_is_refused(windows, calls, says):
    with pytest.raises(ValueError, match=says):
        attribute(windows, calls)


ENERGY = st.floats(0, 1e6, allow_subnormal=False)
DURATION = st.floats(0.05, 60)


@st.composite
def runs(draw):
    """Windows without gaps, and calls within them: what a run that was not killed leaves."""
    edges = [1.7e9]
    for duration in draw(st.lists(DURATION, min_size=1, max_size=8)):
        edges.append(edges[-1] + duration)
    windows = [gpu_window(a, b, draw(ENERGY), cpu=draw(ENERGY)) for a, b in pairwise(edges)]
    moments = st.floats(edges[0], edges[-1])
    calls = []
    for i in range(draw(st.integers(0, 12))):
        start, end = sorted((draw(moments), draw(moments)))
        calls.append(Call(i, start, end, draw(st.one_of(st.just(0.0), st.floats(1.0, 1e18)))))
    return windows, calls


@settings(max_examples=1000)
@given(runs())
def test_what_is_attributed_adds_up_to_the_windows(run):
    windows, calls = run
    found = attribute(windows, calls)
    for domain in (Domain.GPU, Domain.CPU):
        taken = math.fsum(share.energy_j[domain] for share in found.calls.values())
        assert taken + found.unattributed_j[domain] == pytest.approx(math.fsum(w.energy_j(domain) for w in windows), rel=1e-9, abs=1e-9)
    seconds = math.fsum(share.device_s for share in found.calls.values()) + found.unattributed_s
    assert seconds == pytest.approx(math.fsum(w.duration_s for w in windows), rel=1e-9)


@given(runs())
def test_no_call_takes_less_than_nothing(run):
    found = attribute(*run)
    assert all(value >= 0 for share in found.calls.values() for value in share.energy_j.values())


@given(runs(), st.randoms(use_true_random=False))
def test_order_does_not_matter(run, rng):
    windows, calls = run
    assert attribute(rng.sample(windows, len(windows)), rng.sample(calls, len(calls))) == attribute(windows, calls)


@given(runs())
def test_splitting_a_call_changes_nobody_elses_share(run):
    windows, calls = run
    whole = [Call("whole", windows[0].start_s, windows[-1].end_s, 1e9), *calls]
    middle = (windows[0].start_s + windows[-1].end_s) / 2
    length = windows[-1].end_s - windows[0].start_s
    part = 1e9 * (middle - windows[0].start_s) / length
    split = [Call("1", windows[0].start_s, middle, part), Call("2", middle, windows[-1].end_s, 1e9 - part), *calls]
    one, two = attribute(windows, whole), attribute(windows, split)
    for call in calls:
        assert joules(two, call.id) == pytest.approx(joules(one, call.id), rel=1e-6, abs=1e-6)


def test_many_calls_over_many_windows():
    rng = random.Random(0)
    windows = [gpu_window(30.0 * i, 30.0 * (i + 1), 1000.0) for i in range(300)]
    starts = [rng.uniform(0, 8900) for _ in range(20_000)]
    found = attribute(windows, [Call(i, s, s + rng.uniform(0, 90), rng.uniform(1, 1e12)) for i, s in enumerate(starts)])
    assert math.fsum(share.energy_j[Domain.GPU] for share in found.calls.values()) == pytest.approx(300_000.0, rel=1e-9)
