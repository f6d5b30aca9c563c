"""One prompt, or a short chain: what is asked, in whose words, and what goes from one call into the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from harness import prompts
from harness.prompts import as_text
from harness.strategy import strategies
from harness.testing import attempt_alone
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.digits import cell, place
from tests.harness.strategies.scripts import answering, asked
from tests.harness.strategies.told import Told, ask, outputs

DIRECT = f"{prompts.STEP_BY_STEP} Box it.\n[assistant]"


@pytest.mark.parametrize(
    ("name", "opening"),
    [
        ("zero_shot_cot", "Let's think step by step."),
        ("plan_and_solve", "Let's first understand the problem and devise a plan to solve the problem. Then, let's carry out"),
    ],
)
def test_two_stages_are_one_open_answer_and_the_second_has_32_tokens(name: str, opening: str) -> None:
    done = ask(name, Told([" 1 + 2 is 3.", " \\boxed{3}" + "." * 90]))
    first, second = asked(done)
    assert first.startswith("Box it.\n[assistant]" + opening)
    assert second == first + " 1 + 2 is 3.\n\nTherefore, the answer is"
    assert outputs(done) == [13, 32] and done.answer.finish == "length"
    assert "Box it.\n[assistant]" + done.answer.text == second + " \\boxed{3}" + "." * 22


@pytest.mark.parametrize(
    ("name", "params", "told"),
    [
        ("chain_of_draft", {"words": 7}, "only keep minimum draft for each thinking step, with 7 words at most. Box it.\n[assistant]"),
        ("concise_cot", {}, f"{prompts.STEP_BY_STEP} Be concise. Box it.\n[assistant]"),
        ("token_budget", {"max_output": 50}, "Let's think step by step and use less than 50 tokens. Box it.\n[assistant]"),
        ("re_reading", {}, f"Which digit is number 0?\nRead the question again: Which digit is number 0?\n{DIRECT}"),
        ("diagram_of_thought", {}, "<summarizer> then joins the propositions that hold into the answer. Box it.\n[assistant]"),
    ],
)
def test_one_call_in_the_methods_words(name: str, params: dict[str, Any], told: str) -> None:
    done = ask(name, Told(["\\boxed{0}"]), **params)
    assert len(done.calls) == 1 and as_text(done.calls[0].prompt).endswith(told)
    assert done.answer.text == "\\boxed{0}" and done.calls[0].pooled


def test_a_token_budget_is_the_models_own_estimate_where_none_is_given() -> None:
    done = ask("token_budget", Told(["\\boxed{0}"], greedy=lambda text: "About 1,200 tokens, or 50."))
    assert "use less than 1200 tokens. Box it." in asked(done)[1]
    assert [call.pooled for call in done.calls] == [False, True]
    none = ask("token_budget", Told(["\\boxed{0}"], greedy=lambda text: "I cannot say."))
    assert asked(none)[1] == DIRECT


def test_principles_are_named_before_the_solution_by_them() -> None:
    done = ask("step_back", Told(["Count from zero.", "\\boxed{0}"]))
    first, second = asked(done)
    assert "step back" in first and "Box it." not in first
    assert second.startswith(first + "Count from zero.\n[user]") and second.endswith("by these principles. Box it.\n[assistant]")


def test_simpler_questions_are_answered_in_turn_and_their_answers_stay_in_sight() -> None:
    done = ask("least_to_most", Told(["1. What is a digit?\n\n- Which is first?\n* Why?", "A sign.", "Zero.", "\\boxed{0}"]), most=2)
    reduce, one, two, whole = asked(done)
    assert "at most 2, one a line" in reduce
    assert one == "What is a digit?\n[assistant]" and two == one + "A sign.\n[user]Which is first?\n[assistant]"
    assert whole == two + f"Zero.\n[user]Now the question itself. {DIRECT}" and done.answer.text == "\\boxed{0}"
    nothing = ask("least_to_most", Told(["", "\\boxed{0}"]))
    assert asked(nothing)[1] == f"Now the question itself. {DIRECT}"


def test_what_matters_stands_before_the_question_without_the_thought_that_found_it() -> None:
    done = ask("concise_organized_perception", Told(["<think>hm</think> It is a digit. ", "\\boxed{0}"]))
    assert asked(done)[1] == f"[user]What matters, in order:\nIt is a digit.\n\nWhich digit is number 0?\n{DIRECT}"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("chain_of_draft", {"words": 0}, "words=0: input should be greater than or equal to 1"),
        ("token_budget", {"max_output": 0}, "max_output=0: input should be greater than or equal to 1"),
        ("least_to_most", {"most": "two"}, "most='two': input should be a valid integer"),
        ("step_back", {"n": 2}, "unknown parameter 'n'"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategies.get(name).bind(params, Sampling(), {})


def test_every_prompting_strategy_asks_something_else() -> None:
    """Whatever the model answers: the calls of any two differ."""
    names = [name for name in strategies.names() if strategies.get(name).family in {"prompting", "concise"}]
    traces = set()
    for name in names:
        made = cell(name, place(answering(lambda text: "1. \\boxed{0}")))
        traces.add(tuple(asked(asyncio.run(attempt_alone(made, made.problems[0]))[0].answered)))
    assert len(traces) == len(names) >= 12
