"""What browsers get before the app: Streamlit's own files, and a page that names what it will need."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")

from leaderboard import shell

BROWSER = {b"accept": b"text/html,application/xhtml+xml,*/*;q=0.8"}


def asked(path: str, method: str = "GET", headers: dict[bytes, bytes] | None = None) -> tuple[bytes, dict[str, str]] | None:
    """Body and headers of the answer; None where it is left to Streamlit."""
    sent: list[Any] = []
    left: list[Any] = []

    async def streamlit(scope: Any, receive: Any, send: Any) -> None:
        left.append(scope)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [*(headers or {}).items()]}
    asyncio.run(shell.Shell(streamlit)(scope, lambda: asyncio.sleep(0), send))  # type: ignore[arg-type, return-value]
    assert bool(left) != bool(sent)
    if left:
        return None
    return sent[1]["body"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_streamlit_still_names_all_parts_of_a_page_with_a_chart() -> None:
    parts = shell.parts()
    assert set(parts) == set(shell.PARTS)
    for name, files in parts.items():
        assert files[0].startswith(f"static/js/{name}.") and all((shell.folder() / file).is_file() for file in files)


def test_a_page_with_a_chart_names_its_parts_and_is_otherwise_streamlits() -> None:
    own = (shell.folder() / "index.html").read_bytes()
    for path in ("/", "/cell", "/stress"):
        found = asked(path, headers=BROWSER)
        assert found is not None and found[1]["content-type"].startswith("text/html") and found[1]["cache-control"] == "no-cache"
        named = re.findall(rb'<link rel="modulepreload" crossorigin href="\./([^"]+)">\n(?=.*</head>)', found[0], re.DOTALL)
        assert {file.encode() for files in shell.parts().values() for file in files} <= set(named)
        assert b"import('./" + shell.parts()[shell.CHART][0].encode() + b"')" in found[0]
        head = found[0].index(b"</head>")
        kept = own.index(b"</head>")
        assert found[0][:kept] == own[:kept] and found[0][head:] == own[kept:]
    for name in shell.WITHOUT_CHART:
        assert asked(f"/{name}", headers=BROWSER) == asked("/table", headers=BROWSER)
    assert asked("/table", headers=BROWSER)[0] == own  # type: ignore[index]


def test_streamlits_files_are_given_whole_and_may_be_kept() -> None:
    for file, kind in ((shell.parts()[shell.CHART][0], "javascript"), *((f, "font/") for f in shell.files() if f.endswith(".woff2"))):
        found = asked(f"/{file}")
        assert found is not None and found[0] == (shell.folder() / file).read_bytes()
        assert kind in found[1]["content-type"] and "immutable" in found[1]["cache-control"]


@pytest.mark.parametrize("path", ["/_stcore/health", "/media/x", "/static/js/none.js", "/static/../index.html", "/favicon.png", "/static"])
def test_all_else_is_left_to_streamlit(path: str) -> None:
    assert asked(path, headers={} if path == "/static" else BROWSER) is None
    assert asked("/", method="POST", headers=BROWSER) is None and asked("/", headers={b"accept": b"*/*"}) is None
