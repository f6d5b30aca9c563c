"""A router's features and its chance."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.routing import QUESTION, SAMPLE, Router, features


def test_features_are_logarithms_of_counts() -> None:
    found = dict(zip(QUESTION, features("Ann has 12 figs. Bo ate 3.5 + 1!\nHow many?"), strict=True))
    counts = {"characters": 42, "words": 11, "sentences": 3, "lines": 1, "numbers": 3, "largest": 12.0, "symbols": 1, "capitals": 3}
    assert {name: pytest.approx(math.expm1(value)) for name, value in found.items()} == counts
    assert features("What?", 15, True)[len(QUESTION) :] == (math.log1p(15), 1.0) and len(features("")) == len(QUESTION)


@given(st.text(max_size=60), st.integers(0, 10**6))
def test_any_question_has_a_chance(question: str, tokens: int) -> None:
    values = features(question, tokens)
    names = (*QUESTION, *SAMPLE)
    router = Router(names, (0.5,) * len(names), (0.1,) * len(names), (100.0,) * len(names), -3.0)
    assert len(values) == len(names) and 0 <= router.chance(values) <= 1 and all(map(math.isfinite, values))


def test_a_chance_is_the_logistic_function_of_standardised_features() -> None:
    router = Router(QUESTION, (1.0,) * 8, (2.0,) * 8, (0.5, *[0.0] * 7), 0.25)
    assert router.chance((3.0,) * 8) == pytest.approx(1 / (1 + math.exp(-0.75))) and not router.reads_sample
