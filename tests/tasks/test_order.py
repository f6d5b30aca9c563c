"""The fixed order of a task."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasks.order import stratified

sizes = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 30), min_size=1)


def items(counts: dict[str, int]) -> list[tuple[str, int]]:
    return [(category, n) for category, count in counts.items() for n in range(count)]


def order(things: list[tuple[str, int]], seed: str = "s") -> list[tuple[str, int]]:
    return stratified(things, key=lambda t: f"{t[0]}/{t[1]}", category=lambda t: t[0], seed=seed)


@given(sizes)
def test_it_is_a_permutation(counts: dict[str, int]) -> None:
    assert sorted(order(items(counts))) == sorted(items(counts))


@given(sizes, st.randoms(use_true_random=False))
def test_it_does_not_depend_on_the_order_of_the_source(counts: dict[str, int], rng: random.Random) -> None:
    things = items(counts)
    assert order(rng.sample(things, len(things))) == order(things)


@given(sizes)
def test_every_prefix_is_balanced(counts: dict[str, int]) -> None:
    total = sum(counts.values())
    seen: Counter[str] = Counter()
    for k, (category, _) in enumerate(order(items(counts)), start=1):
        seen[category] += 1
        for name, size in counts.items():
            assert abs(seen[name] - k * size / total) < len(counts)


def test_the_seed_shuffles() -> None:
    things = items({"a": 20, "b": 10})
    assert order(things, "s") != order(things, "t")
    assert [c for c, _ in order(things)[:6]].count("a") == 4


def test_the_order_is_the_same_on_every_machine() -> None:
    """A golden order: it may change with a new task version only."""
    assert order(items({"a": 3, "b": 2})) == [("a", 0), ("b", 0), ("a", 2), ("b", 1), ("a", 1)]
