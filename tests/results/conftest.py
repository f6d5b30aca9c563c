"""A PostgreSQL of the tests' own, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of an empty database in a cluster made for these tests, on a socket of its own. Skipped without PostgreSQL, but not in CI."""
    programs = _programs()
    if programs is None:
        assert "CI" not in os.environ, "PostgreSQL must be installed in CI"
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg")
    # It refuses to run as root, and a socket's path must be short.
    as_owner = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        if as_owner:
            shutil.chown(folder, "postgres")

        def call(program: str, *arguments: str) -> None:
            subprocess.run([*as_owner, str(programs / program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd=folder)

        call("initdb", "-D", f"{folder}/data", "-U", "tester", "--auth=trust", "--no-sync")
        call("pg_ctl", "-D", f"{folder}/data", "-o", f"-k {folder} -c listen_addresses= -F", "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://tester@/postgres?host={folder}"
        finally:
            call("pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "stop")


def _programs() -> Path | None:
    """The folder of initdb and pg_ctl: on the path, or where Debian keeps the newest."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return kept[-1].parent if kept else None
