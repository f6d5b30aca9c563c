"""LeaP: who reads whom, when paths leave, what is asked, and the distance that decides it."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.strategies.peers import CLOSE, OPEN, READ, dispersed, levenshtein
from harness.strategy import strategies
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.strategies.scripts import answering
from tests.harness.strategies.told import Told, ask, outputs


def plain_levenshtein(a: str, b: str) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return distance(len(a), len(b))


@given(st.text("abé", max_size=9), st.text("abé", max_size=9))
def test_levenshtein_is_the_definitions(a: str, b: str) -> None:
    assert levenshtein(a, b) == plain_levenshtein(a, b) == levenshtein(b, a)


def test_known_distances() -> None:
    assert levenshtein("kitten", "sitting") == 3 and levenshtein("", "abc") == 3 and levenshtein("same", "same") == 0


def test_a_path_reads_those_that_are_least_like_it() -> None:
    told = {0: "aaaa", 1: "aaab", 2: "bbbb", 4: "aabb"}
    assert dispersed(told, 0, 1) == [2] and dispersed(told, 0, 2) == [2, 4]
    assert dispersed(told, 2, 1) == [0] and dispersed(told, 4, 9) == [0, 1, 2]
    assert dispersed({3: "alone"}, 3, 2) == [] and dispersed({0: "x", 1: "y", 2: "z"}, 0, 1) == [1]  # a tie goes to the lower number


def test_paths_sum_up_read_the_others_and_go_on_until_the_vote() -> None:
    begun = ["aaaaaaaa" + "." * 40, "bbbbbbbb" + "." * 40, "\\boxed{1}"]  # the third is over within its turn of 10 tokens
    engine = Told([*begun, "I have a.</summary> more", "I have b.", "\\boxed{2}", "\\boxed{2}"])
    done = ask("leap", engine, paths=3, turns=2, turn=10, summary=30, peers=1)
    starts = ["aaaaaaaa..", "bbbbbbbb.."]
    prefixes = [call.prompt.prefix for call in done.calls]
    assert prefixes[:3] == [""] * 3 and prefixes[3:5] == [start + OPEN for start in starts]
    told = ["I have a.", "I have b."]
    assert prefixes[5:] == [f"{starts[i]}{OPEN}{told[i]}{CLOSE}{READ.format(told='- ' + told[1 - i])}" for i in range(2)]
    assert [call.pooled for call in done.calls] == [True] * 3 + [False] * 4
    assert outputs(done) == [10, 10, 10, 19, 10, 10, 10]  # a summary ends at its tag
    assert done.answer.text == prefixes[5] + "\\boxed{2}" and done.answer.items == ("2",)
    assert done.serial_tokens == 10 + 19 + 10


def test_the_last_turn_has_the_cells_own_limit_and_a_lone_path_reads_nobody() -> None:
    done = ask("leap", answering(lambda text: "." * 90), paths=1, turns=3, turn=20, summary=5, sampling={"max_tokens": 50})
    assert outputs(done) == [20, 5, 20, 5, 50] and done.answer.finish == "length"
    assert done.calls[2].prompt.prefix == "." * 20 + OPEN + "." * 5 + CLOSE + "\n\n"
    assert outputs(ask("leap", answering(lambda text: "." * 90), paths=2, turns=1, turn=20)) == [20, 20]


def test_bad_numbers_are_refused() -> None:
    for params in ({"paths": 0}, {"turns": 0}, {"peers": 0}, {"routing": "hybrid"}):
        with pytest.raises(UserError, match=next(iter(params))):
            strategies.get("leap").bind(params, Sampling(), {})
    with pytest.raises(UserError, match="would draw 4 equal samples"):
        strategies.get("leap").bind({}, Sampling(temperature=0.0), {})
