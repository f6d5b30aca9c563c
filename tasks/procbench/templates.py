"""The official instructions of the 23 procedures, kept verbatim in a data file."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources


@cache
def templates() -> dict[str, str]:
    """The official instruction of each of the 23 procedures, by name, in the official order."""
    found: dict[str, str] = json.loads(resources.files("tasks").joinpath("data/procbench.json").read_text(encoding="utf-8"))["templates"]
    return found
