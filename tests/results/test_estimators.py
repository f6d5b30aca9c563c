"""The estimators equal the enumeration of all subsets, on all pools of up to 8 samples, and what strategies do on pools of 64."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations, product
from math import comb
from random import Random
from statistics import mean, stdev
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import votes
from results.estimators import all_pass_curve, best_curve, best_of_k, g_pass_curve, maj_at_k, mg_pass_curve, pass_at_k, pass_curve
from results.votes import maj_curves, profile, weighted_curve

EXACT: Any = {"rtol": 0, "atol": 1e-12}
Array = Any


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_correct_sample(correct: list[bool], data: Any) -> None:
    k = data.draw(st.integers(1, len(correct)))
    assert pass_at_k(len(correct), sum(correct), k) == pytest.approx(mean(float(any(s)) for s in combinations(correct, k)))


def majority(subset: tuple[int | None, ...], right: set[int]) -> float:
    votes = [v for v in subset if v is not None]
    most = max((votes.count(v) for v in votes), default=0)
    winners = {v for v in votes if votes.count(v) == most}
    return len(winners & right) / len(winners) if winners else 0.0


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=7), st.sets(st.integers(0, 3)), st.data())
def test_maj_at_k_is_the_mean_over_subsets_with_ties_broken_evenly(classes: list[int | None], right: set[int], data: Any) -> None:
    k = data.draw(st.integers(1, len(classes)))
    expected = mean(majority(s, right) for s in combinations(classes, k))
    assert maj_at_k(classes, [c in right for c in classes], k) == pytest.approx(expected)


def best(subset: tuple[tuple[float | None, bool], ...]) -> float:
    ranked = [(float("-inf") if s is None else s, c) for s, c in subset]
    top = max(s for s, _ in ranked)
    return mean(float(c) for s, c in ranked if s == top)


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3).map(float)), st.booleans()), min_size=1, max_size=7), st.data())
def test_best_of_k_is_the_mean_over_subsets_with_ties_broken_evenly(samples: list[tuple[float | None, bool]], data: Any) -> None:
    k = data.draw(st.integers(1, len(samples)))
    expected = mean(best(s) for s in combinations(samples, k))
    assert best_of_k([s for s, _ in samples], [c for _, c in samples], k) == pytest.approx(expected)


def test_known_values() -> None:
    assert pass_at_k(5, 2, 3) == pytest.approx(0.9)
    assert maj_at_k(["a", "a", "b"], [True, True, False], 3) == 1.0
    assert maj_at_k([None, None], [False, False], 2) == 0.0
    assert best_of_k([float("nan"), 0.1], [True, False], 2) == 0.0


def test_large_pools_are_exact_and_quick() -> None:
    answers = [n % 17 for n in range(128)]
    assert 0 < maj_at_k(answers, [a == 0 for a in answers], 64) < 1
    assert pass_at_k(10_000, 1, 5_000) == pytest.approx(0.5)


# --- every k at once: all subsets as a matrix, on all pools of up to 8 samples ------------------------------------------------------------


@cache
def subsets(n: int) -> tuple[Array, Array]:
    """All non-empty subsets of n samples, a row each, and their sizes."""
    every = np.array(list(product((False, True), repeat=n)))[1:]
    return every, every.sum(axis=1)


def averaged(n: int, values: Array) -> Array:
    """The mean value of the subsets of each size."""
    _, sizes = subsets(n)
    return np.bincount(sizes, values)[1:] / np.bincount(sizes)[1:]


def vote(classes: Sequence[int | None], right: Sequence[float], weights: Sequence[float]) -> Array:
    every, _ = subsets(len(classes))
    own = np.array([[c == name for name in range(len(right))] for c in classes])
    totals = np.where(every @ own, every @ (own * np.array(weights)[:, None]), -1.0)
    leading = (totals == totals.max(axis=1, keepdims=True)) & (totals >= 0)
    return averaged(len(classes), leading @ np.array(right) / np.maximum(1, leading.sum(axis=1)))


def partitions(total: int, largest: int | None = None) -> Iterator[tuple[int, ...]]:
    """Ways to write `total` as a sum, in descending order."""
    if total == 0:
        yield ()
    for first in range(min(total, largest or total), 0, -1):
        for rest in partitions(total - first, first):
            yield (first, *rest)


def pools(n: int) -> Iterator[tuple[list[int | None], tuple[float, ...]]]:
    """All pools of n samples up to the names of answers: sample by sample its class, and which classes are right."""
    for voting in range(n + 1):
        for sizes in partitions(voting):
            classes = [name for name, size in enumerate(sizes) for _ in range(size)] + [None] * (n - voting)
            for right in product((0.0, 1.0), repeat=len(sizes)):
                yield classes, right


@pytest.mark.parametrize("n", range(1, 9))
def test_plurality_equals_the_enumeration_on_all_pools(n: int) -> None:
    every = list(pools(n))
    found = maj_curves(n, [profile(c, [x is not None and right[x] == 1 for x in c]) for c, right in every])
    np.testing.assert_allclose(found, [vote(c, right or (0.0,), [1.0] * n) for c, right in every], **EXACT)


@pytest.mark.parametrize("n", range(1, 9))
def test_coverage_and_consistency_equal_the_enumeration_on_all_pools(n: int) -> None:
    every, sizes = subsets(n)
    hits = [every @ np.arange(n).__lt__(c).astype(int) for c in range(n + 1)]
    np.testing.assert_allclose(pass_curve(n, range(n + 1)), [averaged(n, h > 0) for h in hits], **EXACT)
    np.testing.assert_allclose(all_pass_curve(n, range(n + 1)), [averaged(n, h == sizes) for h in hits], **EXACT)
    for twentieths in range(21):
        least = [averaged(n, (h > 0) & (20 * h >= twentieths * sizes)) for h in hits]
        np.testing.assert_allclose(g_pass_curve(n, range(n + 1), twentieths / 20), least, **EXACT)
    # 2 ∫ over τ of a step function: the share of (0.5, 1] below j / k
    np.testing.assert_allclose(mg_pass_curve(n, range(n + 1)), [averaged(n, np.maximum(0, 2 * h / sizes - 1)) for h in hits], **EXACT)


@pytest.mark.parametrize("n", range(1, 9))
def test_best_of_k_equals_the_enumeration_on_all_pools(n: int) -> None:
    every, _ = subsets(n)
    found, expected = [], []
    for sizes in (s for cuts in product((0, 1), repeat=n - 1) for s in [np.diff([0, *np.flatnonzero(cuts) + 1, n])]):
        scores = np.repeat(np.arange(len(sizes)), sizes)
        ranked = np.where(every, scores, -1)
        leading = ranked == ranked.max(axis=1, keepdims=True)
        for right in product(*(range(size + 1) for size in sizes)):
            correct = np.concatenate([np.arange(size) < c for size, c in zip(sizes, right, strict=True)])
            expected.append(averaged(n, (leading & correct).sum(axis=1) / leading.sum(axis=1)))
            found.append(best_curve(scores.tolist(), correct.tolist()))
    np.testing.assert_allclose(found, expected, **EXACT)


@settings(deadline=None)
@given(st.data())
def test_a_weighted_vote_equals_the_enumeration(data: Any) -> None:
    n = data.draw(st.integers(1, 8))
    classes = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=n, max_size=n))
    right = data.draw(st.tuples(*[st.sampled_from((0.0, 1.0))] * 4))
    weight = st.one_of(st.sampled_from((0.0, 0.25, 0.5, 1.0)), st.integers(0, 1 << 20).map(lambda x: x / (1 << 20)))
    weights = data.draw(st.lists(weight, min_size=n, max_size=n))
    found, error = weighted_curve(classes, [c is not None and right[c] == 1 for c in classes], weights)
    np.testing.assert_allclose(found, vote(classes, right, weights), **EXACT)
    assert not error.any()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=2, max_size=64), st.sets(st.integers(0, 9)), st.data())
def test_curves_equal_the_rational_numbers_on_larger_pools(classes: list[int | None], right: set[int], data: Any) -> None:
    n, correct = len(classes), [c in right for c in classes]
    k = data.draw(st.integers(1, n))
    scores = data.draw(st.lists(st.sampled_from((None, 0.1, 0.2, 0.7)), min_size=n, max_size=n))
    assert maj_curves(n, [profile(classes, correct)])[0][k - 1] == pytest.approx(maj_at_k(classes, correct, k), abs=1e-12)
    assert pass_curve(n, [sum(correct)])[0][k - 1] == pytest.approx(pass_at_k(n, sum(correct), k), abs=1e-12)
    assert best_curve(scores, correct)[k - 1] == pytest.approx(best_of_k(scores, correct, k), abs=1e-12)
    equal, _ = weighted_curve(classes, correct, [0.3] * n)
    assert equal[k - 1] == pytest.approx(maj_at_k(classes, correct, k), abs=1e-12)


def test_g_pass_is_the_hypergeometric_tail_and_its_mean_the_published_sum() -> None:
    n, c, k = 48, 31, 16  # the paper samples 48 times

    def tail(least: int) -> float:
        return sum(comb(c, j) * comb(n - c, k - j) for j in range(least, k + 1)) / comb(n, k)

    for tau, least in ((0.25, 4), (0.5, 8), (0.75, 12), (1.0, 16)):
        assert g_pass_curve(n, [c], tau)[0][k - 1] == pytest.approx(tail(least), abs=1e-12)
    published = 2 / k * sum(tail(i) for i in range(k // 2 + 1, k + 1))
    assert mg_pass_curve(n, [c])[0][k - 1] == pytest.approx(published, abs=1e-12)
    assert g_pass_curve(100, [7], 0.07)[0][99] == pytest.approx(1.0)  # at least 7 of 100; in floats 0.07 × 100 is more


def test_a_pool_of_a_hundred_is_right_too() -> None:
    classes = [n % 11 for n in range(150)]
    correct = [c < 2 for c in classes]
    for k in (1, 37, 150):
        assert maj_curves(150, [profile(classes, correct)])[0][k - 1] == pytest.approx(maj_at_k(classes, correct, k), abs=1e-12)
    assert pass_curve(10_000, [1])[0][4_999] == pytest.approx(0.5)


# --- against what strategies do -----------------------------------------------------------------------------------------------------------


def pool64(seed: int) -> tuple[list[str | None], list[float]]:
    rng = Random(seed)
    answers = [rng.choice([None, "3", "3", "4", "4", "5", "6", "8"]) for _ in range(64)]
    return answers, [rng.random() + (a == "3") * 0.3 for a in answers]


@pytest.mark.parametrize("seed", range(3))
def test_the_plurality_of_a_pool_of_64_is_that_of_the_strategy_in_replay(seed: int) -> None:
    from harness.strategies.voting import plurality
    from harness.types import Sample, Timing, Usage
    from tasks import answers

    written, _ = pool64(seed)
    samples = [Sample(a or "", (), "eos", Usage(), Timing(0, 0, 0)) for a in written]
    context = SimpleNamespace(extract=lambda text: (text or None,), classes=answers.classes)
    exact = maj_curves(64, [profile(written, [a == "3" for a in written])])[0]
    rng = Random(seed)

    async def replayed(k: int) -> list[bool]:
        chosen = [await plurality(context, rng.sample(samples, k)) for _ in range(400)]  # type: ignore[arg-type]
        return [answer.items == ("3",) for answer in chosen]

    for k in (1, 2, 5, 16, 40):
        found = asyncio.run(replayed(k))
        assert abs(mean(found) - exact[k - 1]) < 4 * stdev(found) / len(found) ** 0.5 + 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_a_weighted_vote_of_64_is_within_its_error_of_a_replay(seed: int) -> None:
    written, weights = pool64(seed)
    found, error = weighted_curve(written, [a == "3" for a in written], weights)
    assert (error[1:32] > 0).all() and error[0] == error[-1] == 0
    rng = Random(seed)
    for k in (1, 2, 5, 16, 40):
        won = []
        for _ in range(2_000):
            totals: dict[str, float] = {}
            for at in rng.sample(range(64), k):
                if (name := written[at]) is not None:
                    totals[name] = totals.get(name, 0.0) + weights[at]
            won.append(bool(totals) and max(totals, key=lambda name: totals[name]) == "3")
        assert abs(mean(won) - found[k - 1]) < 4 * (stdev(won) ** 2 / len(won) + error[k - 1] ** 2) ** 0.5 + 1e-12


def test_a_weighted_vote_is_seeded_and_its_error_shrinks_with_the_draws() -> None:
    written, weights = pool64(9)
    correct = [a == "3" for a in written]
    first, error = weighted_curve(written, correct, weights, draws=200, seed=5)
    again, _ = weighted_curve(written, correct, weights, draws=200, seed=5)
    _, less = weighted_curve(written, correct, weights, draws=3_200, seed=5)
    assert (first == again).all()
    assert less[1:32].mean() == pytest.approx(error[1:32].mean() / 4, rel=0.2)


def test_few_sums_of_weights_are_exact_where_random_orders_are_near(monkeypatch: pytest.MonkeyPatch) -> None:
    written, _ = pool64(4)
    ratings = [float(n % 5) for n in range(64)]
    exact, none = weighted_curve(written, [a == "3" for a in written], ratings)
    monkeypatch.setattr(votes, "STATES", 1)
    near, error = weighted_curve(written, [a == "3" for a in written], ratings, draws=4_000)
    assert not none.any() and (error[1:16] > 0).all()
    assert (abs(exact - near) <= 4.5 * error + 1e-12)[:16].all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: pass_at_k(3, 4, 1),
        lambda: pass_at_k(3, 1, 4),
        lambda: pass_at_k(3, 1, 0),
        lambda: maj_at_k(["a"], [True, False], 1),
        lambda: maj_at_k(["a", "a"], [True, False], 1),
        lambda: best_of_k([], [], 1),
        lambda: pass_curve(3, [4]),
        lambda: all_pass_curve(0, []),
        lambda: g_pass_curve(3, [1], 1.5),
        lambda: best_curve([0.1], []),
        lambda: profile(["a"], []),
        lambda: maj_curves(2, [((3, 1.0),)]),
        lambda: maj_curves(votes.LARGEST + 1, []),
        lambda: weighted_curve(["a"], [True], [-1.0]),
        lambda: weighted_curve(["a"], [True], []),
    ],
)
def test_what_cannot_be_is_a_value_error(call: Any) -> None:
    with pytest.raises(ValueError):
        call()
