"""The command line, as people and scripts use it: outputs, exit codes, resuming, progress."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bench as bench_room
from bench import execute, progress
from harness.events import Options, Status
from perpass.errors import UserError
from results import frames
from results.report import FIELDS
from tasks import answers
from tests.bench.conftest import SMALL, Bench

CELLS = ["direct", "cot", "self_consistency(n=2)", "self_consistency(n=4)"]


def test_run_then_again_then_report(bench: Bench, folder: Path, small: Path) -> None:
    first = bench("run", "small.yaml")
    assert first.code == 0, first
    assert "new database: perpass.db" in first.err
    assert "21 attempts run, 0 found stored · 27 engine calls" in first.out  # 3 greedy, and 4 draws for each of 3 problems × 2 trials
    assert all(label in first.out for label in CELLS)
    assert "bench report small.yaml" in first.out and "bench show " in first.out

    again = bench("run", "small.yaml")
    assert (again.code, "new database" in again.err) == (0, False)
    assert "0 attempts to run, 21 found stored · 0 engine calls" in again.out

    rows = json.loads(bench("report", "small.yaml", "--format", "json").out)
    assert sorted(r["strategy"] for r in rows) == sorted(CELLS)
    assert set(rows[0]) >= set(FIELDS)
    assert {r["experiment"] for r in rows} == {"small"}
    assert len(list(csv.DictReader(io.StringIO(bench("report", "--format", "csv").out)))) == 4
    assert "| strategy" in bench("report", "--format", "markdown").out
    assert "cot" in bench("report", "small").out


def test_a_larger_limit_runs_only_what_is_missing(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml")
    assert "7 attempts run, 21 found stored · 9 engine calls" in bench("run", "small.yaml", "--limit", "4").out


def test_fresh_makes_a_dated_series(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml")
    fresh = bench("run", "small.yaml", "--fresh")
    assert "21 attempts run" in fresh.out and "--series fresh-2" in fresh.out
    rows = json.loads(bench("report", "--series", "all", "--format", "json").out)
    assert len({r["series"] for r in rows}) == 2 and len(rows) == 8
    assert len(json.loads(bench("report", "--format", "json").out)) == 4


def test_ad_hoc(bench: Bench, folder: Path) -> None:
    said = bench(
        "run", "--engine", "scripted", "--task", "arithmetic(size=12)", "--strategy", "cot", "--strategy", "best_of_n(n=2)", "--limit", "2"
    )
    assert said.code == 0, said
    rows = json.loads(bench("report", "adhoc", "--format", "json").out)
    assert sorted(r["strategy"] for r in rows) == ["best_of_n(n=2)", "cot"]


def test_flags_replace_the_lists_of_an_experiment(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml", "--strategy", "cot", "--set", "trials=1")
    (row,) = json.loads(bench("report", "--format", "json").out)
    assert (row["strategy"], row["attempts"]) == ("cot", 3)


def test_attempts_that_end_in_errors_make_exit_code_1_and_are_tried_again(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(SMALL.replace("[scripted]", "[tests.bench.broken:BrokenEngine]"))
    said = bench("run", "x.yaml", "--strategy", "cot")
    assert said.code == 1 and "ended in errors; the same command tries them again" in said.out
    assert "6 attempts run, 0 found stored" in bench("run", "x.yaml", "--strategy", "cot").out


def test_a_budget_stops_cleanly_with_3(bench: Bench, small: Path) -> None:
    said = bench("run", "small.yaml", "--engine", "scripted(latency=[0.05, 0.05])", "--max-seconds", "0.01", "--limit", "200")
    assert said.code == 3 and "stopped by a budget: --max-seconds 0.01 reached" in said.out


def test_offline_without_samples_fails_at_once(bench: Bench, small: Path) -> None:
    said = bench("run", "small.yaml", "--strategy", "cot", "--offline")
    assert said.code == 1 and "6 attempts ended in errors" in said.out


def test_offline_answers_from_the_pool(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml", "--strategy", "self_consistency(n=4)")
    said = bench("run", "small.yaml", "--strategy", "self_consistency(n=2)", "--offline")
    assert said.code == 0 and "6 attempts run, 0 found stored · 0 engine calls" in said.out


def test_what_is_skipped_is_said(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(SMALL.replace("[scripted]", "[tests.bench.broken:PlainEngine]").replace("  - cot\n", "  - best_of_n\n"))
    said = bench("run", "x.yaml", "--limit", "1")
    assert said.code == 0, said
    assert "skipped: scripted · plain · best_of_n(n=16) · arithmetic: strategy best_of_n needs logprobs" in said.err
    alone = bench("run", "x.yaml", "--strategy", "best_of_n")
    assert alone.code == 2 and "nothing to run: strategy best_of_n needs logprobs" in alone.err


def test_plan_before_and_after(bench: Bench, folder: Path, small: Path) -> None:
    before = bench("plan", "small.yaml")
    assert before.code == 0 and "4 cells, 21 attempts" in before.out and "27 – 27" in before.out and "not known" in before.out
    assert not (folder / "perpass.db").exists()
    bench("run", "small.yaml")
    after = json.loads(bench("plan", "small.yaml", "--set", "trials=4", "--format", "json").out)
    assert after["estimate"]["calls"] == {"low": 24.0, "high": 24.0}
    assert [c["finished"] for c in after["cells"]] == [3, 6, 6, 6]
    assert after["estimate"]["basis"] == ["stored", "stored cells"]
    assert after["estimate"]["output_tokens"]["high"] > 0


def test_plan_names_what_is_skipped(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text(SMALL.replace("[scripted]", "[tests.bench.broken:PlainEngine]").replace("  - cot\n", "  - best_of_n\n"))
    told = json.loads(bench("plan", "x.yaml", "--format", "json").out)
    assert told["skipped"][0]["reason"].startswith("strategy best_of_n needs logprobs")


@pytest.mark.parametrize("kind", ["tasks", "strategies", "engines", "models", "hardware", "prices", "regions", "experiments"])
def test_lists(bench: Bench, kind: str) -> None:
    rows = json.loads(bench("list", kind, "--format", "json").out)
    assert rows and all(row["name"] for row in rows)
    shown = bench("list", kind).out
    assert all(row["name"] in shown for row in rows)
    if kind == "strategies":
        assert all({"family", "paper", "needs", "budget", "pool", "version"} <= set(row) for row in rows)


def test_grade(bench: Bench, folder: Path) -> None:
    from tasks import load

    problems = load("arithmetic").problems()[:2]
    lines = [
        {"id": problems[0].key, "output": f"\\boxed{{{problems[0].gold[0]}}}"},
        {"question": problems[1].question, "output": "no idea"},
    ]
    (folder / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = bench("grade", "arithmetic", "x.jsonl")
    assert said.code == 0 and "1 of 2 correct (50.0%)" in said.err
    first, second = (json.loads(line) for line in said.out.splitlines())
    assert list(first) == ["index", "outcome", "correct", "extracted", "scores"]
    assert (first["correct"], second["correct"], second["index"]) == (True, False, 1)


def test_doctor_says_what_there_is_and_how_to_fix_the_rest(bench: Bench) -> None:
    said = bench("doctor")
    assert said.code == 0 and "CPU energy" in said.out and "PERPASS_DATA" in said.out and "bench run demo" in said.out


def test_doctor_looks_at_data_and_database(bench: Bench, folder: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder / "nowhere"))
    assert "nowhere is no folder" in bench("doctor").out
    (folder / "data" / "gsm8k").mkdir(parents=True)
    monkeypatch.setenv("PERPASS_DATA", str(folder / "data"))
    bench("run", "small.yaml")
    said = bench("doctor").out
    assert "data: gsm8k" in said and "perpass.db: 4 cells, 21 attempts" in said
    (folder / "text.db").write_text("this is no database")
    assert "text.db" in bench("doctor", "--db", "text.db").out


def test_db(bench: Bench, folder: Path, small: Path) -> None:
    assert bench("db", "upgrade", "--db", "x.db").code == 0
    bench("run", "small.yaml", "--db", "x.db")
    told = json.loads(bench("db", "info", "--db", "x.db", "--format", "json").out)
    assert told["tables"]["cell"] == 4 and told["tables"]["attempt"] == 21 and told["current"]
    assert "21  attempt" in bench("db", "info", "--db", "x.db").out


def test_show_a_cell_and_an_attempt(bench: Bench, small: Path) -> None:
    ran = bench("run", "small.yaml", "--db", "x.db")
    wrong = ran.out.partition("bench show ")[2].split()[0]
    page = bench("show", wrong, "--db", "x.db")
    assert page.code == 0
    for word in (
        "── problem ops",
        "gold answer: ",
        "── prompt",
        "[user]",
        "\\boxed{",
        "wrong (extracted:",
        "── charged",
        "policy",
        "bench run small.yaml",
    ):
        assert word in page.out, word
    told = json.loads(bench("show", wrong, "--db", "x.db", "--format", "json").out)
    assert told["attempt"] == int(wrong) and told["samples"][0]["text"] in page.out
    page = bench("show", told["cell"][:6], "--db", "x.db")
    assert page.code == 0 and f"cell {told['cell']} · series main" in page.out and "max_tokens: 64" in page.out
    source = json.loads(bench("show", told["cell"], "--db", "x.db", "--format", "json").out)["report"]["energy_source"]
    assert ("~ estimated, not measured" in page.out) == (source == "estimated")
    assert json.loads(bench("show", told["cell"], "--db", "x.db", "--format", "json").out)["series"] == "main"


def test_show_what_is_not_there(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml")
    assert (bench("show", "99999").code, bench("show", "99999").err) == (
        2,
        "error: there is no attempt 99999; they are numbered up to 21\n",
    )
    assert bench("show", "0000ffff00").code == 2
    assert "unknown series 'mian'; did you mean 'main'" in bench("show", _cell(bench), "--series", "mian").err


def _cell(bench: Bench) -> str:
    return str(json.loads(bench("report", "--format", "json").out)[0]["cell"])


def test_the_command_line_is_stored_without_the_database(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml", "--db", "x.db", "--set", "trials=1")
    told = json.loads(bench("show", "1", "--db", "x.db", "--format", "json").out)
    assert told["run"]["argv"] == ["bench", "run", "small.yaml", "--set", "trials=1"]
    assert "trials: 1" in told["run"]["text"]


def test_rejudge_when_judges_are_newer(bench: Bench, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = bench("run", "small.yaml")
    assert "bench rejudge" not in first.out
    assert bench("rejudge").out.startswith("0 attempts judged again")

    monkeypatch.setattr(answers, "extractor_label", lambda: "newer")
    again = bench("run", "small.yaml")
    assert "0 attempts to run" in again.out and "newer judges are there     bench rejudge" in again.out
    assert "bench rejudge" in bench("report").out
    judged = bench("rejudge")
    assert judged.code == 0 and judged.out.startswith("21 attempts judged again, 0 with another outcome")
    assert "bench rejudge" not in bench("run", "small.yaml").out


def test_an_experiment_that_was_never_run(bench: Bench, small: Path) -> None:
    bench("run", "small.yaml")
    said = bench("report", "demo")
    assert said.code == 1 and "no results of experiment 'demo'" in said.err


def test_help_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'pandas', 'sqlalchemy', 'pydantic', 'yaml', 'rich', 'numpy'}"
    code = f"import sys, bench.main; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_version_and_unexpected_errors(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench("--version").out.startswith("perpass ")

    def broken(db: str | None) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("bench.checkup.findings", broken)
    said = bench("doctor")
    assert (said.code, said.err) == (1, "error: RuntimeError: boom (unexpected; --debug shows where)\n")
    said = bench("doctor", "--debug")
    assert said.code == 1 and "Traceback" in said.err


# --- stopping ---------------------------------------------------------------------------------------------------------------------------


def test_ctrl_c_saves_the_state_and_exits_with_130(folder: Path) -> None:
    (folder / "x.yaml").write_text(SMALL.replace("[scripted]", "[tests.bench.broken:HeldEngine]").replace("limit: 3", "limit: 400"))
    command = [sys.executable, "-m", "bench.main", "run", "x.yaml"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and running.poll() is None and not _attempts(folder / "perpass.db"):
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=300)
    assert running.returncode == 130, err
    assert "interrupted, state saved" in out and "Traceback" not in err
    assert _attempts(folder / "perpass.db") > 0


def _attempts(path: Path) -> int:
    try:
        return len(frames.attempts(path))
    except Exception:  # not there yet, or just being made
        return 0


# --- from Python ------------------------------------------------------------------------------------------------------------------------

MAPPING = {"engines": ["scripted"], "tasks": ["arithmetic"], "strategies": ["cot"], "limit": 2}


def test_run_from_python(folder: Path) -> None:
    frame = bench_room.run(MAPPING, "x.db")
    assert list(frame["strategy"]) == ["cot"] and list(frame["attempts"]) == [2]
    assert list(bench_room.run(MAPPING, "x.db", limit=3)["attempts"]) == [3]
    with pytest.raises(UserError, match="unknown argument 'limt'; did you mean 'limit'"):
        bench_room.run(MAPPING, "x.db", limt=3)


def test_run_inside_an_event_loop(folder: Path) -> None:
    async def notebook() -> int:
        return len(bench_room.run(MAPPING, "x.db"))

    assert asyncio.run(notebook()) == 1


def test_what_fails_in_the_other_thread_is_raised_here(folder: Path) -> None:
    async def notebook() -> None:
        async def fails() -> None:
            raise ValueError("there")

        execute.complete(fails())

    with pytest.raises(ValueError, match="there"):
        asyncio.run(notebook())


# --- progress ---------------------------------------------------------------------------------------------------------------------------


def status(**values: object) -> Status:
    return Status(**{"cells": 9, "cells_done": 2, "attempts": 400, "attempts_done": 100, "started": 0.0, "now": 10.0, **values})  # type: ignore[arg-type]


def test_a_line_of_progress() -> None:
    full = status(output_tokens=5120, joules=131.4, usd=0.0012, errors=2, cell="nano · cot")
    assert progress.line(full) == "cells 2/9 · attempts 100/400 · 512 tok/s · 131 J · $0.0012 · 0:30 left · 2 errors · nano · cot"
    assert progress.line(status()) == "cells 2/9 · attempts 100/400 · 0:30 left"
    alone = status(attempts_done=0, attempts_unjudged=100)  # a live cell is judged after its window
    assert progress.line(alone) == "cells 2/9 · attempts 100/400 · 0:30 left"


def test_plain_lines_come_every_ten_seconds_and_notes_at_once() -> None:
    out, now = io.StringIO(), [0.0]
    draw = progress.Lines(out, clock=lambda: now[0])
    for second in range(21):
        now[0] = second
        draw(status(notes=["skipped x"] if second >= 5 else []))
    lines = out.getvalue().splitlines()
    assert lines.count("skipped x") == 1 and len(lines) == 4


def test_durations() -> None:
    assert [progress.duration(s) for s in (0, 42, 725, 11220)] == ["0:00", "0:42", "12:05", "3:07:00"]


def test_progress_on_a_terminal() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with progress.show(out) as draw:
        draw(status(output_tokens=5120, cell="[red]nano[/red]", notes=["[b]a note[/b]"], errors=1))
    assert "[b]a note[/b]" in out.getvalue()


def test_require_energy_fails_before_the_database(bench: Bench, folder: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from energy.meters import meters

    for name in ("zeus", "rapl"):
        monkeypatch.setattr(meters.get(name), "unavailable", lambda self: "not here")
    said = bench("run", "small.yaml", "--require-energy")
    assert said.code == 2 and not (folder / "perpass.db").exists()


def test_options_reach_the_runner(folder: Path) -> None:
    seen: list[Status] = []
    bench_room.run(MAPPING, "x.db", options=Options(progress=seen.append))
    assert seen[-1].attempts_done == 2
