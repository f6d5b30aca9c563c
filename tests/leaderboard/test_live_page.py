"""The page of live cells: its tables have the report's numbers, its pictures the same values, and doubt is marked."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")
pytest.importorskip("plotly", reason="needs plotly: pip install 'perpass[leaderboard]'")

import streamlit as st
from streamlit.testing.v1 import AppTest

from leaderboard import load
from results import live, live_text
from tests.results.builders import World, cell_key

JOULES = {2: (40.0, ()), 8: (20.0, ()), 32: (12.0, ("batch_underfilled",))}
"""By calls in flight: joules of a steady window in which 1,000 tokens came, and its codes."""


@pytest.fixture
def db(tmp_path: Path) -> Path:
    world = World.make(tmp_path / "live.db")
    for concurrency, (joules, codes) in JOULES.items():
        key = dataclasses.replace(cell_key(), mode="live", concurrency=concurrency)
        cell = world.cell(key)
        started = world.clock
        world.solve(cell, key, {"p0": ["correct"], "p1": ["wrong"]}, output_tokens=10 + concurrency)
        told = {"output_tokens": 1000, "running_share": 0.97, "requests_in_flight": float(concurrency)}
        steady = world.window(started, started + 1.5, joules, kind="steady", cell_id=cell.id, valid=not codes, codes=codes, parameters=told)
        world.store.write(windows=[steady])
    world.store.end_run(world.run_id, "done")
    world.engine.dispose()
    return tmp_path / "live.db"


def shown(db: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("PERPASS_DB", str(db))
    st.cache_data.clear()
    app = AppTest.from_string("from leaderboard.pages import live\nlive.page()\n", default_timeout=120).run()
    assert not app.exception, app.exception[0].value
    return app


def said(app: AppTest) -> str:
    texts = [e.value for kind in (app.markdown, app.caption, app.info) for e in kind]
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(map(str, texts)))


def test_the_tables_are_those_of_the_report(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, app = live.rows(db), shown(db, monkeypatch)
    times, steady = (frame.value for frame in app.dataframe)
    assert times.to_dict("records") == live_text.lines(rows) and steady.to_dict("records") == live_text.energy_lines(rows)
    assert list(steady["mJ/token"]) == ["40.0", "20.0", "?12.0"] and "crosses are in doubt" in said(app)


def test_the_pictures_have_the_same_values(db: Path) -> None:
    rows = live.rows(db)
    energy, times = load.against_load(rows, "steady_j_per_token"), load.against_load(rows, "tpot_s")
    assert energy is not None and times is not None
    (line,) = energy.data
    assert (list(line.x), list(line.y)) == ([2, 8, 32], pytest.approx([40, 20, 12]))
    assert list(line.marker.symbol) == ["circle", "circle", "x-open"]
    (line,) = times.data
    assert list(line.y) == pytest.approx([1000 * row["tpot_s_p50"] for row in rows])
    assert list(line.error_y.array) == pytest.approx([1000 * (row["tpot_s_p99"] - row["tpot_s_p50"]) for row in rows])


def test_the_frontier_weighs_energy_against_waiting_and_leaves_doubt_out(db: Path) -> None:
    rows = live.rows(db)
    assert [row["concurrency"] for row in load.frontier(rows)] == [8]  # here it also streams faster than 2 do
    slower: list[dict[str, Any]] = [row | {"tpot_s_p50": 0.01 * row["concurrency"]} for row in rows]
    assert [row["concurrency"] for row in load.frontier(slower)] == [2, 8]
    drawn = load.trade_off(slower)
    assert drawn is not None and [list(t.x) for t in drawn.data if t.name == "frontier"] == [pytest.approx([20, 80])]
    mixed = [slower[0] | {"steady_source": "estimated", "steady_codes": ["estimated"]}, slower[1]]
    assert load.kind(mixed[0]) == "estimated" and load.frontier(mixed) == []  # an estimate is no match for a measurement


def test_the_sentence_weighs_the_highest_load_against_the_lowest(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    low, _, high = live.rows(db)
    (said_of_all,) = load.sentences([low, high])
    assert said_of_all.startswith("cot: 32 calls in flight instead of 2 give ") and "0.3× the joules per token" in said_of_all
    assert f"{high['output_tokens_per_s'] / low['output_tokens_per_s']:.2g}× the tokens per second" in said_of_all
    assert said_of_all.endswith("(joules are in doubt).") and said_of_all in said(shown(db, monkeypatch))
    assert list(load.sentences([low])) == []


def test_loads_are_told_apart() -> None:
    rows = [{"mode": "live", "concurrency": 8}, {"mode": "live@0.5/s", "concurrency": None}, {"mode": "live", "concurrency": 2}]
    assert {name: len(own) for name, own in load.loads(rows).items()} == {load.CLOSED: 2, load.OPEN: 1}
    assert [load.rate(row) for row in rows] == [None, 0.5, None]


def test_without_live_cells_it_names_what_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World.make(tmp_path / "none.db")
    world.solve(world.cell(cell_key()), cell_key(), {"p0": ["correct"]})
    world.engine.dispose()
    assert "bench run live-cpu" in said(shown(tmp_path / "none.db", monkeypatch))
