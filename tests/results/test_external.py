"""Published rows: read, checked by their own numbers, stored once, and their frontiers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpass.errors import UserError
from results import external, ml_energy
from results.database import open_database

REAL = Path(os.environ.get("PERPASS_DATA", "/nowhere")) / "ml_energy"
real = pytest.mark.skipif(not REAL.is_dir(), reason="PERPASS_DATA has no ml_energy")


def configuration(**changes: Any) -> dict[str, Any]:
    """A row that agrees with itself: 200 W ÷ 100 tokens/s = 2 J per token, × 50 tokens = 100 J per request."""
    return {
        "model_id": "some/model",
        "gpu_model": "H100",
        "num_gpus": 1,
        "tensor_parallel": 1,
        "expert_parallel": 1,
        "data_parallel": 1,
        "max_num_seqs": 8,
        "weight_precision": "bfloat16",
        "energy_per_token_joules": 2.0,
        "energy_per_request_joules": 100.0,
        "avg_power_watts": 200.0,
        "output_throughput_tokens_per_sec": 100.0,
        "avg_output_len": 50.0,
        "avg_batch_size": 7.9,
        "median_itl_ms": 80.0,
        "p90_itl_ms": 90.0,
        "p99_itl_ms": 99.0,
    } | changes


def write(folder: Path, *configurations: dict[str, Any], task: str = "quiz") -> Path:
    path = folder / f"{task}.json"
    path.write_text(json.dumps({"task": task, "configurations": list(configurations)}))
    return path


def test_a_row_that_contradicts_itself_is_kept_marked_and_off_the_frontier(tmp_path: Path) -> None:
    write(
        tmp_path,
        configuration(),
        configuration(max_num_seqs=16, avg_batch_size=15, energy_per_token_joules=1.0, avg_power_watts=300.0),  # both invariants
        configuration(max_num_seqs=32, avg_batch_size=10, median_itl_ms=90.0),  # 31 % of the sequences in flight
        configuration(max_num_seqs=64, energy_per_token_joules=None),
    )
    engine = open_database(tmp_path / "x.db", create=True)
    done = external.store(engine, ml_energy.read(tmp_path))
    assert (done.rows, done.new, done.changed) == (4, 4, 0)
    assert done.codes == {"request_energy_mismatch": 1, "power_mismatch": 1, "batch_underfilled": 1, "incomplete": 1}
    found = {row["batch"]: row for row in external.rows(engine)}
    assert {batch: row["frontier"] for batch, row in found.items()} == {8: True, 16: None, 32: False, 64: None}
    assert found[16]["codes"] == ["request_energy_mismatch", "power_mismatch"] and found[64]["energy_per_token_j"] is None


def test_importing_again_changes_nothing_and_new_values_replace_old_ones(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "x.db", create=True)
    twice = configuration(median_itl_ms=70.0)  # a configuration that was measured twice stands twice
    path = write(tmp_path, configuration(), twice)
    assert external.store(engine, ml_energy.read(path)).new == 2
    before = external.rows(engine)
    again = external.store(engine, ml_energy.read(path))
    assert (again.new, again.changed) == (0, 0) and external.rows(engine) == before
    write(tmp_path, configuration(), twice | {"median_itl_ms": 71.0})
    assert external.store(engine, ml_energy.read(path)).changed == 1
    assert [row["itl_p50_ms"] for row in external.rows(engine)] == [80.0, 71.0]
    assert [row["external"] for row in external.rows(engine)] == [row["external"] for row in before]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "line 1: not JSON"),
        ('{"rows": []}', "expected an object with task and a list of configurations"),
        ('{"task": "t", "configurations": [3]}', "configuration 1: expected an object"),
        ('{"task": "t", "configurations": [{"model_id": "m"}]}', "configuration 1: gpu_model is missing"),
        (json.dumps({"task": "t", "configurations": [configuration(num_gpus=0)]}), "num_gpus must be a number of GPUs, not 0"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        ml_energy.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(UserError, match="there is no such file"):
        ml_energy.read(tmp_path / "other")


def test_a_folder_without_tables_says_so(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"last_updated": "2026-01-01"}')
    with pytest.raises(UserError, match="no table of ML.ENERGY"):
        ml_energy.read(tmp_path)
    write(tmp_path, configuration())
    assert ml_energy.read(tmp_path)[0].provenance["last_updated"] == "2026-01-01"


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=12))
def test_the_frontier_is_what_no_row_beats(points: list[tuple[int, int]]) -> None:
    rows = [
        {"source": "s", "task": "t", "model": "m", "codes": [], "energy_per_token_j": float(e), "itl_p50_ms": float(t)} for e, t in points
    ]
    for row, (e, t) in zip(external._with_frontiers(rows), points, strict=True):
        assert row["frontier"] == (not any(a <= e and b <= t and (a, b) != (e, t) for a, b in points))


def test_names_that_no_row_has_are_answered_with_the_nearest(tmp_path: Path) -> None:
    engine = open_database(tmp_path / "x.db", create=True)
    external.store(engine, ml_energy.read(write(tmp_path, configuration(), configuration(num_gpus=2))))
    assert len(external.rows(engine, hardware="h100")) == 2 and len(external.rows(engine, hardware="H100x2")) == 1
    with pytest.raises(UserError, match="unknown task 'quizz'; did you mean 'quiz'"):
        external.rows(engine, task="quizz")


@real
def test_every_published_row_agrees_with_itself() -> None:
    rows = ml_energy.read(REAL)
    assert len(rows) == 515 and len({row.key for row in rows}) == 515
    assert not any(row.values["codes"] for row in rows)
    for row in rows:
        v = row.values
        assert v["energy_per_token_j"] * v["output_tokens"] == pytest.approx(v["energy_per_request_j"], rel=1e-9)
        assert v["power_w"] / v["tokens_per_s"] == pytest.approx(v["energy_per_token_j"], rel=1e-9)
