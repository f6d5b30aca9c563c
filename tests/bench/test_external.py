"""`bench import`, `bench external` and `bench project`, as a person uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench.conftest import Bench
from tests.results.test_external import configuration, write

MODEL = "meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture
def table(folder: Path) -> Path:
    """Three rows of one model on the H100, the last of which contradicts itself."""
    rows = (
        configuration(model_id=MODEL),
        configuration(model_id=MODEL, max_num_seqs=16, avg_batch_size=16, energy_per_token_joules=2.5, energy_per_request_joules=125.0)
        | {"avg_power_watts": 250.0, "median_itl_ms": 160.0},
        configuration(model_id=MODEL, max_num_seqs=32, avg_batch_size=32, avg_power_watts=999.0),
    )
    return write(folder, *rows, task="gpqa")


def test_import_prints_what_came_and_what_to_do_next_and_can_be_repeated(bench: Bench, table: Path) -> None:
    said = bench("import", "ml-energy", str(table))
    assert said.code == 0 and "new database" in said.err
    head, line = said.out.splitlines()[:2]
    assert [word for word in ("model", "hardware", "batch", "J/token", "tokens/s", "W") if word not in head] == []
    assert line.startswith("*") and MODEL in line
    assert "3 rows read" in said.out and "3 new, 0 changed; 1 with power_mismatch" in said.out and "bench external" in said.out
    assert "0 new, 0 changed" in bench("import", "ml-energy", str(table)).out


def test_external_rows_are_listed_apart_from_ours(bench: Bench, table: Path) -> None:
    bench("import", "ml-energy", str(table))
    said = bench("external")
    marks = [line[0] for line in said.out.splitlines()[1:4]]
    assert marks == ["*", "·", "–"] and "power_mismatch" in said.out and "measured by others" in said.out
    rows = json.loads(bench("external", "--format", "json").out)
    assert [row["frontier"] for row in rows] == [True, False, None] and rows[0]["energy_per_token_j"] == 2.0
    assert len(json.loads(bench("external", "--frontier", "--format", "json").out)) == 1
    assert bench("external", "--format", "csv").out.startswith("external,source,task,model")
    assert MODEL not in bench("report").out
    assert bench("external", "--model", "Llama").code == 2


def test_project_labels_what_is_modelled_and_states_the_error(bench: Bench, table: Path) -> None:
    bench("import", "ml-energy", str(table))
    said = bench("project", "1", "--external", "--to", "B200")
    assert said.code == 0 and "measured" in said.out and "B200x1    modelled" in said.out
    assert "the median error in this direction was 25% of the joules" in said.out
    assert "its error is not known" in bench("project", "1", "--external", "--to", "A100-80GB").out
    told = json.loads(bench("project", "1", "--external", "--to", "B200", "--format", "json").out)
    assert told["modelled"]["label"] == "modelled" and told["modelled"]["energy_j"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "ml-energi", "x"), "unknown kind of import 'ml-energi'; did you mean 'ml-energy'?"),
        (("import", "ml-energy", "nowhere"), "nowhere: there is no such file or folder"),
        (("import", "ml-energy"), "give a PATH, or set PERPASS_DATA"),
        (("project", "1", "--external", "--to", "B2000"), "unknown hardware 'B2000'; did you mean 'b200'?"),
        (("project", "1", "--to", "B200", "--batch", "0"), "--batch 0: expected a number above 0"),
    ],
)
def test_what_is_wrong_is_said_before_a_database_is_made(bench: Bench, folder: Path, words: tuple[str, ...], said: str) -> None:
    answer = bench(*words)
    assert answer.code == 2 and said in answer.err
    assert not (folder / "perpass.db").exists()
