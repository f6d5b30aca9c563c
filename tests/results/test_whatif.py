"""Projection of published rows and of our cells: errors on the table that was not fitted on, labels, and what cannot be projected."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from energy import projection
from energy.hardware import declared
from results import ml_energy, whatif
from results.prices import PriceBook
from results.whatif import Published
from tests.results.builders import World, cell_key

REAL = Path(os.environ.get("PERPASS_DATA", "/nowhere")) / "ml_energy"
LLAMA = {"name": "meta-llama/Llama-3.1-8B-Instruct", "revision": "r1", "dtype": "bfloat16"}
H100 = {"name": "H100", "count": 1}


def row(**changes: Any) -> dict[str, Any]:
    """A published row as `results.external.rows` gives it: 8 sequences at 10 ms a step."""
    return {
        "external": 1,
        "source": "ml-energy",
        "task": "gpqa",
        "model": LLAMA["name"],
        "hardware": "H100x1",
        "device": "H100",
        "gpus": 1,
        "precision": "bfloat16",
        "batch": 8,
        "mean_batch": 8.0,
        "tokens_per_s": 800.0,
        "output_tokens": 500.0,
        "power_w": 400.0,
        "energy_per_token_j": 0.5,
        "energy_per_request_j": 250.0,
        "codes": [],
    } | changes


@pytest.fixture(scope="module")
def tables() -> dict[str, list[Published]]:
    if not REAL.is_dir():
        pytest.skip("PERPASS_DATA has no ml_energy")
    rows = [row(task=r.task, model=r.model, hardware=r.hardware, **r.values) for r in ml_energy.read(REAL)]
    usable, left = whatif.usable(rows)
    assert sum(left.values()) == 29  # Llama 4
    return {task: [p for p in usable if p.row["task"] == task] for task in ("gpqa", "lm-arena-chat")}


def test_each_table_predicts_the_other_in_both_directions(tables: dict[str, list[Published]]) -> None:
    shipped = {found.table: found for found in projection.shipped()}
    for fitted, tested in (("gpqa", "lm-arena-chat"), ("lm-arena-chat", "gpqa")):
        found = whatif.both_ways(tables[fitted], tables[tested])
        for error in found.errors.values():
            assert error.energy_median <= 0.30 and error.pairs > 80
        for name, value in asdict(found.constants).items():  # what ships is what is fitted
            assert value == pytest.approx(getattr(shipped[fitted].constants, name), rel=0.02)
        for way, error in found.errors.items():
            assert error.energy_median == pytest.approx(shipped[fitted].errors[way].energy_median, abs=0.005)


def test_the_tested_table_and_the_target_row_have_no_say(tables: dict[str, list[Published]]) -> None:
    """With every number of the tested table's B200 rows doubled, what is projected to the B200 stays, so its ratio to them halves."""
    constants = projection.shipped()[1].constants
    pairs = whatif.pairs(tables["gpqa"], "H100", "B200")
    doubled = [
        (a, replace(b, row={**b.row, "energy_per_token_j": 2 * b.row["energy_per_token_j"], "tokens_per_s": b.row["tokens_per_s"] / 2}))
        for a, b in pairs
    ]
    one = [whatif.errors([pair], constants) for pair in pairs]
    two = [whatif.errors([pair], constants) for pair in doubled]
    for before, after in zip(one, two, strict=True):  # errors are absolute: e before is 1 + e or 1 − e
        assert any(after.energy_median == pytest.approx(abs((1 + s * before.energy_median) / 2 - 1)) for s in (1, -1))
        assert any(after.time_median == pytest.approx(abs((1 + s * before.time_median) / 2 - 1)) for s in (1, -1))


def test_a_row_is_projected_by_the_constants_of_the_other_table_and_labelled() -> None:
    told = whatif.of_external(row(), declared("B200"), PriceBook.load())
    assert (told["fitted_on"], told["tested_on"]) == ("lm-arena-chat", "gpqa")
    assert told["measured"]["label"] == "measured" and told["modelled"]["label"] == "modelled"
    assert told["measured"]["seconds"] == pytest.approx(500 * 0.01) and told["measured"]["device_s"] == pytest.approx(500 / 800)
    assert told["error"]["energy_median"] == projection.shipped()[1].errors[("H100", "B200")].energy_median
    assert told["modelled"]["seconds"] < told["measured"]["seconds"]
    price = PriceBook.load().hardware_cost("B200", told["modelled"]["device_s"])
    assert told["modelled"]["hardware_usd"] == pytest.approx(price)
    other = whatif.of_external(row(task="lm-arena-chat"), declared("A100-80GB"))
    assert other["fitted_on"] == "gpqa" and other["error"] is None  # nobody has measured that way


def test_what_cannot_be_projected_says_why() -> None:
    with pytest.raises(projection.CannotProject, match="how the model is built is not in our table"):
        whatif.of_external(row(model="some/model"), declared("B200"))
    with pytest.raises(projection.CannotProject, match="contradict"):
        whatif.of_external(row(codes=["power_mismatch"]), declared("B200"))
    with pytest.raises(projection.CannotProject, match="weights alone are 470 GB, B200x1 has"):
        whatif.of_external(row(model="Qwen/Qwen3-235B-A22B-Instruct-2507", gpus=8, hardware="H100x8"), declared("B200"))


def live_cell(folder: Path, kept: bool = True) -> tuple[World, str]:
    """A live cell of 2 problems at 8 in flight on an H100: 100 prompt and 20 output tokens a call, 2 s of the device, 30 J each."""
    key = cell_key(model=LLAMA["name"], mode="live", concurrency=8, hardware=H100)
    key = replace(key, model=LLAMA)
    counting = {"config": dict(projection.published_config(LLAMA["name"]) or {}), "settings": {}}
    identity = {"model": LLAMA, "engine": dict(key.engine), "hardware": H100}
    world = World.make(folder / "x.db", environment={"engines": [{"identity": identity, "counting": counting if kept else None}]})
    cell = world.cell(key, 2)
    world.solve(cell, key, {"p0": ["correct"], "p1": ["wrong"]})
    with world.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE attempt SET energy_j = 30, device_s = 2, energy_source = 'nvml_counter'")
    return world, cell.name


def test_a_live_cell_is_projected_per_item_and_nothing_is_stored(tmp_path: Path) -> None:
    world, name = live_cell(tmp_path)
    before = world.engine.raw_connection().driver_connection.total_changes  # type: ignore[union-attr]
    told = whatif.of_cell(world.engine, name, declared("B200"))
    assert told["per"] == "item" and "8 sequences together" in told["subject"]
    assert told["measured"]["energy_j"] == pytest.approx(30) and told["measured"]["device_s"] == pytest.approx(2)
    config = projection.published_config(LLAMA["name"])
    assert config is not None
    work = projection.work(config, batch=8, prompt=100, output=20, dtype="bfloat16")
    here, there = (projection.place(p, 1, "bf16") for p in (declared("H100").profile, declared("B200").profile) if p)
    ratio = projection.ratio(work, here, there, next(f for f in projection.shipped() if f.table == whatif.CELLS_TABLE).constants)
    assert told["modelled"]["energy_j"] == pytest.approx(30 * ratio.joules)
    assert told["modelled"]["device_s"] == pytest.approx(2 * ratio.seconds)
    assert world.engine.raw_connection().driver_connection.total_changes == before  # type: ignore[union-attr]


def test_a_cell_without_what_the_model_needs_says_what_would_help(tmp_path: Path) -> None:
    world, name = live_cell(tmp_path, kept=False)
    with pytest.raises(projection.CannotProject, match="config_not_kept"):
        whatif.of_cell(world.engine, name, declared("B200"))
    key = cell_key()
    pooled = world.cell(key, 1)
    world.solve(pooled, key, {"p0": ["correct"]})
    with pytest.raises(projection.CannotProject, match="--batch N"):
        whatif.of_cell(world.engine, pooled.name, declared("B200"))
