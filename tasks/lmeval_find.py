"""Finding and making a task of lm-eval. Its own index reads 14,000 files, a minute's work; here they are searched as text."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perpass.errors import UserError, nearest

SEED = 1234
"""lm-eval's default `fewshot_random_seed`."""
KINDS = ("generate_until", "multiple_choice", "loglikelihood")
_TASK = re.compile(r"""^task:\s*["']?([^\s"'\[\]#]+)["']?\s*(?:#.*)?$""", re.MULTILINE)
_GROUP = re.compile(r"""^group:\s*["']?([^\s"']+)["']?\s*$""", re.MULTILINE)


def find(name: str) -> tuple[Path, str]:
    """The YAML file of the lm-eval task `name` (its name there, or a path), and the name that the file gives it.

    Raises UserError: lm-eval is not installed, no such file, unknown name (with the nearest one), or a group.
    """
    folder = _folder()
    if name.endswith((".yaml", ".yml")):
        path = Path(name).expanduser()
        if not path.is_file():
            raise UserError(f"lm-eval task {name}: no such file")
        text = path.read_text(encoding="utf-8")
        match = _TASK.search(text)
        if match is None:
            raise UserError(f"lm-eval task {name}: expected a line `task: NAME`" + _grouped(text))
        return path, match[1]
    files = sorted(folder.rglob("*.yaml"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        if name in text and name in _TASK.findall(text):
            return path, name
    raise _unknown(name, files)


def _folder() -> Path:
    found = importlib.util.find_spec("lm_eval")
    if found is None or not found.submodule_search_locations:
        raise UserError("tasks of lm-eval need lm-eval: pip install 'perpass[tasks]'")
    return Path(found.submodule_search_locations[0]) / "tasks"


def _grouped(text: str) -> str:
    return "; it is a group: name one of its tasks" if _GROUP.search(text) else ""


def _unknown(name: str, files: list[Path]) -> UserError:
    texts = [path.read_text(encoding="utf-8") for path in files]
    if any(name in _GROUP.findall(text) for text in texts if name in text):
        return UserError(f"lm-eval task {name!r} is a group; name one of its tasks")
    close = nearest(name, {found for text in texts for found in _TASK.findall(text)})
    return UserError(f"lm-eval has no task {name!r}; " + (f"did you mean {close!r}?" if close else "`lm-eval ls tasks` lists them"))


def make(path: Path, name: str, shots: int | None) -> Any:
    """The lm-eval Task object with its data read and all its requests built, as `lm_eval.simple_evaluate` does it by default.

    Raises UserError, one sentence, for data that cannot be loaded and for a kind of task that has no counterpart here.
    """
    with _quiet():
        try:
            from lm_eval.tasks import TaskManager

            (made,) = TaskManager(include_defaults=False).load(str(path))["tasks"].values()
        except Exception as error:  # whatever a task's own code and the hub's client raise
            why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise UserError(f"cannot load lm-eval task {name!r} ({why})") from error
        _check(made, name)
        given = made.get_config("num_fewshot")
        made.set_config("num_fewshot", given if shots is None or given == 0 else shots)
        if made.get_config("num_fewshot") is None:
            made.set_config("num_fewshot", 0)
        made.set_fewshot_seed(SEED)
        made.build_all_requests()
    return made


def _check(made: Any, name: str) -> None:
    if made.OUTPUT_TYPE not in KINDS:
        raise UserError(f"lm-eval task {name!r} asks for {made.OUTPUT_TYPE}, expected one of {', '.join(KINDS)}")
    for mark, word in (("MULTIMODAL", "pictures or sound"), ("UNSAFE_CODE", "running the model's code on this machine")):
        if getattr(made, mark, False):
            raise UserError(f"lm-eval task {name!r} needs {word}, which is not done here")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without lm-eval's progress bars and notes: what goes wrong is raised."""
    log = logging.getLogger("lm_eval")
    level, log.level = log.level, logging.ERROR
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        log.level = level
