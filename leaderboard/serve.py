"""Starting the server."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

APP = Path(__file__).with_name("app.py")
# Loaded before the first page asks for them.
HEAVY = ("pandas", "plotly.graph_objs._figure", "plotly.graph_objs.scatter", "results.report", "results.intervals")


def serve(database: str, port: int | None, host: str, headless: bool) -> int:
    """Serve the app on `database` until it is interrupted; returns the exit code. `port` None: 8501, or the next that is free."""
    from streamlit.web import cli

    for name in HEAVY:
        import_module(name)
    os.environ["PERPASS_DB"] = database
    flags = {
        "server.address": host,
        "server.headless": str(headless).lower(),
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
    }
    if port is not None:
        flags["server.port"] = str(port)
    try:
        cli.main(["run", str(APP), *(f"--{name}={value}" for name, value in flags.items())], standalone_mode=False)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else 1
    return 0


def installed() -> bool:
    """Whether what the app needs is installed (`pip install 'perpass[leaderboard]'`)."""
    from importlib.util import find_spec

    return all(name in sys.modules or find_spec(name) is not None for name in ("streamlit", "plotly"))
