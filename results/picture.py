"""The frontier as a picture of characters: accuracy against cost, the cells that no other dominates joined by a line.

Drawn here because no library at hand draws it well: plotext (5.3) writes names over each other and cuts them at the edges, its logarithmic
axis has ticks such as 143.6, and 6.x brings a compiled kernel. Finding room for names is most of the work, and no library does that.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from results.axes import Axis, axis
from results.report import Row, apart
from results.wording import cell_name, short_names

WIDEST, NARROWEST = 160, 40
HEAD, SCALE = 1, 21  # lines above the axis, where a name may stand; lines of the axis
HEIGHT = HEAD + SCALE
CROWD = 12  # with more cells than this, the frontier is numbered in its order, and only the frontier has intervals
GAP = 2  # blank characters between a name and what is not its own
MARKS = tuple(zip("●▲■◆▼★", "○△□◇▽☆", strict=True))  # on the frontier, dominated: a pair for each model
COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
LINE, INTERVAL, FAINT_INTERVAL = "·", "│", "┊"


def lines(rows: Sequence[Row], width: int, colour: bool = False) -> list[str]:
    """The picture of one task and series in at most `width` columns, with ANSI colours or without; [] for fewer than two cells. Where no
    picture can be made, one sentence says why. Times under shared load and times alone get pictures of their own, as they get frontiers.
    """
    if len(rows) < 2:
        return []
    used = rows[0]["frontier_axes"]
    if len(used) != 2:
        return textwrap.wrap(f"No picture: it needs two axes, and the frontier has {len(used)} ({', '.join(used)}).", width)
    modes = sorted({row["mode"] for row in rows}) if apart(used) else [None]
    parts = [_picture([row for row in rows if which in (None, row["mode"])], max(NARROWEST, min(width, WIDEST)), colour) for which in modes]
    return [line for n, part in enumerate(parts) for line in ([""] if n and part else []) + part]


def joined(rows: Sequence[Row]) -> list[Row]:
    """The cells on the frontier, in the order of the line, the least costly first. `rows` are of one task, series and picture."""
    x, y = _sides(rows)
    return sorted((row for row in rows if row["frontier"]), key=lambda row: (row[x], row[y]))


def _sides(rows: Sequence[Row]) -> tuple[str, str]:
    """The fields of the horizontal and the vertical axis: accuracy, where it is one, goes up."""
    first, second = rows[0]["frontier_axes"]
    return (first, second) if second == "accuracy" else (second, first)


def _picture(rows: Sequence[Row], width: int, colour: bool) -> list[str]:
    x, y = _sides(rows)
    drawn = [row for row in rows if not row["partial"] and row[x] is not None and row[y] is not None]
    absent = [row for row in rows if row not in drawn]
    left_out = textwrap.wrap(f"Not drawn: {_why_not(absent, rows, (x, y))}." if absent else "", width, subsequent_indent="  ")
    if not drawn:
        return [line.replace("Not drawn", "No picture", 1) for line in left_out]
    picture = _Picture(drawn, width, x, y)
    return [*picture.draw(colour), *left_out]


def _why_not(absent: Sequence[Row], rows: Sequence[Row], fields: Sequence[str]) -> str:
    why: dict[str, list[str]] = {}
    for row in absent:
        missing = next((f for f in fields if row[f] is None), None)
        code = "partial" if row["partial"] else f"no {missing}: {row['reasons'].get(missing, 'unknown')}"
        why.setdefault(code, []).append(cell_name(row, rows))
    return "; ".join(f"{'every cell' if len(names) == len(rows) else ', '.join(names)} ({code})" for code, names in why.items())


@dataclass
class _Place:
    """The cells that fall on one character; those on the frontier come first, and the first one is what is seen."""

    column: int
    line: int
    rows: list[Row] = field(default_factory=list)
    top: int = 0
    bottom: int = 0


def _part(places: Sequence[_Place]) -> None:
    """Cut intervals that reach past another mark of their column, or of the next: what is written beside that part would seem to be its."""
    for place in places:
        for other in places:
            if other is not place and abs(other.column - place.column) <= 1:
                if other.line < place.line:
                    place.top = max(place.top, other.line + 1)
                elif other.line > place.line:
                    place.bottom = min(place.bottom, other.line - 1)


class _Picture:
    """A grid of characters with styles, as `rich` names them, on which later things are only written where there is room."""

    def __init__(self, rows: Sequence[Row], width: int, x: str, y: str):
        short = short_names(rows)
        rows = [row | {f: short.get(row[f], row[f]) for f in ("model", "strategy")} for row in rows]
        self.rows, self.x, self.y = rows, x, y
        heights = [v for row in rows for v in ((row["accuracy_low"], row["accuracy_high"], row[y]) if y == "accuracy" else (row[y],))]
        self.up: Axis = axis(y, heights, rows, SCALE, upright=True)
        self.gutter = max(len(text) for _, text in self.up.ticks) + 1
        self.width = width - self.gutter - 1
        self.across: Axis = axis(x, [row[x] for row in rows], rows, self.width, upright=False)
        self.grid = [[(" ", "")] * self.width for _ in range(HEIGHT)]
        self.models = list(dict.fromkeys(row["model"] for row in rows))
        self.by_mark = len(self.models) <= len(MARKS)
        self.crowded = len(rows) > CROWD
        self.numbered: list[str] = []

    def draw(self, colour: bool) -> list[str]:
        places = self._places()
        for place in sorted(places, key=lambda p: p.rows[0]["frontier"]):
            self._interval(place, shown=place.rows[0]["frontier"] or not self.crowded)
        _part(places)
        points = [(self._column(row), self._line(row[self.y])) for row in joined(self.rows)]
        for start, end in pairwise(points):
            self._join(start, end)
        for place in places:
            self._put(place.line, place.column, self._mark(place.rows[0]), self._style(place.rows[0]))
        for place in sorted(places, key=lambda p: (not p.rows[0]["frontier"], p.column)):
            self._name(place)
        return self._text(colour)

    # --- where things are

    def _column(self, row: Row) -> int:
        return self.across.at(row[self.x])

    def _line(self, value: float) -> int:
        return HEIGHT - 1 - self.up.at(value)

    def _places(self) -> list[_Place]:
        places: dict[tuple[int, int], _Place] = {}
        for row in sorted(self.rows, key=lambda row: not row["frontier"]):
            at = self._column(row), self._line(row[self.y])
            places.setdefault(at, _Place(*at, top=at[1], bottom=at[1])).rows.append(row)
        return list(places.values())

    # --- what is drawn

    def _put(self, line: int, column: int, char: str, style: str) -> None:
        self.grid[line][column] = (char, style)

    def _interval(self, place: _Place, shown: bool) -> None:
        row = place.rows[0]
        if self.y != "accuracy" or not shown:
            return
        place.top, place.bottom = self._line(row["accuracy_high"]), self._line(row["accuracy_low"])
        for line in range(place.top, place.bottom + 1):
            self._put(line, place.column, INTERVAL if row["frontier"] else FAINT_INTERVAL, self._style(row, thin=True))

    def _join(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        for n in range(1, steps):
            column, line = (round(a + (b - a) * n / steps) for a, b in zip(start, end, strict=True))
            self._put(line, column, LINE, "bold")

    def _mark(self, row: Row) -> str:
        pair = MARKS[self.models.index(row["model"]) if self.by_mark else 0]
        return pair[0 if row["frontier"] else 1]

    def _style(self, row: Row, thin: bool = False) -> str:
        colour = COLOURS[self.models.index(row["model"]) % len(COLOURS)]
        return f"{'' if thin else 'bold '}{colour}" if row["frontier"] else f"dim {colour}"

    # --- names

    def _name(self, place: _Place) -> None:
        """Write the name of what is on a place near it; a cell of the frontier without room for its name gets a number."""
        first, style = place.rows[0], self._style(place.rows[0], thin=True)
        names = [cell_name(row, self.rows, model=not self.by_mark) for row in place.rows]
        marks = ["" if self._mark(row) == self._mark(first) else f"{self._mark(row)} " for row in place.rows]
        parts = [mark + name for mark, name in zip(marks, names, strict=True)]
        whole, least = ", ".join(parts), ", ".join(parts[: sum(row["frontier"] for row in place.rows) or 1])
        if not (self.crowded and first["frontier"]):
            for text in dict.fromkeys([whole, least]):
                if self._write(text, place, style):
                    return
        if first["frontier"]:
            self.numbered.append(f"{self._mark(first)} {whole}")
            self._number(place, str(len(self.numbered)), style)

    def _near(self, place: _Place, length: int) -> Iterator[tuple[int, int]]:
        """(line, column) of places for a text, the best first: beside the mark or its interval, then above or below it."""
        left, right = place.column - 1 - length, place.column + 2
        for line in sorted(range(place.top, place.bottom + 1), key=lambda n: abs(n - place.line)):
            yield from ((line, right), (line, left))
        for line in (place.top - 1, place.bottom + 1):
            yield from ((line, place.column - shift) for shift in (length // 2, length - 1, 0, length // 4, 3 * length // 4))

    def _write(self, text: str, place: _Place, style: str) -> bool:
        for line, start in self._near(place, len(text)):
            if not 0 <= line < HEIGHT or not 0 <= start <= self.width - len(text):
                continue
            end = start + len(text)
            around = [n for n in range(max(0, start - GAP), min(self.width, end + GAP)) if n != place.column or start <= n < end]
            if all(self.grid[line][n][0] == " " for n in around):
                self._put_all(line, start, text, style)
                return True
        return False

    def _number(self, place: _Place, text: str, style: str) -> None:
        """Beside, above or below the mark; the line and intervals give way, marks and names do not."""
        left = -len(text)
        for down, right in ((0, 1), (-1, 0), (1, 0), (0, left), (-1, 1), (1, 1), (-1, left), (1, left)):
            line, start = place.line + down, place.column + right
            if not 0 <= line < HEIGHT or not 0 <= start <= self.width - len(text):
                continue
            if all(char in (" ", LINE, INTERVAL, FAINT_INTERVAL) for char, _ in self.grid[line][start : start + len(text)]):
                return self._put_all(line, start, text, style)

    def _put_all(self, line: int, start: int, text: str, style: str) -> None:
        for n, char in enumerate(text):
            self._put(line, start + n, char, style)

    # --- as text

    def _text(self, colour: bool) -> list[str]:
        ticks = {HEIGHT - 1 - at: text for at, text in self.up.ticks}
        made: list[list[tuple[str, str]]] = [[(self.up.title, "")]]
        for n, cells in enumerate(self.grid):
            if n < HEAD and all(char == " " for char, _ in cells):
                continue
            made.append([(f"{ticks.get(n, ''):>{self.gutter - 1}} {'┤' if n in ticks else '│'}", ""), *cells])
        rule, texts = list("─" * self.width), [" "] * self.width
        for at, text in self.across.ticks:
            rule[at] = "┬"
            start = min(max(0, at - len(text) // 2), self.width - len(text))
            texts[start : start + len(text)] = list(text)
        made.append([(f"{'':{self.gutter}}└{''.join(rule)}", "")])
        made.append([(f"{'':{self.gutter}} {''.join(texts)}", "")])
        made.append([(f"{self.across.title:>{self.gutter + 1 + self.width}}", "")])
        styles = {self._mark(row): self._style(row) for row in self.rows}
        made += [[(char, styles.get(char, "")) for char in line] for line in self._legend()]
        return ansi(made) if colour else ["".join(text for text, _ in parts).rstrip() for parts in made]

    def _legend(self) -> list[str]:
        frontier, beside = MARKS[0]
        several = len(self.models) > 1 and self.by_mark
        marks = [f"{MARKS[n][0]} {model}" for n, model in enumerate(self.models)] if several else []
        marks += ["hollow: dominated"] if several else [f"{frontier} on the frontier", f"{beside} dominated"]
        marks += [f"{INTERVAL} 95 % interval"] if self.y == "accuracy" else []
        keys = [f"{n} {text}" for n, text in enumerate(self.numbered, 1)]
        width = self.gutter + 1 + self.width
        return [line for words in (marks, keys) if words for line in filled(words, width)]


def filled(words: Sequence[str], width: int) -> list[str]:
    """Words, none of them broken, on as few lines as they need; a word wider than a line ends in an ellipsis."""
    made = [""]
    for word in (w if len(w) <= width else w[: width - 1] + "…" for w in words):
        if made[-1] and len(made[-1]) + 3 + len(word) > width:
            made.append("")
        made[-1] += ("   " if made[-1] else "") + word
    return made


def ansi(lines: Sequence[Sequence[tuple[str, str]]]) -> list[str]:
    """Lines of (text, style as `rich` names it) with ANSI colours."""
    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", no_color=False, width=WIDEST + 1)
    for parts in lines:
        text = Text()
        for style, run in groupby(parts, key=lambda part: part[1]):
            text.append("".join(chars for chars, _ in run), style)
        console.print(text, no_wrap=True, highlight=False)
    return [line.rstrip() for line in out.getvalue().splitlines()]
