"""What is asked, and how an answer is judged. Owns Prompt, Problem and Judgement; imports no other room.

`tasks.load(name_or_spec)` gives a Task, `tasks.names()` what there is, `tasks.unfold(entry)` the specs that an experiment's entry stands
for. The room's modules (`tasks.answers`, …) are imported on first use.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from tasks.registry import load, task, unfold
from tasks.registry import tasks as _registry
from tasks.types import Judgement, Outcome, Problem, Prompt, Reply, Task, Turn

__all__ = ["Judgement", "Outcome", "Problem", "Prompt", "Reply", "Task", "Turn", "load", "names", "task", "unfold"]


def names() -> list[str]:
    """Every built-in, registered or installed task, sorted."""
    return _registry.names()


def __getattr__(name: str) -> ModuleType:
    """`tasks.answers` and its siblings without importing them beforehand."""
    if not name.startswith("_") and importlib.util.find_spec(f"tasks.{name}") is not None:
        return importlib.import_module(f"tasks.{name}")
    raise AttributeError(f"module 'tasks' has no attribute {name!r}")
