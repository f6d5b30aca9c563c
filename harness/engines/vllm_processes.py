"""The processes that vLLM starts: what they find in their environment, where they log, and that they end with the one that started them.

vLLM's engine core outlives a parent that was killed, and keeps its GPU memory. Its processes therefore watch their parent; the place to
begin is their log handler, which vLLM lets us name (VLLM_LOGGING_CONFIG_PATH) and which each of them makes as soon as it imports vLLM.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import logging
import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

GRACE_S = 20  # between asking a process to end and making it
LOOK_S = 1.0  # between two looks at the parent
CAUSE = re.compile(
    r"^(?:[\w.]+\.)?(\w*(?:Error|Exception|OutOfMemory\w*): *.*\S)|(Worker proc \S+ died unexpectedly \([^)]*\))", re.MULTILINE
)
LONGEST = 400  # characters of a cause

QUIET = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",  # a fork of a process with threads may never wake up
    "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS": "1",  # vLLM's workers on CPUs never end by themselves, only when told
}
PRIVATE = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}

_one_at_a_time = threading.Lock()  # the environment is the whole process's


class ProcessLog(logging.FileHandler):
    """Appends to `filename`; `owner` is the process that started vLLM. A process below it becomes quiet and dependent when it makes one.

    quiet: what such a process prints, warnings of libraries and its last words included, goes to the file as well
    """

    def __init__(self, filename: str, owner: int, quiet: bool):
        super().__init__(filename, delay=True)
        if os.getpid() != owner:
            _settle(filename if quiet else None)


@functools.cache
def _settle(output: str | None) -> None:
    """Once in each process of vLLM's: watch the parent, and leave its terminal, whose Ctrl-C is for the parent to answer."""
    watch_parent()
    with contextlib.suppress(OSError):  # it leads a session already
        os.setsid()
    if output is not None:
        with open(output, "ab") as stream:
            for standard in (1, 2):
                os.dup2(stream.fileno(), standard)


@functools.cache
def watch_parent() -> None:
    """From now on, end this process when its parent has ended: by SIGTERM, and if that does not help, by SIGKILL."""
    threading.Thread(target=_watch, args=(os.getppid(),), name="perpass-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def surroundings(**more: str | None) -> Iterator[Path]:
    """The environment that vLLM is imported and started in, put back afterwards: no telemetry, and a log in the file that is returned.

    What the user has set stays, but for telemetry and `more` (None removes). A VLLM_LOGGING_LEVEL of the user's also shows the log on the
    terminal. vLLM itself adds to the environment, such as LD_PRELOAD, which later processes of ours are not to inherit.
    """
    with _one_at_a_time:
        before = dict(os.environ)
        try:
            os.environ.update({k: v for k, v in QUIET.items() if k not in before} | PRIVATE)
            if "VLLM_LOGGING_CONFIG_PATH" not in before and before.get("VLLM_CONFIGURE_LOGGING", "1") != "0":
                os.environ["VLLM_LOGGING_CONFIG_PATH"] = str(_logging(before.get("VLLM_LOGGING_LEVEL", "").upper()))
            for name, value in more.items():
                os.environ.pop(name, None)
                os.environ.update({} if value is None else {name: value})
            yield _folder() / "log"
        finally:
            for name in set(os.environ) - set(before):
                del os.environ[name]
            os.environ.update(before)


@functools.cache
def _folder() -> Path:
    """A folder of this process, which goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="perpass-vllm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _logging(shown: str) -> Path:
    """Write the configuration of the logging module that vLLM's processes read. `shown`: the level to show on the terminal, or ""."""
    handlers: dict[str, Any] = {
        "file": {
            "class": f"{ProcessLog.__module__}.{ProcessLog.__qualname__}",
            "filename": str(_folder() / "log"),
            "owner": os.getpid(),
            "quiet": not shown,
            "formatter": "plain",
        }
    }
    if shown:
        handlers["terminal"] = {"class": "logging.StreamHandler", "formatter": "plain"}
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(processName)s %(process)d %(levelname)s %(asctime)s %(name)s: %(message)s"}},
        "handlers": handlers,
        "loggers": {"vllm": {"handlers": list(handlers), "level": shown or QUIET["VLLM_LOGGING_LEVEL"], "propagate": False}},
    }
    path = _folder() / "logging.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def size(log: Path) -> int:
    """Bytes in the log so far."""
    return log.stat().st_size if log.exists() else 0


def cause(log: Path, since: int) -> str:
    """What went wrong first, by the log from byte `since` on: one line, "" when it does not say. What follows are consequences."""
    if not log.exists():
        return ""
    text = log.read_bytes()[since:].decode(errors="replace")
    told = (found[1] or found[2] for found in CAUSE.finditer(text))
    return next((line[:LONGEST] for line in told if "root cause" not in line), "")


def family(pid: int | None) -> list[psutil.Process]:
    """A process and all that descend from it now. None: it has not started."""
    if pid is None:  # which psutil would take for ourselves
        return []
    try:
        root = psutil.Process(pid)
        return [*root.children(recursive=True), root]
    except psutil.NoSuchProcess:
        return []


def end(members: Sequence[psutil.Process], grace_s: float) -> None:
    """Wait so long for these to end by themselves, then kill those that did not."""
    _, alive = psutil.wait_procs(members, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=grace_s)
