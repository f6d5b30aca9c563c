"""ProcBench's measures of a list of states, and how states are read from a reply.

Source: Fujisawa et al. 2024 (arXiv:2410.03117) and the equality rules of its evaluator: by the type of the gold state.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_BOX = re.compile(r"\\boxed\s*\{")
_LIST_MARK = re.compile(r"^\s*(?:[-*]\s+(?=\S)|\d+[.)]\s+)")


def score(gold: Mapping[str, Any], predicted: Mapping[str, Any]) -> dict[str, float]:
    """PML, PA, SM and FM of a predicted label; both have `intermediate` (a list of states) and `final`.

    States are the intermediate ones followed by the final one. PML: how many agree before the first that does not (a count); PA: PML over
    the length of the longer list; SM: 1 where PA is 1; FM: 1 where the final states are equal.
    """
    true = [*gold["intermediate"], gold["final"]]
    found = [*predicted["intermediate"], predicted["final"]]
    prefix = 0
    for a, b in zip(true, found, strict=False):
        if not equal(a, b):
            break
        prefix += 1
    accuracy = prefix / max(len(true), len(found))
    return {"PA": accuracy, "PML": float(prefix), "SM": float(accuracy == 1), "FM": float(equal(gold["final"], predicted["final"]))}


def equal(gold: Any, found: Any) -> bool:
    """Whether a found state is the gold one: strings as strings, numbers as whole numbers, lists element by element as strings."""
    if isinstance(gold, (list, tuple)):
        same_length = isinstance(found, (list, tuple)) and len(gold) == len(found)
        return same_length and all(str(a) == str(b) for a, b in zip(gold, found, strict=True))
    if isinstance(gold, int):
        try:
            return gold == int(found)
        except (TypeError, ValueError):
            return False
    return str(gold) == str(found)


def as_text(state: Any) -> str:
    """A state in one line: the elements of a list behind commas."""
    return ", ".join(map(str, state)) if isinstance(state, (list, tuple)) else str(state)


def read(text: str, like: Any) -> Any:
    """A state written in a reply, as the type of `like`: quotes and brackets around it do not count.

    What cannot be read as that type stays a string, which equals nothing of it.
    """
    if isinstance(like, (list, tuple)):
        return [_bare(part) for part in text.strip().strip("[](){}").split(",")] if text.strip() else []
    return _bare(text)


def _bare(text: str) -> str:
    return text.strip().strip("\"'`")


def lines(text: str) -> list[str]:
    """The lines before the first box of a reply that are neither empty nor prose about it, list marks removed: one state each."""
    box = _BOX.search(text)
    before = text[: box.start()] if box else text
    return [_LIST_MARK.sub("", line).strip() for line in before.splitlines() if line.strip()]


def predicted(text: str, final: str | None, gold: Mapping[str, Any]) -> dict[str, Any]:
    """The label that a free-form reply states: a state per line, and the extracted `final` one. Types as in `gold`."""
    like: Sequence[Any] = gold["intermediate"]
    states = [read(line, like[min(at, len(like) - 1)] if like else gold["final"]) for at, line in enumerate(lines(text))]
    return {"intermediate": states, "final": None if final is None else read(final, gold["final"])}
