"""Starting the server."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from perpass.errors import PerPassError

APP = Path(__file__).with_name("app") / "script.py"
PORTS = range(8501, 8601)
SETTINGS = {
    "server.fileWatcherType": "none",
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    # Streamlit's own is a red that looks like an error.
    "theme.light.primaryColor": "#3b82f6",
    "theme.dark.primaryColor": "#3b82f6",
}
# Loaded before the first page asks for them; what a page alone needs, once Streamlit runs.
HEAVY = ("plotly.graph_objs._figure", "plotly.graph_objs.scatter", "results.advice")
PAGE = "leaderboard.pages.frontier"
READING_S = 3.0
"""The address is said when the first page's numbers are there, so that they do not keep the browser from its work; but after this time
also where they are not."""
TURN_S = 0.0005
"""How long a thread that computes may keep one that answers a browser waiting, for each of a hundred files; Python says 5 ms."""


def serve(database: str, port: int | None, host: str, headless: bool) -> int:
    """Serve the app on `database` until it is interrupted; returns the exit code. `port` None: 8501, or the next that is free.

    Raises PerPassError when it cannot listen there.
    """
    import uvicorn
    from streamlit.web import bootstrap

    listening = bound(host, port)
    number = listening.getsockname()[1]
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    os.environ["PERPASS_DB"] = database
    bootstrap.load_config_options(SETTINGS | {"server.address": host, "server.port": number})
    for name in HEAVY:
        import_module(name)
    sys.setswitchinterval(TURN_S)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = uvicorn.Server(
        uvicorn.Config(application(database, f"http://{shown}:{number}", headless), log_level="warning", timeout_graceful_shutdown=2)
    )
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listening])
    return 0


def application(database: str, address: str, headless: bool) -> Any:
    """The app and what is around it, for an ASGI server. When Streamlit runs, the first page's numbers are read and `address` is said."""
    import streamlit as st
    from starlette.middleware import Middleware

    from leaderboard import reading
    from leaderboard.shell import Shell

    begun = None
    with suppress(PerPassError):  # the page says it
        begun = reading.begin(database)

    @asynccontextmanager
    async def started(app: Any) -> AsyncIterator[None]:
        import_module(PAGE)
        if begun:
            await asyncio.to_thread(begun.join, READING_S)
        print(f"The leaderboard is at {address} (ends with Ctrl-C)", flush=True)
        if not headless:
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        yield

    return st.App(APP, lifespan=started, middleware=[Middleware(Shell)])


def bound(host: str, port: int | None) -> socket.socket:
    """A socket that listens on `port`, or on the first of PORTS that is free. Raises PerPassError when it cannot."""
    for number in PORTS if port is None else (port,):
        try:
            found = socket.create_server((host, number), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            raise PerPassError(f"cannot listen on {host}, port {number}: {(error.strerror or str(error)).partition(' (')[0]}") from None
        # Inherited by every connection. Without it a browser waits 40 ms for each file, since an answer is sent in two pieces.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found
    taken = f"port {port} is" if port else f"ports {PORTS[0]} to {PORTS[-1]} are"
    raise PerPassError(f"cannot listen on {host}: {taken} in use; name another by --port")


def installed() -> bool:
    """Whether what the app needs is installed (`pip install 'perpass[leaderboard]'`)."""
    from importlib.util import find_spec

    return all(name in sys.modules or find_spec(name) is not None for name in ("streamlit", "plotly"))
