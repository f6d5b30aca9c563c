"""Checks of parameters and bases that several tasks have, each with one sentence for what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from perpass.errors import UserError
from tasks.types import Prescribes, Problem, Task


def whole(task: str, key: str, value: object, least: int, most: int | None = None) -> int:
    """`value`, if it is a whole number of at least `least` (and at most `most`). Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise UserError(f"{task}: {key} must be a whole number {span}, not {value!r}")
    return value


def bounds(task: str, key: str, given: object, least: int, most: int) -> tuple[int, int]:
    """`given` as (fewest, most), if it is two whole numbers, ascending, from `least` to `most`. Raises UserError."""
    pair = list(given) if isinstance(given, (list, tuple)) else []
    numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
    if not numbers or len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
        raise UserError(f"{task}: {key} must be [fewest, most] with {least} <= fewest <= most <= {most}, not {given!r}")
    return pair[0], pair[1]


def plain_base(wrapper: str, base: Task) -> Sequence[Problem]:
    """The problems of a wrapper's base, if their questions may be written otherwise. Raises UserError where a protocol fixes them."""
    problems = base.problems()
    if any(p.fixed is not None or p.request != "generate" for p in problems) or isinstance(base, Prescribes):
        raise UserError(f"{wrapper}: base {base.name!r} follows a protocol's exact prompts, which a change of the question would break")
    return problems
