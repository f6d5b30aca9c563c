"""The experiment file: what it means, and the one sentence for what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import experiment
from bench.experiment import Overrides
from perpass.errors import UserError

GOOD = "models: [perpass/nano]\ntasks: [gsm8k]\nstrategies: [direct]\n"


def load(tmp_path: Path, text: str, overrides: Overrides | None = None) -> experiment.Experiment:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    return experiment.load(path, overrides)


def message(tmp_path: Path, text: str, overrides: Overrides | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text, overrides)
    said = str(caught.value)
    assert "\n" not in said
    return said.replace(f"{tmp_path}/", "")


def test_defaults(tmp_path: Path) -> None:
    content = load(tmp_path, GOOD).content
    assert (content.engines, content.trials, content.limit) == (["transformers"], 1, None)
    assert (content.mode, content.seed, content.series) == ("pooled", 0, "main")
    assert load(tmp_path, GOOD).name == "x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml: the file is empty"),
        ("# only a comment\n", "x.yaml: the file is empty"),
        ("a: [\n", "x.yaml:2: malformed YAML"),
        ("a:\n\t- b\n", "x.yaml:2: malformed YAML"),
        ("- a\n- b\n", "x.yaml:1: expected a mapping such as `tasks: [gsm8k]`, not a list"),
        ("just text", "x.yaml:1: expected a mapping such as `tasks: [gsm8k]`, not 'just text'"),
        (GOOD + "stratgies: [cot]\n", "x.yaml:4: unknown key 'stratgies'; did you mean 'strategies'?"),
        ("models: [a]\nstrategies: [cot]\ntaks: [gsm8k]\n", "x.yaml:3: unknown key 'taks'; did you mean 'tasks'?"),
        ("models: [a]\nstrategies: [cot]\n", "x.yaml:1: missing key 'tasks'; expected tasks: [gsm8k]"),
        (GOOD + "trials: 0\n", "x.yaml:4: trials: expected at least 1, not 0"),
        (GOOD + "trials: many\n", "x.yaml:4: trials: expected a whole number, not 'many'"),
        (GOOD + "limit: 1.5\n", "x.yaml:4: limit: expected a whole number, not 1.5"),
        (GOOD + "limit: 0\n", "x.yaml:4: limit: expected at least 1, not 0"),
        (GOOD + "seed: -1\n", "x.yaml:4: seed: expected at least 0, not -1"),
        (GOOD + "mode: lve\n", "x.yaml:4: mode: expected pooled or live, not 'lve'; did you mean 'live'?"),
        (GOOD + "mode: live\n", "x.yaml:4: mode: live needs `concurrency`"),
        (GOOD + "concurrency: [8]\n", "x.yaml:4: concurrency: needs `mode: live`"),
        (GOOD + "mode: live\nconcurrency: [8, 0]\n", "x.yaml:5: concurrency: expected at least 1, not 0"),
        (GOOD + "rate: [8]\n", "x.yaml:4: rate: needs `mode: live`"),
        (GOOD + "mode: live\nrate: [0.5, 0]\n", "x.yaml:5: rate: expected problems a second, above 0 and at most 10000, not 0"),
        (GOOD + "mode: live\nrate: [fast]\n", "x.yaml:5: rate.0: expected"),
        (GOOD + "sampling: hot\n", "x.yaml:4: sampling: expected a mapping, not 'hot'"),
        (GOOD + "roles: {reward: prm}\n", "x.yaml:4: roles.reward: expected a mapping, not 'prm'"),
        (GOOD + "trust_remote_code: perhaps\n", "x.yaml:4: trust_remote_code: expected true or false, not 'perhaps'"),
        (GOOD + "trials: 2\ntrials: 3\n", "x.yaml:5: 'trials' is given twice"),
        (GOOD + "series: ''\n", "x.yaml:4: series: expected some text, not ''"),
        ("models: [a]\ntasks: gsm8k\nstrategies: [cot]\n", "x.yaml:2: tasks: expected a list, such as [gsm8k], not 'gsm8k'"),
        ("models: [a]\ntasks: []\nstrategies: [cot]\n", "x.yaml:2: tasks: expected at least one entry, not an empty list"),
        ("a: &a [*a]\n", "x.yaml:1: nested too deeply"),
        ("? [a, b]\n: c\n", "x.yaml:1: a key must be a plain word"),
        ("<<: {a: 1}\n", "x.yaml:1: merge keys (<<) are not supported"),
        ("a: !!float x\n", "x.yaml:1: malformed YAML"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert message(tmp_path, text).startswith(expected)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file in UTF-8"):
        experiment.load(path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("demoo", "unknown experiment 'demoo'; did you mean 'demo'?"),
        ("missing.yaml", "missing.yaml: no such file"),
        ("no/such", "no/such: no such file"),
        (".", ".: expected an experiment file, but this is a folder"),
    ],
)
def test_what_is_no_experiment(name: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        experiment.load(name)
    assert str(caught.value) == expected


@pytest.mark.parametrize("name", experiment.shipped())
def test_shipped_experiments_are_well_formed(name: str) -> None:
    loaded = experiment.load(name)
    assert loaded.name == name
    assert loaded.text == (experiment.SHIPPED / f"{name}.yaml").read_text()


def test_overrides_replace_lists_and_keep_the_rest(tmp_path: Path) -> None:
    changes = Overrides(models=["m"], limit=7, series="s", sets=["sampling.max_tokens=64", "trials=3"])
    loaded = load(tmp_path, GOOD + "engines: [scripted]\n", changes)
    content = loaded.content
    assert (content.models, content.engines, content.tasks, content.limit, content.series) == (["m"], ["scripted"], ["gsm8k"], 7, "s")
    assert (content.sampling, content.trials) == ({"max_tokens": 64}, 3)
    assert loaded.where("models", 0) == "--model m"
    assert loaded.where("sampling", "max_tokens") == "--set sampling.max_tokens=64"
    assert experiment.load(_again(tmp_path, loaded.text)).content == content


def _again(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "again.yaml"
    path.write_text(text)
    return path


def test_set_reaches_into_an_entry(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, Overrides(sets=["strategies.0.temperature=0.5"])).content.strategies == [
        {"kind": "direct", "temperature": 0.5}
    ]
    assert load(tmp_path, GOOD, Overrides(sets=["models.0.dtype=bfloat16"])).content.models == [{"id": "perpass/nano", "dtype": "bfloat16"}]
    assert load(tmp_path, GOOD, Overrides(sets=["strategies=[cot, direct]"])).content.strategies == ["cot", "direct"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("trails=3", "--set trails=3: unknown key 'trails'; did you mean 'trials'?"),
        ("trials", "--set trials: expected key=value, such as sampling.max_tokens=64"),
        ("trials.=1", "--set trials.=1: expected key=value"),
        ("strategies.4.n=4", "--set strategies.4.n=4: there is no strategies.4 in the experiment"),
        ("strategies.4=cot", "--set strategies.4=cot: there is no strategies.4 in the experiment"),
        ("trials=x", "--set trials=x: trials: expected a whole number, not 'x'"),
    ],
)
def test_a_bad_set_names_itself(tmp_path: Path, given: str, expected: str) -> None:
    assert message(tmp_path, GOOD, Overrides(sets=[given])).startswith(expected)


def test_a_mapping_is_an_experiment_too() -> None:
    given = {"models": ("m",), "tasks": ["t"], "strategies": ["s"]}
    loaded = experiment.load(given)
    assert (loaded.name, loaded.content.models) == ("adhoc", ["m"])
    loaded.content.models.append("other")
    assert given["models"] == ("m",)
    with pytest.raises(UserError, match="experiment: unknown key 'task'; did you mean 'tasks'"):
        experiment.load({**given, "task": ["t"]})
