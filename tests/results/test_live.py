"""Times and steady energy of live cells, by hand."""

from __future__ import annotations

import pytest

from results.live import Span, _unstable, throughput, times


def test_the_definitions_of_vllm() -> None:
    call = Span(sent=10.0, first=10.5, last=12.5, output=5, pieces=(0.5, 1.0, 1.5, 2.5))
    assert (call.ttft_s, call.e2e_s, call.tpot_s) == (0.5, 2.5, 0.5)  # TPOT: (2.5 − 0.5) / 4
    reasons: dict[str, str] = {}
    row = times([call], [2.5], reasons)
    assert row["itl_s_p50"] == 0.5 and row["itl_s_p99"] == pytest.approx(0.99, abs=0.011)  # gaps 0.5, 0.5, 1.0
    assert row["latency_s_p50"] == 2.5 and reasons == {}


def test_what_is_not_there_has_a_reason() -> None:
    reasons: dict[str, str] = {}
    row = times([Span(0.0, 1.0, 1.0, 1)], [1.0], reasons)
    assert row["tpot_s_p50"] is None and row["itl_s_p50"] is None
    assert reasons == {"tpot_s": "one_token", "itl_s": "no_stream"}
    assert times([], [], reasons)["ttft_s_p50"] is None and reasons["ttft_s"] == "no_attempts"


def test_goodput_counts_calls_that_kept_every_target() -> None:
    spans = [Span(0.0, 0.1, 2.0, 20), Span(0.0, 0.9, 2.0, 20), Span(2.0, 2.1, 10.0, 11)]
    row = throughput(spans, {"ttft_s": 0.5, "tpot_s": 0.2})
    # The first keeps both; the second's first token is late; the third takes 0.79 s a token.
    assert row["kept_targets"] == pytest.approx(1 / 3) and row["goodput_per_s"] == pytest.approx(0.1)
    assert (row["makespan_s"], row["calls_per_s"], row["output_tokens_per_s"]) == (10.0, pytest.approx(0.3), pytest.approx(5.1))
    paused = throughput(spans, {}, pauses=True)
    assert paused["makespan_s"] is None and paused["calls_per_s"] is None and paused["calls"] == 3


def steady(concurrency: int, codes: list[str]) -> dict[str, object]:
    names = dict.fromkeys(("cell", "series", "task", "model", "engine", "hardware", "strategy", "mode"), "same")
    return {**names, "concurrency": concurrency, "steady_valid": not codes, "steady_codes": codes}


def test_a_larger_batch_does_not_count_where_a_smaller_was_unstable() -> None:
    rows = _unstable([steady(1, []), steady(8, ["batch_underfilled"]), steady(32, []), steady(64, ["thermal_drift"])])
    assert [row["steady_valid"] for row in rows] == [True, False, False, False]
    assert rows[2]["steady_codes"] == ["smaller_batch_unstable"]
    assert rows[3]["steady_codes"] == ["thermal_drift", "smaller_batch_unstable"]
