"""The page of curves without a browser: its numbers are those that are stored, self-consistency is always beside."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")
pytest.importorskip("plotly", reason="needs plotly: pip install 'perpass[leaderboard]'")

import streamlit as st
from streamlit.testing.v1 import AppTest

from results import curves
from tests.results.builders import World, cell_key
from tests.results.pooled import DRAWN, Sums, drawn

Shown = Callable[..., AppTest]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "curves.db")


def computed(world: World) -> list[dict[str, Any]]:
    return curves.told(asyncio.run(curves.refresh(world.engine, lambda spec: Sums()))[0])


@pytest.fixture
def show(world: World, monkeypatch: pytest.MonkeyPatch) -> Shown:
    from leaderboard import links

    monkeypatch.setenv("PERPASS_DB", str(world.engine.url.database))
    monkeypatch.setattr(links, "link", lambda page, label, icon=None, **more: st.text(f"{page}: {label}"))

    def run(**parameters: object) -> AppTest:
        st.cache_data.clear()
        app = AppTest.from_string("from leaderboard.pages import curves\ncurves.page()\n", default_timeout=120)
        for key, value in parameters.items():
            app.query_params[key] = value if isinstance(value, list) else str(value)  # type: ignore[assignment]
        app.run()
        assert not app.exception, app.exception[0].value
        return app

    return run


def said(app: AppTest) -> str:
    texts = [e.value for kind in (app.markdown, app.caption, app.info, app.warning, app.text) for e in kind]
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(map(str, texts)))


def test_the_table_has_the_stored_numbers(show: Shown, world: World) -> None:
    drawn(world)
    (told,) = computed(world)
    app = show()
    table = app.dataframe[0].value.set_index("")
    own = told["estimates"]["self_consistency"]
    assert table.loc["self-consistency", "k = 4"] == f"{100 * own['value'][3]:.1f} ({100 * own['low'][3]:.1f}–{100 * own['high'][3]:.1f})"
    assert list(table.index[:2]) == ["pass@k", "self-consistency"] and "pass^k" not in table.index
    assert "4 problems × 4 samples" in said(app) and f"({told['cell']})" in said(app)


@pytest.mark.parametrize("chosen", [["all_pass"], ["pass", "g_pass_50"]])
def test_self_consistency_stands_beside_whatever_is_chosen(show: Shown, world: World, chosen: list[str]) -> None:
    drawn(world)
    computed(world)
    names = set(show(estimators=chosen).dataframe[0].value[""])
    assert "self-consistency" in names and len([n for n in names if "@" in n or "^" in n]) == len(chosen)


def test_the_picture_has_a_line_and_a_band_for_each(world: World) -> None:
    from leaderboard.curves import figure

    drawn(world)
    (told,) = computed(world)
    chart = figure({"cot": told}, ["pass", "self_consistency"], "output_tokens", log=True, bands=True)
    lines, bands = [t for t in chart.data if t.fill is None], [t for t in chart.data if t.fill == "toself"]
    assert [t.name for t in lines] == ["pass@k", "self-consistency"] and len(bands) == 2
    assert list(lines[0].x) == told["output_tokens"] and list(lines[1].y) == [
        100 * v for v in told["estimates"]["self_consistency"]["value"]
    ]
    crowd = figure(dict.fromkeys("abc", told), ["pass", "self_consistency"], "k", log=False, bands=True)
    assert [t.legendgroup for t in crowd.data if t.fill == "toself"] == [f"{name}: self-consistency" for name in "abc"]


def test_what_is_not_known_is_not_drawn_but_said(show: Shown, world: World) -> None:
    drawn(world)
    computed(world)
    assert "energy_j is not known: unsettled" in said(show(by="energy_j"))


def test_without_curves_it_names_the_command(show: Shown, world: World) -> None:
    drawn(world)
    assert "pools of samples here, but no curves yet" in said(show()) and "bench curves" in said(show())


def test_without_pools_it_names_what_draws_them(show: Shown, world: World) -> None:
    key = cell_key()
    world.solve(world.cell(key), key, {"p0": ["correct"]})
    assert "self_consistency(n=16)" in said(show())


def test_a_curve_of_other_samples_is_marked(show: Shown, world: World) -> None:
    drawn(world)
    computed(world)
    drawn(world, {problem: (*own, "8") for problem, own in DRAWN.items()})
    assert "holds other samples" in said(show())


def test_the_static_board_has_them_too(world: World, tmp_path: Path) -> None:
    from leaderboard import site

    drawn(world)
    site.write(world.engine, tmp_path / "site")
    assert not (tmp_path / "site/curves.html").exists()
    (told,) = computed(world)
    site.write(world.engine, tmp_path / "site")
    text = (tmp_path / "site/curves.html").read_text()
    assert "self-consistency" in text and f"{100 * told['estimates']['pass']['value'][3]:.1f}" in text and 'id="curves-0"' in text
    assert 'href="curves.html"' in (tmp_path / "site/index.html").read_text()
