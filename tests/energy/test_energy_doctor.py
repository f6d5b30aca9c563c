"""What `bench doctor` says about energy."""

from __future__ import annotations

import pytest

from energy import doctor, hardware
from energy.doctor import findings
from energy.hardware import Gpu
from energy.meters.rapl import RaplMeter
from energy.meters.zeus import ZeusMeter
from energy.windows import Device, Domain, Reading, Source


def by_name():
    return {finding.what: finding for finding in findings()}


@pytest.fixture
def bare(monkeypatch):
    """A machine with nothing to read."""
    monkeypatch.setattr(doctor, "version", lambda package: "0.16.0")
    monkeypatch.setattr(hardware, "gpus", list)
    monkeypatch.setattr(hardware, "cpu_name", lambda: "AMD EPYC")
    for kind in (ZeusMeter, RaplMeter):
        monkeypatch.setattr(kind, "unavailable", lambda self: "not here")


def test_a_bare_machine(bare):
    found = by_name()
    assert {what: finding.status for what, finding in found.items()} == {
        "zeus": "measured",
        "GPU energy": "missing",
        "CPU energy": "estimated",
        "DRAM energy": "missing",
        "hardware profile": "estimated",
    }
    assert "4 W per CPU" in found["CPU energy"].detail and "codecarbon" in found["CPU energy"].detail
    assert found["CPU energy"].fix is None
    assert "AMD EPYC" in found["hardware profile"].fix


def test_counters_that_may_not_be_read_come_with_the_command(bare, monkeypatch):
    monkeypatch.setattr(RaplMeter, "unavailable", lambda self: "/sys/x is readable by root only")
    found = by_name()
    assert found["CPU energy"].status == "estimated"
    assert found["CPU energy"].fix == found["DRAM energy"].fix == doctor.READABLE


def test_a_machine_with_everything(bare, monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu("NVIDIA H100 80GB HBM3", "GPU-a", 79.6)])
    for kind in (ZeusMeter, RaplMeter):
        monkeypatch.setattr(kind, "unavailable", lambda self: None)
    dram = {Device(Domain.DRAM, "package-0"): 1.0}
    monkeypatch.setattr(RaplMeter, "open", lambda self: None)
    monkeypatch.setattr(RaplMeter, "read", lambda self: Reading(0.0, dram, "rapl", 1, Source.RAPL_COUNTER))
    assert {finding.status for finding in findings()} == {"measured"}
    assert all(finding.fix is None for finding in findings())


def test_this_machine_has_an_answer_to_everything():
    assert len(by_name()) == 5
