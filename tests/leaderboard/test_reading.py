"""What the first page asks for is read before it asks, once, and only while it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pandas")

from leaderboard import reading
from results import database, report
from tests.leaderboard.world import made
from tests.results.builders import World


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    return database.resolve(made(tmp_path_factory.mktemp("board") / "board.db"))


def test_what_the_first_page_asks_for_is_there_once(db: str) -> None:
    reading.begin(db)
    now = reading.state(db)
    cells = reading.begun(now, "catalogue")
    assert cells is not None
    found = cells.result()
    assert found["cell"].tolist() == reading.catalogue(db)["cell"].tolist()
    series, task = reading.first(found)
    numbers = reading.begun(now, series, task)
    assert numbers is not None
    assert numbers.result() == [row for row in report.rows(db) if row["task"] == task]
    assert reading.begun(now, "catalogue") is None and reading.begun(now, series, task) is None


def test_what_was_read_from_another_state_is_not_given(tmp_path: Path) -> None:
    path = made(tmp_path / "board.db")
    address = database.resolve(path)
    reading.begin(address)
    old = reading.state(address)
    path.touch()
    now = reading.state(address)
    assert now != old and reading.begun(now, "catalogue") is None
    begun = reading.begun(old, "catalogue")
    assert begun is not None
    begun.result()


def test_a_database_without_cells(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    World.make(path).engine.dispose()
    address = database.resolve(path)
    reading.begin(address)
    begun = reading.begun(reading.state(address), "catalogue")
    assert begun is not None and begun.result().empty


@pytest.mark.parametrize("part", ["catalogue", "rows"])
def test_what_goes_wrong_reaches_the_page_that_asks(db: str, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> None:
        raise OSError("the disk is gone")

    wanted = ("catalogue",) if part == "catalogue" else reading.first(reading.catalogue(db))
    monkeypatch.setattr(reading, part, fails)
    reading.begin(db)
    now = reading.state(db)
    if part == "rows":
        cells = reading.begun(now, "catalogue")
        assert cells is not None
        cells.result()
    begun = reading.begun(now, *wanted)
    assert begun is not None
    with pytest.raises(OSError, match="the disk is gone"):
        begun.result()
