"""Step search: what is continued, what is scored and charged, when it ends, and which answer is given."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from harness.attempt import ledger
from harness.strategy import strategies
from harness.testing import attempt_alone
from harness.types import Sampling, StepScores, Usage
from perpass.errors import UserError
from results import labels
from tests.harness import test_golden
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.stepped import Stepped, scored, written
from tests.harness.strategies.told import ask, outputs

BOX = {digit: f"\\boxed{{{digit}}}" for digit in "123456789"}
TREE = {"": ["a\n", "b\n", "c\n", "d\n"], "b\n": [f"so {BOX['1']}"], "c\n": [f"so {BOX['2']}", f"hence {BOX['3']}"]}
WORTH = {"a": 0.1, "b": 0.6, "c": 0.9, "d": 0.2, f"so {BOX['1']}": 0.8, f"so {BOX['2']}": 0.3, f"hence {BOX['3']}": 0.7}


def test_beam_continues_the_best_steps_and_charges_all() -> None:
    engine = Stepped(TREE, WORTH)
    done = ask("beam", engine, width=4, fan=2, step="\n")
    assert done.answer.text == f"b\nso {BOX['1']}" and done.answer.finish == "eos"
    ends = [f"c\nso {BOX['2']}", f"c\nhence {BOX['3']}", *[f"b\nso {BOX['1']}"] * 2]
    assert written(done) == ["a\n", "b\n", "c\n", "d\n", *ends]
    assert scored(done) == ["a", "b", "c", "d", *ends[:3]]  # equal paths are judged once
    assert outputs(done) == [2] * 4 + [len(end) - 1 for end in ends]  # without what they continue, with the end token
    assert [call.pooled for call in done.calls if call.kind == "generate"] == [True] * 4 + [False] * 4
    assert [s.text for s in done.answer.samples] == ["b\n", f"so {BOX['1']}"]
    used = {key[::2]: usage for key, (usage, _) in ledger(done).items()}
    assert sum(used.values(), Usage()).calls == engine.counters().calls == 15
    assert used["policy", "generate"].output == engine.counters().output and used["reward", "reward"].calls == 7


SEARCHES = [name for name in strategies.names() if strategies.get(name).function.__module__.endswith((".search", ".tree", ".guided"))]


@pytest.mark.parametrize("name", SEARCHES)
def test_all_that_was_executed_is_charged_also_of_abandoned_paths(name: str) -> None:
    engine = test_golden.engine(name)
    bound = cell(name, place(engine), **test_golden.arguments(name))
    done = asyncio.run(attempt_alone(bound, bound.problems[1]))[0].answered
    assert replace(sum((usage for usage, _ in ledger(done).values()), Usage()), cached=0) == engine.counters()


def test_step_searches_of_a_trial_share_their_first_steps() -> None:
    firsts, tree = [], {"": ["a\n", "b\n", "c\n", BOX["1"]]} | {f"{x}\n": [BOX["2"]] for x in "abc"}
    for name in ("beam", "dvts", "rebase", "lookahead"):
        done = ask(name, Stepped(tree), width=4, step="\n")
        firsts.append([(call.key, call.pooled) for call in done.calls if not call.prompt.prefix and call.kind == "generate"])
    assert firsts[0] == firsts[1] == firsts[2] == firsts[3] and [pooled for _, pooled in firsts[0]] == [True] * 4


def test_an_over_long_path_ranks_last_but_is_better_than_none() -> None:
    tree = {"": ["a\n", "b\n"], "a\n": [BOX["1"]], "b\n": [BOX["2"]]}
    assert ask("beam", Stepped(tree, {"a": None, "b": 0.0}), width=2, fan=2, step="\n").answer.text == f"b\n{BOX['2']}"
    only = ask("beam", Stepped(tree, {"a": None, "b": None, BOX["1"]: None}), width=2, fan=2, step="\n")
    assert only.answer.text == f"a\n{BOX['1']}"


@pytest.mark.parametrize(("agg", "chosen"), [("last", "1"), ("min", "2"), ("prod", "2"), ("mean", "2")])
def test_a_path_is_worth_what_its_steps_add_up_to(agg: str, chosen: str) -> None:
    engine = Stepped({"": [f"low\n{BOX['1']}", f"high\n{BOX['2']}"]}, {"low": 0.1, "high": 0.9, BOX["1"]: 0.9, BOX["2"]: 0.8})
    assert ask("beam", engine, width=2, fan=2, agg=agg, step="\n", max_steps=1).answer.text.endswith(BOX[chosen])


def test_a_path_ends_with_a_marked_answer_but_not_with_a_number_or_half_of_its_answers() -> None:
    tree = {"": ["7 apples\n"], "7 apples\n": [f"{BOX['1']}\n"], f"7 apples\n{BOX['1']}\n": [f"and {BOX['2']}\n"]}
    assert ask("step_best_of_n", Stepped(tree), width=1, step="\n").answer.text == f"7 apples\n{BOX['1']}\n"
    both = ask("step_best_of_n", Stepped(tree), Digits(items=2), width=1, step="\n")
    assert both.answer.text == f"7 apples\n{BOX['1']}\nand {BOX['2']}\n" and both.answer.finish == "stop"


def test_the_last_step_runs_to_the_end() -> None:
    engine = Stepped({"": ["a\nb\nc"], "a\n": ["b\nc\nd\n"]})
    assert written(ask("step_best_of_n", engine, width=1, step="\n", max_steps=2)) == ["a\n", "a\nb\nc\nd\n"]
    assert written(ask("step_best_of_n", engine, width=1, step="\n", max_steps=1)) == ["a\nb\nc"]


def test_an_answer_has_max_tokens_in_all() -> None:
    tree = Stepped({"xx\n" * length: ["xx\n"] for length in range(9)})
    bound = cell("step_best_of_n", place(tree), sampling={"max_tokens": 8}, width=1, step="\n")
    done = asyncio.run(attempt_alone(bound, bound.problems[0]))[0].answered
    assert outputs(done) == [3, 3, 2] and done.answer is not None and done.answer.finish == "length"


def test_lookahead_values_a_step_by_where_it_leads() -> None:
    tree = {"": ["a\n", "b\n"], "a\n": ["bad\n"], "b\n": [f"good {BOX['2']}"], "a\nbad\n": [BOX["1"]]}
    engine = Stepped(tree, {"a": 0.9, "b": 0.1, "bad": 0.2, f"good {BOX['2']}": 0.8})
    done = ask("lookahead", engine, width=2, fan=2, step="\n")
    assert done.answer.text == f"b\ngood {BOX['2']}"
    assert scored(done)[:2] == ["a\nbad", f"b\ngood {BOX['2']}"]
    assert written(done)[2:4] == ["a\nbad\n", f"b\ngood {BOX['2']}"] and len(outputs(done)) == 6  # two steps, two rollouts, two ends


def test_dvts_goes_on_in_every_tree() -> None:
    tree = {"": ["a\n", "b\n", "c\n", "d\n"], "a\n": [BOX["1"]], "d\n": [BOX["4"]]}
    done = ask("dvts", Stepped(tree, {"a": 0.2, "b": 0.1, "c": 0.8, "d": 0.9, BOX["1"]: 0.6}), width=4, fan=2, step="\n")
    assert written(done)[4:] == [f"a\n{BOX['1']}"] * 2 + [f"d\n{BOX['4']}"] * 2  # a beam of two would have kept c and d
    assert done.answer.text == f"a\n{BOX['1']}"


def test_step_best_of_n_keeps_one_step_and_stops_when_that_one_ends() -> None:
    tree = {"": ["a\n", BOX["1"]], "a\n": [BOX["2"], "b\n"], "a\nb\n": [BOX["3"]]}
    worth = {"a": 0.9, BOX["1"]: 0.5, BOX["2"]: 0.7, "b": 0.6}
    assert ask("step_best_of_n", Stepped(tree, worth), width=2, step="\n").answer.text == f"a\n{BOX['2']}"
    longer = ask("step_best_of_n", Stepped(tree, worth | {"b": 0.8}), width=2, step="\n")
    assert written(longer)[2:] == [f"a\n{BOX['2']}", "a\nb\n", *[f"a\nb\n{BOX['3']}"] * 2]


def test_rebase_balances_and_lets_the_finished_vote_by_reward() -> None:
    tree = {"": ["a\n", "b\n", "c\n", "d\n"], "a\n": [BOX["1"], BOX["2"]], "c\n": [BOX["3"]], "d\n": [BOX["3"]]}
    done = ask("rebase", Stepped(tree, {"a": 0.9, "b": 0.1, BOX["1"]: 0.8, BOX["2"]: 0.5}), width=4, balance=0.5, step="\n")
    # softmax at 0.5 of .9 .5 .5 .1: .47 .21 .21 .09 of 4: two, then one and one
    assert written(done)[4:] == [f"a\n{BOX['1']}", f"a\n{BOX['2']}", f"c\n{BOX['3']}", f"d\n{BOX['3']}"]
    assert done.answer.items == ("3",) and done.answer.text == f"c\n{BOX['3']}"  # 0.5 + 0.5 against 0.8


def test_particles_gather_where_the_odds_are() -> None:
    tree = {"": ["a\n", "b\n", "c\n"], **{f"{x}\n": [f"{x}{x} {BOX[d]}"] for x, d in zip("abc", "123", strict=True)}}
    done = ask("particle_filter", Stepped(tree, {"a": 0.3, "b": 0.9, "c": 0.6}), width=3, softmax=0.05, step="\n")
    assert written(done)[3:] == [f"b\nbb {BOX['2']}"] * 3 and done.answer.text == f"b\nbb {BOX['2']}"


def test_particle_gibbs_walks_one_path_again_without_writing_or_scoring_it() -> None:
    tree = {"": ["a\n", "b\n", "c\n"], "a\n": [BOX["1"]], "b\n": [BOX["2"]], "c\n": [BOX["3"]]}
    worth = {"a": 0.9, "b": 0.1, "c": 0.1, BOX["1"]: 0.9, BOX["2"]: 0.1, BOX["3"]: 0.1}
    done = ask("particle_gibbs", Stepped(tree, worth), width=2, softmax=0.05, step="\n")
    # First a and b, then both particles from a; one is retained. Second round: only c is new, and the retained a draws both particles.
    assert written(done) == ["a\n", "b\n", *[f"a\n{BOX['1']}"] * 2, "c\n", f"a\n{BOX['1']}"]
    assert scored(done) == ["a", "b", f"a\n{BOX['1']}", "c"] and done.answer.text == f"a\n{BOX['1']}"
    once = ask("particle_gibbs", Stepped(tree, worth), width=2, rounds=1, softmax=0.05, step="\n")
    assert written(once) == written(done)[:4]


@pytest.mark.parametrize(
    ("first", "kinds"),
    [(0.9, ["after r1", "after r1"]), (0.6, ["", ""]), (0.2, ["", "", "a\n", "a\n"])],
)
def test_compute_optimal_spends_the_rest_by_difficulty(first: float, kinds: list[str]) -> None:
    """Easy: revise the best; middling: more samples; hard: search in steps. The probes are paid for in each case."""
    tree = {"": ["r1", "r2", "a\n", "a\n"], "a\n": [BOX["5"]], "after r1": ["r3"], "after r3": ["r4"]}
    done = ask("compute_optimal", Stepped(tree, {"r1": first, "r2": first, "r3": 0.0}), n=4, probes=2, step="\n")
    prompts = [call.prompt for call in done.calls if call.kind == "generate"]
    assert [p.prefix if len(p.turns) == 1 else f"after {p.turns[-2].content}" for p in prompts] == ["", "", *kinds]
    if first == 0.9:
        assert "gives this answer 0.90 out of 1" in prompts[-1].turns[-1].content


def test_iad_improves_on_the_best_so_far() -> None:
    tree = {"": ["x"], "after x": ["y"], "after y": ["z", "w"]}
    done = ask("iad", Stepped(tree, {"x": 0.2, "y": 0.8, "z": 0.5, "w": 0.6}), n=4)
    assert written(done) == ["x", "y", "z", "w"] and done.answer.text == "y"
    noisy = [ask("iad", Stepped(tree, {"x": 0.2, "y": 0.8}), n=2, noise=5.0).answer.text for _ in range(3)]
    assert len(set(noisy)) == 1  # the verifier's errors are of the attempt, not of the moment


def test_over_several_items_each_is_voted_on() -> None:
    texts = [f"{BOX[a]}{BOX[b]}" for a, b in ("12", "13", "43")]
    done = ask("rebase", Stepped({"": texts}), Digits(items=2), width=3, step="\n")
    assert done.answer.items == ("1", "3") and done.answer.text == texts[0]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("beam", {"width": 6}, "fan=4: must divide width=6"),
        ("dvts", {"width": 8, "fan": 3}, "fan=3: must divide width=8"),
        ("lookahead", {"k": 0}, "k=0: input should be greater than or equal to 1"),
        ("rebase", {"balance": 0.0}, "balance=0.0: input should be greater than 0"),
        ("particle_gibbs", {"width": 1}, "width=1: input should be greater than or equal to 2"),
        ("step_best_of_n", {"step": ""}, "step='': string should have at least 1 character"),
        ("compute_optimal", {"easy": 1.0}, "easy=1.0: input should be less than 1"),
        ("iad", {"noise": -1.0}, "noise=-1.0: input should be greater than or equal to 0"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategies.get(name).bind(params, Sampling(), {})


def test_greedy_search_is_refused() -> None:
    with pytest.raises(UserError, match="raise the temperature"):
        cell("beam", place(), sampling={"temperature": 0.0})


def test_an_outcome_reward_guides_too() -> None:
    """It scores whole texts: the last step has the verdict, the others None."""

    class Outcome(Stepped):
        async def steps(self, question: str, steps: object) -> StepScores:
            given = await super().steps(question, steps)  # type: ignore[arg-type]
            return replace(given, scores=(*[None] * (len(given.scores) - 1), given.scores[-1]))

    assert ask("beam", Outcome(TREE, WORTH), width=4, fan=2, step="\n").answer.text == f"b\nso {BOX['1']}"


def test_a_separator_is_named_in_one_line() -> None:
    bound = strategies.get("beam").bind({"step": "\n"}, Sampling(), {})
    assert bound.label == r"beam(width=16, step='\n')"
    assert labels.strategy(bound.identity()) == r"beam(width=16, fan=4, agg=last, step='\n', max_steps=40)"
