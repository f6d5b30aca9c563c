"""Windows between readings: differences, codes, and nothing lost between neighbours."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from energy.codes import EXPLANATIONS, Code
from energy.windows import Device, Domain, DomainEnergy, Reading, Source, window

GPU0, GPU1 = Device(Domain.GPU, "GPU-0"), Device(Domain.GPU, "GPU-1")
CPU = Device(Domain.CPU, "package-0")


def reading(at_s, joules, **more):
    return Reading(at_s, joules, "zeus", 1, Source.NVML_COUNTER, **more)


def test_a_window_is_the_difference_by_device():
    found = window(reading(100.0, {GPU0: 5.0, GPU1: 7.0}), reading(110.0, {GPU0: 25.0, GPU1: 7.5}))
    assert found.domains == (DomainEnergy(Domain.GPU, "GPU-0", 20.0), DomainEnergy(Domain.GPU, "GPU-1", 0.5))
    assert (found.start_s, found.end_s, found.duration_s, found.source) == (100.0, 110.0, 10.0, Source.NVML_COUNTER)
    assert found.valid and found.codes == ()
    assert found.energy_j(Domain.GPU) == 20.5
    assert found.energy_j(Domain.CPU) is None


def test_back_to_back_windows_share_a_reading_and_lose_nothing():
    readings = [reading(10.0 * i, {GPU0: float(i**3)}) for i in range(5)]
    parts = [window(a, b) for a, b in pairwise(readings)]
    assert sum(part.energy_j(Domain.GPU) for part in parts) == window(readings[0], readings[-1]).energy_j(Domain.GPU)


def test_domains_are_not_summed_together():
    found = window(reading(0.0, {GPU0: 0.0, CPU: 0.0}), reading(9.0, {GPU0: 3.0, CPU: 4.0}))
    assert (found.energy_j(Domain.GPU), found.energy_j(Domain.CPU)) == (3.0, 4.0)


def test_a_short_window_of_a_counter_is_invalid_and_keeps_its_joules():
    found = window(reading(0.0, {GPU0: 0.0}), reading(4.9, {GPU0: 3.0}))
    assert found.codes == (Code.WINDOW_TOO_SHORT,) and not found.valid
    assert found.energy_j(Domain.GPU) == 3.0


def test_an_estimate_may_be_short_but_is_never_valid():
    start, end = (replace(reading(t, {CPU: t}), source=Source.ESTIMATED, codes=(Code.ESTIMATED,)) for t in (0.0, 1.0))
    assert window(start, end).codes == (Code.ESTIMATED,)
    assert not window(start, end).valid


def test_a_counter_that_went_back_gives_null():
    found = window(reading(0.0, {GPU0: 50.0, GPU1: 0.0}), reading(9.0, {GPU0: 1.0, GPU1: 2.0}))
    assert found.codes == (Code.COUNTER_RESET,)
    assert [row.energy_j for row in found.domains] == [None, 2.0]
    assert found.energy_j(Domain.GPU) is None


@pytest.mark.parametrize("ends", [({GPU0: 1.0}, {}), ({}, {GPU0: 1.0})])
def test_a_device_that_was_read_once_only_gives_null(ends):
    found = window(reading(0.0, ends[0]), reading(9.0, ends[1]))
    assert found.codes == (Code.DEVICE_COUNT_MISMATCH,)
    assert found.domains == (DomainEnergy(Domain.GPU, "GPU-0", None),)


def test_a_clock_that_was_set_back_is_noticed():
    found = window(reading(100.0, {GPU0: 1.0}), reading(40.0, {GPU0: 9.0}))
    assert Code.CLOCK_STEPPED in found.codes
    assert found.energy_j(Domain.GPU) == 8.0


def test_codes_of_both_readings_are_kept_once():
    start, end = (reading(t, {GPU0: t}, codes=(Code.DEVICE_IDENTITY_MISSING,)) for t in (0.0, 9.0))
    assert window(start, end).codes == (Code.DEVICE_IDENTITY_MISSING,)


def test_parameters_in_seconds_are_differences():
    start, end = (reading(t, {}, parameters={"watts_per_cpu": 4.0, "cpu_s": t * 2, "watts_source": "x"}) for t in (1.0, 9.0))
    assert window(start, end).parameters == {"watts_per_cpu": 4.0, "cpu_s": 16.0, "watts_source": "x"}


def test_readings_of_two_meters_make_no_window():
    with pytest.raises(ValueError, match="two meters"):
        window(reading(0.0, {}), replace(reading(9.0, {}), meter="rapl"))


def test_every_code_is_explained():
    assert set(EXPLANATIONS) == set(Code)
    assert Code.NO_METER.explanation and "\n" not in Code.NO_METER.explanation
