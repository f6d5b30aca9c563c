"""Calibrating this machine: rates by hand, what is kept, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from energy import calibrate, hardware, rates
from energy.calibrate import Calibration, idle, measure, of_machine, read, save, stored
from energy.hardware import Hardware
from energy.rates import Rate
from energy.windows import Device, Domain, Reading, Source
from perpass.errors import UserError

torch = pytest.importorskip("torch")
HERE = Hardware("AMD EPYC (2 cores)", "cpu", "AMD EPYC", 1, cores=2, found=True)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "perpass" / "calibration.json"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second per reading of the clock, so that rates can be computed by hand."""
    times = iter(range(10**6))
    monkeypatch.setattr(rates.time, "perf_counter", lambda: float(next(times)))


def test_a_copy_counts_what_is_read_and_what_is_written(clock: None) -> None:
    assert rates.bandwidth("cpu", size=4096, repeats=3, span_s=1.0) == Rate(8192.0, 8192.0, 3)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "int8"])
def test_a_product_counts_two_operations_per_multiply_add(clock: None, precision: str) -> None:
    found = rates.products("cpu", precision, sizes=(16,), repeats=2, span_s=1.0)
    assert found == Rate(2.0 * 16**3, 2.0 * 16**3, 2)


def test_a_slow_product_is_measured_on_a_smaller_matrix(clock: None) -> None:
    # Every product takes a second here, so the larger size would take eight.
    assert rates.products("cpu", "fp32", sizes=(32, 16), repeats=1, span_s=1.0).best == 2.0 * 16**3


def test_what_was_measured_is_kept_and_read_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "bandwidth", lambda device: Rate(2e9, 1e9, 7))

    def products(device: str, precision: str) -> Rate:
        if precision == "int8":
            raise RuntimeError("not here\nat all")
        return Rate(1e9, 1e9, 7)

    monkeypatch.setattr(rates, "products", products)
    monkeypatch.setattr(calibrate, "idle", lambda machine, seconds: (None, None, "no meter"))
    said: list[str] = []
    made = measure(HERE, said.append)
    assert set(made.peaks) == {"fp32", "bf16", "fp16"} and made.unavailable == {"int8": "not here"}
    assert made.idle_w is None and made.idle_reason == "no meter" and len(said) == 6
    assert save(made) == cache and stored() == {HERE.name: made} and of_machine(HERE) == made
    assert read(json.loads(cache.read_text())[HERE.name]) == made
    assert of_machine(Hardware(HERE.name, "cpu", "AMD EPYC", 1)) is None  # declared, so it is elsewhere


def test_a_broken_file_is_no_calibration(cache: Path) -> None:
    assert stored() == {}
    for text in ("", "[]", '{"x": 1}', '{"x": {"version": 1}}'):
        cache.parent.mkdir(exist_ok=True)
        cache.write_text(text)
        assert stored() == {}


def test_a_file_that_cannot_be_written_is_one_sentence(cache: Path) -> None:
    cache.parent.write_text("a file where the folder would be")
    made = Calibration("x", "x", "cpu", 1, "s", "d", "2", 1, Rate(1, 1, 1), {})
    with pytest.raises(UserError, match="cannot write the calibration"):
        save(made)


def test_power_at_rest_is_the_counter_over_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Counter:
        name, version, source = "rapl", 1, Source.RAPL_COUNTER
        readings = iter([(100.0, 5.0), (110.0, 255.0)])

        def open(self) -> None: ...
        def close(self) -> None: ...
        def read(self) -> Reading:
            at, joules = next(self.readings)
            return Reading(at, {Device(Domain.CPU, "package-0"): joules}, "rapl", 1, Source.RAPL_COUNTER)

    monkeypatch.setattr(calibrate, "choose", lambda kind: Counter())
    monkeypatch.setattr(calibrate.time, "sleep", lambda seconds: None)
    assert idle(HERE, 10.0) == (25.0, "rapl_counter", None)


def test_without_a_meter_there_is_no_power_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "gpus", list)
    from energy.meters import meters

    monkeypatch.setattr(calibrate, "choose", lambda kind: meters.get("none")())
    watts, source, reason = idle(HERE, 10.0)
    assert watts is None and source is None and reason is not None and "doctor" in reason
