"""The RAPL, estimate and none meters, and which meter is chosen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from energy import choose, window
from energy.codes import Code
from energy.meters import estimate, meters, rapl
from energy.meters.estimate import EstimateMeter
from energy.meters.none import NoMeter
from energy.meters.rapl import RaplMeter
from energy.meters.zeus import ZeusMeter
from energy.profiles import Value
from energy.windows import Device, Domain, Source
from perpass.errors import PerPassError, UserError

RANGE_UJ = 65_000_000


class Powercap:
    """A `/sys/class/powercap/intel-rapl` of two packages, one with DRAM, and psys."""

    def __init__(self, root):
        self.root = root
        for zone, name in {
            "intel-rapl:0": "package-0",
            "intel-rapl:0/intel-rapl:0:0": "core",
            "intel-rapl:0/intel-rapl:0:1": "dram",
            "intel-rapl:1": "package-1",
            "intel-rapl:2": "psys",
        }.items():
            (root / zone).mkdir(parents=True)
            (root / zone / "name").write_text(name + "\n")
            (root / zone / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
            self.set(zone, 1_000_000)

    def set(self, zone, microjoules):
        (self.root / zone / "energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def powercap(tmp_path):
    return Powercap(tmp_path)


@pytest.fixture
def rapl_meter(powercap):
    meter = RaplMeter(powercap.root)
    meter.open()
    yield meter
    meter.close()


PACKAGE0, PACKAGE1, DRAM = Device(Domain.CPU, "package-0"), Device(Domain.CPU, "package-1"), Device(Domain.DRAM, "package-0")


def test_rapl_reads_packages_and_dram(powercap, rapl_meter):
    start = rapl_meter.read()
    powercap.set("intel-rapl:0", 3_500_000)
    powercap.set("intel-rapl:0/intel-rapl:0:1", 1_250_000)
    found = window(start, rapl_meter.read())
    assert found.source == Source.RAPL_COUNTER
    assert {(row.domain, row.device): row.energy_j for row in found.domains} == {PACKAGE0: 2.5, PACKAGE1: 0.0, DRAM: 0.25}


def test_rapl_counters_wrap(powercap, rapl_meter):
    start = rapl_meter.read()
    for value in (60_000_000, 2_000_000, 64_000_000, 1_000_000):
        powercap.set("intel-rapl:0", value)
        end = rapl_meter.read()
    assert end.joules[PACKAGE0] - start.joules[PACKAGE0] == 2 * RANGE_UJ / 1e6


def test_a_rapl_counter_that_vanishes_is_null_and_not_zero(powercap, rapl_meter):
    start = rapl_meter.read()
    (powercap.root / "intel-rapl:1" / "energy_uj").unlink()
    found = window(start, rapl_meter.read())
    assert Code.DEVICE_COUNT_MISMATCH in found.codes
    assert found.energy_j(Domain.CPU) is None


def test_rapl_says_why_it_cannot_be_used(powercap, tmp_path, monkeypatch):
    assert RaplMeter(powercap.root).unavailable() is None
    assert "no RAPL" in RaplMeter(tmp_path / "nothing").unavailable()

    def refuse(root):
        raise PermissionError(13, "Permission denied", "/sys/x/energy_uj")

    monkeypatch.setattr(rapl, "_counters", refuse)
    assert RaplMeter(powercap.root).unavailable() == "/sys/x/energy_uj is readable by root only"
    with pytest.raises(PerPassError, match="root only"):
        RaplMeter(powercap.root).open()


def test_the_estimate_is_cpu_time_times_watts(monkeypatch):
    seconds = iter([10.0, 16.0])
    monkeypatch.setattr(estimate, "cpu_seconds", lambda process: next(seconds))
    monkeypatch.setattr(estimate, "watts_per_cpu", lambda: Value(4.0, "a table"))
    meter = EstimateMeter()
    meter.open()
    found = window(meter.read(), meter.read())
    assert found.energy_j(Domain.CPU) == 24.0
    assert (found.source, found.codes, found.valid) == (Source.ESTIMATED, (Code.ESTIMATED,), False)
    assert found.energy_j(Domain.CPU) == found.parameters["cpu_s"] * found.parameters["watts_per_cpu"]
    assert found.parameters["watts_source"] == "a table"
    assert found.parameters["cpus"] >= 1


def test_the_estimate_never_goes_down(monkeypatch):
    seconds = iter([10.0, 4.0, 12.0])
    monkeypatch.setattr(estimate, "cpu_seconds", lambda process: next(seconds))
    meter = EstimateMeter()
    meter.open()
    readings = [next(iter(meter.read().joules.values())) for _ in range(3)]
    assert readings == sorted(readings)


def test_the_estimate_counts_children_that_run_and_that_have_ended():
    meter = EstimateMeter()
    meter.open()
    start = meter.read()
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    running = window(start, meter.read()).parameters["cpu_s"]
    child.communicate(b"\n")
    ended = window(start, meter.read()).parameters["cpu_s"]
    assert ended >= running >= 0.28  # the kernel counts in ticks of 10 ms


@pytest.mark.parametrize(("model", "watts"), [("AMD EPYC 7763 64-Core Processor", 280 / 64 / 2), ("AMD EPYC", 4.0)])
def test_watts_come_from_the_model_or_from_the_generic_row(monkeypatch, model, watts):
    monkeypatch.setattr(estimate.hardware, "cpu_name", lambda: model)
    monkeypatch.setattr(estimate, "threads_per_core", lambda: 2)
    found = estimate.watts_per_cpu()
    assert found.value == watts
    assert ("generic" in found.source) == (model == "AMD EPYC")


def test_no_meter_has_times_and_no_joules():
    meter = NoMeter()
    meter.open()
    found = window(meter.read(), meter.read())
    assert (found.domains, found.codes, found.valid) == ((), (Code.NO_METER,), False)
    assert found.energy_j(Domain.CPU) is None


def refuse(monkeypatch, *kinds):
    for kind in kinds:
        monkeypatch.setattr(kind, "unavailable", lambda self: "not here")


def accept(monkeypatch, *kinds):
    for kind in kinds:
        monkeypatch.setattr(kind, "unavailable", lambda self: None)


def test_gpu_counters_are_chosen_before_rapl_before_an_estimate(monkeypatch):
    accept(monkeypatch, ZeusMeter, RaplMeter)
    assert choose().name == "zeus"
    assert choose(kind="cpu").name == "rapl"
    refuse(monkeypatch, ZeusMeter)
    assert choose().name == "rapl"
    refuse(monkeypatch, RaplMeter)
    assert choose().name == choose(kind="cpu").name == "estimate"


def test_a_gpus_energy_is_never_guessed_from_cpu_time(monkeypatch):
    refuse(monkeypatch, ZeusMeter)
    accept(monkeypatch, RaplMeter)
    assert choose(kind="gpu").name == "none"


def test_required_energy_that_nothing_measures_is_an_error_with_reasons(monkeypatch):
    refuse(monkeypatch, ZeusMeter, RaplMeter)
    with pytest.raises(UserError, match="zeus: not here; rapl: not here"):
        choose(require=True)


def test_all_meters_are_registered_with_a_version():
    assert set(meters.names()) >= {"zeus", "rapl", "estimate", "none", "replay"}
    assert all(meters.get(name).name == name and meters.get(name).version >= 1 for name in ("zeus", "rapl", "estimate", "none", "replay"))


@pytest.mark.parametrize("kind", [ZeusMeter, EstimateMeter, RaplMeter])
def test_a_meter_must_be_opened(kind):
    with pytest.raises(RuntimeError, match="before open"):
        kind().read()
