"""Errors that reach a person. Each is one sentence; its class decides the exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PerPassError(Exception):
    """Anything we can explain in a sentence. Exit code 1: failed while running."""

    exit_code = 1


class UserError(PerPassError):
    """What the user wrote or named is wrong (flag, file, key, name, missing data). Exit code 2, found before any database is opened."""

    exit_code = 2


class DatabaseError(PerPassError):
    """The database is foreign, newer, read-only or missing. Exit code 1."""


class BudgetReached(PerPassError):
    """A run stopped because a stated budget was reached; its state is saved. Exit code 3."""

    exit_code = 3


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None when nothing is close."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, name: object, known: Iterable[str], where: str = "") -> UserError:
    """The error for a name that is not in a list: says where, suggests the nearest, and lists what is known when that is short."""
    names = sorted(known)
    close = nearest(str(name), names)
    hint = f"did you mean {close!r}?" if close else "known: " + (", ".join(names) if names else "none")
    place = f"{where}: " if where else ""
    return UserError(f"{place}unknown {kind} {str(name)!r}; {hint}")
