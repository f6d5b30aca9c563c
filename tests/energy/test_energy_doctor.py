"""What `bench doctor` says about energy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from energy import calibrate, doctor, hardware
from energy.calibrate import Calibration
from energy.doctor import findings
from energy.hardware import Gpu
from energy.meters.rapl import RaplMeter
from energy.meters.zeus import ZeusMeter
from energy.rates import Rate
from energy.windows import Device, Domain, Reading, Source


def by_name():
    return {finding.what: finding for finding in findings()}


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with nothing to read, not calibrated."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(doctor, "version", lambda package: "0.16.0")
    monkeypatch.setattr(hardware, "gpus", list)
    monkeypatch.setattr(hardware, "cpu_name", lambda: "AMD EPYC")
    for kind in (ZeusMeter, RaplMeter):
        monkeypatch.setattr(kind, "unavailable", lambda self: "not here")


def test_a_bare_machine(bare):
    found = by_name()
    assert {what: finding.status for what, finding in found.items()} == {
        "GPU energy": "absent",
        "CPU energy": "estimated",
        "memory energy": "absent",
        "power readings": "estimated",
        "idle power": "absent",
        "MFU and MBU": "missing",
    }
    assert "4 W per CPU" in found["CPU energy"].detail and "codecarbon" in found["CPU energy"].detail
    assert [f.what for f in found.values() if f.fix] == ["MFU and MBU"]
    assert found["MFU and MBU"].fix == "bench calibrate"


def test_counters_that_may_not_be_read_come_with_the_command(bare, monkeypatch):
    monkeypatch.setattr(RaplMeter, "unavailable", lambda self: "/sys/x is readable by root only")
    found = by_name()
    assert found["CPU energy"].status == "estimated" and found["memory energy"].status == "missing"
    assert found["CPU energy"].fix == found["memory energy"].fix == doctor.READABLE


def one_gpu(monkeypatch):
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu("NVIDIA H100 80GB HBM3", "GPU-a", 79.6)])


def test_a_machine_with_everything(bare, monkeypatch):
    one_gpu(monkeypatch)
    for kind in (ZeusMeter, RaplMeter):
        monkeypatch.setattr(kind, "unavailable", lambda self: None)
    dram = {Device(Domain.DRAM, "package-0"): 1.0}
    monkeypatch.setattr(RaplMeter, "open", lambda self: None)
    monkeypatch.setattr(RaplMeter, "read", lambda self: Reading(0.0, dram, "rapl", 1, Source.RAPL_COUNTER))
    found = by_name()
    assert {finding.status for finding in found.values()} == {"measured"}
    assert all(finding.fix is None for finding in found.values())
    assert "10 times a second" in found["power readings"].detail and "published peaks of H100" in found["MFU and MBU"].detail


def test_a_gpu_without_zeus_says_what_to_install(bare, monkeypatch):
    one_gpu(monkeypatch)

    def nothing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", nothing)
    found = by_name()["GPU energy"]
    assert (found.status, found.fix) == ("missing", "pip install zeus") and "H100x1" in found.detail


@pytest.mark.parametrize(("median", "fix"), [(9e9, None), (4e9, "bench calibrate")])
def test_a_calibrated_machine_says_what_it_reached_and_whether_it_was_quiet(bare, monkeypatch, median, fix):
    machine = hardware.detect()
    peaks = {"fp32": Rate(1e10, median, 7)}
    system = calibrate.platform.platform()
    calibrate.save(Calibration(machine.name, "AMD EPYC", "cpu", 1, system, "2026-11-28", "2", 2, Rate(4e9, 3e9, 7), peaks))
    found = by_name()["MFU and MBU"]
    assert (found.status, found.fix) == ("measured", fix)
    assert "copies 4 GB/s, 10 GFLOP/s in fp32" in found.detail and "2026-11-28" in found.detail


def test_this_machine_has_an_answer_to_everything():
    assert len(by_name()) == 6
