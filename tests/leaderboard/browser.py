"""A browser for tests, and the app to look at with it. Without playwright or Chromium tests are skipped, but never where CI=true."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_MS = 120_000  # a machine may have much else to do


def missing(what: str) -> None:
    """Skip, or fail in continuous integration, where a skipped test would go unnoticed."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@contextmanager
def chromium() -> Iterator[Any]:
    """A page of a fresh browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("needs playwright: pip install playwright")
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        missing("needs Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        try:
            yield page
        finally:
            browser.close()


@contextmanager
def served(database: Path) -> Iterator[str]:
    """`bench leaderboard` on a free port; yields its address."""
    words = [sys.executable, "-m", "bench.main", "leaderboard", "--db", str(database), "--no-open", "--host", "127.0.0.1"]
    with started(lambda port: [*words, "--port", str(port)]) as address:
        yield address


@contextmanager
def started(command: Callable[[int], list[str]]) -> Iterator[str]:
    """A Streamlit server on a free port, given to `command`; yields its address once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(command(port), cwd=ROOT, stdout=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert server.poll() is None, "the server ended"
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(60)
