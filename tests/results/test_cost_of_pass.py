"""Cost-of-pass, by the paper's definitions, on numbers that can be checked by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results.cost_of_pass import essentialness, frontier, of_pass, per_problem


def frame(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["model", "problem", "cost", "correct"])


# Two attempts each. small: v(p)=1/0.5=2, v(q)=∞. large: v(p)=10/1=10, v(q)=10/0.5=20.
EXAMPLE = frame(
    *(("small", "p", 1.0, c) for c in (1, 0)),
    *(("small", "q", 1.0, c) for c in (0, 0)),
    *(("large", "p", 10.0, c) for c in (1, 1)),
    *(("large", "q", 10.0, c) for c in (1, 0)),
)


def test_v_is_cost_over_success_rate() -> None:
    assert per_problem(EXAMPLE)["v"].to_dict() == {
        ("large", "p"): 10.0,
        ("large", "q"): 20.0,
        ("small", "p"): 2.0,
        ("small", "q"): math.inf,
    }


def test_the_frontier_is_the_mean_of_the_minima_not_the_minimum_of_the_means() -> None:
    assert frontier(EXAMPLE) == pytest.approx((2 + 20) / 2)
    assert frontier(EXAMPLE[EXAMPLE["model"] == "large"]) == pytest.approx(15)
    assert frontier(EXAMPLE[EXAMPLE["model"] == "small"]) == math.inf


def test_the_human_bounds_every_problem() -> None:
    assert frontier(EXAMPLE, human=5.0) == pytest.approx((2 + 5) / 2)
    assert frontier(EXAMPLE, human={"q": 4.0}) == pytest.approx((2 + 4) / 2)
    assert frontier(EXAMPLE[EXAMPLE["model"] == "small"], human=5.0) == pytest.approx((2 + 5) / 2)


def test_essentialness_is_the_share_of_the_cost_without_a_group_that_it_saves() -> None:
    # without large: (2 + 30)/2 = 16, with: 11. Without small: 15.
    assert essentialness(EXAMPLE, "large", human=30.0) == pytest.approx((16 - 11) / 16)
    assert essentialness(EXAMPLE, ["small"], human=30.0) == pytest.approx((15 - 11) / 15)
    assert essentialness(EXAMPLE, ["small", "large"], human=30.0) == pytest.approx((30 - 11) / 30)
    assert essentialness(EXAMPLE, "nobody", human=30.0) == 0.0


def test_problems_that_only_the_group_attempted_stay_in() -> None:
    more = pd.concat([EXAMPLE, frame(("large", "r", 1.0, 1))])
    # with: (2 + 20 + 1)/3; without large the human answers q and r: (2 + 30 + 30)/3
    assert essentialness(more, "large", human=30.0) == pytest.approx((62 - 23) / 62)


def test_without_a_human_infinities_are_named() -> None:
    assert essentialness(EXAMPLE, "large") == 1.0
    assert math.isnan(essentialness(EXAMPLE[EXAMPLE["model"] == "small"], "small"))


def test_an_unsolved_problem_is_never_dropped() -> None:
    cell = frame(("m", "p", 1.0, 1), ("m", "q", 1.0, 0))
    assert of_pass(cell) == math.inf
    assert of_pass(cell[cell["problem"] == "p"]) == 1.0


def test_other_quantities_by_the_same_formula() -> None:
    cell = EXAMPLE[EXAMPLE["model"] == "large"].assign(joules=3.0)
    assert of_pass(cell, "joules") == pytest.approx((3 + 6) / 2)


def test_it_ranks_otherwise_than_cost_per_correct_answer() -> None:
    # even:   two problems at 2, each solved half the time       → of pass 4,          per correct 4
    # uneven: an easy one at 0.5, always solved; a hard one at 2, solved once in five → of pass (0.5 + 10)/2 = 5.25,
    #         per correct (5·0.5 + 5·2) / (5 + 1) = 2.08: cheaper by this, dearer by that
    even = frame(*(("even", p, 2.0, c) for p in "pq" for c in (1, 0)))
    uneven = frame(*(("uneven", "p", 0.5, 1) for _ in range(5)), *(("uneven", "q", 2.0, c) for c in (1, 0, 0, 0, 0)))
    per_correct = [f["cost"].sum() / f["correct"].sum() for f in (even, uneven)]
    assert of_pass(even) < of_pass(uneven) and per_correct[0] > per_correct[1]


def test_unknown_costs() -> None:
    partly = frame(("m", "p", math.nan, 1), ("m", "p", 4.0, 1))
    assert frontier(partly) == 4.0
    unknown = frame(("m", "p", math.nan, 1))
    assert math.isnan(frontier(unknown)) and frontier(unknown, human=3.0) == 3.0
    assert math.isnan(frontier(EXAMPLE.iloc[:0]))


ATTEMPT = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["p", "q"]), st.floats(0, 100), st.booleans())


@settings(deadline=None)
@given(st.lists(ATTEMPT, min_size=1, max_size=20))
def test_more_models_never_cost_more_and_essentialness_is_a_share(rows: list[tuple[str, str, float, bool]]) -> None:
    table = frame(*rows)
    for model in "abc":
        rest = table[table["model"] != model]
        if set(rest["problem"]) == set(table["problem"]):
            assert frontier(table, 50.0) <= frontier(rest, 50.0) + 1e-9
        assert -1e-9 <= essentialness(table, model, 50.0) <= 1
    assert frontier(table, 50.0) <= 50.0
