"""Windows of a run on a meter that we set: idle, whole and steady, the readings beside them, and what these have against a window."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from energy.codes import Code
from energy.steady import Request
from energy.traces import Quantity, Sense
from energy.windows import Device, Domain, Reading, Source, now
from harness import runner
from harness.cell import Cell
from harness.testing import ScriptedEngine
from harness.windows import most_at_once
from tests.harness.digits import Digits, cell, place
from tests.harness.test_runner import QUICK, go, table

GPU = Device(Domain.GPU, "GPU-1")


class Steadily:
    """A GPU that draws 100 W by its counter, whatever happens; what it says of its power can be set apart from that."""

    name, version, source = "steadily", 1, Source.NVML_COUNTER
    watts, others = 100.0, ()

    def unavailable(self) -> str | None:
        return None

    def open(self) -> None: ...

    def close(self) -> None: ...

    def read(self) -> Reading:
        at_s = now()
        return Reading(at_s, {GPU: 1e9 + 100 * at_s}, self.name, self.version, self.source)

    def sense(self) -> Sequence[Sense]:
        return [Sense(Quantity.POWER, GPU, self.watts), Sense(Quantity.TEMPERATURE, GPU, 50.0)]

    def state(self) -> tuple[Code, ...]:
        return self.others


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Steadily]:
    made = Steadily()
    monkeypatch.setattr(runner, "meter_for", lambda places, require=False: made)
    yield made


def live(concurrency: int, size: int) -> Cell:
    base = cell("cot", place(ScriptedEngine(latency=(0.02, 0.03))), Digits(size=size))
    return Cell(base.policy, base.strategy, base.task, mode="live", concurrency=concurrency)


def test_a_live_cell_has_idle_whole_and_steady_windows_and_their_readings(meter: Steadily, tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    assert go([live(2, 30)], db, replace(QUICK, idle_s=0.3)).status == "done"
    rows = table(db, "select * from window order by started").set_index("kind")
    assert rows.index.tolist() == ["idle", "whole", "steady"]
    for row in rows.itertuples():
        assert row.energy_j == pytest.approx(100 * (row.ended - row.started), rel=1e-6)
        assert row.device == "GPU-1" and "window_too_short" in row.codes  # a second is no measurement, and says so
    steady, whole = rows.loc["steady"], rows.loc["whole"]
    assert whole.started <= steady.started < steady.ended <= whole.ended
    import json

    said = json.loads(steady.parameters)
    assert (said["requests_in_flight"], said["problems_in_flight"], said["requests"]) == (2, 2, 30)
    assert said["output_tokens"] > 0 and 0.8 < said["running_share"] <= 1.01
    assert table(db, "select count(*) as n from window where kind = 'steady' and cell_id is null").n[0] == 0


def test_any_window_can_be_computed_again_from_the_readings(meter: Steadily, tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    go([live(2, 20)], db, replace(QUICK, idle_s=0))
    window = table(db, "select * from window where kind = 'whole'").iloc[0]
    arrays = "join text t on t.id = times_id join text v on v.id = values_id"
    readings = table(db, f"select p.*, t.data as times, v.data as vals from power p {arrays}")
    assert set(readings.quantity) == {"energy_j", "power_w", "temperature_c"}
    counter = readings[readings.quantity == "energy_j"].iloc[0]
    times, values = (array("f", zlib.decompress(data)) for data in (counter.times, counter.vals))
    assert len(times) == counter.readings and counter.started <= window.started and counter.ended >= window.ended
    inside = [(t, v) for t, v in zip(times, values, strict=True)]
    slope = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
    assert slope * (window.ended - window.started) == pytest.approx(window.energy_j, rel=1e-3)


def test_power_that_disagrees_with_the_counter_is_flagged(meter: Steadily, tmp_path: Path) -> None:
    meter.watts = 60.0
    go([live(1, 5)], tmp_path / "a.db", replace(QUICK, idle_s=0))
    assert "counter_integral_mismatch" in table(tmp_path / "a.db", "select codes from window where kind = 'whole'").codes[0]


def test_devices_that_are_not_ours_alone_say_so(meter: Steadily, tmp_path: Path) -> None:
    meter.others = (Code.FOREIGN_PROCESS, Code.MIG_SHARED)
    go([live(1, 5), cell("cot", place(), Digits(size=3))], tmp_path / "a.db", replace(QUICK, idle_s=0))
    for codes in table(tmp_path / "a.db", "select codes from window").codes:
        assert "foreign_process" in codes and "mig_shared" in codes


def test_nothing_measures_so_nothing_idles_and_nothing_is_steady(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from energy.meters import meters

    monkeypatch.setattr(runner, "meter_for", lambda places, require=False: meters.get("none")())
    db = tmp_path / "a.db"
    go([live(2, 20)], db, replace(QUICK, idle_s=1000))
    rows = table(db, "select kind, energy_j, codes from window")
    assert rows.kind.tolist() == ["whole"] and rows.energy_j.isna().all() and "no_meter" in rows.codes[0]
    assert table(db, "select count(*) as n from power").n[0] == 0
    attempts = table(db, "select energy_j, device_s, energy_code from attempt")
    assert attempts.energy_j.isna().all() and attempts.energy_code.notna().all()


def test_the_most_in_flight_at_once() -> None:
    def request(sent: float, last: float) -> Request:
        return Request(sent, sent, last, 1)

    assert most_at_once([request(0, 1), request(1, 2), request(2, 3)]) == 1
    assert most_at_once([request(0, 3), request(1, 2), request(1.5, 4)]) == 3
    assert most_at_once([]) == 0
