"""Checks of the parameters that several tasks have, each with one sentence for what does not fit."""

from __future__ import annotations

from perpass.errors import UserError


def whole(task: str, key: str, value: object, least: int) -> int:
    """`value`, if it is a whole number of at least `least`. Raises UserError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{task}: {key} must be a whole number of at least {least}, not {value!r}")
    return value


def bounds(task: str, key: str, given: object, least: int, most: int) -> tuple[int, int]:
    """`given` as (fewest, most), if it is two whole numbers, ascending, from `least` to `most`. Raises UserError."""
    pair = list(given) if isinstance(given, (list, tuple)) else []
    numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
    if not numbers or len(pair) != 2 or not least <= pair[0] <= pair[1] <= most:
        raise UserError(f"{task}: {key} must be [fewest, most] with {least} <= fewest <= most <= {most}, not {given!r}")
    return pair[0], pair[1]
