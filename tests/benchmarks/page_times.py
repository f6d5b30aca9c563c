"""How long the leaderboard's pages take on a database: `python -m tests.benchmarks.page_times DATABASE [--rounds 3] [--only Frontier]`.

Every round starts the app and a browser anew and opens the Frontier page first, so that its time holds the browser's fetching and reading
all programs, and what is left of reading the database for the first time; then the other pages. A page is there when its script has ended,
no placeholder is left and all its charts have points. `start` is from the command to the server's first answer. Memory is the app's largest
resident set. `bare` is the time of the same kind for an app of Streamlit's own server with a chart of one point and nothing else: what no
page of ours can undercut. Chromium and the app share the machine. One value per round, the least and the median.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from results import frames
from tests.leaderboard.browser import chromium, served, started

CHARTS = ("Frontier", "Cell", "Stress", "Procedures")
THERE = """(charts) => {
  const found = [...document.querySelectorAll('[data-testid=stPlotlyChart]')];
  return document.querySelector('[data-test-script-state=notRunning]') && document.querySelector('[data-testid=stMarkdown]')
    && !document.querySelector('[data-testid=stSkeleton]')
    && (found.length > 0) === charts && found.every((chart) => chart.querySelector('.point'));
}"""


def pages(database: Path) -> dict[str, str]:
    """Page and address; a cell and an attempt of the middle of the database."""
    cells = frames.cells(str(database))
    own = cells.iloc[len(cells) // 2]
    attempt = int(frames.attempts(str(database), cell_ids=[int(own["id"])])["attempt"].iloc[0])
    name = f"{own['cell']}@{own['series']}"
    return {
        "Frontier": "",
        "Table": "table",
        "Cell": f"cell?cell={name}",
        "Attempt": f"attempt?attempt={attempt}",
        "Compare": "compare",
        "Stress": "stress",
        "Procedures": "procedures",
    }


BARE = """import plotly.graph_objects as go, streamlit as st
st.markdown("bare")
st.plotly_chart(go.Figure(go.Scatter(x=[1], y=[1], mode="markers")))
"""


def bare() -> float:
    """Seconds of the first page of an app with a chart of one point."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bare.py"
        script.write_text(BARE)
        settings = ["--server.headless=true", "--server.address=127.0.0.1", "--browser.gatherUsageStats=false"]
        command = lambda port: [sys.executable, "-m", "streamlit", "run", str(script), *settings, f"--server.port={port}"]  # noqa: E731
        with started(command) as address, chromium() as page:
            page.goto("about:blank")
            return timed(page, address, charts=True)


def timed(page: Any, address: str, charts: bool) -> float:
    """Seconds until the page at `address` is there."""
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_function(THERE, arg=charts)
    return time.perf_counter() - began


def one_round(database: Path, wanted: dict[str, str]) -> dict[str, float]:
    """Seconds by page and to start, and the app's memory in MB."""
    began = time.perf_counter()
    with served(database) as address, chromium() as page:
        found = {"start": time.perf_counter() - began}
        page.goto("about:blank")
        app = next(p for p in psutil.Process().children() if "bench.main" in " ".join(p.cmdline()))
        for name, path in wanted.items():
            found[name] = timed(page, f"{address}/{path}", name in CHARTS)
        found["memory"] = max(p.memory_info().rss for p in [app, *app.children(recursive=True)]) / 1e6
    return found | {"bare": bare()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="names of pages")
    given = parser.parse_args()
    wanted = {name: path for name, path in pages(given.database).items() if not given.only or name in given.only}
    rounds = [one_round(given.database, wanted) for _ in range(given.rounds)]
    for name in rounds[0]:
        each, (unit, digits) = [found[name] for found in rounds], ("MB", 0) if name == "memory" else ("s", 2)
        shown = "  ".join(f"{value:6.{digits}f}" for value in each)
        print(f"{name:<11}{shown}  min {min(each):.{digits}f}  median {statistics.median(each):.{digits}f} {unit}")


if __name__ == "__main__":
    main()
