"""The contract with Zeus: its real classes, on counters that we set. No GPU is needed."""

from __future__ import annotations

from itertools import pairwise

import pytest

import energy
from energy.codes import Code
from energy.meters import zeus as zeus_meter
from energy.meters.replay import ReplayMeter
from energy.meters.zeus import ZeusMeter
from energy.windows import Device, Domain, Source
from perpass.errors import PerPassError, UserError

zeus_gpu = pytest.importorskip("zeus.device.gpu")
from zeus.device.gpu.common import GPU, GPUs, ZeusGPULostError  # noqa: E402
from zeus.monitor import ZeusMonitor  # noqa: E402


class FakeGPU(GPU):
    """Zeus's own abstract GPU with a counter in millijoules."""

    def __init__(self, index: int, counter: bool = True) -> None:
        super().__init__(index)
        self.handle, self.millijoules, self.counter, self.lost = index, 1_000_000, counter, False

    def get_name(self):
        return "NVIDIA H100 80GB HBM3" if self.counter else "Tesla P100"

    def supports_get_total_energy_consumption(self):
        return self.counter

    def get_total_energy_consumption(self):
        if self.lost:
            raise ZeusGPULostError("GPU is lost")
        return self.millijoules


FakeGPU.__abstractmethods__ = frozenset()


class FakeGPUs(GPUs):
    """Zeus's own collection over them; everything else in it is Zeus's code."""

    def __init__(self, *found: FakeGPU) -> None:
        self._found = found

    def __del__(self) -> None:
        pass

    @property
    def gpus(self):
        return self._found


@pytest.fixture
def gpus(monkeypatch):
    found = (FakeGPU(0), FakeGPU(1))
    monkeypatch.setattr(zeus_gpu, "_gpus", FakeGPUs(*found))
    monkeypatch.setattr(zeus_meter, "_uuid", lambda gpu: f"GPU-{gpu.gpu_index}")
    return found


def spend(gpus, *joules):
    for gpu, j in zip(gpus, joules, strict=True):
        gpu.millijoules += int(j * 1000)


def test_uuids_come_through_zeuss_own_device_handles(monkeypatch):
    nvidia = pytest.importorskip("zeus.device.gpu.nvidia")
    monkeypatch.setattr(nvidia.pynvml, "nvmlDeviceGetHandleByIndex", lambda index: f"handle {index}")
    monkeypatch.setattr(nvidia.pynvml, "nvmlDeviceGetC2cModeInfoV", lambda handle: type("Info", (), {"isC2cEnabled": 0}))
    monkeypatch.setattr(nvidia.pynvml, "nvmlDeviceGetUUID", lambda handle: f"GPU of {handle}")
    assert zeus_meter._uuid(nvidia.NVIDIAGPU(3)) == "GPU of handle 3"


def test_a_window_is_what_zeus_itself_measures(gpus):
    meter, monitor = ZeusMeter(), ZeusMonitor(cpu_indices=[])
    meter.open()
    monitor.begin_window("w", sync_execution=False)
    start = meter.read()
    spend(gpus, 70.5, 3.25)
    measured = monitor.end_window("w", sync_execution=False)
    found = energy.window(start, meter.read())
    assert [row.energy_j for row in found.domains] == pytest.approx([measured.gpu_energy[0], measured.gpu_energy[1]])
    assert found.energy_j(Domain.GPU) == pytest.approx(measured.total_energy)
    assert [row.device for row in found.domains] == ["GPU-0", "GPU-1"]
    assert found.source == Source.NVML_COUNTER


def test_nothing_is_lost_between_windows(gpus):
    meter = ZeusMeter()
    meter.open()
    readings = []
    for joules in (10, 20, 30):
        readings.append(meter.read())
        spend(gpus, joules, 0)
    readings.append(meter.read())
    windows = [energy.window(a, b) for a, b in pairwise(readings)]
    assert sum(w.energy_j(Domain.GPU) for w in windows) == pytest.approx(60.0)


def test_a_driver_reload_gives_null(gpus):
    meter = ZeusMeter()
    meter.open()
    start = meter.read()
    gpus[0].millijoules = 5
    found = energy.window(start, meter.read())
    assert Code.COUNTER_RESET in found.codes
    assert found.energy_j(Domain.GPU) is None


def test_a_lost_gpu_gives_null_and_does_not_stop_the_run(gpus):
    meter = ZeusMeter()
    meter.open()
    start = meter.read()
    gpus[1].lost = True
    found = energy.window(start, meter.read())
    assert Code.DEVICE_COUNT_MISMATCH in found.codes
    assert found.energy_j(Domain.GPU) is None


def test_a_gpu_without_a_uuid_is_said(gpus, monkeypatch):
    monkeypatch.setattr(zeus_meter, "_uuid", lambda gpu: None)
    meter = ZeusMeter()
    meter.open()
    reading = meter.read()
    assert reading.codes == (Code.DEVICE_IDENTITY_MISSING,)
    assert set(reading.joules) == {Device(Domain.GPU, "index 0"), Device(Domain.GPU, "index 1")}


@pytest.mark.parametrize(("found", "says"), [((), "no GPU"), ((FakeGPU(0), FakeGPU(1, counter=False)), "Tesla P100 has no energy counter")])
def test_without_counters_the_meter_is_unavailable_and_never_zero(monkeypatch, found, says):
    monkeypatch.setattr(zeus_gpu, "_gpus", FakeGPUs(*found))
    assert says in ZeusMeter().unavailable()
    with pytest.raises(PerPassError, match=says):
        ZeusMeter().open()


@pytest.mark.parametrize(("variable", "says"), [("GPU-6a1", "by index"), ("", "empty string"), ("MIG-1", "MIG")])
def test_visible_devices_that_zeus_cannot_read_are_a_reason(monkeypatch, variable, says):
    nvidia = pytest.importorskip("zeus.device.gpu.nvidia")
    monkeypatch.setattr(zeus_gpu, "_gpus", None)
    monkeypatch.setattr(zeus_gpu, "nvml_is_available", lambda: True)
    monkeypatch.setattr(nvidia.pynvml, "nvmlInit", lambda: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert says in ZeusMeter().unavailable()


def test_no_gpu_library_is_a_reason(monkeypatch):
    monkeypatch.setattr(zeus_gpu, "_gpus", None)
    monkeypatch.setattr(zeus_gpu, "nvml_is_available", lambda: False)
    monkeypatch.setattr(zeus_gpu, "amdsmi_is_available", lambda: False)
    assert "unavailable" in ZeusMeter().unavailable()


def test_what_a_real_monitor_logged_is_replayed(gpus, tmp_path):
    log = tmp_path / "zeus.csv"
    monitor = ZeusMonitor(cpu_indices=[], log_file=log)
    measured = []
    for i, joules in enumerate([(70, 3), (40, 2)]):
        monitor.begin_window(f"step {i}", sync_execution=False)
        spend(gpus, *joules)
        measured.append(monitor.end_window(f"step {i}", sync_execution=False))

    meter = ReplayMeter(log)
    meter.open()
    readings = [meter.read() for _ in range(3)]
    windows = [energy.window(a, b) for a, b in pairwise(readings)]
    assert [w.energy_j(Domain.GPU) for w in windows] == pytest.approx([73.0, 42.0])
    assert [w.duration_s for w in windows] == pytest.approx([m.time for m in measured], abs=1e-6)
    assert {w.source for w in windows} == {Source.REPLAY}
    meter.close()


LOG = "start_time,window_name,elapsed_time,gpu0_energy,gpu2_energy\n100.0,a,30.0,9000.0,12.5\n130.0,b,30.0,6000.0,7.5\n"


def test_a_log_by_hand(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text(LOG)
    meter = ReplayMeter(log)
    meter.open()
    first, second, third, after = (meter.read() for _ in range(4))
    found = energy.window(first, second)
    assert found.valid and found.duration_s == pytest.approx(30.0)
    assert {row.device: row.energy_j for row in found.domains} == {"index 0": 9000.0, "index 2": 12.5}
    assert energy.window(first, third).energy_j(Domain.GPU) == 15020.0
    ended = energy.window(third, after)
    assert Code.DEVICE_COUNT_MISMATCH in ended.codes
    assert ended.energy_j(Domain.GPU) is None
    meter.close()


def test_a_log_that_cannot_be_read_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="not a file"):
        ReplayMeter(tmp_path / "nothing.csv").open()
    log = tmp_path / "log.csv"
    log.write_text(LOG + "160.0,c,30.0,1.0\n")
    meter = ReplayMeter(log)
    meter.open()
    with pytest.raises(UserError, match="unexpected number"):
        for _ in range(4):
            meter.read()
    meter.close()
