"""What a machine has and lacks for PerPass, in plain words, each with the command that would fix it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One line of `bench doctor`. status: found | measured | estimated | missing."""

    what: str
    status: str
    detail: str
    fix: str | None = None


def findings(db: str | None = None) -> list[Line]:
    """Python, engines, models, data, database, then what `energy` finds. Never raises for something that is merely missing."""
    from energy import doctor

    energy = [Line(f.what, f.status, f.detail, f.fix) for f in doctor.findings()]
    return [_python(), *_packages(), *_models(), _data(), _database(db), *energy]


def _python() -> Line:
    return Line("Python", "found", f"{sys.version.split()[0]} at {sys.executable}")


_EXTRAS = (
    ("transformers engine", ("torch", "transformers"), "local", "runs models on this machine; `bench run demo` needs it"),
    ("vLLM engine", ("vllm",), "vllm", "runs models fast on a GPU"),
    ("data sets", ("datasets",), "tasks", "loads gsm8k, math500, … from their hub; local copies (PERPASS_DATA) need no package"),
    ("math grading", ("math-verify",), "tasks", "compares formulas behind exact and normalised match"),
)


def _packages() -> Iterator[Line]:
    for what, names, extra, purpose in _EXTRAS:
        found = {name: _version(name) for name in names}
        if all(found.values()):
            yield Line(what, "found", ", ".join(f"{name} {v}" for name, v in found.items()))
        else:
            lacking = ", ".join(name for name, v in found.items() if v is None)
            yield Line(what, "missing", f"{lacking} not installed: {purpose}", f"pip install 'perpass[{extra}]'")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _models() -> Iterator[Line]:
    from harness import models

    names = sorted(models.shipped())
    if names:
        yield Line("reference models", "found", ", ".join(names))
    else:
        yield Line("reference models", "missing", "no shipped model has weights here; `bench run demo` needs one", "reinstall perpass")


def _data() -> Line:
    folder = os.environ.get("PERPASS_DATA")
    if not folder:
        return Line("local data", "missing", "PERPASS_DATA is not set: data sets come from their hub", "export PERPASS_DATA=/path/to/data")
    if not Path(folder).is_dir():
        return Line("local data", "missing", f"PERPASS_DATA={folder} is no folder", "export PERPASS_DATA=/path/to/data")
    return Line("local data", "found", f"{folder}: {', '.join(sorted(p.name for p in Path(folder).iterdir() if p.is_dir())) or 'empty'}")


def _database(db: str | None) -> Line:
    from perpass.errors import DatabaseError
    from results import database

    address = database.resolve(db)
    path = database.sqlite_path(address)
    if path is not None and not path.exists():
        return Line("database", "missing", f"none at {path} yet; `bench run` creates it", "bench run demo")
    try:
        told = database.info(db)
    except DatabaseError as error:
        return Line("database", "missing", str(error), "bench db upgrade, or name another with --db")
    tables = told["tables"]
    counts = f"{tables.get('cell', 0)} cells, {tables.get('attempt', 0)} attempts"
    if not told["current"]:
        return Line("database", "found", f"{told['url']}: revision {told['revision']} is not current; {counts}", "bench db upgrade")
    return Line("database", "found", f"{told['url']}: {counts}")
