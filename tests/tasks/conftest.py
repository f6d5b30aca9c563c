"""Where the tests of the tasks room find the real data, and how they run coroutines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import data

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_folder_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test says itself where data come from."""
    monkeypatch.delenv("PERPASS_DATA", raising=False)
    data.set_data_dir(None)
    yield
    data.set_data_dir(None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the published data sets: `PERPASS_DATA`, else `shared/data` beside or in the checkout. Skips without; never in CI."""
    named = os.environ.get("PERPASS_DATA")
    candidates = [Path(named)] if named else [ROOT.parent / "shared" / "data", ROOT / "shared" / "data"]
    for folder in candidates:
        if (folder / "gsm8k" / "test.jsonl").is_file() and (folder / "math" / "math500.json").is_file():
            return folder
    reason = "no local data sets: set PERPASS_DATA to a folder with gsm8k/test.jsonl and math/math500.json"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def published(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`PERPASS_DATA` set to the published data sets."""
    monkeypatch.setenv("PERPASS_DATA", str(real_data))
    return real_data
