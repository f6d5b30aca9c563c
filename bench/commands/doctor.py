"""`bench doctor`: what was found here, and what would be measured, estimated or missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.commands.options import Db

if TYPE_CHECKING:
    from bench.checkup import Line

MEANINGS = (
    "found, measured: works. estimated: computed, marked ~. missing: could be had, see →. absent: not on this machine, or not asked for."
)


def doctor(db: Db = None) -> None:
    """Say what was found on this machine, what would be measured, estimated or missing, and how to fix it."""
    from bench import checkup

    found = checkup.findings(db)
    print(checkup.machine())
    for group in checkup.GROUPS:
        print(f"\n{group}")
        for line in (f for f in found if f.group == group):
            _say(line, max(len(f.what) for f in found))
    print(f"\n{MEANINGS}")
    print("\n" + "\n".join(_ending(found)))


def _say(line: Line, width: int) -> None:
    """One finding; wrapped on a terminal, whole for a pipe."""
    import shutil
    import sys
    import textwrap

    indent = " " * (2 + 9 + 2 + width + 2)
    texts = [line.detail, *([f"→ {line.fix}"] if line.fix else [])]
    room = shutil.get_terminal_size((120, 40)).columns - len(indent)
    wrapped = [part for text in texts for part in (textwrap.wrap(text, room) if sys.stdout.isatty() and room > 30 else [text])]
    print(f"  {line.status:<9}  {line.what:<{width}}  {wrapped[0]}")
    print("".join(f"{indent}{part}\n" for part in wrapped[1:]), end="")


def _ending(found: Sequence[Line]) -> list[str]:
    """What a run here would be worth, and what to type first."""
    by_name = {f.what: f for f in found}
    energy = [f for f in found if f.what in {"GPU energy", "CPU energy"}]
    best = next((f for status in ("measured", "estimated") for f in energy if f.status == status), None)
    joules = f"joules {best.status} ({best.what})" if best else "no joules at all, each marked with its reason"
    said = [f"A run here gives accuracy, tokens, FLOPs, times and dollars, and {joules}."]
    if by_name["transformers"].status == "found":
        return [*said, "Start: bench run demo (a minute, no download)"]
    return [*said, f"First: {by_name['transformers'].fix}, then: bench run demo"]
