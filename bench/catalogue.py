"""What there is, as rows that people and programs read: each has a `name`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]


def rows(kind: str) -> list[Row]:
    """The rows of one of KINDS, sorted by name. Raises KeyError for another kind."""
    return KINDS[kind]()


def _tasks() -> list[Row]:
    from tasks.registry import tasks

    return [{"name": n, "parameters": _parameters(tasks.get(n)), "about": _first_line(tasks.get(n))} for n in tasks.names()]


def _strategies() -> list[Row]:
    from harness.strategy import strategies

    found = [strategies.get(name) for name in strategies.names()]
    return [
        {
            "name": s.name,
            "family": s.family,
            "paper": s.paper,
            "needs": sorted(s.needs),
            "budget": s.budget,
            "pool": s.pool,
            "version": s.version,
            "parameters": [f"{n}={_said(f.default)}" for n, f in s.parameters.model_fields.items()],
        }
        for s in found
    ]


def _said(value: Any) -> str:
    """A step separator as `'\\n'`, not as the line break that it is; all else as it is."""
    return repr(value) if isinstance(value, str) and value != value.strip() else str(value)


def _engines() -> list[Row]:
    from dataclasses import fields

    from harness.engines import engines
    from harness.types import Capabilities
    from perpass.errors import PerPassError

    made: list[Row] = []
    for name in engines.names():
        try:
            factory = engines.get(name)
        except (PerPassError, ImportError) as error:  # an installed engine whose package is missing is still worth naming
            made.append({"name": name, "settings": [], "capabilities": [], "about": str(error)})
            continue
        offered = getattr(factory, "capabilities", None)
        able = [f.name for f in fields(offered) if getattr(offered, f.name)] if isinstance(offered, Capabilities) else []
        made.append({"name": name, "settings": _parameters(factory, without="model"), "capabilities": able, "about": _first_line(factory)})
    return made


def _models() -> list[Row]:
    from harness import models

    found = []
    for name in sorted(models.shipped()):
        model = models.resolve(name)
        found.append(
            {"name": model.name, "revision": model.revision.removeprefix("sha256:")[:12], "dtype": model.dtype, "context": model.context}
        )
    return found


def _hardware() -> list[Row]:
    from energy import profiles

    found = []
    for p in sorted(profiles.profiles(), key=lambda p: p.name):
        peak = {precision: v.value for precision, v in p.peak_flops.items() if v is not None}
        best = next((peak[k] for k in ("bf16", "fp16", "fp32") if k in peak), None)
        row: Row = {
            "name": p.name,
            "kind": p.kind,
            "peak_flops": best,
            "bandwidth": p.bandwidth,
            "memory_gb": p.memory_gb,
            "tdp_w": p.tdp_w,
        }
        found.append({k: getattr(v, "value", v) for k, v in row.items()})
    return found


def _prices() -> list[Row]:
    from results.prices import PriceBook

    return [dict(row) for row in PriceBook.load().rows()]


def _regions() -> list[Row]:
    """For `--region`; where the numbers come from stands below a report that uses them."""
    from results import carbon

    return [{name: value for name, value in row.items() if not name.endswith("_source")} for row in carbon.regions()]


def _experiments() -> list[Row]:
    from bench import experiment
    from bench.anchors import said
    from bench.entries import entry

    found = []
    for name in experiment.shipped():
        content = experiment.load(name).content
        models = [model if isinstance(model, str) else model["id"] for model in content.models]
        tasks = [said(entry(task, name)) for task in content.tasks]
        found.append({"name": name, "models": models, "tasks": tasks, "trials": content.trials, "limit": content.limit})
    return found


def _parameters(function: Callable[..., Any], without: str = "") -> list[str]:
    """`name=default` of each parameter; the name alone where there is no default."""
    known = [p for p in inspect.signature(function).parameters.values() if p.name != without]
    # A function as a default cannot be written in an experiment.
    return [p.name if p.default is p.empty else f"{p.name}={p.default!r}" for p in known if p.default is p.empty or not callable(p.default)]


def _first_line(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n")[0]


KINDS: dict[str, Callable[[], list[Row]]] = {
    "tasks": _tasks,
    "strategies": _strategies,
    "engines": _engines,
    "models": _models,
    "hardware": _hardware,
    "prices": _prices,
    "regions": _regions,
    "experiments": _experiments,
}
