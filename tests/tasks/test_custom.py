"""Tasks of one's own: one file and one YAML, and what is said where they do not fit."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import tasks
from perpass.errors import UserError
from perpass.identity import canonical, content_hash
from tasks import data
from tasks.types import Outcome, Reply, Task

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "e53f048856ff4f594e959d75785d2c2d37b678ee"
ROWS = [
    {"country": "France", "capital": "Paris", "continent": "Europe", "people": 68, "eu": True},
    {"country": "Kenya", "capital": "Nairobi", "continent": "Africa", "people": 54, "eu": False},
    {"country": "Peru", "capital": "Lima", "continent": "America", "people": 33.5, "eu": False},
]
SPEC = {"kind": "custom", "data": "capitals.jsonl", "question": "Capital of {country}?", "answer": "capital", "grader": "exact"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "capitals.jsonl", *ROWS)
    return tmp_path


def write(path: Path, *rows: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def yaml(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def made(**more: Any) -> Task:
    return tasks.load({**SPEC, **more})


def questions(task: Task) -> dict[str, tuple[str, str]]:
    return {p.key: (p.question, p.gold[0]) for p in task.problems()}


def judge(task: Task, key: str, text: str) -> Outcome:
    problem = next(p for p in task.problems() if p.key == key)
    return asyncio.run(task.judge(problem, Reply(text))).items[0]


def test_the_example_of_the_documentation_is_a_task(here: Path) -> None:
    """And it is told in fewer than twenty lines, blank ones and fences not counted."""
    section = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8").partition("\n## A task of your own\n")[2].partition("\n## ")[0]
    told = [line for line in section.splitlines() if line.strip() and not line.startswith("```")]
    assert 10 < len(told) < 20
    (rows_,), (yaml_,) = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL) for kind in ("json", "yaml"))
    (here / "sub").mkdir()
    (here / "sub" / "capitals.jsonl").write_text(rows_, encoding="utf-8")
    task = tasks.load(yaml(here / "sub" / "capitals.yaml", yaml_))
    assert isinstance(task, Task) and task.name == "capitals"
    assert questions(task) == {"row/0": ("What is the capital of France?", "Paris"), "row/1": ("What is the capital of Kenya?", "Nairobi")}
    assert {p.meta["category"] for p in task.problems()} == {"Europe", "Africa"}
    assert judge(task, "row/1", r"\boxed{Nairobi}") is Outcome.CORRECT
    assert judge(task, "row/1", r"\boxed{Paris}") is Outcome.WRONG


def test_the_spec_is_complete_holds_no_folder_and_loads_the_same_task(here: Path) -> None:
    task = made(data=str(here / "capitals.jsonl"), category="continent", key="country", answer_format="One word.")
    assert set(questions(task)) == {"France", "Kenya", "Peru"}
    assert {p.answer_format for p in task.problems()} == {"One word."}
    assert str(here) not in json.dumps(task.spec) and task.spec["data"] == "capitals.jsonl"
    again = tasks.load(task.spec)
    assert canonical(again.spec) == canonical(task.spec) and again.problems() == task.problems()
    assert task.revision == f"local-{task.spec['sha256'][:12]}"


def test_identity_is_the_content_not_the_place(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = content_hash(made().spec)
    other = here / "elsewhere"
    write(other / "capitals.jsonl", *ROWS)
    assert content_hash(made(data="elsewhere/capitals.jsonl").spec) == first
    write(other / "capitals.jsonl", *ROWS[:2])
    assert content_hash(made(data="elsewhere/capitals.jsonl").spec) != first
    monkeypatch.chdir(other)
    assert content_hash(made().spec) != first
    assert content_hash(made(question="{country}?").spec) != content_hash(made().spec)


def test_a_spec_of_other_content_is_refused_when_its_problems_are_read_and_not_before(here: Path) -> None:
    spec = made().spec
    write(here / "capitals.jsonl", *ROWS[:1])
    assert tasks.load(spec).judge_version == made().judge_version
    with pytest.raises(UserError, match=r"capitals\.jsonl: its content is not what was asked: its sha256 is"):
        tasks.load(spec).problems()
    (here / "capitals.jsonl").unlink()
    with pytest.raises(UserError, match=r"capitals\.jsonl: no such file"):
        tasks.load(spec).problems()


def test_a_file_is_also_found_in_the_data_folder(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = made().spec
    (here / "capitals.jsonl").rename(here / "moved.jsonl")
    (here / "folder").mkdir()
    (here / "moved.jsonl").rename(here / "folder" / "capitals.jsonl")
    data.set_data_dir(here / "folder")
    assert len(tasks.load(spec).problems()) == len(made().problems()) == 3


def test_every_format_gives_the_same_problems(here: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(ROWS), here / "c.parquet")
    (here / "c.json").write_text(json.dumps(ROWS))
    for suffix, delimiter in (("csv", ","), ("tsv", "\t")):
        lines = [delimiter.join(ROWS[0]), *(delimiter.join(str(v) for v in row.values()) for row in ROWS)]
        (here / f"c.{suffix}").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8-sig")
    expected = questions(made())
    for suffix in ("parquet", "json", "csv", "tsv"):
        assert questions(made(data=f"c.{suffix}")) == expected
    assert {q for q, _ in questions(made(data="c.parquet", question="{people} {eu}")).values()} == {"68.0 true", "54.0 false", "33.5 false"}
    assert {q for q, _ in questions(made(question="{people} {eu}")).values()} == {"68 true", "54 false", "33.5 false"}


def test_csv_cells_are_what_is_written(here: Path) -> None:
    (here / "c.csv").write_text('q,a\n"How, then?\nTwo lines",007\n"say ""NA""",NA\n\nempty,None\n')
    assert questions(made(data="c.csv", question="{q}", answer="a")) == {
        "row/0": ("How, then?\nTwo lines", "007"),
        "row/1": ('say "NA"', "NA"),
        "row/2": ("empty", "None"),
    }


def test_templates_name_fields_and_double_their_braces() -> None:
    task = made(question="{{{country}}} in \\frac{{1}}{{2}}: {capital}? {country}")
    assert questions(task)["row/0"][0] == "{France} in \\frac{1}{2}: Paris? France"


def test_marked_gold_answers_and_numbers(here: Path) -> None:
    write(here / "n.jsonl", {"q": "2+3?", "a": "2+3=5\n#### 5"}, {"q": "x", "a": 7}, {"q": "y", "a": "so \\boxed{\\frac{1}{2}}"})
    task = made(data="n.jsonl", question="{q}", answer="a", grader="number")
    assert [gold for _, gold in questions(task).values()].count("5") == 1
    assert {gold for _, gold in questions(task).values()} == {"5", "7", "\\frac{1}{2}"}
    assert judge(task, "row/0", "I think 5") is Outcome.CORRECT
    assert judge(task, "row/2", "\\boxed{0.5}") is Outcome.CORRECT
    assert judge(made(data="n.jsonl", question="{q}", answer="a"), "row/0", "I think 5") is Outcome.UNPARSABLE
    assert asyncio.run(task.classes(["5", "5.0", None])) == [0, 0, -1]


def test_a_yaml_entry_takes_parameters_and_unfolds(here: Path) -> None:
    path = yaml(here / "mine.yaml", "kind: custom\ndata: capitals.jsonl\nquestion: '{country}?'\nanswer: capital\ngrader: exact\n")
    task = tasks.load({"kind": path, "answer": "continent"})
    assert questions(task)["row/1"] == ("Kenya?", "Africa") and task.name == "mine"
    specs = tasks.unfold({"kind": path, "answer": ["capital", "continent"]})
    assert [questions(tasks.load(spec))["row/0"][1] for spec in specs] == ["Paris", "Europe"]
    assert tasks.load({"kind": "rest", "base": path, "s": 2}).problems()[0].question.startswith("Q1: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "capital.jsonl"}, "capital.jsonl: no such file; did you mean 'capitals.jsonl'?"),
        ({"data": "zzz.csv"}, "zzz.csv: no such file; --data or PERPASS_DATA may name the folder that holds it"),
        ({"data": "capitals"}, "data is 'capitals', expected a file (.jsonl, .json, .csv, .tsv, .parquet) or a data set of the hub"),
        ({"question": "{contry}?"}, "capitals.jsonl:1: question: unknown field 'contry'; did you mean 'country'?"),
        ({"answer": "capitol"}, "capitals.jsonl:1: answer: unknown field 'capitol'; did you mean 'capital'?"),
        ({"key": "continents"}, "capitals.jsonl:1: key: unknown field 'continents'; did you mean 'continent'?"),
        ({"category": "zzzz"}, "capitals.jsonl:1: category: unknown field 'zzzz'; known: capital, continent, country"),
        ({"key": "eu"}, "capitals.jsonl:3: eu 'false' is that of"),
        ({"question": "Capital?"}, "question names no field of the data"),
        ({"question": "{} {country}"}, "question: a field is written {name}, and {{ or }} for a brace that is no field's"),
        ({"question": "{country!r}"}, "question: a field is written {name}"),
        ({"question": "{country:>9}"}, "question: a field is written {name}"),
        ({"question": "{country"}, "question: expected '}' before end of string; write {{ or }}"),
        ({"grader": "numbr"}, "unknown grader 'numbr'; did you mean 'number'?"),
        ({"grader": "number"}, "capitals.jsonl:1: answer: 'Paris' is no number, as grader: number has it"),
        ({"name": "gsm8k"}, "name is 'gsm8k', the name of another task; give it another"),
        ({"name": ""}, "name is '', expected text"),
        ({"revision": COMMIT}, "revision is for a data set of the hub; capitals.jsonl is a file"),
        ({"split": "test"}, "split is for a data set of the hub"),
        ({"data": "owner/name"}, "data set owner/name needs a revision, a commit of 40 hex digits"),
        ({"data": "owner/name", "revision": "main"}, "needs a revision, a commit of 40 hex digits, not 'main': branches and tags move"),
        ({"data": "owner/name", "revision": COMMIT, "sha256": "0"}, "sha256 is for a file"),
        ({"awnser": "capital"}, "task 'custom' has no parameter 'awnser'; did you mean 'answer'?"),
    ],
)
def test_what_does_not_fit_is_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made(**change).problems()
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.jsonl", '{"country": "A", "capital": "B"}\n{"country": "C"}\n', "c.jsonl:2: answer: unknown field 'capital'"),
        ("c.jsonl", '{"country": "A", "capital": null}\n', "c.jsonl:1: answer: the field 'capital' holds no text or number"),
        ("c.jsonl", '{"country": "A", "capital": " "}\n', "c.jsonl:1: answer: the field 'capital' holds no text or number"),
        ("c.jsonl", '{"country": ["A"], "capital": "B"}\n', "c.jsonl:1: question: the field 'country' holds no text or number"),
        ("c.jsonl", '{"country": NaN, "capital": "B"}\n', "c.jsonl:1: question: the field 'country' holds no text or number"),
        ("c.jsonl", '{"country": "A"\n', "c.jsonl:1: not a JSON object"),
        ("c.jsonl", "[1]\n", "c.jsonl:1: expected an object, got list"),
        ("c.json", '[{"country": "A", "capital": "B"}, 3]', "c.json: row 1: expected an object, got int"),
        ("c.csv", "country,capital\nA,B\nC\n", "c.csv:3: 1 cells, expected 2: country, capital"),
        ("c.csv", "country,country\nA,B\n", "c.csv:1: two columns are called 'country'"),
        ("c.csv", 'country,capital\n"A,B\n', "c.csv:2: unexpected end of data"),
        ("c.parquet", "no such format", "c.parquet: cannot be read"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(here: Path, name: str, text: str, message: str) -> None:
    (here / name).write_text(text)
    with pytest.raises(UserError) as caught:
        made(data=name).problems()
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_bytes_that_are_no_text(here: Path) -> None:
    (here / "c.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"c\.csv: cannot be read"):
        made(data="c.csv").problems()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "data: capitals.jsonl\nquestion: '{country}?'\nawnser: capital\n",
            "mine.yaml:3: task 'custom' has no parameter 'awnser'; did you mean 'answer'?",
        ),
        ("data: capitals.jsonl\nquestion: 3\nanswer: capital\n", "mine.yaml:2: task 'custom': question is 3, expected a string"),
        ("data: capitals.jsonl\n\nquestion: Capital?\nanswer: capital\n", "mine.yaml:3: task 'custom': question names no field"),
        ("data: capitals.jsonl\nquestion: '{country}?'\n", "mine.yaml: task 'custom' needs the parameter 'answer' (a string)"),
        (
            "data: capitals.jsonl\nquestion: '{country}?'\nanswer: capital\ngrader: exacct\n",
            "mine.yaml:4: unknown grader 'exacct'; did you mean 'exact'?",
        ),
        ("data: capitls.jsonl\nquestion: '{country}?'\nanswer: capital\n", "capitls.jsonl: no such file; did you mean 'capitals.jsonl'?"),
        ("kind: gsm8k\n", "mine.yaml:1: kind: expected custom, or leave it out"),
        ("data: [\n", "mine.yaml:2: malformed YAML"),
        ("", "mine.yaml: the file is empty; a task has at least data, question and answer"),
        ("- a\n", "mine.yaml:1: expected a mapping such as `data: mine.jsonl`, not a list"),
    ],
)
def test_a_bad_yaml_file_is_named_with_its_line(here: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        tasks.load(yaml(here / "mine.yaml", text))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_yaml_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"^\./nothing\.yaml: no such file in /"):
        tasks.load("./nothing.yaml")


class Hub:
    """`datasets.load_dataset`, recording what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def load_dataset(self, *args: Any, **named: Any) -> list[dict[str, Any]]:
        self.asked.append((args, named))
        return ROWS


def test_a_data_set_of_the_hub_is_read_on_first_use_at_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub()
    monkeypatch.setitem(sys.modules, "datasets", hub)  # type: ignore[arg-type]
    task = made(data="owner/capitals", revision=COMMIT, config="main")
    assert not hub.asked and task.name == "capitals"
    assert set(questions(task)) == {"test/0", "test/1", "test/2"} and task.revision == COMMIT
    assert hub.asked == [(("owner/capitals", "main"), {"split": "test", "revision": COMMIT})]
    assert canonical(tasks.load(task.spec).spec) == canonical(task.spec)
    other = made(data="owner/capitals", revision=COMMIT, split="train", question="{contry}")
    with pytest.raises(UserError, match="owner/capitals: row 0: question: unknown field 'contry'; did you mean 'country'"):
        other.problems()


def test_without_datasets_or_network_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        UserError, match=r"loading owner/name needs datasets: pip install 'perpass\[tasks\]', or download it and name the file"
    ):
        made(data="owner/name", revision=COMMIT).problems()

    class Away:
        def load_dataset(self, *_: Any, **__: Any) -> None:
            raise ConnectionError("no network\nhere")

    monkeypatch.setitem(sys.modules, "datasets", Away())  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"cannot load owner/name at revision {COMMIT[:12]} from the hub \(no network here\)"):
        made(data="owner/name", revision=COMMIT).problems()


def test_formats_are_told_by_suffix_in_any_case(here: Path) -> None:
    write(here / "C.JSONL", *ROWS)
    assert len(made(data="C.JSONL").problems()) == 3
