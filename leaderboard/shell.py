"""What a browser gets before the app's first word: Streamlit's own page and programs, from memory and asked for at once.

Streamlit reads each of its files in pieces on other threads, and a browser hears of the program that draws charts (4.7 MB, half a second to
read) only when the first chart arrives. Here a page with a chart names it, and what else it is made of, in its head: the browser fetches and
reads all of it while the numbers are computed. Nothing is changed in Streamlit's files but that head; where its manifest names no such
program, a page is only slower.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CHART = "PlotlyChart"
PARTS = (CHART, "Html", "PageLink", "Selectbox", "Multiselect", "Checkbox", "TextInput", "Metric")
"""Streamlit's names of what pages with a chart are made of."""
WITHOUT_CHART = ("table", "attempt", "compare")
KEPT = "public, immutable, max-age=31536000"  # as Streamlit says: a file's name changes with its content
EARLY = """<script type="module">
// The program of charts is begun once the app runs, so that it is ready when the numbers are.
const running = () => document.querySelector('[data-test-script-state=running]');
const watch = new MutationObserver(() => { if (running()) { watch.disconnect(); import('./%s'); } });
watch.observe(document, {subtree: true, attributes: true, attributeFilter: ['data-test-script-state']});
</script>"""


def folder() -> Path:
    """Streamlit's files."""
    import streamlit

    return Path(streamlit.__file__).parent / "static"


@cache
def parts() -> dict[str, list[str]]:
    """For each of PARTS the files that it needs and the page does not name itself, its own first, such as `static/js/Html.CzLZZ4bP.js`."""
    manifest: dict[str, dict[str, Any]] = json.loads((folder() / "manifest.json").read_text(encoding="utf-8"))
    known = set(_with_imports(manifest, "index.html"))
    own = {entry["name"]: key for key, entry in manifest.items() if entry.get("isDynamicEntry")}
    return {name: [file for file in _with_imports(manifest, own[name]) if file not in known] for name in PARTS if name in own}


def _with_imports(manifest: dict[str, dict[str, Any]], key: str) -> list[str]:
    """The file of an entry and of all that it imports."""
    found, todo = {}, [key]
    while todo:
        entry = todo.pop()
        if entry not in found:
            found[entry] = manifest[entry]["file"]
            todo += manifest[entry].get("imports", ())
    return list(found.values())


@cache
def page(chart: bool) -> bytes:
    """Streamlit's page; with `chart`, it names the parts of a page with a chart."""
    text = (folder() / "index.html").read_text(encoding="utf-8")
    if chart:
        files = dict.fromkeys(file for own in parts().values() for file in own)
        head = "".join(f'<link rel="modulepreload" crossorigin href="./{file}">\n' for file in files)
        text = text.replace("</head>", head + (EARLY % parts()[CHART][0] if CHART in parts() else "") + "</head>", 1)
    return text.encode()


@cache
def file(path: str) -> bytes | None:
    """A file that Streamlit's manifest names, None for any other."""
    return (folder() / path).read_bytes() if path in _named() else None


@cache
def _named() -> frozenset[str]:
    return frozenset(str(found.relative_to(folder())) for found in (folder() / "static").rglob("*") if found.is_file())


class Shell:
    """ASGI middleware that answers for the page and for Streamlit's files."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import Response

        found = self._answer(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            return await self.app(scope, receive, send)
        content, kind, kept = found
        await Response(content, media_type=kind, headers={"Cache-Control": kept})(scope, receive, send)

    def _answer(self, scope: Scope) -> tuple[bytes, str, str] | None:
        import mimetypes

        path = scope["path"].strip("/")
        if content := file(path):
            return content, mimetypes.guess_type(path)[0] or "application/octet-stream", KEPT
        accepted = dict(scope["headers"]).get(b"accept", b"")
        if b"text/html" in accepted and "/" not in path and "." not in path:
            return page(path not in WITHOUT_CHART), "text/html", "no-cache"
        return None
