"""The static board: files that open from a disk without a server. Same numbers as the report, every text escaped."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from leaderboard import charts, frontier, words
from leaderboard import curves as lines
from perpass.errors import UserError
from results import advice, curves, curves_text, database, frames, report
from results import show as stored
from results import table as tables
from results.reasons import words as explained
from results.report import Row
from results.wording import MISSING, listed

Key = tuple[str, str]  # a cell's name and its series
PLOTLY = "plotly.min.js"
FIELDS = ("output_tokens", "flop", "energy_j", "cost_usd", "cost_per_correct_usd", "cost_of_pass_usd", "unsolved_share", "latency_p50_s")
STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1180px; padding: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin-top: 2.5rem; } .answer { font-weight: 600; font-size: 1.05rem; }
.note { opacity: .7; font-size: .85rem; } .wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th.name, td.name { text-align: left; } th { cursor: pointer; } tr:hover { background: var(--soft); }
pre { background: var(--soft); padding: .7rem; overflow-x: auto; white-space: pre-wrap; border-radius: .4rem; }
"""
SCRIPT = """
for (const box of document.querySelectorAll('[data-figure]')) {
  const figure = JSON.parse(document.getElementById(box.dataset.figure).textContent);
  const ink = getComputedStyle(document.body).color;
  Object.assign(figure.layout, {paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', font: {color: ink}, template: {}});
  for (const axis of ['xaxis', 'yaxis']) figure.layout[axis] = {gridcolor: '#8883', zerolinecolor: '#8886', ...figure.layout[axis]};
  Plotly.newPlot(box, figure.data, figure.layout, {displaylogo: false, responsive: true});
  box.on('plotly_click', (event) => { const at = event.points[0].customdata; if (at && at[3]) location.href = at[3]; });
}
for (const head of document.querySelectorAll('th')) head.addEventListener('click', () => {
  const column = [...head.parentNode.children].indexOf(head), body = head.closest('table').tBodies[0];
  const up = head.dataset.up !== 'yes'; head.dataset.up = up ? 'yes' : 'no';
  const key = (row) => {
    const cell = row.children[column];
    return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
  };
  const order = (a, b) => typeof a === 'number' ? a - b : a.localeCompare(b);
  [...body.rows].sort((a, b) => order(key(a), key(b)) * (up ? 1 : -1)).forEach((row) => body.append(row));
});
"""


def write(db: database.Db, folder: Path, series: str | None = None) -> int:
    """Write the board of a series (as `bench report` chooses it) into `folder`, which is replaced if it is such a board; returns the number
    of cells. Nothing of it is there until all of it is.

    Raises UserError when the folder is something else, PerPassError when there is nothing to show.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or _is_board(folder))):
        raise UserError(f"{folder} exists and is no board that `bench export site` made; name another folder")
    if not folder.parent.is_dir():
        raise UserError(f"there is no folder {folder.parent}")
    engine = database.as_engine(db)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        cells = report.select(engine, series=series)
        rows = report.rows(engine, cells=cells)
        ids = {(cell, own): int(n) for cell, own, n in zip(cells["cell"], cells["series"], cells["id"], strict=True)}
        _fill(made, engine, rows, ids, curves.told(curves.stored(engine, cells=cells)))
        made.chmod(0o755)
        _put(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if engine is not db:
            engine.dispose()
    return len(rows)


def _is_board(folder: Path) -> bool:
    return (folder / "index.html").is_file() and (folder / PLOTLY).is_file()


def _put(made: Path, folder: Path) -> None:
    """Rename into place; what was there goes only after that."""
    old = None
    if folder.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
        os.replace(folder, old / "board")
    os.replace(made, folder)
    if old is not None:
        shutil.rmtree(old)


def _fill(folder: Path, engine: Any, rows: Sequence[Row], ids: Mapping[Key, int], drawn: Sequence[Row]) -> None:
    from plotly.offline import get_plotlyjs

    (folder / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
    (folder / "cells").mkdir()
    (folder / "report.json").write_text(tables.render(rows, "json") + "\n", encoding="utf-8")
    (folder / "report.csv").write_text(tables.render(rows, "csv") + "\n", encoding="utf-8")
    files = _files(ids)
    more = '<p><a href="curves.html">Curves: what fewer samples would have come to</a></p>' if drawn else ""
    (folder / "index.html").write_text(page("PerPass", "".join(_index(rows, files)) + more), encoding="utf-8")
    if drawn:
        (folder / "curves.html").write_text(page("Curves", "".join(_curves(drawn))), encoding="utf-8")
    for row in rows:
        told = stored.cell(engine, row["cell"], row["series"], row)
        attempts = frames.attempts(engine, cell_ids=[ids[row["cell"], row["series"]]])
        text = page(told["label"], "".join(_cell(told, row, attempts)), up="../")
        (folder / files[row["cell"], row["series"]]).write_text(text, encoding="utf-8")


def _files(ids: Mapping[Key, int]) -> dict[Key, str]:
    """Each cell's page: called like the cell, with its number where several series have it."""
    names = [cell for cell, _ in ids]
    return {(cell, own): f"cells/{cell}{f'-{n}' if names.count(cell) > 1 else ''}.html" for (cell, own), n in ids.items()}


def page(title: str, body: str, up: str = "") -> str:
    """A whole page; `body` is escaped already. `up`: the way to the folder of the board."""
    policy = "default-src 'none'; script-src 'unsafe-inline' file: 'self'; style-src 'unsafe-inline'; img-src data: blob:"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<style>{STYLE}</style><script src="{up}{PLOTLY}"></script></head><body>{body}<script>{SCRIPT}</script></body></html>\n'
    )


def _figure(name: str, chart: Any, files: Mapping[Key, str] | None = None) -> str:
    """The place of a picture, and its data; with `files`, a click on a point opens its cell's page."""
    figure = json.loads(chart.to_json())
    for trace in figure["data"]:
        trace["customdata"] = [[*c, files[c[1], c[2]]] if files else c for c in trace.get("customdata") or []]
    text = json.dumps(figure).replace("<", "\\u003c")  # in a script element, only this could end it
    return f'<div data-figure="{name}"></div><script type="application/json" id="{name}">{text}</script>'


# --- pages ------------------------------------------------------------------------------------------------------------------------------


def _index(rows: Sequence[Row], files: Mapping[Key, str]) -> Iterator[str]:
    yield "<h1>PerPass: what a correct answer costs</h1>"
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["series"], row["task"]), []).append(row)
    for n, ((series, task), members) in enumerate(groups.items()):
        yield f"<h2>{escape(task)} · series {escape(series)}</h2>"
        said = advice.sentences(members)
        yield "".join(f'<p class="{"answer" if not at else "note"}">{escape(text)}</p>' for at, text in enumerate(said))
        wanted = frontier.Wanted(colour="model" if len({r["model"] for r in members}) > 1 else "strategy")
        if frontier.drawable(members, wanted):
            yield _figure(f"frontier-{n}", frontier.figure(members, wanted), files)
        for code, absent in frontier.left_out(members, wanted).items():
            names = listed([words.Writer(members).name(r) for r in absent])
            yield f'<p class="note">Not drawn: {escape(names)} ({escape(explained(code))})</p>'
        yield from _table(members, files)
        yield from _notes(members)
    yield '<p class="note">All numbers: <a href="report.json">report.json</a>, <a href="report.csv">report.csv</a></p>'


def _curves(drawn: Sequence[Row]) -> Iterator[str]:
    """All curves that are stored, those of a task in one picture, self-consistency always with the others."""
    yield '<p><a href="index.html">all cells</a></p><h1>What fewer samples would have come to</h1>'
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in drawn:
        groups.setdefault((row["series"], row["task"]), []).append(row)
    for n, ((series, task), members) in enumerate(groups.items()):
        yield f"<h2>{escape(task)} · series {escape(series)}</h2>"
        chart = lines.figure(lines.named(members), curves_text.DRAWN, "k", log=True, bands=True)
        yield _figure(f"curves-{n}", chart)
        for row in members:
            heads = "".join(f"<th>k = {k}</th>" for k in curves_text.powers(row["depth"]))
            yield f"<h2>{escape(curves_text.title(row))}</h2>"
            yield f'<div class="wide"><table><thead><tr><th></th>{heads}</tr></thead><tbody>'
            for line in curves_text.lines(row, curves_text.chosen(None)):
                cells = "".join(f"<td>{escape(line[str(k)])}</td>" for k in curves_text.powers(row["depth"]))
                yield f"<tr><td class=name>{escape(line['name'])}</td>{cells}</tr>"
            yield "</tbody></table></div>"
            yield "".join(f'<p class="note">{escape(note)}</p>' for note in curves_text.notes(row, curves_text.chosen(None)))


def _table(rows: Sequence[Row], files: Mapping[Key, str]) -> Iterator[str]:
    names = ("model", "strategy", "engine", "hardware")
    heads = [("", True), *((name, True) for name in names), ("accuracy", False), *((words.AXES[f], False) for f in FIELDS), ("cell", True)]
    yield '<div class="wide"><table><thead><tr>'
    yield "".join(f"<th{' class=name' if left else ''}>{escape(head)}</th>" for head, left in heads)
    yield "</tr></thead><tbody>"
    writer = words.Writer(rows)
    for row in rows:
        mark = "*" if row["frontier"] else "p" if row["partial"] else ""
        yield f'<tr id="{escape(row["cell"])}"><td class=name>{mark}</td>'
        yield "".join(f"<td class=name>{escape(str(row[name]))}</td>" for name in names)
        yield _number(row["accuracy"], words.interval(row))
        yield "".join(_number(row[field], writer.value(field, row)) for field in FIELDS)
        yield f'<td class=name><a href="{files[row["cell"], row["series"]]}">{escape(row["cell"])}</a></td></tr>'
    yield "</tbody></table></div>"


def _number(value: float | None, text: str) -> str:
    """A cell of a table that sorts by `value`; what is not known sorts behind everything."""
    return f'<td data-value="{"Infinity" if value is None else str(value).replace("inf", "Infinity")}">{escape(text)}</td>'


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    yield '<p class="note">* on the frontier of accuracy and FLOPs · p partial, off the frontier · numbers are means per item</p>'
    codes = {code for row in rows for code in (*row["codes"], row["reasons"].get("energy_valid"), row["reasons"].get("partial")) if code}
    for code in sorted(codes):
        yield f'<p class="note">{escape(code)}: {escape(explained(code))}</p>'


def _cell(told: Mapping[str, Any], row: Row, attempts: Any) -> Iterator[str]:
    yield f'<p><a href="../index.html#{escape(row["cell"])}">all cells</a></p><h1>{escape(told["label"])}</h1>'
    yield f'<p class="note">cell {escape(row["cell"])} · series {escape(row["series"])} · {escape(row["mode"])}</p>'
    yield f'<p class="answer">accuracy {escape(words.interval(row))}</p><div class="wide"><table><tbody>'
    for field in report.FIELDS:
        if field in ("reasons", "sampling", "outcomes", "codes", "frontier_axes"):
            continue
        why = explained(row["reasons"][field]) if field in row["reasons"] else ""
        shown = MISSING if row[field] is None else str(tables.plain(row[field]))
        yield f"<tr><td class=name>{escape(field)}</td><td>{escape(shown)}</td><td class=name>{escape(why)}</td></tr>"
    yield "</tbody></table></div>"
    yield f"<p>{escape(', '.join(f'{count:,} {name}' for name, count in row['outcomes'].items()))}</p>"
    if len(attempts):
        yield f"<h2>Problems and trials</h2>{_figure('grid', charts.grid(attempts))}"
        chart = charts.latencies(attempts)
        yield f"<h2>Latency</h2>{_figure('latencies', chart)}" if chart is not None else ""
    yield f"<h2>The same again</h2><pre>{escape(told['command'] or MISSING)}</pre>"
    yield f"<h2>Settings</h2><pre>{escape(words.tree(told['identity']))}</pre>"
    for run in told["runs"]:
        yield f"<h2>Run {run['id']}</h2><pre>{escape(words.tree(run['environment'] or {}))}</pre>"
