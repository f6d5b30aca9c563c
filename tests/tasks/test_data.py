"""Where the problems come from, and what is said when they do not come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tasks
from perpass.errors import UserError
from tasks import data

ROWS = [{"question": "How many are 2 and 3?", "answer": "2+3=5\n#### 5"}, {"question": "Half of 7?", "answer": "7/2\n#### 3.5"}]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    data._from_hub.cache_clear()
    yield
    data._from_hub.cache_clear()


def folder(tmp_path: Path, text: str, name: str = "gsm8k/test.jsonl") -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return tmp_path


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_rows_come_from_the_folder_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path, lines(*ROWS))))
    table = data.load("gsm8k/test")
    assert list(table.rows) == ROWS
    assert table.revision.startswith("local-")


def test_data_on_the_command_line_come_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path / "a", lines(*ROWS))))
    data.set_data_dir(folder(tmp_path / "b", lines(ROWS[1])))
    assert list(data.load("gsm8k/test").rows) == ROWS[1:]
    data.set_data_dir(None)
    assert list(data.load("gsm8k/test").rows) == ROWS


def test_a_changed_file_is_read_again_and_is_another_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path, lines(*ROWS))))
    first = data.load("gsm8k/test").revision
    folder(tmp_path, lines(*ROWS, ROWS[0]))
    assert data.load("gsm8k/test").revision != first


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines(ROWS[0]) + "{oops\n", "test.jsonl:2: not a JSON object"),
        (lines(ROWS[0], [1]), "test.jsonl:2: expected an object with the keys question, answer, got list"),
        (lines({"question": "?"}), "test.jsonl:1: answer missing or no text; expected the keys question, answer"),
        (lines({"question": "?", "answer": None}), "test.jsonl:1: answer missing or no text"),
        ("\n", "test.jsonl: holds no rows, expected 1319"),
        ("\ufeff\n", "test.jsonl:1: not a JSON object"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path, text)))
    with pytest.raises(UserError) as caught:
        tasks.load("gsm8k").problems()
    assert message in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, "")
    (path / "gsm8k/test.jsonl").write_bytes(b"\xff\xfe\xff")
    monkeypatch.setenv("PERPASS_DATA", str(path))
    with pytest.raises(UserError, match="cannot be read"):
        data.load("gsm8k/test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"0": {"problem": 1,\n}', "math500.json:2: not JSON"),
        ("3", "math500.json: expected a list or an object of rows, got int"),
        ('{"7": {"problem": "?"}}', "math500.json: row '7': answer, subject, level, unique_id missing"),
    ],
)
def test_a_malformed_document_is_named_with_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path, text, "math/math500.json")))
    with pytest.raises(UserError) as caught:
        data.load("math500/test")
    assert message in str(caught.value)


def test_a_missing_folder_or_file_is_found_when_the_task_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere: no such folder; point it at"):
        tasks.load("gsm8k")
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    with pytest.raises(
        UserError, match=r"gsm8k/test.jsonl: no such file; the data folder .* must hold gsm8k/test.jsonl, or unset PERPASS_DATA"
    ):
        tasks.load("gsm8k")
    with pytest.raises(UserError, match="no such folder"):
        data.set_data_dir(tmp_path / "nowhere")


# --- the hub ---------------------------------------------------------------


class Hub:
    """Stands in for `datasets.load_dataset`: serves local files through the real library, and remembers what was asked."""

    def __init__(self, file: Path, cache: Path):
        datasets = pytest.importorskip("datasets")
        self.real, self.file, self.cache = datasets.load_dataset, file, cache
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, name: str, config: str | None = None, *, split: str, revision: str) -> Any:
        self.asked.append((name, config, split, revision))
        return self.real("json", data_files=str(self.file), split="train", cache_dir=str(self.cache))


def test_hub_and_folder_give_the_same_problems(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    hub = Hub(real_data / "gsm8k/test.jsonl", tmp_path)
    monkeypatch.setattr(datasets, "load_dataset", hub)
    from_hub = tasks.load("gsm8k")
    problems, revision = from_hub.problems(), from_hub.revision
    monkeypatch.setenv("PERPASS_DATA", str(real_data))
    local = tasks.load("gsm8k")
    assert (problems, revision) == (local.problems(), local.revision)
    assert hub.asked == [("openai/gsm8k", "main", "test", "e53f048856ff4f594e959d75785d2c2d37b678ee")]


def test_a_download_of_another_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", Hub(folder(tmp_path, lines(*ROWS)) / "gsm8k/test.jsonl", tmp_path))
    with pytest.raises(UserError, match="openai/gsm8k at revision e53f048856ff has 2 rows, expected 1319; set PERPASS_DATA"):
        data.load("gsm8k/test")


def test_without_folder_and_network_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")

    def offline(*_: object, **__: object) -> None:
        raise ConnectionError("Couldn't reach\nthe Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    task = tasks.load("math500")
    with pytest.raises(UserError) as caught:
        task.problems()
    expected = (
        "cannot load HuggingFaceH4/MATH-500 at revision ff5b20257d81 from the hub (Couldn't reach the Hub); set PERPASS_DATA to a folder"
    )
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def test_without_the_library_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"loading openai/gsm8k needs datasets: pip install 'perpass\[tasks\]', or set PERPASS_DATA"):
        data.load("gsm8k/test")


def test_procbench_comes_as_one_file_of_the_hub(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its columns have no single type: the JSON lines themselves are downloaded, and labels keep their types."""
    hub = pytest.importorskip("huggingface_hub")
    rows = [json.loads(line) for line in (real_data / "procbench/sample.jsonl").read_text().splitlines()]
    file, asked = tmp_path / "combined_dataset.jsonl", []

    def download(repository: str, name: str, **more: str) -> str:
        asked.append((repository, name, more))
        return str(file)

    monkeypatch.setattr(hub, "hf_hub_download", download)
    file.write_text(lines(*({**row, "problem_name": f"{row['problem_name']}/{copy}"} for copy in range(10) for row in rows)))
    task = tasks.load("procbench")
    assert len(task.problems()) == 5520
    assert asked == [("ifujisawa/procbench", "combined_dataset.jsonl", {"repo_type": "dataset", "revision": task.revision})]
    assert task.revision == "182e5139c73a6a31a2ea42e7b7d16398e3453d4a"
    told = {p.key: json.loads(p.meta["label"]) for p in task.problems()}
    assert all(told[f"{row['problem_name']}/7"] == row["label"] for row in rows)
    assert type(told["task03_0000/0"]["final"]) is int and type(told["task21_0000/0"]["intermediate"][0]) is int
    data._from_hub.cache_clear()
    file.write_text(lines(*rows))
    with pytest.raises(UserError, match="ifujisawa/procbench at revision 182e5139c73a has 552 rows, expected 5520"):
        tasks.load("procbench").problems()
    data._from_hub.cache_clear()
    file.write_text(lines(*rows)[:-9])
    with pytest.raises(UserError, match=r"combined_dataset.jsonl:552: not a JSON object"):
        tasks.load("procbench").problems()


@pytest.mark.parametrize("change", [{"task_name": "task24"}, {"label": {"final": 1}}, {"label": [1]}, {"label": "so"}])
def test_a_row_that_is_no_procbench_problem_is_named(change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"prompt": "?", "label": {"intermediate": ["a"], "final": "b"}, "task_name": "task01", "problem_name": "task01_0007"}
    monkeypatch.setenv("PERPASS_DATA", str(folder(tmp_path, lines(row | change), "procbench/sample.jsonl")))
    with pytest.raises(UserError, match="task01_0007 of the data is no problem of task01 to task23"):
        tasks.load("procbench").problems()
