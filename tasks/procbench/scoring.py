"""ProcBench's measures of a list of states.

Source: Fujisawa et al. 2024 (arXiv:2410.03117) and the equality rules of its evaluator: by the type of the gold state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
        except (TypeError, ValueError, OverflowError):
            return False
    return str(gold) == str(found)


def as_text(state: Any) -> str:
    """A state in one line: the elements of a list behind commas."""
    return ", ".join(map(str, state)) if isinstance(state, (list, tuple)) else str(state)
