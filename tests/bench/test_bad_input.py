"""What a person gets wrong: one sentence with the nearest valid name, the right exit code, and nothing written."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import pytest

from tests.bench.conftest import SMALL, Bench, Said

ADHOC = ("run", "--engine", "scripted", "--task", "arithmetic", "--limit", "2")


def refused(said: Said, code: int, *words: str) -> None:
    """One line on stderr that begins with `error:` and holds all `words`; nothing on stdout."""
    assert said.code == code, said
    assert said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err


def nothing_written(folder: Path) -> None:
    assert not [p for p in folder.iterdir() if ".db" in p.name]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--strategy", "self_consistncy"), ("--strategy self_consistncy", "unknown strategy", "did you mean 'self_consistency'?")),
        (("--strategy", "self_consistency(m=4)"), ("unknown parameter 'm'", "known: n")),
        (("--strategy", "self_consistency(n=0)"), ("n=0", "greater than or equal to 1")),
        (("--strategy", "self_consistency(n=4"), ("cannot read", "write name or name(n=4)")),
        (("--strategy", "self_consistency(n=4, temperature=0)"), ("temperature 0 with n=4 would draw 4 equal samples",)),
        (("--strategy", "cot(temprature=1)"), ("unknown parameter 'temprature'", "did you mean 'temperature'?")),
        (("--strategy", "cot", "--task", "arithmetik"), ("unknown task 'arithmetik'", "did you mean 'arithmetic'?")),
        (("--strategy", "cot", "--engine", "scriptd"), ("unknown engine 'scriptd'", "did you mean 'scripted'?")),
        (("--strategy", "cot", "--engine", "transformers", "--model", "perpass/nan"), ("unknown model", "did you mean 'perpass/nano'?")),
        (("--strategy", "cot", "--set", "sampling.top_q=1"), ("unknown sampling parameter 'top_q'", "did you mean 'top_p'?")),
        (("--strategy", "cot", "--set", "trails=2"), ("unknown key 'trails'", "did you mean 'trials'?")),
        (("--strategy", "cot", "--limit", "0"), ("--limit 0", "expected at least 1, not 0")),
        (("--strategy", "cot", "--series", ""), ("series: expected some text",)),
        (("--strategy", "cot", "--fresh", "--series", "x"), ("either --fresh or --series",)),
        (("--strategy", "cot", "--executor", "rey"), ("unknown executor 'rey'", "did you mean 'ray'?")),
        (("--strategy", "cot", "--max-seconds", "0"), ("--max-seconds must be above 0",)),
        (("--strategy", "cot", "--max-usd", "1"), ("--max-usd", "no token price")),
        (("--strategy", "cot", "--data", "nowhere"), ("--data nowhere", "no such folder")),
        (("--strategy", "cot", "--limt", "3"), ("No such option: --limt", "did you mean '--limit'?")),
        (("--strategy", "cot", "--limit", "many"), ("--limit",)),
        ((), ("--model and --strategy",)),
    ],
)
def test_a_run_that_cannot_be(bench: Bench, folder: Path, flags: tuple[str, ...], words: tuple[str, ...]) -> None:
    start = ("run", "--task", "arithmetic") if not flags else ADHOC
    refused(bench(*start, *flags), 2, *words)
    nothing_written(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("x.yaml", "empty")),
        ("tasks: [", ("x.yaml:1", "malformed YAML")),
        (SMALL.replace("tasks:", "taks:"), ("x.yaml:3", "unknown key 'taks'", "did you mean 'tasks'?")),
        (SMALL.replace("arithmetic", "arithmetics"), ("x.yaml:3", "unknown task", "did you mean 'arithmetic'?")),
        (SMALL.replace("n: [2, 4]", "n: [2, 0]"), ("x.yaml:7", "n=0")),
        (SMALL.replace("- cot", "- cto"), ("x.yaml:6", "unknown strategy 'cto'")),
        (SMALL.replace("max_tokens: 64", "max_tokens: 0"), ("x.yaml:8", "max_tokens must be between 1")),
        (SMALL + "api_key: sk-123\n", ("x.yaml:11", "unknown key 'api_key'")),
    ],
)
def test_a_file_that_is_wrong(bench: Bench, folder: Path, text: str, words: tuple[str, ...]) -> None:
    (folder / "x.yaml").write_text(text)
    for command in ("run", "plan"):
        refused(bench(command, "x.yaml"), 2, *words)
    nothing_written(folder)


def test_a_report_reads_the_form_of_the_file(bench: Bench, folder: Path) -> None:
    (folder / "x.yaml").write_text("tasks: [")
    refused(bench("report", "x.yaml"), 2, "x.yaml:1: malformed YAML")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "demoo"), "unknown experiment 'demoo'; did you mean 'demo'?"),
        (("run", "nowhere.yaml"), "nowhere.yaml: no such file"),
        (("run",), "name an experiment (such as demo), or give --model and --task and --strategy"),
        (("plan", "demo", "--format", "jsn"), "unknown format 'jsn'; did you mean 'json'?"),
        (("report", "--format", "markdwn"), "unknown format 'markdwn'; did you mean 'markdown'?"),
        (("report", "--axes", "accuracy,flops"), "unknown axis 'flops'; did you mean 'flop'?"),
        (("report", "--cost-basis", "tokens"), "unknown cost basis 'tokens'; did you mean 'token'?"),
        (("list", "strategy"), "unknown list 'strategy'"),
        (("lst",), "No such command 'lst'. Did you mean 'list'"),
        (("grade", "arithmetik", "x.jsonl"), "unknown task 'arithmetik'; did you mean 'arithmetic'?"),
        (("grade", "arithmetic", "x.jsonl"), "x.jsonl: cannot be read"),
    ],
)
def test_what_is_named_wrongly(bench: Bench, folder: Path, words: tuple[str, ...], said: str) -> None:
    refused(bench(*words), 2, said)
    nothing_written(folder)


def test_a_data_folder_that_is_missing_or_lacks_the_data(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ("run", "--engine", "scripted", "--task", "gsm8k", "--strategy", "cot")
    monkeypatch.setenv("PERPASS_DATA", str(folder / "nowhere"))
    refused(bench(*run), 2, "PERPASS_DATA", "no such folder")
    monkeypatch.setenv("PERPASS_DATA", str(folder))
    refused(bench(*run), 2, "gsm8k/test.jsonl", "no such file")
    nothing_written(folder)


def test_a_model_folder_without_weights(bench: Bench, folder: Path) -> None:
    (folder / "model").mkdir()
    run = ("run", "--engine", "transformers", "--task", "arithmetic", "--strategy", "cot", "--model", "./model")
    refused(bench(*run), 2, "--model ./model", "config.json")
    (folder / "model" / "config.json").write_text(json.dumps({"model_type": "llama"}))
    refused(bench(*run), 2, "--model ./model", "no weights")
    refused(bench(*run[:-1], "./other"), 2, "no such folder")
    nothing_written(folder)


def test_a_line_of_answers_that_is_wrong(bench: Bench, folder: Path) -> None:
    (folder / "x.jsonl").write_text('{"id": "nope", "output": "1"}\n')
    refused(bench("grade", "arithmetic", "x.jsonl"), 2, "x.jsonl:1", "no problem with the id 'nope'")
    (folder / "x.jsonl").write_text("{\n")
    refused(bench("grade", "arithmetic", "x.jsonl"), 2, "x.jsonl:1", "not JSON")


def test_reading_commands_never_create_a_database(bench: Bench, folder: Path) -> None:
    for words in (("report",), ("report", "demo"), ("show", "1"), ("rejudge",), ("db", "info")):
        refused(bench(*words), 1, "no database at perpass.db")
    nothing_written(folder)


def test_a_foreign_database_is_left_alone(bench: Bench, folder: Path, small: Path) -> None:
    with sqlite3.connect("foreign.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    before = (folder / "foreign.db").read_bytes()
    for words in (("run", "small.yaml"), ("report",), ("db", "upgrade")):
        refused(bench(*words, "--db", "foreign.db"), 1, "foreign.db")
    (folder / "text.db").write_text("these are no tables, and this is no database")
    refused(bench("run", "small.yaml", "--db", "text.db"), 1, "text.db")
    assert (folder / "foreign.db").read_bytes() == before


def test_a_database_in_a_folder_that_does_not_exist(bench: Bench, small: Path) -> None:
    refused(bench("run", "small.yaml", "--db", "no/such/x.db"), 1, "there is no folder no/such")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_database_that_is_read_only(bench: Bench, folder: Path, small: Path) -> None:
    assert bench("run", "small.yaml", "--db", "x.db").code == 0
    (folder / "x.db").chmod(0o444)
    refused(bench("run", "small.yaml", "--db", "x.db", "--fresh"), 1, "read-only")
    assert bench("report", "--db", "x.db").code == 0
