"""A task of one's own from the command line: run, found again, identified by its content, and its mistakes told with their places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.conftest import Bench

EXPERIMENT = """\
name: own
engines: [scripted]
tasks:
  - ./own/capitals.yaml
strategies: [cot]
"""


@pytest.fixture
def own(folder: Path) -> Path:
    """A folder with a task of two problems, and an experiment beside it that asks them."""
    made = folder / "own"
    made.mkdir()
    lines = ['{"country": "France", "capital": "Paris"}', '{"country": "Kenya", "capital": "Nairobi"}']
    (made / "capitals.jsonl").write_text("\n".join(lines))
    (made / "capitals.yaml").write_text("data: capitals.jsonl\nquestion: Capital of {country}?\nanswer: capital\ngrader: exact\n")
    (folder / "own.yaml").write_text(EXPERIMENT)
    return made


def stored(bench: Bench) -> dict[str, int]:
    said = bench("report", "--format", "json")
    assert said.code == 0, said
    found: dict[str, int] = {}
    for row in json.loads(said.out):
        found[row["task"]] = found.get(row["task"], 0) + row["attempts"]
    return found


def test_it_is_run_once_and_found_again_wherever_the_file_lies(bench: Bench, own: Path, folder: Path) -> None:
    assert bench("run", "own.yaml").code == 0
    assert stored(bench) == {"capitals": 2}
    own.rename(folder / "moved")
    (folder / "own.yaml").write_text(EXPERIMENT.replace("./own/", "moved/"))
    again = bench("run", "own.yaml")
    assert again.code == 0 and " 2 found stored · 0 engine calls" in again.out + again.err
    with (folder / "moved" / "capitals.jsonl").open("a") as file:
        file.write('\n{"country": "Peru", "capital": "Lima"}')
    assert bench("run", "own.yaml").code == 0
    assert sorted(stored(bench).values()) == [2, 3] and all(name.startswith("capitals (revision=local-") for name in stored(bench))
    assert bench("rejudge").code == 0


def test_it_is_a_task_of_the_other_commands_too(bench: Bench, own: Path, folder: Path) -> None:
    (folder / "a.jsonl").write_text(
        '{"id": "row/1", "output": "\\\\boxed{Nairobi}"}\n{"question": "Capital of France?", "output": "Lyon"}\n'
    )
    said = bench("grade", "./own/capitals.yaml", "a.jsonl")
    assert said.code == 0, said
    assert [json.loads(line)["outcome"] for line in said.out.splitlines()] == ["correct", "unparsable"]
    assert bench("run", "--engine", "scripted", "--task", "own/capitals.yaml", "--strategy", "cot").code == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "own/capitals.yaml",
            "{country}",
            "{contry}",
            "own.yaml:4: own/capitals.jsonl:1: question: unknown field 'contry'; did you mean 'country'?",
        ),
        (
            "own/capitals.yaml",
            "answer:",
            "awnser:",
            "own.yaml:4: ./own/capitals.yaml:3: task 'custom' has no parameter 'awnser'; did you mean",
        ),
        ("own/capitals.jsonl", '"Nairobi"}', '"Nairobi"', "own.yaml:4: own/capitals.jsonl:2: not a JSON object"),
        ("own/capitals.yaml", "capitals.jsonl", "capitols.jsonl", "own/capitols.jsonl: no such file; did you mean 'capitals.jsonl'?"),
        ("own.yaml", "./own/", "./", "own.yaml:4: ./capitals.yaml: no such file in "),
    ],
)
def test_a_mistake_is_one_sentence_before_any_database(
    bench: Bench, own: Path, folder: Path, file: str, old: str, new: str, message: str
) -> None:
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    said = bench("run", "own.yaml")
    assert said.code == 2 and message in said.err and said.err.count("\n") == 1, said
    assert not (folder / "perpass.db").exists()
