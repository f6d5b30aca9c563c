"""`bench compare` as people and scripts use it: sides, formats, the gate and its exit codes, and what a person gets wrong."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench import nights
from tests.bench.conftest import SMALL, Bench
from tests.bench.test_bad_input import nothing_written, refused


@pytest.fixture
def good_and_bad(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Series `good` and `bad` of the same two cells: `cot` fell, `direct` did not."""
    (folder / "x.yaml").write_text(nights.EXPERIMENT)
    for series, correct in (("good", 0.8), ("bad", 0.5)):
        monkeypatch.setattr(nights, "QUALITY", {"night": series, "correct": correct, "direct": 0.8})
        assert bench("run", "x.yaml", "--series", series).code == 0


@pytest.mark.usefixtures("good_and_bad")
def test_a_regression_exits_4_and_names_the_cell(bench: Bench, folder: Path) -> None:
    (folder / "gate.yaml").write_text("accuracy: {margin: 5}\n")
    said = bench("compare", "good", "bad", "--gate", "gate.yaml", "--format", "markdown", "--junit", "j.xml")
    assert said.code == 4 and said.err == ""
    assert "**Gate at level 0.05: 1 of 2 cells is worse.**\n\n- arithmetic · cot" in said.out and "### arithmetic" in said.out
    (suite,) = ElementTree.parse(folder / "j.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert bench("compare", "bad", "good", "--gate", "gate.yaml").code == 0
    (folder / "gate.yaml").write_text("accuracy: {margin: 60}\n")
    assert bench("compare", "good", "bad", "--gate", "gate.yaml").code == 0
    assert bench("compare", "good", "bad").code == 0  # without a gate nothing alarms


@pytest.mark.usefixtures("good_and_bad")
def test_databases_and_experiments_are_sides_too(bench: Bench, folder: Path) -> None:
    by_name = json.loads(bench("compare", "good", "bad", "--format", "json").out)["pairs"]
    by_path = json.loads(bench("compare", "./perpass.db#good", f"{folder}/perpass.db#bad", "--db", "no.db", "--format", "json").out)[
        "pairs"
    ]
    assert by_name == by_path and [r["strategy"] for r in by_name] == ["direct", "cot"]
    own = json.loads(bench("compare", "x.yaml", "perpass.db", "--format", "json").out)["pairs"]  # both are what `bench report` shows
    assert {r["base_series"] for r in own} == {"bad"} and all(r["difference"] == 0 for r in own)


def test_nothing_pairs(bench: Bench, folder: Path, small: Path) -> None:
    assert bench("run", "small.yaml").code == 0
    (folder / "other.yaml").write_text(SMALL.replace("name: small", "name: other").replace("max_tokens: 64", "max_tokens: 65"))
    assert bench("run", "other.yaml", "--series", "later").code == 0
    (folder / "gate.yaml").write_text("level: 0.05\n")
    for flags in ((), ("--gate", "gate.yaml"), ("--format", "markdown", "--junit", "j.xml")):
        said = bench("compare", "main", "later", *flags)
        assert said.code == 1 and said.err == "error: no cell of main pairs with one of later\n"
        assert "strategy.sampling.max_tokens: 64 → 65" in said.out
    assert (folder / "j.xml").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("g.yaml: the file is empty; a gate has at least a metric, such as `accuracy: {margin: 1}`",)),
        ("# nothing\n", ("g.yaml: the file is empty",)),
        ("level: [", ("g.yaml:1", "malformed YAML")),
        ("- accuracy\n", ("g.yaml:1: expected a mapping such as `accuracy: {margin: 1}`, not a list",)),
        ("level: 0.05\nacuracy: {margin: 1}\n", ("g.yaml:2: unknown key 'acuracy'; did you mean 'accuracy'?",)),
        ("energy: {margin: 1}\n", ("g.yaml:1: unknown key 'energy'; did you mean 'energy_j'?",)),
        ("accuracy:\n  margn: 1\n", ("g.yaml:2: unknown key 'margn'; did you mean 'margin'?",)),
        ("accuracy: 1\n", ("g.yaml:1: accuracy: expected a mapping, such as accuracy: {margin: 1}, not 1",)),
        ("accuracy: {margin: -1}\n", ("g.yaml:1: accuracy.margin: expected points from 0 to 100, not -1",)),
        ("\naccuracy:\n\n  margin: 101\n", ("g.yaml:4: accuracy.margin", "not 101")),
        ("energy_j: {margin: 10 %}\n", ("g.yaml:1: energy_j.margin: expected a relative rise from 0, such as 0.1 for 10 %, not '10 %'",)),
        ("cost_usd: {margin: .nan}\n", ("cost_usd.margin", "not nan")),
        ("latency_s: {margin: true}\n", ("latency_s.margin", "not True")),
        ("level: 0\n", ("g.yaml:1: level: expected a number above 0 and up to 0.5, not 0",)),
        ("level: 5 %\n", ("g.yaml:1: level", "not '5 %'")),
        ("level: 0.1\nlevel: 0.2\n", ("g.yaml:2: 'level' is given twice",)),
    ],
)
def test_a_gate_file_that_is_wrong(bench: Bench, folder: Path, text: str, words: tuple[str, ...]) -> None:
    """It is found before any database is looked for."""
    (folder / "g.yaml").write_text(text)
    refused(bench("compare", "a", "b", "--gate", "g.yaml"), 2, *words)


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("main", "mian"), 2, ("unknown series or experiment 'mian'; did you mean 'main'?",)),
        (("experiment:smal", "main"), 2, ("unknown experiment 'smal'; did you mean 'small'?",)),
        (("main", "perpass.db#min"), 2, ("perpass.db: unknown series or experiment 'min'; did you mean 'main'?",)),
        (("main", "perpass.db#"), 2, ("'perpass.db#': expected a series, an experiment, a database, or DATABASE#NAME",)),
        (("main", "nowhere.db"), 1, ("no database at nowhere.db",)),
        (("main", "nowhere.yaml"), 2, ("nowhere.yaml: no such file",)),
        (("main",), 2, ("Missing argument 'HEAD'",)),
        (("main", "main", "--format", "jsn"), 2, ("unknown format 'jsn'; did you mean 'json'?",)),
        (("main", "main", "--cost-basis", "tokens"), 2, ("unknown cost basis 'tokens'; did you mean 'token'?",)),
        (("main", "main", "--gate", "no.yaml"), 2, ("no.yaml: cannot be read: no such file",)),
        (("main", "main", "--junit", "no/x.xml"), 2, ("--junit no/x.xml: cannot be written",)),
    ],
)
def test_what_is_named_wrongly(bench: Bench, small: Path, flags: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert bench("run", "small.yaml", "--strategy", "cot").code == 0
    refused(bench("compare", *flags), code, *words)


def test_it_never_creates_a_database(bench: Bench, folder: Path) -> None:
    refused(bench("compare", "a", "b"), 1, "no database at perpass.db")
    nothing_written(folder)
