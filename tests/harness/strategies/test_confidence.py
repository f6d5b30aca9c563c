"""Confidences of tokens: what is measured, who votes, what is stopped and charged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.strategies.confidence import _groups, _measured, _percentile
from harness.strategy import strategies
from harness.types import Sample, Sampling, Timing, Usage
from perpass.errors import UserError
from tests.harness.strategies.told import Told, ask, numbered, outputs

NUMBERS = st.lists(st.floats(0, 30), min_size=1, max_size=40)


def sample(confidence: Sequence[float]) -> Sample:
    return Sample("", tuple(range(len(confidence))), "eos", Usage(), Timing(0, 0, 0), confidence=tuple(confidence))


def test_measures_by_hand() -> None:
    ten = sample([9.0, 1.0, 3.0, 8.0, *[10.0] * 16])
    assert _groups(ten, 2)[:4] == [5.0, 2.0, 5.5, 9.0]
    assert _measured(ten, "mean", 2) == pytest.approx(181 / 20)
    assert _measured(ten, "tail", 17) == pytest.approx(168 / 17)
    assert _measured(ten, "lowest", 2) == 2.0
    assert _measured(ten, "bottom", 2) == (2.0 + 5.0) / 2  # the lowest tenth of 19 groups, rounded up
    assert _groups(sample([1.0, 2.0]), 2048) == [1.5]


@given(NUMBERS, st.integers(1, 50), st.integers(1, 50))
def test_groups_are_sliding_means(confidence: list[float], size: int, last: int) -> None:
    found, wide = _groups(sample(confidence), size), min(size, len(confidence))
    assert found == pytest.approx([np.mean(confidence[i : i + wide]) for i in range(len(confidence) - wide + 1)])
    assert _groups(sample(confidence), size, last) == found[-last:]


@given(NUMBERS, st.floats(0, 1))
def test_the_bar_is_numpy_s_percentile(values: list[float], share: float) -> None:
    assert _percentile(values, share) == pytest.approx(np.percentile(values, 100 * share)) and _percentile(values, share) <= max(values)


def sure(texts: Sequence[str], levels: Sequence[float]) -> dict[str, list[float]]:
    return {text: [level] * (len(text) + 1) for text, level in zip(texts, levels, strict=True)}


@pytest.mark.parametrize(("keep", "winner"), [(1.0, "1"), (0.5, "2"), (0.1, "3")])
def test_only_the_confident_share_votes(keep: float, winner: str) -> None:
    texts = [*numbered("1112233")[:6], "6: no answer"]
    engine = Told(texts, confidence=sure(texts, (6, 6, 6, 7, 7, 13, 99)))
    assert ask("deepconf_offline", engine, n=7, keep=keep).answer.items == (winner,)


def test_a_trace_that_falls_below_the_bar_is_stopped_does_not_vote_and_is_charged_what_it_had() -> None:
    texts = numbered("12" + "3345")
    shape = {  # 19 tokens each; the bar is the higher of the first two: 5
        texts[0]: [4.0] * 19,
        texts[1]: [5.0] * 19,
        texts[2]: [9.0] * 6 + [1.0] * 13,
        texts[3]: [9.0] * 15 + [1.0] * 4,
        texts[4]: [5.5] * 19,
        texts[5]: [6.0] * 17 + [0.0] * 2,
    }
    done = ask("deepconf_online", Told(texts, confidence=shape), n=6, warmup=2, keep=0.001, group=4, every=2)
    # 9 9 1 1 is at the bar, 9 1 1 1 at the ninth token below it, seen at the tenth; likewise at the 18th; the last falls at its end
    assert [c.made.usage.output for c in done.calls] == [19] * 6
    assert outputs(done) == [19, 19, 10, 18, 19, 18] and done.serial_tokens == 19 + 19
    assert done.answer.items == ("4",)  # 5.5 against the bar's own 5; both threes were stopped
    assert done.calls[2].kept.finish == "stop"


def test_a_trace_shorter_than_a_group_is_never_stopped_and_votes_if_it_is_sure() -> None:
    texts = numbered("1223")
    engine = Told(texts, confidence=sure(texts, (5.0, 1.0, 6.0, 7.0)))
    done = ask("deepconf_online", engine, n=4, warmup=1, every=1)
    assert outputs(done) == [19] * 4 and done.answer.items == ("3",)


def test_warm_up_alone_is_enough() -> None:
    texts = numbered("12")
    assert ask("deepconf_online", Told(texts, confidence=sure(texts, (1.0, 2.0))), n=2).answer.items == ("2",)


@pytest.mark.parametrize(("power", "winner"), [(0.01, "1"), (1.0, "2"), (20.0, "3")])
def test_ranks_vote_by_power(power: float, winner: str) -> None:
    texts = numbered("111223")  # ranks 6 5 4, 3 2, 1: Borda 1 + 2 + 3 = 6, 4 + 5 = 9, 6
    assert ask("self_certainty", Told(texts, confidence=sure(texts, range(6))), n=6, power=power).answer.items == (winner,)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("deepconf_offline", {"measure": "max"}, "measure='max': input should be 'mean', 'tail', 'bottom' or 'lowest'"),
        ("deepconf_online", {"keep": 0.0}, "keep=0.0: input should be greater than 0"),
        ("self_certainty", {"power": -1.0}, "power=-1.0: input should be greater than 0"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})
