"""The page of rows that others measured: apart from ours, the frontier that of `bench external`, contradictions said and not drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")
pytest.importorskip("plotly", reason="needs plotly: pip install 'perpass[leaderboard]'")

import streamlit as st
from streamlit.testing.v1 import AppTest

from results import external, ml_energy
from results.database import open_database
from tests.results.test_external import configuration, write

FEW = {"max_num_seqs": 16, "avg_batch_size": 16, "energy_per_token_joules": 2.5, "energy_per_request_joules": 125.0}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    table = write(
        tmp_path,
        configuration(),
        configuration(**FEW) | {"avg_power_watts": 250.0, "median_itl_ms": 160.0},
        configuration(max_num_seqs=32, avg_batch_size=32, avg_power_watts=999.0),
        task="gpqa",
    )
    engine = open_database(tmp_path / "external.db", create=True)
    external.store(engine, ml_energy.read(table))
    engine.dispose()
    return tmp_path / "external.db"


def shown(db: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("PERPASS_DB", str(db))
    st.cache_data.clear()
    app = AppTest.from_string("from leaderboard.pages import external\nexternal.page()\n", default_timeout=120).run()
    assert not app.exception, app.exception[0].value
    return app


def test_its_rows_are_the_commands(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, app = external.rows(db), shown(db, monkeypatch)
    table = app.dataframe[0].value
    assert list(table[""]) == ["on the frontier", "beaten", "contradicts itself"] and [r["frontier"] for r in rows] == [True, False, None]
    assert list(table["J/token"]) == ["2.00", "2.50", "2.00"] and list(table["codes"]) == ["", "", "power_mismatch"]
    assert any("3 rows, 1 on the frontier" in caption.value for caption in app.caption)


def test_the_picture_fades_what_is_beaten_and_leaves_out_what_contradicts_itself(db: Path) -> None:
    from leaderboard.pages.external import figure

    rows = external.rows(db)
    (line,) = figure(rows).data
    assert list(line.y) == [row["energy_per_token_j"] for row in sorted(rows[:2], key=lambda row: row["batch"])]
    assert sorted(line.marker.opacity) == [0.4, 1.0]


def test_without_rows_it_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_database(tmp_path / "none.db", create=True).dispose()
    assert "bench import ml-energy" in shown(tmp_path / "none.db", monkeypatch).info[0].value
