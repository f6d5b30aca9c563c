"""Drops under stress: which clean cell belongs to a stressed one, and numbers worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results import compare, drops
from results.records import CellKey
from tests.results.builders import World, cell_key

RIGHT, WRONG, ERROR = "correct", "wrong", "error"
BASE = {"kind": "sums", "size": 4}
STRESS = {"kind": "stress", "base": BASE, "change": "typos", "rate": 0.1, "seed": 0}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def key(spec: Mapping[str, Any], version: int, revision: str = "generated", **changes: Any) -> CellKey:
    return replace(cell_key(**changes), task={"name": spec["kind"], "version": version, "revision": revision, "spec": spec})


def put(world: World, cell: CellKey, outcomes: Mapping[str, Sequence[str]], series: str = "main", **more: Any) -> str:
    row = world.cell(cell, len(outcomes), series=series, **more)
    world.solve(row, cell, outcomes)
    return row.name


def clean(world: World, outcomes: Mapping[str, Sequence[str]], **changes: Any) -> str:
    return put(world, key(BASE, 1, **changes), outcomes)


FOUR_RIGHT = {f"p{n}": [RIGHT] for n in range(4)}
ONE_RIGHT = {"p0": [RIGHT], "p1": [WRONG], "p2": [WRONG], "p3": [WRONG]}


def test_a_drop_worked_out_by_hand(world: World) -> None:
    own = clean(world, FOUR_RIGHT)
    stressed = put(world, key(STRESS, 101), ONE_RIGHT)
    (row,) = drops.rows(world.engine)
    assert tuple(row) == drops.FIELDS
    assert (row["cell"], row["clean_cell"], row["base"], row["change"], row["rate"], row["seed"]) == (stressed, own, BASE, "typos", 0.1, 0)
    assert (row["problems"], row["attempts"], row["clean_accuracy"], row["accuracy"], row["drop"]) == (4, 4, 1.0, 0.25, 0.75)
    assert row["drop_low"] <= 0.75 <= row["drop_high"] and (row["lost"], row["gained"]) == (3, 0)
    assert (row["p_worse"], row["p_two_sided"], row["mcnemar_p"]) == pytest.approx((1 / 8, 1 / 4, 1 / 4))
    assert row["output_tokens_ratio"] == row["flop_ratio"] == 1.0 and row["reasons"] == {}


def test_it_is_the_paired_comparison_of_the_two_cells(world: World) -> None:
    clean(world, {"p0": [RIGHT, RIGHT], "p1": [RIGHT, WRONG], "p2": [WRONG, RIGHT]})
    put(world, key(STRESS, 101), {"p0": [RIGHT, WRONG], "p1": [WRONG, WRONG], "p2": [RIGHT, RIGHT]})
    (row,) = drops.rows(world.engine)
    pair, _, _ = compare.two(world.engine, 1, 2)
    assert pair is not None
    assert (row["drop"], row["drop_low"], row["drop_high"]) == tuple(-pair.row[f"difference{end}"] for end in ("", "_high", "_low"))
    assert {name: row[name] for name in drops.PAIRED} == {name: pair.row[there] for name, there in drops.PAIRED.items()}
    assert row["mcnemar_p"] is None and row["reasons"] == {"mcnemar_p": "several_trials"}


def test_only_common_attempts_without_errors_count(world: World) -> None:
    clean(world, {"p0": [RIGHT], "p1": [RIGHT], "p2": [ERROR]})
    put(world, key(STRESS, 101), {"p0": [WRONG], "p2": [RIGHT], "p3": [WRONG], "p1": [ERROR]})
    (row,) = drops.rows(world.engine)
    assert (row["problems"], row["drop"], row["left_out"]) == (1, 1.0, {"only_in_head": 1, "infrastructure_errors": 2})


@pytest.mark.parametrize(
    "change",
    [
        {"model": "perpass/micro"},
        {"strategy": "direct"},
        {"seed": 1},
        {"hardware": {"name": "Other", "count": 1}},
        {"engine": {"kind": "vllm", "settings": {}}},
        {"mode": "live", "concurrency": 8},
        {"roles": {"judge": {"model": {}, "engine": {}, "hardware": {}}}},
    ],
)
def test_a_cell_that_differs_in_anything_else_is_not_its_clean_cell(world: World, change: dict[str, Any]) -> None:
    clean(world, FOUR_RIGHT, **change)
    put(world, key(STRESS, 101), ONE_RIGHT)
    (row,) = drops.rows(world.engine, series="all")
    assert row["drop"] is row["clean_cell"] is row["p_worse"] is None and row["reasons"]["drop"] == "no_clean_cell"


@pytest.mark.parametrize(("spec", "version", "revision"), [(BASE | {"size": 5}, 1, "generated"), (BASE, 2, "generated"), (BASE, 1, "r2")])
def test_another_size_version_or_revision_is_another_task(world: World, spec: dict[str, Any], version: int, revision: str) -> None:
    put(world, key(spec, version, revision), FOUR_RIGHT)
    put(world, key(STRESS, 101), ONE_RIGHT)
    (row,) = drops.rows(world.engine)
    assert row["reasons"]["drop"] == "no_clean_cell"


def test_a_clean_cell_of_another_series_is_none(world: World) -> None:
    put(world, key(BASE, 1), FOUR_RIGHT, series="older")
    put(world, key(STRESS, 101), ONE_RIGHT)
    assert drops.rows(world.engine)[0]["clean_cell"] is None


def test_an_experiment_restricts_the_problems_even_where_the_clean_cell_is_not_in_it(world: World) -> None:
    clean(world, FOUR_RIGHT)
    put(world, key(STRESS, 101), ONE_RIGHT, experiment="small", limit=2)
    (row,) = drops.rows(world.engine, experiment="small")
    assert (row["problems"], row["drop"]) == (2, 0.5)
    assert drops.rows(world.engine, experiment="demo") == []
    assert drops.rows(world.engine)[0]["problems"] == 4
    assert drops.rows(world.engine, task="stress")[0]["drop"] == 0.75


def test_stress_on_stress_is_compared_with_the_stress_inside(world: World) -> None:
    inner = put(world, key(STRESS, 101), FOUR_RIGHT)
    put(world, key({"kind": "stress", "base": STRESS, "change": "length", "rate": 0.1, "seed": 0}, 201), ONE_RIGHT)
    rows = {row["change"]: row for row in drops.rows(world.engine)}
    assert rows["typos"]["clean_cell"] is None
    assert (rows["length"]["clean_cell"], rows["length"]["drop"]) == (inner, 0.75)
    assert rows["length"]["rate"] is rows["length"]["seed"] is None


def test_nothing_to_compare_is_said(world: World) -> None:
    put(world, key(BASE, 1), {"p0": [ERROR]})
    put(world, key(STRESS, 101), {"p0": [RIGHT]})
    (row,) = drops.rows(world.engine)
    assert row["drop"] is None and row["clean_cell"] and row["reasons"]["drop"] == "all_errors"
