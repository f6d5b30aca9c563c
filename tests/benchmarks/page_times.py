"""How long the leaderboard's pages take on a database: `python -m tests.benchmarks.page_times DATABASE [--rounds 3]`.

Every round starts the app anew and opens the Frontier page first, so that its time holds reading the database for the first time; then the
other pages. A page is there when its script has ended and no placeholder is left. Memory is the app's largest resident set. Chromium and
the app share the machine. One value per round and the median.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import psutil

from results import frames
from tests.leaderboard.browser import chromium, served

THERE = """() => document.querySelector('[data-test-script-state=notRunning]') && document.querySelector('[data-testid=stMarkdown]')
             && !document.querySelector('[data-testid=stSkeleton]')"""


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


def one_round(database: Path, wanted: dict[str, str], page: Any) -> tuple[dict[str, float], float]:
    """Seconds by page, and the app's memory in MB."""
    seconds = {}
    with served(database) as address:
        page.goto("about:blank")
        app = next(p for p in psutil.Process().children() if "bench.main" in " ".join(p.cmdline()))
        for name, path in wanted.items():
            began = time.perf_counter()
            page.goto(f"{address}/{path}")
            page.wait_for_function(THERE)
            seconds[name] = time.perf_counter() - began
        memory = max(p.memory_info().rss for p in [app, *app.children(recursive=True)])
    return seconds, memory / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    wanted = pages(given.database)
    with chromium() as page:
        rounds = [one_round(given.database, wanted, page) for _ in range(given.rounds)]
    for name in wanted:
        each = [seconds[name] for seconds, _ in rounds]
        print(f"{name:<11} {'  '.join(f'{s:5.2f}' for s in each)}  median {statistics.median(each):.2f} s")
    print(f"memory      {'  '.join(f'{m:5.0f}' for _, m in rounds)}  MB")


if __name__ == "__main__":
    main()
