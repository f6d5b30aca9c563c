"""Votes: who votes with what weight, what a race stops and charges, and what a pool answers alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.strategies.voting import _winner
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone, empty_pools
from harness.types import Observe, Sampling
from perpass.errors import UserError
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.told import Told, ask, boxes, numbered, outputs


@pytest.mark.parametrize(("softmax", "winner"), [(0.1, "2"), (1000.0, "1")])
def test_a_sure_sample_outweighs_two_unsure_ones_when_the_softmax_is_sharp(softmax: float, winner: str) -> None:
    texts = numbered("112")
    likely = {text: [x] * (len(text) + 1) for text, x in zip(texts, (-2.0, -2.0, -0.01), strict=True)}
    assert ask("weighted_vote", Told(texts, logprob=likely), n=3, softmax=softmax).answer.items == (winner,)


def test_votes_weigh_as_the_judge_believes_them() -> None:
    def yes(verdict: str) -> float:
        return 0.99 if "2: it" in verdict else 0.01

    done = ask("belief_vote", Told(numbered("112"), yes=yes), n=3, softmax=0.2)
    assert done.answer.items == ("2",) and done.answer.text == "2: it is \\boxed{2}"
    assert [call.role for call in done.calls] == ["policy"] * 3 + ["judge"] * 6
    assert ask("belief_vote", Told(numbered("112"), yes=yes), n=3, softmax=100.0).answer.items == ("1",)


def test_rewards_vote_and_over_long_samples_only_decide_among_themselves() -> None:
    given = {"0": 0.3, "1": 0.3, "2": 0.5, "3": None, "4": None, "5": None}
    engine = Told(numbered("112333"), rewards=lambda steps: [given[steps[-1][0]]])
    assert ask("reward_vote", engine, n=6).answer.items == ("1",)
    engine = Told(numbered("112333"), rewards=lambda steps: [given[steps[-1][0]]])
    assert ask("best_of_n_reward", engine, n=6).answer.text == numbered("112333")[2]
    assert ask("reward_vote", Told(boxes("21"), rewards=lambda steps: [None]), n=2).answer.items == ("2",)


def test_the_race_ends_with_the_mth_and_the_late_are_charged_what_they_had_by_then() -> None:
    texts = ["." * extra + box for extra, box in zip((40, 3, 20, 60), boxes("1223"), strict=True)]  # 56, 19, 36 and 76 tokens
    done = ask("short_m_at_k", Told(texts), n=4, m=2)
    assert outputs(done) == [36, 19, 36, 36] and done.serial_tokens == 36
    assert [call.made.usage.output for call in done.calls] == [56, 19, 36, 76]
    assert done.answer.items == ("2",)
    tied = ask("short_m_at_k", Told(texts), n=4, m=3)
    assert tied.answer.items == ("2",) and outputs(tied) == [56, 19, 36, 56]
    alone = ask("short_m_at_k", Told(["." * 9 + boxes("1")[0], boxes("2")[0]]), n=2, m=2)
    assert alone.answer.items == ("2",)  # a tie goes to the shortest
    cut = ask("short_m_at_k", Told(["." * 300, boxes("1")[0] + "." * 90]), n=2, m=1)
    assert cut.answer.items == ("1",) and outputs(cut) == [106, 106]
    capped = ask("short_m_at_k", Told(["." * 90, "." * 45 + boxes("4")[0]]), n=2, m=1, sampling={"max_tokens": 65})
    assert capped.answer.items == ("4",)  # what max_tokens cut has not ended


def test_a_race_is_not_run_live() -> None:
    raced = cell("short_m_at_k", place(ScriptedEngine()))
    assert raced.strategy.strategy.obstacle(raced) is None  # type: ignore[misc]
    assert "short_m_at_k" in str(raced.strategy.strategy.obstacle(replace(raced, mode="live")))  # type: ignore[misc]


@given(st.lists(st.tuples(st.integers(-1, 3), st.floats(0, 10)), min_size=1, max_size=12), st.randoms())
def test_a_weighted_winner_has_the_largest_sum_in_any_order(votes: list[tuple[int, float]], rng: Any) -> None:
    won = _winner([c for c, _ in votes], [w for _, w in votes])
    assert (won is None) == all(c < 0 for c, _ in votes)
    if won is not None:
        sums = {c: sum(w for other, w in votes if other == c) for c, _ in votes if c >= 0}
        assert sums[votes[won][0]] >= max(sums.values()) - 1e-9
        shuffled = rng.sample(votes, len(votes))
        again = _winner([c for c, _ in shuffled], [w for _, w in shuffled])
        ties = [c for c in sums if abs(sums[c] - max(sums.values())) < 1e-9]
        assert again is not None and (len(ties) > 1 or shuffled[again][0] == votes[won][0])


def test_votes_are_item_by_item() -> None:
    texts = [f"\\boxed{{{a}}} \\boxed{{{b}}}" for a, b in ("12", "13", "43", "43")]
    assert ask("self_consistency", Told(texts), Digits(items=2), n=3).answer.items == ("1", "3")


FULL = [name for name in strategies.names() if strategies.get(name).pool == "full" and strategies.get(name).budget == "n"]


def test_strategies_that_a_pool_answers_replay_from_it_alone() -> None:
    here, task, pools = place(ScriptedEngine()), Digits(), empty_pools()
    mine = {"voting", "selection", "adaptive", "confidence"}
    names = [n for n in FULL if strategies.get(n).family in mine and strategies.get(n).prompt == "question"]
    assert len(names) >= 12
    asked = [replace(cell(n, here, task, n=12), observe=Observe(True, True)) for n in ["self_consistency", *names]]

    async def all_of_them() -> list[Any]:
        return [(await attempt_alone(c, task.problems()[0], pools=pools))[0].answered for c in asked]

    first = asyncio.run(all_of_them())
    made = here.engine.counters()  # type: ignore[attr-defined]
    pools.offline = True
    again = asyncio.run(all_of_them())
    assert [a.answer for a in again] == [a.answer for a in first] and all(a.error is None for a in again)
    assert here.engine.counters() == made  # type: ignore[attr-defined]
    samples = [c.key for a in first for c in a.calls if c.kind == "generate"]
    assert len(set(samples)) == 12 < len(samples)  # the largest of them made all that the others used


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("weighted_vote", {"softmax": 0.0}, "softmax=0.0: input should be greater than 0"),
        ("reward_vote", {"agg": "max"}, "agg='max': input should be 'last', 'min', 'prod' or 'mean'"),
        ("short_m_at_k", {"m": 0}, "m=0: input should be greater than or equal to 1"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})
