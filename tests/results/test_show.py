"""Everything about one cell or attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perpass.errors import UserError
from results import energy, show
from results.table import plain
from tests.results.builders import World, cell_key


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.make(tmp_path / "perpass.db", environment={"python": "3.11", "git_commit": "abc"})
    row = world.cell(cell_key(), 2)
    world.solve(row, cell_key(), {"p0": ["correct"], "p1": ["wrong"]})
    world.store.write(windows=[world.window(999, 1010, 4.0)])
    energy.settle(world.engine, world.run_id)
    return world


def test_a_cell_by_the_beginning_of_its_name(world: World) -> None:
    name = world.store.cell(cell_key(), "main", "demo", None, 1).name
    told = show.cell(world.engine, name[:5])
    assert told["cell"] == name and told["label"] == "perpass/nano · transformers · AMD EPYC (2 cores) · cot · sums"
    assert told["identity"]["strategy"]["sampling"]["temperature"] == 0.8
    assert told["attempts"] == {"correct": [1], "wrong": [2]}
    assert told["report"]["accuracy"] == 0.5 and told["runs"][0]["environment"]["git_commit"] == "abc"
    assert len(told["windows"]) == 1 and told["command"] == "bench run demo"
    assert json.dumps(plain(told))


def test_an_attempt_with_all_that_led_to_it(world: World) -> None:
    told = show.attempt(world.engine, 2)
    assert told["problem"]["question"] == "1 + 1 = ?" and told["problem"]["gold"] == ["2"]
    assert told["prompt"] == f"question {2}" and told["answer"]["text"] == "answer of 1:p1:0"
    assert told["judgements"][0]["outcomes"] == ["wrong"] and told["ledger"][0]["model"] == "perpass/nano"
    assert told["samples"][0]["charged"] == {"output": 20, "cached": 0, "share": 1.0, "chosen": True}
    assert told["energy_j"] == told["samples"][0]["energy_j"] == told["ledger"][0]["energy_j"] == 2.0
    assert told["run"]["experiment"] == "demo" and told["windows"][0]["energy_j"] == 4.0
    assert json.dumps(plain(told))


def test_names_that_lead_nowhere(world: World) -> None:
    with pytest.raises(UserError, match="unknown cell 'ffffffffff'"):
        show.cell(world.engine, "ffffffffff")
    with pytest.raises(UserError, match="no attempt 99; they are numbered up to 2"):
        show.attempt(world.engine, 99)
    name = world.store.cell(cell_key(), "main", "demo", None, 1).name
    with pytest.raises(UserError, match="unknown series 'mian'; did you mean 'main'"):
        show.cell(world.engine, name, "mian")


@pytest.mark.parametrize(
    "argv, series, expected",
    [
        (["bench", "run", "demo", "--limit", "20", "--db", "/tmp/x.db"], "main", "bench run demo --limit 20"),
        (["bench", "run", "demo", "--fresh", "--max-usd=3"], "fresh-1", "bench run demo --series fresh-1"),
        (["bench", "run", "--model", "m", "--strategy", "sc(n=4)"], "main", "bench run --model m --strategy 'sc(n=4)'"),
        (["bench", "run", "a.yaml", "--series", "night"], "night", "bench run a.yaml --series night"),
        (["bench.run"], "main", "bench run experiment.yaml"),
    ],
)
def test_the_command_that_runs_it_again(argv: list[str], series: str, expected: str) -> None:
    assert show.command({"argv": argv}, series) == expected
