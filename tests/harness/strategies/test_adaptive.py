"""Adaptive sampling: when it stops, how much it draws, and what is charged."""

from __future__ import annotations

from dataclasses import replace
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from harness.strategies.adaptive import RESTART, _ahead
from harness.strategy import strategies
from harness.testing import ScriptedEngine
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.told import Told, ask, boxes, numbered, outputs


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 5))
def test_the_lead_is_the_paper_s_beta_probability(a: int, b: int, third: int) -> None:
    a, b, third = sorted((a, b, third), reverse=True)
    classes = [0] * a + [-1] + [1] * b + [2] * third
    assert _ahead(classes) == pytest.approx(beta.sf(0.5, a + 1, b + 1), abs=1e-12)


@pytest.mark.parametrize(
    ("digits", "drawn"),
    [("1111", 4), ("21111" + "1", 6 + 1), ("...1111", 7), ("12" * 6, 12)],
)
def test_sampling_stops_when_the_majority_is_clear(digits: str, drawn: int) -> None:
    done = ask("adaptive_consistency", Told(boxes(digits + "1" * 20)), n=12)
    assert len(done.calls) == drawn and done.answer.items == ("1",)


def test_waves_are_drawn_at_once_and_never_beyond_n() -> None:
    done = ask("adaptive_consistency", Told(boxes("11111")), n=12, wave=5)
    assert len(done.calls) == 5 and done.serial_tokens == 16  # one wave takes as long as its longest sample
    assert len(ask("adaptive_consistency", Told(boxes("1" * 7 + "2" * 7)), n=7, wave=3, threshold=1.0).calls) == 7


def test_with_several_items_each_has_to_be_settled() -> None:
    texts = [f"\\boxed{{1}} \\boxed{{{b}}}" for b in "2333333333"]
    assert len(ask("adaptive_consistency", Told(texts), Digits(items=2), n=10).calls) == 7


@pytest.mark.parametrize(("digits", "drawn", "winner"), [("11111", 5, "1"), ("12222" + "33333", 10, "3"), ("1222." * 8, 40, "2")])
def test_a_window_that_agrees_ends_it_and_all_drawn_vote(digits: str, drawn: int, winner: str) -> None:
    done = ask("early_stopping_consistency", Told(boxes(digits)))
    assert len(done.calls) == drawn and done.answer.items == (winner,)


def test_a_window_without_answers_does_not_agree() -> None:
    assert len(ask("early_stopping_consistency", Told(boxes("....11")), n=10, window=2).calls) == 6


@pytest.mark.parametrize(
    ("rewards", "scale", "drawn"),
    [
        ((0.9, 0.9), 1.0, 2),  # 1 − 0.1² = 0.99
        ((0.5, 0.5), 1.0, 7),  # 1 − 0.5⁷ = 0.992, one fewer 0.984
        ((1.0, 0.0), 1.0, 7),
        ((1.0, 1.0), 0.5, 7),  # twice as sure as it should be
        ((1.0, 1.0), 1.0, 2),
        ((None, None), 1.0, 20),
        ((0.01, 0.0), 1.0, 20),
    ],
)
def test_the_reward_says_how_many_samples_a_problem_needs(rewards: tuple[float | None, float | None], scale: float, drawn: int) -> None:
    scores = {"0": rewards[0], "1": rewards[1], "6": 0.99}
    engine = Told(numbered("1" * 20), rewards=lambda steps: [scores.get(steps[0].partition(":")[0], 0.1)])
    done = ask("instance_adaptive", engine, n=20, scale=scale)
    assert len(outputs(done)) == drawn and sum(call.kind == "reward" for call in done.calls) == drawn
    if drawn == 7 and rewards[0] == 0.5:
        assert done.answer.text.startswith("6:")


@pytest.mark.parametrize(("p", "few", "drawn"), [(0.5, 1, 1), (0.499, 1, 4), (0.9, 2, 2), (0.9, 9, 4)])
def test_who_can_answer_gets_few_samples(p: float, few: int, drawn: int) -> None:
    engine = Told(boxes("1111"), yes=lambda asked: p)
    done = ask("internal_confidence", engine, many=4, few=few)
    assert [call.kind for call in done.calls] == ["score"] * 2 + ["generate"] * drawn
    assert "step by step" not in str(done.calls[0].prompt) and done.calls[0].role == "policy"


def test_heads_that_would_gain_from_a_restart_are_not_finished_and_the_best_of_the_rest_is_taken() -> None:
    texts = [f"{c}{'.' * length}{box}" for c, length, box in zip("abcd", (60, 20, 30, 10), boxes("1234"), strict=True)]
    restart = {"a": 0.9, "b": 0.2, "c": 0.3, "d": 0.6}

    def yes(asked: str) -> float:
        said = asked.partition("[assistant]")[2]
        assert asked.endswith(f"\n[user]{RESTART}\n[assistant]")
        whole = "boxed" in said
        return 0.95 if whole and said[0] == "b" else restart[said[0]]

    done = ask("adaptive_best_of_n", Told(texts, yes=yes), n=4, head=8)
    assert outputs(done) == [8, 37, 47, 8] and done.serial_tokens == 47
    assert done.answer.text == texts[2]  # b promised more, c ended better
    asked = [call.prompt.turns[1].content for call in done.calls if call.kind == "score"][::2]
    assert asked == [t[:8] for t in texts] + texts[1:3]
    live = replace(cell("adaptive_best_of_n", place(ScriptedEngine())), mode="live")
    assert "run it pooled" in str(live.strategy.strategy.obstacle(live))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("adaptive_consistency", {"wave": 0}, "wave=0: input should be greater than or equal to 1"),
        ("adaptive_consistency", {"threshold": 1.5}, "threshold=1.5: input should be less than or equal to 1"),
        ("instance_adaptive", {"target": 0.0}, "target=0.0: input should be greater than 0"),
        ("adaptive_best_of_n", {"keep": 2.0}, "keep=2.0: input should be less than or equal to 1"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})


def test_four_that_agree_are_enough() -> None:
    assert _ahead([0] * 4) == 1 - 0.5**5 and _ahead([0] * 3) < 0.95 and comb(5, 5) / 2**5 == 1 - _ahead([0] * 4)
