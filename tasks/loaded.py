"""What all tasks have whose problems are loaded or generated as a whole: read once, in a fixed order, under a revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.order import stratified
from tasks.types import Problem

Load = Callable[[], tuple[Sequence[Problem], str]]


class LoadedTask:
    """The problems of a task with one item each. `load` returns them in any order, and their revision; it is called once, on first use.

    A problem's stratum is its `meta["category"]`.
    """

    items = 1

    def __init__(self, *, name: str, version: int, spec: Mapping[str, Any], load: Load):
        self.name = name
        self.version = version
        self.spec: Mapping[str, Any] = dict(spec)
        self._load = load
        self._loaded: tuple[Sequence[Problem], str] | None = None

    def _table(self) -> tuple[Sequence[Problem], str]:
        if self._loaded is None:
            problems, revision = self._load()
            ordered = stratified(problems, key=lambda p: p.key, category=lambda p: p.meta.get("category", ""), seed=self.name)
            self._loaded = (tuple(ordered), revision)
        return self._loaded

    @property
    def revision(self) -> str:
        """The revision of the data; reads them on first use. Raises UserError where they are missing."""
        return self._table()[1]

    def problems(self) -> Sequence[Problem]:
        """All problems in the task's fixed order. Raises UserError where the data are missing or malformed."""
        return self._table()[0]
