"""What a run and a report end with: the picture, the sentence, and commands that work as they are printed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from bench.commands import following
from tests.bench.conftest import Bench
from tests.results.rows import compared, crowd, row


def commands(out: str) -> list[list[str]]:
    """The printed commands, without `bench`."""
    return [shlex.split(line[27:])[1:] for line in out.splitlines() if line[27:].startswith("bench ")]


@pytest.mark.parametrize("flags", [(), ("--series", "other"), ("--db", "x.db")])
def test_every_command_after_a_run_works(bench: Bench, small: Path, flags: tuple[str, ...]) -> None:
    found = commands(bench("run", "small.yaml", *flags).out)
    assert [c[0] for c in found] == ["report", "report", "show"]
    assert found[1] == [*found[0], "--axes", "accuracy,output_tokens"]  # a scripted engine counts no FLOPs
    for words in found:
        assert bench(*words).code == 0, words
    assert len(json.loads(bench(*found[0], "--format", "json").out)) == 4


def test_a_report_names_itself_on_other_axes(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml")
    (again,) = commands(bench("report", "small", "--task", "arithmetic", "--common", "--axes", "accuracy,flop").out)
    assert again == ["report", "small", "--task", "arithmetic", "--common", "--axes", "accuracy,output_tokens"]
    assert commands(bench("report", "--axes", "accuracy,tokens").out) == []


def test_the_cell_to_look_at_is_the_cheapest_that_is_as_accurate_as_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    rows = compared([row("direct", 0.2, 5e7, series="s"), row("cot", 0.8, 1e8, series="s"), row("vote", 0.84, 4e8, series="s")])
    following.after_report([*rows, *crowd("other")], "mine", [("--series", "s")], "x.db")
    assert commands(capsys.readouterr().out) == [
        ["report", "mine", "--series", "s", "--db", "x.db", "--axes", "accuracy,energy_j"],
        ["show", rows[1]["cell"], "--series", "s", "--db", "x.db"],
    ]
    following.after_report([], None, [], None)
    assert capsys.readouterr().out == ""


def test_no_password_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    following.after_report(crowd("sums"), None, [], "postgresql://me:secret@host/db")
    out = capsys.readouterr().out
    assert "bench show" in out and "secret" not in out


def test_the_picture_is_for_terminals_and_plain_unless_they_have_colours(
    bench: Bench, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    assert "No picture: every cell (no flop: unknown_architecture)." in bench("run", "small.yaml").out
    drawn = ("report", "--axes", "accuracy,tokens")
    out = bench(*drawn).out
    assert "accuracy, %" in out and "● on the frontier" in out and "\x1b" not in out
    for format in ("json", "csv", "markdown"):
        said = bench(*drawn, "--format", format).out
        assert "┤" not in said and "bench " not in said
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in bench(*drawn).out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in bench(*drawn).out
