"""The command line as a person would use it: in an empty folder, with no environment of PerPass set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.main import app


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Bench = Callable[..., Said]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    for name in ("PERPASS_DB", "PERPASS_DATA", "PERPASS_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bench(folder: Path) -> Bench:
    """`bench("run", "demo")` → exit code, stdout, stderr."""

    def call(*words: str) -> Said:
        result = CliRunner().invoke(app, list(words))
        return Said(result.exit_code, result.stdout, result.stderr)

    return call


SMALL = """\
name: small
engines: [scripted]
tasks: [arithmetic]
strategies:
  - direct
  - cot
  - {kind: self_consistency, n: [2, 4]}
sampling: {max_tokens: 64}
trials: 2
limit: 3
"""


@pytest.fixture
def small(folder: Path) -> Path:
    """An experiment on the scripted engine: four cells, no weights, no data."""
    path = folder / "small.yaml"
    path.write_text(SMALL)
    return path
