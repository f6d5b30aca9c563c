"""Nights on record: which series a night is compared with, and what became of it.

A folder holds the nights of one experiment: `perpass.db`, and `nights.jsonl` with a line per night. A night is *good* when its run ended
without errors and its gate found nothing worse than the last good night; the first night is good because there is nothing to compare it
with, and one that was run with --accept because somebody said so. The last good series of a date is that of the newest earlier good night:
never a night that alarmed, so that a regression alarms every night until it is mended or accepted.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path

from perpass.errors import PerPassError, UserError
from results.files import write_whole

DATABASE, NIGHTS, SUMMARY, JUNIT = "perpass.db", "nights.jsonl", "summary.md", "junit.xml"
PREFIX = "nightly"
VERDICTS = {"first": True, "passed": True, "accepted": True, "regression": False, "unpaired": False, "failed": False}
"""What can become of a night, and whether it is good."""


@dataclass(frozen=True)
class Night:
    """One line of `nights.jsonl`. `base`: the series it was compared with; `cells`: names of base's cells that alarmed."""

    date: str
    series: str
    experiment: str
    base: str | None
    verdict: str
    cells: Sequence[str] = ()

    @property
    def good(self) -> bool:
        """Whether later nights may be compared with it."""
        return VERDICTS[self.verdict]


def series(day: str) -> str:
    """`nightly-2026-11-21`. Raises UserError for anything but a date of that form."""
    try:
        known = date.fromisoformat(day).isoformat() == day
    except ValueError:
        known = False
    if not known:
        raise UserError(f"--date {day}: expected a date such as 2026-11-21")
    return f"{PREFIX}-{day}"


def nights(folder: Path, experiment: str) -> list[Night]:
    """The nights on record, oldest first. Raises PerPassError for a damaged file, UserError when they are another experiment's."""
    path = folder / NIGHTS
    if not path.exists():
        return []
    found = [_night(line, f"{path}:{n}") for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1) if line.strip()]
    for night in found:
        if night.experiment != experiment:
            raise UserError(f"{folder} holds nights of experiment {night.experiment!r}, not {experiment!r}; give each its own --folder")
    return sorted(found, key=lambda night: night.date)


def last_good(known: Sequence[Night], day: str) -> str | None:
    """The series of the newest good night before `day`; None when there is none."""
    return next((night.series for night in reversed(known) if night.good and night.date < day), None)


def record(folder: Path, known: Sequence[Night], night: Night) -> None:
    """Write the nights with this one in its place: a date that is run again replaces what it was. The file is whole at any moment."""
    kept = sorted([n for n in known if n.date != night.date] + [night], key=lambda n: n.date)
    write_whole(folder / NIGHTS, "".join(json.dumps(asdict(n), ensure_ascii=False) + "\n" for n in kept))


def _night(line: str, where: str) -> Night:
    names = {f.name for f in fields(Night)}
    try:
        read = json.loads(line)
    except json.JSONDecodeError:
        read = None
    if not isinstance(read, dict) or set(read) != names or read["verdict"] not in VERDICTS:
        raise PerPassError(f"{where}: not a night; expected a JSON object with {', '.join(sorted(names))}")
    return Night(**read)
