"""Anchors: published accuracies that an experiment's cells should come near. Shown beside the cells, no part of any identity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

import tasks
from bench.entries import entry, grid
from perpass.errors import UserError, unknown
from perpass.yaml_lines import Source


class Anchor(BaseModel):
    """One published number. `model`, `task` and `strategy` are written as in the experiment's lists; the value is in percent.

    Several tasks, in a list or as an entry that stands for several, mean the mean of the accuracies on them, as REST's stress score is
    over its levels.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str = Field(min_length=1)
    task: Any
    strategy: Any
    metric: Literal["accuracy"] = "accuracy"
    value: float = Field(ge=0, le=100)
    source: str = Field(min_length=1)
    note: str = ""

    def tasks(self, where: str = "anchors") -> list[dict[str, Any]]:
        """The specs of its tasks, one or more. Raises UserError, with the place, for entries that cannot be read."""
        return [one for task in (self.task if isinstance(self.task, list) else [self.task]) for one in _unfolded(entry(task, where))]


KEYS = list(Anchor.model_fields)


def kept(anchors: Sequence[Anchor], own: Mapping[str, Any], now: Mapping[str, Any], places: Source) -> list[int]:
    """Positions of the anchors whose model, tasks and strategy the experiment still has.

    own: the experiment as written, now: with the command line's changes. An anchor on what is in neither is an error (UserError, naming the
    nearest); one on what the command line took away is left out.
    """
    written, left = _names(own), _names(now)
    found = []
    for i, anchor in enumerate(anchors):
        if anchor.task == []:
            raise UserError(f"{places.where(('anchors', i, 'task'))}: anchor: expected a task, or a list of them, not an empty list")
        asked = [("model", anchor.model)]
        asked += [("task", said(spec)) for spec in anchor.tasks(places.where(("anchors", i, "task")))]
        asked += [("strategy", said(entry(anchor.strategy, places.where(("anchors", i, "strategy")))))]
        for kind, name in asked:
            if name not in written[kind] | left[kind]:
                raise unknown(kind, name, written[kind] | left[kind], f"{places.where(('anchors', i, kind))}: anchor")
        if all(name in left[kind] for kind, name in asked):
            found.append(i)
    return found


def said(made: Mapping[str, Any]) -> str:
    """An entry in one line, the same however it was written: `self_consistency(n=8)`."""
    name, *rest = made.items()
    inside = ", ".join(f"{k}={said(v) if isinstance(v, Mapping) else v}" for k, v in sorted(rest))
    return f"{name[1]}({inside})" if inside else str(name[1])


def _names(content: Mapping[str, Any]) -> dict[str, set[str]]:
    """What an anchor may name: models, tasks and strategies, grids unfolded. Entries that cannot be read are told elsewhere."""
    models = [*_listed(content, "models"), *(e["model"] for e in _listed(content, "engines") if isinstance(e, Mapping) and "model" in e)]
    strategies = (one for made in _entries(content, "strategies") for one in grid(made, {"stop"}, "strategies"))
    return {
        "model": {str(m.get("id", "")) if isinstance(m, Mapping) else str(m) for m in models},
        "task": {said(one) for made in _entries(content, "tasks") for one in _unfolded(made)},
        "strategy": {said(made) for made in strategies},
    }


def _unfolded(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        return tasks.unfold(made)
    except UserError:  # of the experiment's lists, where it is told with its place
        return [dict(made)]


def _listed(content: Mapping[str, Any], key: str) -> list[Any]:
    value = content.get(key)
    return value if isinstance(value, list) else []


def _entries(content: Mapping[str, Any], key: str) -> Iterable[dict[str, Any]]:
    return (entry(value, key) for value in _listed(content, key) if isinstance(value, (str, Mapping)) and value)
