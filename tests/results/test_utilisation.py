"""MFU and MBU of live cells, against counts by hand."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy import calibrate, profiles, traffic
from energy.calibrate import Calibration
from energy.rates import Rate
from results import live, utilisation
from results.utilisation import Call, bytes_moved, computes_in, decoding_beside, of_cell, prefilled_together
from tests.results.builders import World, cell_key

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
H100 = {"name": "H100", "count": 2}
CPU = "AMD EPYC (2 cores)"


def call(sent: float, first: float | None, last: float, output: int = 11, prompt: int = 50) -> Call:
    return Call((1, 1, 1), sent, first, last, prompt, 0, output, 0, 1000.0)


def described(settings: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    return {
        "model": {"dtype": "bfloat16"},
        "engine": {"settings": settings or {}},
        "hardware": H100,
        "counting": {"config": CONFIG | config, "settings": {}},
    }


def test_calls_in_step_share_every_pass() -> None:
    calls = [call(0.0, 1.0, 2.0)] * 4
    assert decoding_beside(calls) == prefilled_together(calls) == [4, 4, 4, 4]
    assert bytes_moved(calls, described()) == pytest.approx(
        4 * traffic.count(CONFIG, prompt=50, output=11, batch=4, dtype="bfloat16").total / 4
    )


def test_calls_one_after_the_other_share_nothing() -> None:
    calls = [call(float(n), n + 0.5, n + 1.0) for n in range(3)]
    assert decoding_beside(calls) == prefilled_together(calls) == [1, 1, 1]
    alone = traffic.count(CONFIG, prompt=50, output=11, dtype="bfloat16").total
    assert bytes_moved(calls, described()) == pytest.approx(3 * alone)


def test_a_long_call_is_beside_as_many_as_there_were_on_average() -> None:
    # One call decodes from 0 to 10; three others beside it, from 0 to 5: 4 for half of the time, 1 for the rest.
    calls = [call(0.0, 0.0, 10.0), *[call(0.0, 0.0, 5.0)] * 3]
    assert decoding_beside(calls) == [2, 4, 4, 4]  # 2.5 rounds to the even number


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10), st.floats(0, 50)), min_size=1, max_size=30))
def test_nobody_is_beside_more_calls_than_there_are(spans: Sequence[tuple[float, float, float]]) -> None:
    calls = [call(sent, sent + wait, sent + wait + decoding) for sent, wait, decoding in spans]
    assert all(1 <= n <= len(calls) for n in decoding_beside(calls) + prefilled_together(calls))


def test_the_precision_is_that_of_the_arithmetic() -> None:
    assert computes_in(described()) == "bf16"
    assert computes_in(described({"quantization": "fp8"})) == "fp8"
    assert computes_in(described({"server": {"quantization": "fp8"}})) == "fp8"
    assert computes_in(described({"quantization": "gptq"})) == "bf16"  # 4-bit weights are widened before they are multiplied
    groups = {"g": {"weights": {"num_bits": 8}, "input_activations": {"num_bits": 8, "type": "int"}}}
    assert computes_in(described(quantization_config={"quant_method": "compressed-tensors", "config_groups": groups})) == "int8"


# --- from the database ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_calibration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def stored(
    tmp_path: Path, *, hardware: dict[str, Any], keep: bool = True, calibration: Sequence[Any] = (), **changes: Any
) -> dict[str, Any]:
    """MFU and MBU of a live cell with two calls, one after the other, one second each."""
    model = {"name": "m", "revision": "r", "dtype": "bfloat16"}
    key = cell_key(mode="live", concurrency=1, hardware=hardware, engine={"kind": "vllm", "settings": {"max_num_seqs": 8}})
    key = type(key)(**{**key.__dict__, "model": model})
    kept = {"identity": {"model": model, "engine": key.engine, "hardware": hardware}, "counting": {"config": CONFIG, "settings": {}}}
    environment = {"engines": [kept] if keep else [], "calibration": list(calibration), "system": platform.platform()}
    world = World.make(tmp_path / "db.sqlite", environment=environment)
    row = world.cell(key, 2)
    world.solve(row, key, {"p0": ["correct"], "p1": ["wrong"]}, **changes)
    with world.engine.connect() as connection:
        return of_cell(connection, row.id)


def test_mfu_and_mbu_by_hand(tmp_path: Path) -> None:
    row = stored(tmp_path, hardware=H100, flop_linear=1e15, flop_attention=5e14, flop_head=0.0)
    profile = profiles.by_name("H100")
    assert profile is not None and profile.bandwidth is not None and profile.peak_flops["bf16"] is not None
    # Two calls of 1.5e15 FLOP in two seconds on two devices, each 989.4e12 at best.
    assert row["mfu"] == pytest.approx(2 * 1.5e15 / 2 / (2 * profile.peak_flops["bf16"].value))
    moved = 2 * traffic.count(CONFIG, prompt=100, output=20, dtype="bfloat16").total
    assert row["mbu"] == pytest.approx(moved / 2 / (2 * profile.bandwidth.value))
    assert row["precision"] == "bf16" and row["peak_source"].startswith("table of ") and row["reasons"] == {}


def test_what_is_not_known_is_none_with_its_reason(tmp_path: Path) -> None:
    unknown = stored(tmp_path, hardware=H100, keep=False, flop_linear=None)
    assert (unknown["mfu"], unknown["mbu"]) == (None, None)
    assert unknown["reasons"] == {"mfu": "unknown_architecture", "mbu": "config_not_kept"}


def test_hardware_that_nobody_knows_has_no_peak(tmp_path: Path) -> None:
    assert stored(tmp_path, hardware={"name": CPU, "count": 1})["reasons"] == {"mfu": "no_peak", "mbu": "no_peak"}


def calibration(**changes: Any) -> Calibration:
    names: dict[str, Any] = {"hardware": CPU, "device": "AMD EPYC", "kind": "cpu", "count": 1, "system": platform.platform()}
    found = {"date": "2026-11-28", "torch": "2", "threads": 2, "bandwidth": Rate(1e9, 9e8, 7), "peaks": {"bf16": Rate(4e9, 3e9, 7)}}
    return Calibration(**(names | found | changes))


def test_a_calibration_kept_with_the_run_gives_the_peaks(tmp_path: Path) -> None:
    kept = json.loads(json.dumps(calibration(), default=lambda o: o.__dict__))
    row = stored(tmp_path, hardware={"name": CPU, "count": 1}, calibration=[kept])
    assert row["mfu"] == pytest.approx(1000 / 4e9) and row["mbu"] is not None
    assert row["peak_source"] == "calibrated 2026-11-28"


def test_a_calibration_made_later_counts_only_on_the_same_system(tmp_path: Path) -> None:
    calibrate.save(calibration())
    assert stored(tmp_path, hardware={"name": CPU, "count": 1})["mfu"] == pytest.approx(1000 / 4e9)
    calibrate.save(calibration(system="another"))
    (tmp_path / "other").mkdir()
    assert stored(tmp_path / "other", hardware={"name": CPU, "count": 1})["mfu"] is None


def test_a_precision_that_was_not_measured_has_no_peak(tmp_path: Path) -> None:
    calibrate.save(calibration(peaks={"fp32": Rate(1.0, 1.0, 1)}))
    row = stored(tmp_path, hardware={"name": CPU, "count": 1})
    assert row["mfu"] is None and row["reasons"] == {"mfu": "no_peak"} and row["mbu"] is not None


def test_a_resumed_cell_has_a_pause_in_it(tmp_path: Path) -> None:
    world = World.make(tmp_path / "db.sqlite")
    key = cell_key(mode="live", concurrency=1)
    row = world.cell(key, 1)
    world.solve(row, key, {"p0": ["correct"]})
    with world.engine.connect() as connection:
        assert of_cell(connection, row.id, resumed=True)["reasons"] == {"mfu": "resumed", "mbu": "resumed"}
    assert {"mfu", "mbu", "peak_source"} <= set(live.rows(world.engine)[0]) and utilisation.FIELDS[:2] == ("mfu", "mbu")
