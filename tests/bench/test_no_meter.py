"""A run that nothing measures: null with a reason wherever energy would be, in every command that shows it, and nowhere a zero."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from bench.main import app
from energy.meters import meters
from harness import runner
from results.report import FIELDS

ENERGY = [f for f in FIELDS if f.startswith("energy_") or f.endswith(("_j", "_l")) or any(w in f for w in ("gco2e", "kwh", "water", "_j_"))]
"""Every column of a report that comes from joules."""
BESIDE = ("energy_source", "energy_valid")


EXPERIMENT = """\
name: unmetered
models: [perpass/nano]
tasks: [arithmetic]
strategies: [cot, {kind: self_consistency, n: 2}]
sampling: {max_tokens: 16}
limit: 2
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """`bench(…)` → stdout, on a database with a real run of a real model that no meter could read."""
    folder = tmp_path_factory.mktemp("unmetered")
    (folder / "unmetered.yaml").write_text(EXPERIMENT)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("PERPASS_DB", raising=False)
        patched.setattr(runner, "meter_for", lambda places, require=False: meters.get("none")())

        def call(*words: str) -> str:
            result = CliRunner().invoke(app, list(words))
            assert result.exit_code == 0, result.stderr
            return result.stdout

        call("run", "unmetered.yaml")
        yield call


@pytest.fixture(scope="module")
def report(bench: Callable[..., str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(bench("report", "--format", "json", "--cost-basis", "energy"))
    assert len(rows) == 2
    return rows


def test_every_column_of_energy_is_null_with_its_reason(report: list[dict[str, Any]]) -> None:
    assert {"energy_j", "energy_cost_usd", "energy_of_pass_j", "gco2e"} <= set(ENERGY)
    for row in report:
        for field in (f for f in ENERGY if f not in BESIDE):
            assert row[field] is None, field
            assert row["reasons"][field] == "no_meter", field
        assert (row["energy_source"], row["energy_valid"]) in {(None, False), ("none", False)}
        assert row["reasons"]["energy_valid"] == "no_meter"


def test_dollars_by_energy_are_null_and_dollars_by_hardware_are_not_zero(report: list[dict[str, Any]]) -> None:
    """Device-seconds are known without a meter, so what the machine costs is, too."""
    for row in report:
        for field in ("cost_usd", "cost_per_correct_usd", "cost_of_pass_usd"):
            assert row[field] is None and row["reasons"][field] == "no_meter", field
        assert (row["hardware_cost_usd"] is None and row["reasons"]["hardware_cost_usd"]) or row["hardware_cost_usd"] > 0


def test_other_commands_say_so_too(report: list[dict[str, Any]], bench: Callable[..., str]) -> None:
    told = json.loads(bench("show", report[0]["cell"], "--format", "json"))
    assert told["windows"] and all(w["energy_j"] is None and "no_meter" in w["codes"] for w in told["windows"])
    for row in told["phases"]:
        assert row["flop_j"] is None and row["tokens_j"] is None and row["reasons"]["tokens_j"] == "no_meter"
    attempt = json.loads(bench("show", "1", "--format", "json"))
    assert attempt["energy_j"] is None and attempt["energy_code"] == "no_meter"
    assert all(entry["energy_j"] is None for entry in attempt["ledger"])
    assert "no_meter" in bench("show", report[0]["cell"])
    head, *lines = bench("report", "--format", "csv").splitlines()
    assert [row["energy_j"] for row in csv.DictReader([head, *lines])] == [""] * len(report)
