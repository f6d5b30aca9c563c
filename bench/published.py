"""Anchors beside the cells that they are about: of a plan before a run, of the database after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

import tasks
from bench import anchors, resolve
from bench.anchors import Anchor
from bench.entries import entry
from bench.experiment import Experiment
from harness.cell import Cell
from perpass.identity import content_hash
from results import schema
from results.database import open_database

Key = tuple[str, str, str]
"""What an anchor is about: the model's name, the task's spec and the strategy with its sampling, the latter two as hashes."""


@dataclass(frozen=True)
class Published:
    """An anchor, the keys of its cells, one per task, and the mark of its footnote: `[1]`."""

    anchor: Anchor
    keys: tuple[Key, ...]
    mark: str

    @property
    def tasks(self) -> str:
        """`gsm8k`, or `mean of rest(base=gsm8k, s=3/6/9/12)`."""
        made = self.anchor.tasks()
        if len(made) == 1:
            return anchors.said(made[0])
        if any(one.keys() != made[0].keys() for one in made):
            return f"mean of {' and '.join(map(anchors.said, made))}"
        return f"mean of {anchors.said({key: '/'.join(dict.fromkeys(str(one[key]) for one in made)) for key in made[0]})}"

    @property
    def strategy(self) -> str:
        return anchors.said(entry(self.anchor.strategy, "anchors"))

    def row(self) -> dict[str, Any]:
        """The anchor as JSON has it."""
        anchor = self.anchor
        named = {"model": anchor.model, "task": self.tasks, "strategy": self.strategy, "metric": anchor.metric}
        return {**named, "value": anchor.value, "source": anchor.source, "note": anchor.note or None}


def published(experiment: Experiment) -> list[Published]:
    """The experiment's anchors, in its order. Reads no data. Raises UserError for a task or strategy that cannot be made."""
    shared = resolve.sampling(experiment)
    found: list[Published] = []
    marks: dict[str, str] = {}
    for anchor in experiment.content.anchors:
        alone = experiment.content.model_copy(update={"strategies": [anchor.strategy]})
        (bound,) = resolve.bound_strategies(replace(experiment, content=alone), shared)
        path = Path(anchor.model).expanduser()
        model = path.resolve().name if path.is_dir() else anchor.model
        loaded = [tasks.load(spec) for spec in anchor.tasks()]
        keys = tuple(_key(model, task.spec, bound.name, bound.params, bound.on(task).sampling) for task in loaded)
        found.append(Published(anchor, keys, marks.setdefault(_footnote(anchor), f"[{len(marks) + 1}]")))
    return found


def _key(model: str, task: Any, strategy: str, params: Any, sampling: Any) -> Key:
    return model, content_hash(task), content_hash([strategy, params, sampling])


def of_cell(cell: Cell) -> Key:
    """The key of a cell of a plan."""
    strategy = cell.strategy
    return _key(cell.policy.model.name, cell.task.spec, strategy.name, strategy.params, strategy.sampling)


def beside(found: Iterable[Published], key: Key) -> list[Published]:
    """The anchors about the cells of one key."""
    return [one for one in found if one.keys == (key,)]


def stored(rows: Sequence[Mapping[str, Any]], db: str | None) -> dict[str, Key]:
    """The keys of the report's rows, by their cell."""
    model, task, strategy = schema.Model, schema.Task, schema.Strategy
    query = (
        sa.select(schema.Cell.name, model.name, task.spec, strategy.name, strategy.params, strategy.sampling)
        .join(model, model.id == schema.Cell.model_id)
        .join(task, task.id == schema.Cell.task_id)
        .join(strategy, strategy.id == schema.Cell.strategy_id)
        .where(schema.Cell.name.in_({row["cell"] for row in rows}))
    )
    engine = open_database(db, readonly=True)
    try:
        with engine.connect() as connection:
            return {name: _key(*rest) for name, *rest in connection.execute(query).tuples()}
    finally:
        engine.dispose()


def compared(found: Sequence[Published], rows: Sequence[Mapping[str, Any]], keys: Mapping[str, Key]) -> list[dict[str, Any]]:
    """A row per anchor that has its cells (several where these were run more than once): published against measured, in percent."""
    known = [row for row in rows if row["accuracy"] is not None]
    made = []
    for one in found:
        here = [[row for row in known if keys[row["cell"]] == key] for key in one.keys]
        if len(here) == 1:
            made += [_measured(one, [row]) for row in here[0]]
        elif all(len(cells) == 1 for cells in here):
            made.append(_measured(one, [cells[0] for cells in here]))
    return made


def _measured(one: Published, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """rows: of the anchor's tasks, one each. A mean over tasks that share problems has no interval here."""
    first, mean = rows[0], sum(row["accuracy"] for row in rows) / len(rows)
    interval = f" ({100 * first['accuracy_low']:.1f}–{100 * first['accuracy_high']:.1f})" if len(rows) == 1 else ""
    return {
        "model": one.anchor.model,
        "task": one.tasks,
        "strategy": one.strategy,
        "published %": f"{one.anchor.value:g} {one.mark}",
        "measured % (95 %)": f"{100 * mean:.1f}{interval}",
        "problems": ", ".join(dict.fromkeys(f"{row['problems']:,}{' (partial)' if row['partial'] else ''}" for row in rows)),
    }


def footnotes(found: Iterable[Published]) -> list[str]:
    """`[1] source: note`, each once."""
    return list(dict.fromkeys(f"{one.mark} {_footnote(one.anchor)}" for one in found))


def _footnote(anchor: Anchor) -> str:
    return f"{anchor.source}: {anchor.note}" if anchor.note else anchor.source
