"""Starting the server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from perpass.errors import PerPassError

APP = Path(__file__).with_name("app.py")
# Loaded before the first page asks for them.
HEAVY = ("plotly.graph_objs._figure", "plotly.graph_objs.scatter", "results.advice")
PORTS = range(8501, 8601)
TURN_S = 0.0005
"""How long a thread that computes may keep one that answers a browser waiting, for each of a hundred files; Python says 5 ms."""
SETTINGS = {
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
}


def serve(database: str, port: int | None, host: str, headless: bool) -> int:
    """Serve the app on `database` until it is interrupted; returns the exit code. `port` None: 8501, or the next that is free.

    Raises PerPassError when it cannot listen there.
    """
    import uvicorn
    from streamlit.web import bootstrap

    listening = bound(host, port)
    shown = f"http://{'localhost' if host in ('0.0.0.0', '::') else f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"
    os.environ["PERPASS_DB"] = database
    bootstrap.load_config_options(SETTINGS | {"server.address": host, "server.port": listening.getsockname()[1]})
    for name in HEAVY:
        import_module(name)

    @asynccontextmanager
    async def started(app: Any) -> AsyncIterator[None]:
        from leaderboard import reading

        import_module("leaderboard.pages.frontier")
        reading.begin(database)
        print(f"The leaderboard is at {shown} (ends with Ctrl-C)", flush=True)
        if not headless:
            webbrowser.open(shown)
        yield

    sys.setswitchinterval(TURN_S)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app(started), log_level="warning", timeout_graceful_shutdown=2)).run(sockets=[listening])
    return 0


def app(started: Any = None) -> Any:
    """The app with what is around it, as an ASGI application."""
    import streamlit as st
    from starlette.middleware import Middleware

    from leaderboard.shell import Shell

    return st.App(APP, lifespan=started, middleware=[Middleware(Shell)])


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens on `port`, or on the first of PORTS that is free. Raises PerPassError when there is none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for wanted in PORTS if port is None else (port,):
        try:
            found = socket.create_server((host, wanted), family=family)
        except OSError as error:
            why = error
            continue
        # Inherited by every connection. Without it a browser waits 40 ms for each file, since an answer is sent in two pieces.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found
    tried = f"port {port}" if port else f"any port from {PORTS[0]} to {PORTS[-1]}"
    raise PerPassError(f"cannot listen on {tried} of {host}: {why.strerror or why}; name another by --port or --host")


def installed() -> bool:
    """Whether what the app needs is installed (`pip install 'perpass[leaderboard]'`)."""
    from importlib.util import find_spec

    return all(name in sys.modules or find_spec(name) is not None for name in ("streamlit", "plotly"))
