"""The shipped table of open models: enough to plan with where the hub's own files cannot be had. Runs never use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml


@dataclass(frozen=True)
class Known:
    """One model at one revision. `config`: what FLOPs, bytes and context need of its config.json; `think`: it has think markers."""

    name: str
    revision: str
    config: Mapping[str, Any]
    think: bool
    source: str


def find(name: str, revision: str | None = None) -> Known | None:
    """The model's row; None where the table has none, or one of another revision than the one asked for."""
    found = _table().get(name)
    return found if found and revision in (None, found.revision) else None


def names() -> list[str]:
    """The models in the table, sorted."""
    return sorted(_table())


@lru_cache(maxsize=1)
def _table() -> dict[str, Known]:
    rows = yaml.safe_load(files("harness").joinpath("data/models.yaml").read_text(encoding="utf-8"))["models"]
    return {name: Known(name, row["revision"], row["config"], row["think"], " ".join(row["source"].split())) for name, row in rows.items()}
