"""Selection: what is scored, how steps become one score, who reads what, and how a choice is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from harness.prompts import candidates
from harness.strategy import strategies
from harness.types import Model, Sampling
from perpass.errors import UserError
from tests.harness.strategies.told import Told, ask, boxes, numbered

SCORES = {"a": [0.9, 0.1, 0.8], "b": [0.3, 0.9, 0.9], "c": [0.5, 0.5, 0.5], "d": [0.9, 0.9, None]}


@pytest.mark.parametrize(("agg", "chosen"), [("last", "b"), ("min", "c"), ("prod", "b"), ("mean", "b")])
def test_scores_of_steps_become_one(agg: str, chosen: str) -> None:
    asked = []

    def rewards(steps: Any) -> list[float | None]:
        asked.append(list(steps))
        return SCORES[steps[0]]

    texts = [f"{c}\n\n\n2 + 2\n\\boxed{{4}}" for c in "abcd"]
    done = ask("best_of_n_reward", Told(texts, rewards=rewards), n=4, agg=agg, step="\n")
    assert done.answer.text[0] == chosen
    assert asked == [[c, "2 + 2", "\\boxed{4}"] for c in "abcd"]  # empty lines are no steps


@pytest.mark.parametrize("agg", ["last", "min", "prod", "mean"])
def test_an_outcome_reward_is_that_of_the_end(agg: str) -> None:
    engine = Told(["a\nb", "c\nd"], rewards=lambda steps: [None, 0.7 if steps[0] == "c" else 0.2])
    assert ask("best_of_n_reward", engine, n=2, agg=agg, step="\n").answer.text == "c\nd"


def test_without_the_separator_an_answer_is_one_step_and_ties_go_to_the_first() -> None:
    done = ask("best_of_n_reward", Told(["a\nb", " "], rewards=lambda steps: [0.5] * len(steps)), n=2)
    assert done.answer.text == "a\nb" and [c.kind for c in done.calls] == ["generate"] * 2 + ["reward"] * 2


@pytest.mark.parametrize(("agg", "chosen"), [("mean", 0), ("min", 1), ("prod", 2)])
def test_token_probabilities_choose(agg: str, chosen: int) -> None:
    texts = numbered("123")
    probabilities = ([0.9] * 9 + [0.1], [0.5] * 10, [0.6] * 3 + [0.45])  # means .82 .5 .56, minima .1 .5 .45, products .04 .001 .10
    likely = {text: [math.log(p) for p in ps] for text, ps in zip(texts, probabilities, strict=True)}
    assert ask("soft_self_consistency", Told(texts, logprob=likely), n=3, agg=agg).answer.text == texts[chosen]


def test_a_product_of_many_tokens_does_not_vanish() -> None:
    texts = numbered("12")
    engine = Told(texts, logprob={texts[0]: [-1.0] * 2000, texts[1]: [-1.0] * 1999})
    assert ask("soft_self_consistency", engine, n=2, agg="prod").answer.text == texts[1]


def reader(choose: Callable[[list[str]], str]) -> tuple[Callable[[str], str], list[list[str]]]:
    """A greedy reply by the candidates that a prompt shows, and what was shown."""
    seen: list[list[str]] = []

    def greedy(prompt: str) -> str:
        shown = [part.partition("\n")[2] for part in prompt.split("\n\n") if part.startswith("Candidate ")]
        seen.append(shown)
        return choose(shown)

    return greedy, seen


def test_winners_of_groups_meet_again() -> None:
    greedy, seen = reader(lambda shown: f"Of 2 I like \\boxed{{{1 + shown.index(max(shown, key=lambda t: t[-2]))}}}")
    texts = numbered("1325746")
    done = ask("genselect", Told(texts, greedy=greedy), n=7, group=3)
    assert seen == [texts[:3], texts[3:6], [texts[1], texts[4], texts[6]]]  # the seventh is alone and goes on
    assert done.answer.text == texts[4] and [c.role for c in done.calls] == ["policy"] * 7 + ["judge"] * 3


@pytest.mark.parametrize(
    ("reply", "chosen"), [("none of them", 0), ("\\boxed{9}", 0), ("2, no, \\boxed{3}", 2), ("3 of 17", 2), ("10000002", 0)]
)
@pytest.mark.parametrize("name", ["genselect", "universal_self_consistency"])
def test_the_last_number_that_names_one_is_the_choice(name: str, reply: str, chosen: int) -> None:
    texts = numbered("123")
    done = ask(name, Told(texts, greedy=lambda prompt: reply), n=3)
    assert done.answer.text == texts[chosen] and len(done.calls) == 4


def test_universal_self_consistency_reads_all_answers_without_their_thinking() -> None:
    greedy, seen = reader(lambda shown: "<think>1?</think>2")
    engine = Told([f"<think>{i}</think>{t}" for i, t in enumerate(boxes("123"))], greedy=greedy)
    engine.model = Model("scripted", "1", "none", context=100_000, think=("<think>", "</think>"))
    done = ask("universal_self_consistency", engine, n=3)
    assert seen == [boxes("123")] and done.answer.text.endswith(boxes("2")[0])
    assert [c.role for c in done.calls] == ["policy"] * 4


def test_one_sample_needs_no_choice() -> None:
    for name in ("genselect", "universal_self_consistency"):
        assert len(ask(name, Told(boxes("1")), n=1).calls) == 1


def test_candidates_are_numbered_from_one() -> None:
    assert candidates("Why?", ["a ", "b"], "Choose.").turns[0].content == "Why?\n\nCandidate 1:\na\n\nCandidate 2:\nb\n\nChoose."


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(UserError, match="^strategy genselect: group=1: input should be greater than or equal to 2$"):
        strategies.get("genselect").bind({"group": 1}, Sampling(), {})
