"""What a browser gets before the app's first word: Streamlit's own page and programs, from memory and asked for at once.

Streamlit reads each of its files in pieces on other threads, and a browser hears of the program that draws charts (4.7 MB, half a second
of work) only when the first chart arrives. Here a page with a chart names in its head what it is made of: the browser fetches and reads all
of it while the numbers are computed. Streamlit's files stay what they are but for that head. A part that Streamlit's manifest does not name
is fetched when it is needed; a test says when that is so.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CHART = "PlotlyChart"
PARTS = (CHART, "Html", "PageLink", "Selectbox", "Multiselect", "Checkbox", "TextInput")
"""Streamlit's names of what pages with a chart are made of."""
WITHOUT_CHART = ("table", "attempt", "compare")
KEPT = "public, immutable, max-age=31536000"  # as Streamlit says: a file's name changes with its content
EARLY = """<script type="module">
// Charts' program begins when the server has been asked for the page, and takes as long as its answer.
const watch = new MutationObserver(() => {
  if (!document.querySelector('[data-test-script-state=running]')) return;
  watch.disconnect();
  import('./%s');
});
watch.observe(document, {subtree: true, attributes: true, attributeFilter: ['data-test-script-state']});
</script>
"""


def folder() -> Path:
    """Streamlit's files."""
    import streamlit

    return Path(streamlit.__file__).parent / "static"


@cache
def parts() -> dict[str, list[str]]:
    """By name of PARTS the files of each that the page does not name itself, its own first, such as `static/js/Html.CzLZZ4bP.js`."""
    manifest: dict[str, dict[str, Any]] = json.loads((folder() / "manifest.json").read_text(encoding="utf-8"))
    named = set(_files(manifest, "index.html"))
    entries = {entry["name"]: key for key, entry in manifest.items() if entry.get("isDynamicEntry")}
    return {name: [file for file in _files(manifest, entries[name]) if file not in named] for name in PARTS if name in entries}


def _files(manifest: dict[str, dict[str, Any]], entry: str) -> list[str]:
    """The file of an entry and of all that it imports."""
    found, todo = {}, [entry]
    while todo:
        key = todo.pop()
        if key not in found:
            found[key] = manifest[key]["file"]
            todo += manifest[key].get("imports", ())
    return list(found.values())


@cache
def page(chart: bool) -> bytes:
    """Streamlit's page; with `chart`, it names the parts of a page with a chart."""
    text = (folder() / "index.html").read_text(encoding="utf-8")
    return text.replace("</head>", "".join(_head() if chart else ()) + "</head>", 1).encode()


def _head() -> Iterator[str]:
    for file in dict.fromkeys(file for own in parts().values() for file in own):
        yield f'<link rel="modulepreload" crossorigin href="./{file}">\n'
    if CHART in parts():
        yield EARLY % parts()[CHART][0]


@cache
def files() -> dict[str, Path]:
    """Streamlit's files below `static`, whose names change with their content."""
    return {found.relative_to(folder()).as_posix(): found for found in (folder() / "static").rglob("*") if found.is_file()}


@cache
def content(path: str) -> bytes:
    """A file's content, read once."""
    return files()[path].read_bytes()


class Shell:
    """ASGI middleware that answers for the page and for Streamlit's files; all else is Streamlit's."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import Response

        found = _answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self.app(scope, receive, send)
        else:
            body, kind, kept = found
            await Response(body, media_type=kind, headers={"Cache-Control": kept})(scope, receive, send)


def _answer(scope: Scope) -> tuple[bytes, str, str] | None:
    path = scope["path"].removeprefix("/")
    if path in files():
        return content(path), mimetypes.guess_type(path)[0] or "application/octet-stream", KEPT
    wanted = dict(scope["headers"]).get(b"accept", b"")
    if b"text/html" in wanted and "/" not in path and "." not in path:  # where a browser goes; every page's address is one word
        return page(path not in WITHOUT_CHART), "text/html", "no-cache"
    return None
