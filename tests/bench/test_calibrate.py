"""`bench calibrate`, with the measuring itself replaced: what it prints and keeps. The measuring is in tests/energy/test_calibrate.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.main import app
from energy import calibrate, hardware
from energy.calibrate import Calibration
from energy.rates import Rate


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(hardware, "gpus", list)
    asked: dict[str, Any] = {}

    def measure(machine: hardware.Hardware, say: Any, idle_s: float) -> Calibration:
        say("fp32 products")
        asked.update(machine=machine, idle_s=idle_s)
        return Calibration(
            hardware=machine.name,
            device=machine.device,
            kind=machine.kind,
            count=1,
            system=calibrate.platform.platform(),
            date="2026-11-28",
            torch="2.9",
            threads=2,
            bandwidth=Rate(12e9, 11e9, 7),
            peaks={"fp32": Rate(150e9, 149e9, 7), "int8": Rate(300e9, 100e9, 7)},
            unavailable={"fp16": "no kernel"},
            idle_w=31.5,
            idle_source="rapl_counter",
        )

    monkeypatch.setattr(calibrate, "measure", measure)
    return asked


def test_the_table_has_units_and_says_where_it_is_kept(measured: dict[str, Any], tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["calibrate", "--idle", "3"])
    assert said.exit_code == 0 and measured["idle_s"] == 3.0
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert "power at rest 31.5 – W (rapl_counter)" in lines
    assert "copy bandwidth 12.0 11.0 GB/s" in lines and "fp32 products 150 149 GFLOP/s" in lines and "int8 products 300 100 GOP/s" in lines
    assert "fp16 products – – no kernel" in lines
    assert "The median of int8 is far below the best" in said.stdout and "idle power: not measured" not in said.stdout
    assert str(tmp_path / "perpass" / "calibration.json") in said.stdout and "next: bench run demo" in said.stdout
    assert calibrate.of_machine(measured["machine"]) is not None


def test_json_is_the_whole_calibration(measured: dict[str, Any]) -> None:
    said = CliRunner().invoke(app, ["calibrate", "--format", "json"])
    assert calibrate.read(json.loads(said.stdout)) == calibrate.of_machine(measured["machine"])


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--idle", "0"], "above 0"), (["--hardware", "gpu"], "no GPU is visible"), (["--hardware", "gpus"], "did you mean 'gpu'")],
)
def test_bad_flags_are_one_sentence(measured: dict[str, Any], flags: list[str], says: str) -> None:
    said = CliRunner().invoke(app, ["calibrate", *flags])
    assert said.exit_code == 2 and says in said.stderr
