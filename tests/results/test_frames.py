"""The tables as DataFrames."""

from __future__ import annotations

from pathlib import Path

import pytest

from results import energy, frames, labels
from tests.results.builders import World, cell_key


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World.make(tmp_path / "perpass.db")
    row = world.cell(cell_key(), 2)
    world.solve(row, cell_key(), {"p0": ["correct", "wrong"], "p1": ["error"]})
    world.store.write(windows=[world.window(900, 1100, 6.0), world.window(900, 1100, 1.0, domain="dram")])
    energy.settle(world.engine, world.run_id)
    return world


def test_cells_attempts_samples_and_windows(world: World) -> None:
    cells = frames.cells(world.engine)
    assert cells.loc[0, ["model", "strategy", "task", "attempts", "correct", "errors"]].tolist() == ["perpass/nano", "cot", "sums", 3, 1, 1]
    attempts = frames.attempts(world.engine, cell_ids=cells["id"])
    assert attempts[["problem", "trial", "correct", "failed"]].to_numpy().tolist() == [
        ["p0", 0, 1, False],
        ["p0", 1, 0, False],
        ["p1", 0, 0, True],
    ]
    assert attempts["energy_j"].sum() == pytest.approx(6.0)
    samples = frames.samples(world.engine, cell_ids=cells["id"], text=True)
    assert samples["flop"].tolist() == [1000.0] * 3 and samples["text"].tolist()[0] == "answer of 1:p0:0"
    assert "text" not in frames.samples(world.engine)
    windows = frames.windows(world.engine)
    assert dict(zip(windows["domain"], windows["power_w"], strict=True)) == {"cpu": 0.03, "dram": 0.005}


def test_a_path_will_do(world: World) -> None:
    path = world.engine.url.database
    assert path and len(frames.attempts(path)) == 3 and len(frames.cells(path, series="none")) == 0


def test_labels_are_short_until_they_would_be_alike() -> None:
    plain = {1: {"name": "a", "revision": "0" * 40}, 2: {"name": "b", "revision": "1" * 40}}
    assert labels.distinct(plain) == {1: "a", 2: "b"}
    alike = {1: {"name": "a", "revision": "0" * 40}, 2: {"name": "a", "revision": "1" * 40}}
    assert labels.distinct(alike) == {1: "a (revision=00000000)", 2: "a (revision=11111111)"}
    strategies = {n: {"name": "sc", "params": {"n": 4}, "sampling": {"temperature": t}} for n, t in ((1, 0.2), (2, 0.8))}
    assert labels.distinct(strategies, labels.strategy) == {1: "sc(n=4, temperature=0.2)", 2: "sc(n=4, temperature=0.8)"}
    assert labels.hardware({"name": "H100", "count": 2}) == "H100x2"
