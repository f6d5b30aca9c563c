"""Strategies against votes of equal cost: how many samples cost as much, and the paired difference, by hand."""

from __future__ import annotations

import pytest

from results.matched import _against, _row, _samples, lines, notes


def test_samples_of_equal_cost() -> None:
    assert _samples(10.0, [10.0, 4.0]) == 1.0
    assert _samples(18.0, [10.0, 4.0]) == 3.0  # 10 + 4 + 4: the prompt is paid for once where prefixes are cached
    assert _samples(5.0, [10.0, 4.0]) == 0.5
    assert _samples(None, [10.0, 4.0]) is None and _samples(5.0, None) is None


def test_between_two_k_by_straight_line_and_in_pairs() -> None:
    votes = {"1": [0.5, 0.7, 1.0], "2": [0.25, 0.35, 0.5]}
    found = _against({1: 1.0, 2: 0.0}, votes, [1, 2], 1.5, 3)
    assert found["vote"] == pytest.approx((0.6 + 0.3) / 2)
    assert found["difference"] == pytest.approx(0.5 - 0.45)
    assert found["low"] == pytest.approx(-0.3) and found["high"] == pytest.approx(0.4)  # either problem alone
    assert _against({1: 1.0, 2: 0.0}, votes, [1, 2], 3.0, 3)["vote"] == pytest.approx(0.75)


def reported(tokens: float | None) -> dict[str, object]:
    names = dict.fromkeys(("cell", "series", "task", "model", "engine", "hardware"), "x")
    return {
        **names,
        "strategy": "beam(width=4)",
        "accuracy": 0.5,
        "accuracy_low": 0.1,
        "accuracy_high": 0.9,
        "output_tokens": tokens,
        "flop": None,
        "energy_j": 7.0,
    }


def test_what_cannot_be_matched_says_why() -> None:
    result = {"depth": 3, "charged": {"output_tokens": [10.0, 10.0], "flop": [1.0, 1.0], "energy_j": [1.0, 1.0]}, "votes": {"1": [0.5] * 3}}
    own = {1: 1.0}
    assert _row(reported(5.0), result, own, ["output_tokens"])["reasons"] == {"output_tokens": "below_one_sample"}
    assert _row(reported(31.0), result, own, ["output_tokens"])["reasons"] == {"output_tokens": "beyond_the_pool"}
    assert _row(reported(20.0), result, own, ["flop"])["reasons"] == {"flop": "no_curve"}
    assert _row(reported(20.0), result, own, ["output_tokens"])["reasons"] == {"output_tokens": "fewer_problems"}
    row = _row(reported(20.0), {**result, "votes": {"1": [0.5] * 3, "2": [0.5] * 3}}, {1: 1.0, 2: 1.0}, ["output_tokens", "energy_j"])
    assert (row["output_tokens_k"], row["output_tokens_difference"], row["energy_j_k"]) == (2.0, 0.5, 7.0)
    (line,) = lines([row])
    assert line["equal output tokens (samples)"] == "+50.0 (+50.0 to +50.0) ✓ [2.0]" and line["equal joules (samples)"] == "– [7.0]"
    assert any("beyond the pool" in note for note in notes([row]))
