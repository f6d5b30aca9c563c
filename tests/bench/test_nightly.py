"""Nights in a row: the one that is worse alarms and names its cell, and the next is compared with the last good one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import nightly
from bench.nightly import Night
from perpass.errors import PerPassError, UserError
from results import frames
from tests.bench import nights
from tests.bench.conftest import Bench, Said


@pytest.fixture
def night(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`night("2026-11-01", correct=0.8)`: that night, with answers of that quality."""
    (folder / "nights.yaml").write_text(nights.EXPERIMENT)
    (folder / "gate.yaml").write_text("level: 0.01\naccuracy: {margin: 5}\n")

    def run(day: str, *flags: str, **quality: float) -> Said:
        monkeypatch.setattr(nights, "QUALITY", {"night": day, "correct": 0.8, "direct": 0.8, **quality})
        return bench("nightly", "nights.yaml", "--date", day, "--gate", "gate.yaml", *flags)

    return run


def on_record(folder: Path) -> dict[str, tuple[str, str | None]]:
    lines = (folder / "nightly" / "nights.jsonl").read_text().splitlines()
    return {night["date"]: (night["verdict"], night["base"]) for night in map(json.loads, lines)}


def test_a_week_with_one_bad_night(night: Any, folder: Path) -> None:
    assert night("2026-11-01").code == night("2026-11-02").code == 0
    bad = night("2026-11-03", correct=0.5)
    assert bad.code == 4, bad
    cells = frames.cells(folder / "nightly" / "perpass.db", series="nightly-2026-11-02").set_index("strategy")["cell"]
    suite = ElementTree.parse(folder / "nightly" / "junit.xml").getroot()[0]
    (failed,) = [case for case in suite.findall("testcase") if case.find("failure") is not None]
    assert cells["cot"] in failed.get("name", "") and "accuracy fell by" in failed[0].get("message", "")
    summary = (folder / "nightly" / "summary.md").read_text()
    assert "nightly-2026-11-03: regression" in summary and "## nightly-2026-11-02 → nightly-2026-11-03" in summary
    assert "**Gate at level 0.01: 1 of 2 cells is worse.**" in summary
    kept = [json.loads(line) for line in (folder / "nightly" / "nights.jsonl").read_text().splitlines()]
    assert kept[-1]["cells"] == [cells["cot"]] and "! arithmetic · cot" in bad.out

    still = night("2026-11-04", correct=0.5)
    assert still.code == 4  # not compared with the bad night, where nothing would have changed
    assert night("2026-11-05").code == 0
    assert on_record(folder) == {
        "2026-11-01": ("first", None),
        "2026-11-02": ("passed", "nightly-2026-11-01"),
        "2026-11-03": ("regression", "nightly-2026-11-02"),
        "2026-11-04": ("regression", "nightly-2026-11-02"),
        "2026-11-05": ("passed", "nightly-2026-11-02"),
    }


def test_an_accepted_night_is_what_later_ones_are_compared_with(night: Any, folder: Path) -> None:
    night("2026-11-01")
    assert night("2026-11-02", correct=0.5).code == 4
    again = night("2026-11-02", "--accept", correct=0.5)
    assert again.code == 0 and "0 attempts to run" in again.out
    assert night("2026-11-03", correct=0.5).code == 0
    assert on_record(folder) == {
        "2026-11-01": ("first", None),
        "2026-11-02": ("accepted", "nightly-2026-11-01"),
        "2026-11-03": ("passed", "nightly-2026-11-02"),
    }


def test_an_earlier_date_is_compared_with_what_was_before_it(night: Any, folder: Path) -> None:
    for day in ("2026-11-01", "2026-11-05", "2026-11-03"):
        assert night(day).code == 0
    assert on_record(folder)["2026-11-03"] == ("passed", "nightly-2026-11-01")
    assert list(on_record(folder)) == ["2026-11-01", "2026-11-03", "2026-11-05"]


def test_a_changed_experiment_pairs_with_nothing(night: Any, folder: Path) -> None:
    night("2026-11-01")
    (folder / "nights.yaml").write_text(nights.EXPERIMENT.replace("[direct, cot]", "[{kind: cot, temperature: 0.5}]"))
    said = night("2026-11-02")
    assert said.code == 1 and on_record(folder)["2026-11-02"] == ("unpaired", "nightly-2026-11-01")
    assert "the other side has no such cell" in said.out
    assert night("2026-11-02", "--accept").code == 0 and night("2026-11-03").code == 0


def test_a_night_with_errors_is_no_good_night(night: Any, folder: Path) -> None:
    night("2026-11-01")
    (folder / "nights.yaml").write_text(nights.EXPERIMENT.replace("nights:NightEngine", "broken:BrokenEngine"))
    assert night("2026-11-02").code == 1
    (folder / "nights.yaml").write_text(nights.EXPERIMENT)
    assert night("2026-11-03").code == 0
    assert on_record(folder)["2026-11-02"] == ("failed", "nightly-2026-11-01")
    assert on_record(folder)["2026-11-03"] == ("passed", "nightly-2026-11-01")


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "20261121", "2026-1-1", "2026-W47-6"])
def test_a_date_that_is_none(night: Any, folder: Path, day: str) -> None:
    said = night(day)
    assert (said.code, said.out) == (2, "") and f"--date {day}: expected a date such as 2026-11-21" in said.err
    assert not (folder / "nightly").exists()


def test_what_is_wrong_is_said_before_anything_runs(night: Any, bench: Bench, folder: Path) -> None:
    (folder / "gate.yaml").write_text("acuracy: {}\n")
    assert night("2026-11-01").code == 2
    (folder / "gate.yaml").write_text("accuracy: {}\n")
    (folder / "nightly").write_text("a file")
    said = night("2026-11-01")
    assert said.code == 2 and "--folder nightly: cannot be made" in said.err
    assert bench("nightly", "nights.yaml").code == 2 and bench("nightly", "nowhere.yaml", "--date", "2026-11-01").code == 2


def test_a_folder_belongs_to_one_experiment(tmp_path: Path) -> None:
    nightly.record(tmp_path, [], Night("2026-11-01", "nightly-2026-11-01", "demo", None, "first"))
    with pytest.raises(UserError, match=r"holds nights of experiment 'demo', not 'other'; give each its own --folder"):
        nightly.nights(tmp_path, "other")


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"date": "2026-11-01"}', '{"date":"","series":"","experiment":"demo","base":null,"verdict":"fine","cells":[]}']
)
def test_a_damaged_record(tmp_path: Path, line: str) -> None:
    (tmp_path / "nights.jsonl").write_text(f"\n{line}\n")
    with pytest.raises(PerPassError, match=r"nights.jsonl:2: not a night; expected a JSON object with base, cells, date"):
        nightly.nights(tmp_path, "demo")


def test_the_newest_good_night_before_a_date() -> None:
    known = [Night(f"2026-11-0{n}", f"s{n}", "demo", None, verdict) for n, verdict in enumerate(nightly.VERDICTS, 1)]
    assert [nightly.last_good(known, day) for day in ("2026-11-01", "2026-11-02", "2026-11-04", "2026-12-01")] == [None, "s1", "s3", "s3"]
