"""What a run shows while it runs, on stderr: a live line on a terminal, else a plain line every ten seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from harness.events import Status

EVERY_S = 10.0
Draw = Callable[[Status], None]


@contextmanager
def show(stream: TextIO | None = None) -> Iterator[Draw]:
    """A function to draw each status with."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _live(stream) as draw:
            yield draw
    else:
        yield Lines(stream)


class Lines:
    """Plain lines, one at most every `every_s` seconds; notes at once, each once."""

    def __init__(self, stream: TextIO, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic):
        self._stream, self._every_s, self._clock = stream, every_s, clock
        self._last: float | None = None
        self._notes = 0

    def __call__(self, status: Status) -> None:
        for note in status.notes[self._notes :]:
            print(note, file=self._stream, flush=True)
        self._notes = len(status.notes)
        now = self._clock()
        if status.attempts and (self._last is None or now - self._last >= self._every_s):
            self._last = now
            print(line(status), file=self._stream, flush=True)


def line(status: Status) -> str:
    """The status in one line: `cells 2/9 · attempts 120/400 · 512 tok/s · 131 J · $0.0012 · 1:20 left · perpass/nano · …`."""
    parts = [f"cells {status.cells_done}/{status.cells}", f"attempts {status.attempts_answered}/{status.attempts}"]
    parts += rates(status)
    if status.left_s is not None:
        parts.append(f"{duration(status.left_s)} left")
    if status.errors:
        parts.append(f"{status.errors} errors")
    if status.cell:
        parts.append(status.cell)
    return " · ".join(parts)


def rates(status: Status) -> list[str]:
    """Speed and spending so far; what is not known is left out."""
    parts = []
    if status.tokens_per_s:
        parts.append(f"{status.tokens_per_s:,.0f} tok/s")
    if status.joules is not None:
        parts.append(f"{status.joules:,.0f} J")
    if status.usd is not None:
        parts.append(f"${status.usd:.4g}")
    return parts


def duration(seconds: float) -> str:
    """`0:42`, `12:05`, `3:07:00`."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def _live(stream: TextIO) -> Iterator[Draw]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.text import Text

    console = Console(file=stream)
    columns = (TextColumn("{task.fields[head]}", markup=False), BarColumn(), TextColumn("{task.fields[tail]}", markup=False))
    with Progress(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("", total=None, head="starting", tail="")
        seen = 0

        def draw(status: Status) -> None:
            nonlocal seen
            for note in status.notes[seen:]:
                console.print(Text(note))
            seen = len(status.notes)
            tail = [f"{status.attempts_answered}/{status.attempts}", *rates(status)]
            if status.left_s is not None:
                tail.append(f"{duration(status.left_s)} left")
            if status.errors:
                tail.append(f"{status.errors} errors")
            head = f"cells {status.cells_done}/{status.cells}  {status.cell[:60]}"
            bars.update(bar, total=status.attempts or None, completed=status.attempts_answered, head=head, tail=" · ".join(tail))

        yield draw
