"""Every page in a real browser: what its picture and its table show is what the database says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")

from leaderboard import data, words
from results import breakdown, compare, curves, curves_text, external, frames, live, report
from tests.leaderboard.browser import chromium, served
from tests.leaderboard.world import LIVE, whole

DRAWN = """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap((f) => f.data.map(
  (t) => [t.name ?? '', [...(t.x ?? [])], [...(t.y ?? [])]]))"""
CELLS = "() => [...document.querySelectorAll('[data-testid=stDataFrame] [role=gridcell]')].map((e) => e.textContent)"


class Board:
    """The database, and its pages in a browser."""

    def __init__(self, db: Path, address: str, page: Any):
        self.db, self.address, self.page = db, address, page

    def drawn(self, path: str) -> list[tuple[str, list[Any], list[Any]]]:
        """The lines of all pictures of a page: name, x, y."""
        self.page.goto(f"{self.address}/{path}")
        self.page.locator(".js-plotly-plot .point").first.wait_for()
        self.settle()
        return [(name, x, y) for name, x, y in self.page.evaluate(DRAWN)]

    def table(self, path: str, wait: str) -> list[str]:
        """The cells of all tables of a page, as a screen reader finds them, once `wait` is one of them."""
        self.page.goto(f"{self.address}/{path}")
        self.page.locator("[role=gridcell]", has_text=wait).first.wait_for(state="attached")
        self.settle()
        found: list[str] = self.page.evaluate(CELLS)
        return found

    def settle(self) -> None:
        """Until the page's script has ended and all is drawn."""
        self.page.wait_for_function(
            """() => document.querySelector('[data-test-script-state=notRunning]') && !document.querySelector('[data-testid=stSkeleton]')
                 && [...document.querySelectorAll('[data-testid=stPlotlyChart]')].every((c) => c.querySelector('.point, .lines'))"""
        )

    def cell_ids(self, kind: str) -> list[int]:
        cells = frames.cells(self.db)
        return [int(n) for n, own in zip(cells["id"], cells["task_identity"], strict=True) if own["name"] == kind]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    db = whole(tmp_path_factory.mktemp("pages") / "pages.db")
    with chromium() as page, served(db) as address:
        yield Board(db, address, page)


def test_table(board: Board) -> None:
    shown = board.table("table?task=sums", "direct")
    for row in report.rows(board.db, task="sums"):
        at = shown.index(row["strategy"])
        assert f"{100 * row['accuracy']:g}" == shown[at + 1], shown


def test_compare(board: Board) -> None:
    ids = {row["strategy"]: row["cell"] for row in report.rows(board.db, task="sums")}
    cells = frames.cells(board.db)
    base, head = (int(cells.loc[cells["cell"] == ids[name], "id"].iloc[0]) for name in ("direct", "cot"))
    made, _, _ = compare.two(data.reading.opened(str(board.db)), base, head)
    assert made is not None
    board.page.goto(f"{board.address}/compare?task=sums&base={ids['direct']}@main&head={ids['cot']}@main")
    board.page.get_by_text(f"{100 * made.row['difference']:+.1f} points", exact=False).first.wait_for()
    said = f"{words.percent(made.row['base_accuracy'])} → {words.percent(made.row['head_accuracy'])} on {made.row['problems']} problems"
    board.page.get_by_text(said, exact=False).first.wait_for()


def test_curves(board: Board) -> None:
    lines = {name: (x, y) for name, x, y in board.drawn("curves?task=pooled") if name}
    (told,) = curves.told(curves.stored(data.reading.opened(str(board.db)), cells=frames.cells(board.db, task="pooled")))
    own = told["estimates"]["self_consistency"]
    x, y = lines["self-consistency"]
    assert x == told["k"] and y == pytest.approx([100 * v for v in own["value"]])
    assert curves_text.title(told) in board.page.locator("h5").first.inner_text()


def test_live(board: Board) -> None:
    rows = live.rows(board.db)
    lines = [(x, y) for name, x, y in board.drawn("live") if name != "frontier"]
    assert [row["concurrency"] for row in rows] == list(LIVE)
    assert (list(LIVE), pytest.approx(list(LIVE.values()))) in lines  # mJ per token
    assert (list(LIVE), pytest.approx([row["output_tokens_per_s"] for row in rows])) in lines


def test_external(board: Board) -> None:
    (row,) = external.rows(board.db)
    assert ([row["itl_p50_ms"]], [row["energy_per_token_j"]]) in [(x, y) for _, x, y in board.drawn("external")]


def test_stress(board: Board) -> None:
    wanted = {row["cell"]: 100 * row["accuracy"] for row in report.rows(board.db) if row["task"].startswith("rest")}
    lines = board.drawn("stress?s=3")
    assert any(list(map(int, x)) == [2, 3] and sorted(y) == pytest.approx(sorted(wanted.values())) for _, x, y in lines), lines
    by_position = breakdown.by_position(str(board.db), board.cell_ids("rest"))
    three = by_position[by_position["cell_id"].isin(by_position.loc[by_position["position"] == 3, "cell_id"])]
    assert any(list(map(int, x)) == [1, 2, 3] and y == pytest.approx(list(100 * three["accuracy"])) for _, x, y in lines), lines


def test_procedures(board: Board) -> None:
    table = breakdown.by_meta(str(board.db), board.cell_ids("procbench"), "procedure", ("PA",))
    wanted = {name: 100 * value for name, value in zip(table["procedure"], table["accuracy"], strict=True) if value is not None}
    ((_, x, y),) = board.drawn("procedures?measure=PA")
    pa = table[table["measure"] == "PA"]
    assert dict(zip(x, y, strict=True)) == pytest.approx({n: 100 * v for n, v in zip(pa["procedure"], pa["accuracy"], strict=True)})
    assert set(x) == set(wanted)
