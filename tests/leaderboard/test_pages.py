"""The pages without a browser: their words and numbers are those of the database, and what cannot be read is one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")
pytest.importorskip("plotly", reason="needs plotly: pip install 'perpass[leaderboard]'")

import streamlit as st
from streamlit.testing.v1 import AppTest

from leaderboard import frontier, words
from results import axes, breakdown, database, frames, report
from results import show as stored
from results.wording import number
from tests.leaderboard.world import NASTY, made

Shown = Callable[..., AppTest]
HOW = "from leaderboard import data, links\nfrom leaderboard.pages import {0}\n{0}.page()\n"


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("board") / "board.db")


@pytest.fixture
def show(db: Path, monkeypatch: pytest.MonkeyPatch) -> Shown:
    """`show("table", task="sums")`: the page after one run, links to other pages left out."""
    from leaderboard import links

    monkeypatch.setenv("PERPASS_DB", str(db))
    monkeypatch.setattr(links, "link", lambda page, label, icon=None, **more: st.text(f"{page}: {label}"))
    st.cache_data.clear()

    def run(name: str, **parameters: object) -> AppTest:
        app = AppTest.from_string(HOW.format(name), default_timeout=120)
        for key, value in parameters.items():
            app.query_params[key] = str(value)
        app.run()
        assert not app.exception, app.exception[0].value
        return app

    return run


def said(app: AppTest) -> str:
    """All words of a page, as its reader sees them."""
    texts = [
        e.value for kind in (app.markdown, app.caption, app.info, app.error, app.success, app.warning, app.text, app.code) for e in kind
    ]
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", "\n".join(map(str, texts)))


def sums(db: Path, *wanted: str) -> dict[str, report.Row]:
    return {row["strategy"]: row for row in report.rows(db, task="sums", axes=wanted or None)}


def test_the_frontier_opens_on_the_answer_of_the_report(show: Shown, db: Path) -> None:
    from results import advice

    words_ = said(show("frontier", task="sums"))
    assert advice.sentences(list(sums(db).values()))[0] in words_


def test_a_page_opens_on_the_task_of_most_cells(show: Shown) -> None:
    for name in ("frontier", "table", "compare"):
        (task,) = [box for box in show(name).selectbox if box.label == "Task"]
        assert task.value == "sums" and task.options[0] == "procbench"


def test_an_axis_on_which_all_is_infinite_is_said_and_not_drawn(show: Shown) -> None:
    app = show("frontier", task="sums", x="flop_of_pass")
    assert "FLOPs of pass is infinite for every cell, since each left a problem unsolved in all its trials" in said(app)
    assert not app.get("plotly_chart") and show("frontier", task="sums").get("plotly_chart")


@pytest.mark.parametrize("axis", ["flop", "output_tokens", "tokens_per_correct"])
def test_other_axes_give_the_frontier_of_bench_report_axes(show: Shown, db: Path, axis: str) -> None:
    rows = sums(db, "accuracy", axis)
    app = show("frontier", task="sums", x=axis)
    listed = [t.value for t in app.text]
    for name, row in rows.items():
        assert any(name in line for line in listed) == row["frontier"], (axis, name)
    assert len({frozenset(n for n, r in sums(db, "accuracy", a).items() if r["frontier"]) for a in ("flop", "output_tokens")}) == 2


def test_the_table_has_the_numbers_of_the_report(show: Shown, db: Path) -> None:
    frame = show("table", task="sums").dataframe[0].value
    scale, _ = axes.unit("flop", list(sums(db).values()))
    for row in sums(db).values():
        own = frame[frame["cell"] == row["cell"]].iloc[0]
        assert own["accuracy"] == pytest.approx(100 * row["accuracy"]) and own["flop"] == row["flop"] * scale
        assert own["output_tokens"] == row["output_tokens"] and own[""] == ("*" if row["frontier"] else "")


def test_a_filter_leaves_the_frontier_alone(show: Shown, db: Path) -> None:
    frame = show("table", task="sums", find="direct").dataframe[0].value
    assert frame["strategy"].tolist() == ["direct"] and frame[""].tolist() == ["*"]


def test_a_cell_says_its_numbers_settings_and_command(show: Shown, db: Path) -> None:
    row = sums(db)["cot"]
    app = show("cell", cell=f"{row['cell']}@main")
    assert app.metric[0].value == words.interval(row) == "75.0 % (25.0–100.0)"
    assert "bench run demo" in said(app) and "max_tokens: 64" in said(app)
    (phases,) = (frame.value for frame in app.dataframe if "phase" in frame.value)
    told = stored.cell(db, row["cell"])["phases"]
    assert list(phases["phase"]) == [part["phase"] for part in told] == ["prefill", "decode"]
    assert list(phases["tokens"]) == [number(part["tokens"]) for part in told] and "Not known: " in said(app)  # nothing was metered


def test_an_attempt_shows_texts_as_they_are(show: Shown, db: Path) -> None:
    cells = frames.cells(db)
    number = int(frames.attempts(db, cell_ids=[int(cells.loc[cells["strategy"] == "cot", "id"].iloc[0])])["attempt"].iloc[0])
    app = show("attempt", attempt=number)
    assert NASTY in [code.value for code in app.code]
    assert not any("<script>" in m.value for m in app.markdown)
    assert "correct · extracted: 1 · gold: 0" in said(app)


def test_compare_pairs_by_problem(show: Shown, db: Path) -> None:
    rows = sums(db)
    places = [f"{rows[name]['cell']}@main" for name in ("direct", "cot")]
    app = show("compare", task="sums", base=places[0], head=places[1], differ="no")
    assert "+50.0 points" in said(app) and "25.0 % → 75.0 % on 4 problems" in said(app)
    pairs = app.dataframe[1].value
    assert dict(zip(pairs["base"], pairs["head"], strict=True))["truncated"] == "wrong"


def test_stress_counts_questions_and_positions(show: Shown, db: Path) -> None:
    cells = frames.cells(db, task="rest")
    ids = {
        row["spec"]["s"]: row["id"]
        for row in ({"spec": t["spec"], "id": n} for t, n in zip(cells["task_identity"], cells["id"], strict=True))
    }
    three = breakdown.by_position(db, [ids[3]])
    assert three["accuracy"].tolist() == [1.0, 0.5, 0.0] and three["items"].tolist() == [4, 4, 4]
    assert (three["low"] <= three["accuracy"]).all() and (three["accuracy"] <= three["high"]).all()
    assert "50.0 %" in said(show("stress")) and "questions" in said(show("stress"))


def test_stress_begins_with_rests_averages(show: Shown, db: Path) -> None:
    from results import rest, rest_text

    app = show("stress")
    (row,) = rest.rows(db)
    assert row["stress"] == 0.5 and row["single"] is None  # the world has s = 2 and 3
    (line,) = rest_text.lines([row])
    shown = app.dataframe[0].value.to_dict("records")
    assert shown == [{name: text for name, text in line.items() if name != "task"}]
    assert "missing_levels" in said(app) and line["tokens per question"] == "2: 10.0 · 3: 6.67"


def test_procedures_by_name_and_by_length(show: Shown, db: Path) -> None:
    ids = [int(n) for n in frames.cells(db, task="procbench")["id"]]
    table = breakdown.by_meta(db, ids, "procedure", ("PA",)).set_index(["procedure", "measure"])["accuracy"]
    assert table["Sort", "PA"] == 1.0 and table["Rhythm", "PA"] == 0.5 and table["Rhythm", "accuracy"] == 0.0
    assert set(breakdown.by_meta(db, ids, "length")["length"]) == {"short", "medium"}
    shown = show("procedures", measure="PA").dataframe[0].value
    assert dict(zip(shown["procedure"], shown["accuracy"], strict=True)) == {"Rhythm": 0.5, "Sort": 1.0}


@pytest.mark.parametrize("kind", ["missing", "foreign", "broken", "empty"])
def test_a_database_that_cannot_be_read_is_the_sentence_of_bench_report(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    from leaderboard.serve import APP

    path = tmp_path / "x.db"
    if kind == "foreign":
        sqlite3.connect(path).execute("CREATE TABLE songs (id INTEGER)").connection.close()
    elif kind == "broken":
        path.write_bytes(b"SQLite format 3\0" + b"nonsense" * 200)
    elif kind == "empty":
        database.open_database(path, create=True).dispose()
    monkeypatch.setenv("PERPASS_DB", str(path))
    st.cache_data.clear()
    page = AppTest.from_file(str(APP), default_timeout=120).run()
    assert not page.exception
    if kind == "empty":
        assert report.rows(path) == [] and "no cells" in said(page)
        return
    with pytest.raises(Exception) as found:  # whatever `bench report` raises
        report.rows(path)
    assert str(found.value) in said(page)


def test_a_change_of_the_database_shows_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    from leaderboard import data
    from tests.results.builders import World, cell_key

    path = tmp_path / "growing.db"
    world = World.make(path)
    key = cell_key()
    row = world.cell(key)
    monkeypatch.setenv("PERPASS_DB", str(path))
    world.solve(row, key, {"p0": ["correct"]})
    assert data.rows("main", "sums")[0]["attempts"] == 1
    world.solve(row, key, {"p1": ["wrong"]})
    deadline = time.monotonic() + 60
    while data.rows("main", "sums")[0]["attempts"] == 1 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert data.rows("main", "sums")[0]["accuracy"] == 0.5


def test_kinds_of_energy_have_shapes_and_legend_entries_of_their_own() -> None:
    from tests.results.rows import compared, row

    rows = compared(
        [
            row("direct", 0.4, 1e7),
            row("cot", 0.7, 1e8, energy_source="nvml_counter", energy_valid=True),
            row("vote", 0.8, 1e9, energy_source="modelled"),
        ],
        "accuracy",
        "energy_j",
    )
    chart = frontier.figure(rows, frontier.Wanted(x="energy_j"))
    legend = {t.name: t.marker.symbol for t in chart.data if t.mode == "markers" and t.x == (None,) and not t.legendgroup}
    assert set(legend) == {"estimated energy", "measured energy", "modelled energy"} and len(set(legend.values())) == 3
    drawn = {t.name: t.marker.symbol for t in chart.data if t.mode == "markers" and t.x != (None,)}
    assert drawn == {"direct": legend["estimated energy"], "cot": legend["measured energy"], "vote": legend["modelled energy"]}


def test_infinite_and_missing_values_are_not_lost() -> None:
    from tests.results.rows import compared, row

    rows = compared(
        [
            row("direct", 0.1, 1e7, cost_of_pass_usd=float("inf")),
            row("cot", 0.7, 1e8, cost_of_pass_usd=2.0),
            row("vote", 0.8, None, cost_of_pass_usd=None),
        ],
        "accuracy",
        "cost_of_pass_usd",
    )
    wanted = frontier.Wanted(x="cost_of_pass_usd")
    chart = frontier.figure(rows, wanted)
    (infinity,), (line,) = chart.layout.annotations, chart.layout.shapes
    assert infinity.text == "∞" and 10**infinity.x == pytest.approx(line.x0) and line.x0 > 2.0e6  # dollars per million
    assert [r["strategy"] for own in frontier.left_out(rows, wanted).values() for r in own] == ["vote"]


@pytest.mark.parametrize("text", ["a_b_c", "<script>", "$x$", "[l](u)", ":red[x]", "# h", "`c`", "1. x", "**b**", ":smile:"])
def test_escaping_leaves_nothing_for_markdown_or_plotly_to_read(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", words.markdown(text)) == text
    assert not re.search(r"(?<!\\)[\[\]_*`$<>#:]", words.markdown(text))
    assert "<" not in words.markup(text) and "$" not in words.markup(text)


def test_names_are_those_of_the_report() -> None:
    from results.wording import cell_name
    from tests.results.rows import crowd, row

    rows = [*crowd("sums"), row("cot", mode="live", concurrency=4), row("cot", mode="live", concurrency=4, engine="vllm")]
    writer = words.Writer(rows)
    assert [writer.name(r) for r in rows] == [cell_name(r, rows) for r in rows]
