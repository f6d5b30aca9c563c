"""Pictures of every page of the leaderboard at two widths, light and dark: `python docs/screenshots.py DATABASE [--chromium PATH]`.

Needs playwright and pillow (`pip install playwright pillow`) and a Chromium. Writes docs/screenshots/*.png, with few colours to stay small.
"""

from __future__ import annotations

import argparse
import io
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

ROOT = Path(__file__).resolve().parent.parent
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
MOST_HIGH = 2000
COLOURS = 256
DARK = ("frontier", "cell")


@contextmanager
def served(database: str) -> Iterator[str]:
    """The app on a free port; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "bench.main", "leaderboard", "--db", database, "--port", str(port), "--no-open", "--host", "127.0.0.1"]
    server = subprocess.Popen(words, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except OSError:
                if server.poll() is not None:
                    raise SystemExit("the server did not start") from None
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def pages(database: str) -> dict[str, dict[str, object]]:
    """The pages and the parameters that show something on each: the task with most cells, its most accurate, one of its wrong answers."""
    from results import frames, report

    rows = [row for row in report.rows(database) if row["accuracy"] is not None]
    task = Counter(row["task"] for row in rows).most_common(1)[0][0]
    own = sorted((row for row in rows if row["task"] == task), key=lambda row: row["accuracy"])
    cells = frames.cells(database)
    best = cells[(cells["cell"] == own[-1]["cell"]) & (cells["series"] == own[-1]["series"])].iloc[0]
    attempts = frames.attempts(database, cell_ids=[int(best["id"])])
    wrong = attempts[attempts["correct"] == 0]["attempt"]
    names = [f"{row['cell']}@{row['series']}" for row in (own[0], own[-1])]
    return {
        "frontier": {"task": task},
        "table": {"task": task},
        "cell": {"cell": names[1]},
        "attempt": {"attempt": int((wrong if len(wrong) else attempts["attempt"]).iloc[0])},
        "compare": {"task": task, "base": names[0], "head": names[1]},
        "curves": {"task": task},
        "live": {},
        "external": {},
        "stress": {},
        "procedures": {"measure": "PA"},
    }


def settle(page: Any) -> None:
    """Wait until the page has stopped running and everything on it is drawn."""
    page.wait_for_function(
        """() => document.querySelector('[data-test-script-state=notRunning]') && document.querySelector('[data-testid=stMarkdown]')
             && !document.querySelector('[data-testid=stSkeleton]')""",
        timeout=120_000,
    )
    page.wait_for_timeout(1000)


def shoot(page: Any, path: Path) -> None:
    """The page as high as its content, up to MOST_HIGH."""
    from PIL import Image

    high = page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect().height")
    width = page.viewport_size["width"]
    page.set_viewport_size({"width": width, "height": int(min(MOST_HIGH, high + 20))})
    page.wait_for_timeout(800)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("database")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/screenshots")
    parser.add_argument("--chromium", default=None, help="the browser to use; else playwright's own")
    parser.add_argument("--only", nargs="*", help="names of pages")
    given = parser.parse_args()
    if "://" not in given.database:
        given.database = str(Path(given.database).resolve())
    given.out.mkdir(parents=True, exist_ok=True)
    with served(given.database) as address, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        shown = {name: own for name, own in pages(given.database).items() if not given.only or name in given.only}
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
                page = context.new_page()
                page.set_default_timeout(120_000)
                for name, parameters in shown.items():
                    if theme == "dark" and name not in DARK:
                        continue
                    page.set_viewport_size({"width": width, "height": height})
                    page.goto(f"{address}/{'' if name == 'frontier' else name}?{urlencode(parameters)}")
                    settle(page)
                    path = given.out / f"{name}-{size}{'-dark' if theme == 'dark' else ''}.png"
                    shoot(page, path)
                    print(f"{path} {path.stat().st_size / 1024:.0f} KiB", flush=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
