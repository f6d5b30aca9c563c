"""Each reallocation rule alone, against cases worked by hand and against laws."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.strategies import search_rules as rules
from harness.strategies.search_rules import Path, Paths
from harness.types import Sample, Timing, Usage

RNG = random.Random(0)


def path(value: float | None, done: bool = False, tree: int = 0) -> Path:
    return Path(values=(value,), done=done, tree=tree)


def values(paths: Paths) -> list[float | None]:
    return [p.values[-1] for p in paths]


def test_beam_keeps_the_best_and_continues_each_as_often() -> None:
    population = [path(0.5), path(0.9), path(None), path(0.7)]
    assert values(rules.survivors(population, [], 4, RNG, fan=2)) == [0.9, 0.9, 0.7, 0.7]
    assert values(rules.survivors(population[2:3], [], 4, RNG, fan=2)) == [None, None]


def test_finished_paths_hold_their_place_in_a_beam_and_are_not_continued() -> None:
    ended, left = path(0.8, done=True), path(0.1, done=True)
    assert rules.survivors([path(0.9), path(0.7)], [ended, left], 4, RNG, fan=2) == [path(0.9), path(0.9), ended]
    assert rules.survivors([path(0.1)], [path(0.1, True)], 2, RNG, fan=2) == [path(0.1, True)]  # of equals the finished one


def test_in_a_beam_of_distinct_paths_equal_ones_are_one() -> None:
    def said(text: str, value: float) -> Path:
        return Path((Sample(text, (), "stop", Usage(), Timing(0, None, 0)),), (value,))

    population = [said("a", 0.9), said("a", 0.9), said("b", 0.5)]
    assert [p.text for p in rules.survivors(population, [], 2, RNG, fan=1)] == ["a", "a"]
    assert [p.text for p in rules.survivors(population, [], 2, RNG, fan=1, distinct=True)] == ["a", "b"]


def test_a_stochastic_beam_draws_without_replacement_in_proportion() -> None:
    population, rng = [path(0.0), path(0.5 * math.log(3)), path(0.5 * math.log(6))], random.Random(1)  # weights 1, 3, 6 at noise 0.5
    drawn = Counter(tuple(values(rules.survivors(population, [], 2, rng, fan=1, noise=0.5))) for _ in range(20_000))
    weight = dict(zip(values(population), (1, 3, 6), strict=True))
    for first, second in permutations(weight, 2):
        assert drawn[first, second] / 20_000 == pytest.approx(weight[first] / 10 * weight[second] / (10 - weight[first]), abs=0.01)


def test_what_has_no_value_is_drawn_last() -> None:
    population = [path(None), path(0.0), path(0.1)]
    assert all(None not in values(rules.survivors(population, [], 2, RNG, fan=1, noise=1.0)) for _ in range(50))


def test_dvts_keeps_trees_apart() -> None:
    population = [path(0.2, tree=0), path(0.3, tree=0), path(0.9, tree=1), path(0.8, tree=1)]
    assert rules.separate(population, [], 4, RNG, fan=2) == [path(0.3, tree=0)] * 2 + [path(0.9, tree=1)] * 2


def test_a_tree_of_dvts_is_over_when_its_best_path_has_finished() -> None:
    ended = [path(0.4, True, 0), path(0.1, True, 0), path(0.5, True, 1)]
    assert rules.separate([path(0.3, tree=0), path(0.9, tree=1)], ended, 4, RNG, fan=2) == [*ended[:2], *[path(0.9, tree=1)] * 2]


def test_rebase_shares_the_width_by_softmax_from_the_best_rounding_up() -> None:
    half, quarter = path(0.2 * math.log(2)), path(0.0)  # softmax at 0.2: 1/2, 1/4, 1/4
    assert Counter(values(rules.balanced([quarter, half, quarter], [], 8, RNG, temperature=0.2))) == {half.value: 4, 0.0: 4}
    ended = [path(0.9, True)] * 3  # 5 are left: ceil(5/2) = 3, then ceil(2 · 1/2) = 1, then 1
    assert values(rules.balanced([quarter, half, quarter], ended, 8, RNG, temperature=0.2)) == [0.9] * 3 + [half.value] * 3 + [0.0] * 2
    assert rules.balanced([half], ended, 3, RNG, temperature=0.2) == ended


def test_rebase_gives_nothing_to_what_has_no_value_unless_nothing_has() -> None:
    assert values(rules.balanced([path(None), path(0.5)], [], 4, RNG, temperature=0.2)) == [0.5] * 4
    assert values(rules.balanced([path(None), path(None)], [], 4, RNG, temperature=0.2)) == [None] * 4


def test_particles_are_drawn_by_odds_finished_ones_included() -> None:
    rng, drawn = random.Random(2), Counter[float | None]()
    for _ in range(2_000):  # odds 1/3 and 3: one to nine
        drawn.update(values(rules.resampled([path(0.25), path(None)], [path(0.75, True)], 5, rng, temperature=1.0)))
    assert drawn.total() == 10_000 and drawn[None] == 0
    assert drawn[0.75] / 10_000 == pytest.approx(0.9, abs=0.01)


def test_a_soft_draw_of_particles_evens_their_odds() -> None:
    rng = random.Random(3)
    drawn = Counter(values(rules.resampled([path(0.25), path(0.75)], [], 10_000, rng, temperature=2.0)))
    assert drawn[0.75] / 10_000 == pytest.approx(0.75, abs=0.01)  # √9 to one


def test_the_retained_path_of_particle_gibbs_always_survives_and_may_be_copied() -> None:
    held = replace(path(0.999), ahead=(path(0.5, True),))
    following = rules.resampled([held, path(0.001)], [], 4, random.Random(0), temperature=0.5)
    assert following == [path(0.999)] * 3 + [held]
    unlikely = replace(path(None), ahead=())
    assert rules.resampled([path(0.5)], [unlikely], 3, RNG, temperature=1.0) == [path(0.5)] * 2 + [unlikely]


def test_a_retained_path_walks_through_its_own_beginnings() -> None:
    pieces = tuple(Sample(text, (), "stop", Usage(), Timing(0, None, 0)) for text in "abc")
    ended = Path(pieces, (0.1, None, 0.3), done=True)
    assert [(p.text, p.values, p.done) for p in ended.again().ahead or ()] == [
        ("a", (0.1,), False),
        ("ab", (0.1, None), False),
        ("abc", (0.1, None, 0.3), True),
    ]


VALUES = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=8)


@given(VALUES, VALUES, st.integers(1, 12), st.integers(0, 2**32))
def test_no_rule_grows_a_population_beyond_its_width(live: list[float | None], over: list[float | None], width: int, seed: int) -> None:
    population, finished, rng = [path(v) for v in live], [path(v, True) for v in over[: width - 1]], random.Random(seed)
    assert len(rules.balanced(population, finished, width, rng, temperature=0.2)) == width
    assert len(rules.resampled(population, finished, width, rng, temperature=1.0)) == width
    for noise in (0.0, 0.3):
        following = rules.survivors(population, finished, 2 * width, rng, fan=2, noise=noise)
        assert 0 < len(following) <= 2 * width and set(following) <= {*population, *finished}
    assert sum(rules.softmax([p.value for p in population])) == pytest.approx(1)
