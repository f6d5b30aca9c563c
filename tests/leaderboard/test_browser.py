"""In a real browser: values are the database's, links restore what was chosen, and nothing that a model wrote is ever run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")

from leaderboard import site, words
from perpass.errors import UserError
from results import frames, report
from tests.leaderboard.browser import chromium, served
from tests.leaderboard.world import NASTY, made


@dataclass(frozen=True)
class Board:
    db: Path
    address: str
    page: Any

    def open(self, path: str, wait: str) -> Any:
        """The page once `wait` can be read on it."""
        self.page.goto(f"{self.address}/{path}")
        self.page.get_by_text(wait, exact=False).first.wait_for()
        return self.page

    def rows(self, *axes: str) -> dict[str, report.Row]:
        return {row["strategy"]: row for row in report.rows(self.db, task="sums", axes=axes or None)}


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    db = made(tmp_path_factory.mktemp("board") / "board.db")
    with chromium() as page, served(db) as address:
        yield Board(db, address, page)


def choose(page: Any, label: str, option: str) -> None:
    """Write into a select box and take what it offers. A page that is still drawing closes the list again: then once more."""
    page.locator(".js-plotly-plot").first.wait_for()
    offered = page.get_by_role("option", name=option, exact=True)
    for _ in range(60):
        box = page.get_by_role("combobox", name=label)
        box.click()
        box.fill(option[:-1])  # what is written in full already is no change, and offers nothing
        page.wait_for_timeout(1000)
        if offered.count():
            offered.click()
            return
    raise AssertionError(f"{label} never offered {option}")


def names_on_frontier(page: Any, known: list[str]) -> set[str]:
    lines = [line for text in page.locator("[data-testid=stPageLink]").all_inner_texts() for line in text.splitlines()]
    return {name for name in known if any(re.match(rf"\d+\. {re.escape(name)}:", line) for line in lines)}


def test_a_link_restores_axes_and_the_frontier_is_the_reports(board: Board) -> None:
    for axis in ("flop", "output_tokens"):
        rows = board.rows("accuracy", axis)
        page = board.open(f"?task=sums&x={axis}&colour=strategy&log_x=no", f"of accuracy and {words.AXES[axis]}")
        page.locator(".js-plotly-plot").first.wait_for()
        assert names_on_frontier(page, list(rows)) == {name for name, row in rows.items() if row["frontier"]}
    figure = page.evaluate(
        "() => { const f = document.querySelector('.js-plotly-plot'); return [f.layout.xaxis.type, f.data.map(t => t.x)]; }"
    )
    assert figure[0] == "linear"
    drawn = {round(x, 6) for xs in figure[1] for x in xs or [] if x is not None}
    assert drawn == {round(row["output_tokens"], 6) for row in board.rows().values()}
    assert page.title() != "owned"


def test_choosing_an_axis_changes_the_address_and_the_frontier(board: Board) -> None:
    page = board.open("?task=sums", "of accuracy and FLOPs per item")
    choose(page, "Across", words.AXES["output_tokens"])
    page.get_by_text("of accuracy and output tokens per item", exact=False).first.wait_for()
    page.wait_for_url("**x=output_tokens*")
    rows = board.rows("accuracy", "output_tokens")
    assert names_on_frontier(page, list(rows)) == {name for name, row in rows.items() if row["frontier"]}


def test_cell_and_attempt_show_what_is_stored_as_text(board: Board) -> None:
    row = board.rows()["cot"]
    page = board.open(f"cell?cell={row['cell']}@main", "accuracy (95 % interval)")
    assert page.locator("[data-testid=stMetricValue]").first.inner_text() == words.interval(row)
    cells = frames.cells(board.db)
    number = int(frames.attempts(board.db, cell_ids=[int(cells.loc[cells["cell"] == row["cell"], "id"].iloc[0])])["attempt"].iloc[0])
    page = board.open(f"attempt?attempt={number}", "engine call")
    page.locator("code", has_text="<script>document.title").first.wait_for()
    assert NASTY in page.locator("code").all_inner_texts()
    assert page.title() != "owned" and page.locator("b", has_text="bold").count() == 0 and page.locator(".katex").count() == 0


def test_a_link_to_any_page_works_on_a_server_that_showed_none_yet(board: Board) -> None:
    """Streamlit learns of the pages by running the script, and before that would take files of a folder `pages` beside it for them."""
    from playwright.sync_api import TimeoutError

    with served(board.db) as address:
        board.page.goto(f"{address}/table?task=sums")
        shown = board.page.get_by_text("Click a row", exact=False).first
        try:
            shown.wait_for()
        except TimeoutError:
            # Seen once, on a busy machine: the page's first connection came to nothing. A page that was taken for another stays so.
            board.page.reload()
            shown.wait_for()


def test_a_click_anywhere_in_a_row_opens_its_cell(board: Board) -> None:
    page = board.open("table?task=sums", "Click a row")
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    place = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    page.mouse.click(place["x"] + 150, place["y"] + 50)  # below the heads, right of the box
    page.wait_for_url("**/cell?*")
    first = next(row for row in report.rows(board.db) if row["task"] == "sums")
    page.get_by_text(f"cell {first['cell']} · series main", exact=False).first.wait_for()


def test_a_browser_asks_for_the_program_of_charts_before_it_knows_of_one(board: Board) -> None:
    name = "r.name.split('/').pop().split('.')[0]"
    asked = f"() => Object.fromEntries(performance.getEntriesByType('resource').map((r) => [{name}, r.startTime]))"
    page = board.open("?task=sums", "On the frontier")
    page.locator(".js-plotly-plot .point").first.wait_for()
    times = page.evaluate(asked)
    assert times["PlotlyChart"] < times["host-config"]  # which is asked for before the app is
    page = board.open("table?task=sums", "Click a row")
    page.locator("[data-testid=stDataFrame] canvas").first.wait_for()
    assert "PlotlyChart" not in page.evaluate(asked)


def test_the_frontiers_numbers_are_those_of_its_list(board: Board) -> None:
    page = board.open("?task=sums", "On the frontier")
    page.locator(".js-plotly-plot .textpoint").first.wait_for()
    drawn = page.evaluate("() => document.querySelector('.js-plotly-plot').data.flatMap((t) => (t.text || []).map((n, i) => [n, t.x[i]]))")
    rows = [row for row in board.rows("accuracy", "flop").values() if row["frontier"]]
    assert len(drawn) == len(rows)
    lines = [line for text in page.locator("[data-testid=stPageLink]").all_inner_texts() for line in text.splitlines()]
    for n, row in enumerate(sorted(rows, key=lambda row: row["flop"]), start=1):
        assert any(line.startswith(f"{n}. {row['strategy']}:") for line in lines)
    assert [n for n, _ in sorted(drawn, key=lambda own: own[1])] == [str(n) for n in range(1, len(rows) + 1)]


def test_the_static_board_opens_from_a_disk_with_the_reports_numbers(board: Board, tmp_path: Path) -> None:
    rows = report.rows(board.db)
    assert site.write(board.db, tmp_path / "site") == len(rows)
    page, wrong = board.page, []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.goto((tmp_path / "site/index.html").as_uri())
    page.locator(".js-plotly-plot").first.wait_for()
    for row in rows:
        texts = page.locator(f"tr[id='{row['cell']}'] td").all_inner_texts()
        assert texts[2] == row["strategy"] and texts[0] == ("*" if row["frontier"] else "") and texts[5] == words.interval(row)
    xs = page.evaluate("() => document.querySelector('.js-plotly-plot').data.flatMap(t => t.x).filter(x => x !== null)")
    first = [row for row in rows if row["task"] == rows[0]["task"]]
    assert len(set(xs)) == len({row["flop"] for row in first})
    row = board.rows()["vote<img src=x>"]
    page.locator(f"tr[id='{row['cell']}'] a").click()
    page.get_by_text("The same again").wait_for()
    assert row["strategy"] in page.locator("h1").inner_text() and page.locator("img").count() == 0
    assert not wrong
    stored = json.loads((tmp_path / "site/report.json").read_text())
    assert {r["cell"]: r["accuracy"] for r in stored} == {r["cell"]: r["accuracy"] for r in rows}


def test_a_board_replaces_a_board_and_nothing_else(board: Board, tmp_path: Path) -> None:
    site.write(board.db, tmp_path / "site")
    site.write(board.db, tmp_path / "site")
    assert [p.name for p in tmp_path.iterdir()] == ["site"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("dear")
    with pytest.raises(UserError, match="name another folder"):
        site.write(board.db, tmp_path / "mine")
    assert (tmp_path / "mine/letter.txt").read_text() == "dear" and sorted(p.name for p in tmp_path.iterdir()) == ["mine", "site"]
