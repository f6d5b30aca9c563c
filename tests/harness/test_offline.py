"""`--offline`: strategies replayed from stored pools, their own or those of another engine that draws from the same distribution."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from energy.hardware import Hardware
from harness.cell import Cell, Deployment
from harness.offline import borrowed
from harness.testing import ScriptedEngine
from perpass.identity import canonical
from tests.harness.digits import Digits, cell, place
from tests.harness.test_runner import QUICK, go, table

OFFLINE = replace(QUICK, offline=True)
OTHER_CPU = Hardware("other CPU (4 cores)", "cpu", "other CPU", 1, cores=4, found=True)


def vote(here: Deployment, n: int = 4) -> Cell:
    return cell("self_consistency", here, Digits(), n=n)


def test_any_strategy_that_stays_in_its_pool_is_replayed(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    go([vote(place())], db)
    for name, sampling in (("self_consistency", {"n": 2}), ("cot", {})):
        done = go([cell(name, place(), Digits(), **sampling)], db, OFFLINE)
        assert (done.status, done.state.calls, done.state.attempts_done) == ("done", 0, 6)
    assert table(db, "select distinct codes from attempt").codes.tolist() == ['{"latency_s": "shared_load"}']
    beyond = go([vote(place(), n=5)], db, OFFLINE)
    assert (beyond.status, beyond.state.errors) == ("errors", 6)
    assert "position 4 of trial 0 is not in the pool" in table(db, "select error from attempt where error is not null").error[0]


def test_another_hardware_lends_texts_but_neither_times_nor_joules(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    here = Deployment(ScriptedEngine(), OTHER_CPU)
    go([vote(place())], db)
    done = go([vote(here)], db, OFFLINE)
    assert (done.status, done.state.calls) == ("done", 0)
    joined = "attempt join cell on cell.id = cell_id join hardware on hardware.id = hardware_id"
    rows = table(db, f"select hardware.name as hardware, attempt.* from {joined}")
    own, lent = rows[rows.hardware.str.startswith("test")], rows[rows.hardware.str.startswith("other")]
    assert lent.text_id.tolist() == own.text_id.tolist() and lent.serial_tokens.tolist() == own.serial_tokens.tolist()
    assert lent[["latency_s", "ttft_s", "energy_j", "device_s"]].isna().all(axis=None) and own.latency_s.notna().all()
    assert set(lent.energy_code) == {"other_hardware"}
    ledger = table(db, "select ledger.* from ledger join attempt on attempt.id = attempt_id where attempt.energy_code = 'other_hardware'")
    assert len(ledger) == 6 and ledger.energy_j.isna().all() and set(ledger.energy_code) == {"other_hardware"}


def test_who_may_lend(tmp_path: Path) -> None:
    own = place()
    identity = canonical(own.identity())
    engine, hardware = identity["engine"], identity["hardware"]
    assert borrowed(own, engine, hardware) is None  # its own texts are no loan
    assert borrowed(own, engine, canonical(OTHER_CPU.identity())) == "other_hardware"
    twin = {"kind": "vllm", "settings": {**engine["settings"], "max_num_seqs": 8}}
    assert borrowed(own, twin, hardware) == "other_engine"
    assert borrowed(own, {"kind": "vllm", "settings": {**engine["settings"], "quantization": "fp8"}}, hardware) is None
    assert borrowed(own, {**twin, "kind": "openai"}, hardware) is None
