"""Refinement: what a check is asked, what of it goes into the next try, and when it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness import prompts
from harness.prompts import as_text
from harness.strategies import refinement
from harness.strategy import strategies
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.strategies.scripts import answering, asked
from tests.harness.strategies.told import Told, ask, outputs

COT = f"{prompts.STEP_BY_STEP} Box it.\n[assistant]"


def test_self_refine_stops_when_the_feedback_finds_no_error() -> None:
    done = ask("self_refine", Told(["first", "The 3 is wrong.", "second", "Yes, It is correct."]))
    ask_, feedback, better, last = asked(done)
    assert ask_ == COT and feedback == f"{COT}first\n[user]{refinement.FEEDBACK}\n[assistant]"
    assert better == f"{feedback}The 3 is wrong.\n[user]{refinement.REFINE} Box it.\n[assistant]"
    assert last == f"{better}second\n[user]{refinement.FEEDBACK}\n[assistant]" and done.answer.text == "second"


def test_self_refine_asks_for_no_feedback_after_its_last_attempt() -> None:
    assert len(ask("self_refine", answering(lambda text: "it is not correct")).calls) == 7
    one = ask("self_refine", Told(["only"]), attempts=1)
    assert asked(one) == [COT] and one.answer.text == "only"


def test_hints_add_up_until_two_answers_in_a_row_are_the_same() -> None:
    done = ask("progressive_hint", Told(["\\boxed{3}", "none", "\\boxed{4}", "\\boxed{4} at last", "never"]))
    hints = [text.partition("(Hint: ")[2].partition(")")[0] for text in (as_text(call.prompt) for call in done.calls)]
    assert hints == ["", "The answer is near to 3", "The answer is near to 3", "The answer is near to 3, 4"]
    assert done.answer.text == "\\boxed{4} at last"
    assert len(ask("progressive_hint", answering(lambda text: "none"), rounds=2).calls) == 3


def test_drafts_are_distilled_into_a_bounded_workspace_that_the_next_are_given() -> None:
    said = iter(["d1", "<think>no</think>d2", "notes " + "." * 90, "e1", "e2", "more notes", "\\boxed{0}"])
    done = ask("pdr", answering(lambda text: next(said)), drafts=2, rounds=2, workspace=20)
    prompts_ = [as_text(call.prompt) for call in done.calls]
    assert f"Draft 1: d1\n\nDraft 2: d2\n\n{refinement.DISTIL}" in prompts_[2] and outputs(done)[2] == 20
    given = f"[user]Which digit is number 0?\n\n{refinement.NOTES}\n"
    assert prompts_[3] == prompts_[4] == f"{given}notes {'.' * 14}\n\n{COT}" and prompts_[6] == f"{given}more notes\n\n{COT}"
    assert done.answer.text == "\\boxed{0}" and [call.pooled for call in done.calls] == [True] * 7
    assert done.serial_tokens == max(outputs(done)[:2]) + 20 + 3 + 11 + 10


def test_one_draft_is_sequential_refinement() -> None:
    done = ask("pdr", Told(["d1", "d2", "\\boxed{0}"]), drafts=1, rounds=2)
    assert [text.partition(refinement.NOTES + "\n")[2].partition("\n")[0] for text in asked(done)] == ["", "d1", "d2"]


def critic(yes: int) -> Callable[[str], str]:
    """Plans that are numbered by how often one was made anew; the second is approved of in `yes` points."""

    def reply(text: str) -> str:
        if text.endswith(f"{refinement.INTERROGATE}\n[assistant]"):
            return "yes\n" * (yes if "plan 2" in text else 6) + "no\n" * 2
        return "plan 2" if text.endswith(f"{refinement.REPLAN}\n[assistant]") else "\\boxed{0}" if refinement.FOLLOW in text else "plan 1"

    return reply


def test_a_plan_is_made_anew_until_seven_questions_are_answered_yes() -> None:
    done = ask("critical_questions", answering(critic(7)))
    assert [call.kept.text.partition("\n")[0] for call in done.calls] == ["plan 1", "yes", "plan 2", "yes", "\\boxed{0}"]
    plan, _, anew, again, answer = asked(done)
    assert anew.startswith(plan + "plan 1\n[user]") and again == f"{plan}plan 2\n[user]{refinement.INTERROGATE}\n[assistant]"
    assert answer == f"{plan}plan 2\n[user]{refinement.FOLLOW} Box it.\n[assistant]"


def test_plans_come_to_an_end_and_fewer_yes_may_do() -> None:
    assert len(ask("critical_questions", answering(critic(6)), plans=4).calls) == 4 * 2 + 1
    assert len(ask("critical_questions", answering(critic(6)), needed=6).calls) == 3


def test_an_instruction_is_rewritten_while_the_answer_grows_by_k_tokens() -> None:
    def reply(text: str) -> str:
        if "What should it do better" in text:
            return "be brief"
        return "Better." if "Write a better instruction" in text else "\\boxed{0}" if "Better." in text else "x" * 50

    done = ask("prorefine", answering(reply), k=6, steps=3)
    assert [(call.role, call.kept.usage.output) for call in done.calls] == [("policy", 6), ("judge", 9), ("judge", 8), ("policy", 10)]
    assert "Answer so far: xxxxxx\n" in asked(done)[1] and "Feedback on what it led to: be brief" in asked(done)[2]
    assert asked(done)[3] == "Better. Box it.\n[assistant]" and done.answer.text == "\\boxed{0}"
    endless = ask("prorefine", answering(lambda text: "x" * 500), k=5, steps=2)
    assert [call.kept.usage.output for call in endless.calls if call.role == "policy"] == [5, 10, 200]


def test_guidance_is_added_for_the_first_fault_that_the_verdict_names() -> None:
    verdicts = iter(["A calculation, and logic too.", "misread", "valid"])
    done = ask("adaptive_prompting", Told(["one", "two", "three"], greedy=lambda text: next(verdicts)))
    faults = refinement.FAULTS
    assert asked(done)[0] == COT and asked(done)[1].startswith(f"{COT}one\n[user]Is this solution valid?")
    assert asked(done)[2] == f"{prompts.STEP_BY_STEP} {faults['calculation']} Box it.\n[assistant]"
    assert asked(done)[4] == f"{prompts.STEP_BY_STEP} {faults['calculation']} {faults['misread']} Box it.\n[assistant]"
    assert done.answer.text == "three" and len(done.calls) == 6
    assert len(ask("adaptive_prompting", answering(lambda text: "logic"), rounds=2).calls) == 5


def test_the_answer_wins_from_which_the_questions_number_is_found_again() -> None:
    samples = iter(["\\boxed{1}", "\\boxed{2}", "\\boxed{1} again", "none"])

    def reply(text: str) -> str:
        if "Which digit is number X?\nThe answer to this is" not in text:
            return next(samples)
        return "X is 5" if "answer to this is 1." in text else "I get 7, so X is 0"

    done = ask("self_verification", answering(reply), n=4, checks=3)
    assert done.answer.text == "\\boxed{2}" and len(done.calls) == 4 + 2 * 3
    assert [call.pooled for call in done.calls] == [True] * 4 + [False] * 6


def test_a_question_without_numbers_is_asked_whether_the_answer_holds() -> None:
    from tests.harness.digits import Digits, Problem

    class Words(Digits):
        def problems(self) -> list[Problem]:
            return [Problem(key="w", question="Which sign is nought?", answer_format="Box it.", gold=("0",))]

    samples = iter(["\\boxed{1}", "\\boxed{0}"])
    script = lambda text: ("false" if "is 1." in text else "It is not false: true") if "End with true" in text else next(samples)  # noqa: E731
    done = ask("self_verification", answering(script), Words(), n=2, checks=2)
    assert "Which sign is nought?\nThe answer to this is 1. Work it out." in as_text(done.calls[2].prompt)
    assert done.answer.text == "\\boxed{0}"


def test_without_any_answer_nothing_is_verified() -> None:
    done = ask("self_verification", Told(["none", "neither"]), n=2)
    assert done.answer.text == "none" and len(done.calls) == 2


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("self_refine", {"attempts": 0}, "attempts=0"),
        ("pdr", {"workspace": 0}, "workspace=0"),
        ("critical_questions", {"needed": 9}, "needed=9: input should be less than or equal to 8"),
        ("prorefine", {"k": 0.5}, "k=0.5"),
        ("self_verification", {"check": 1}, "did you mean 'checks'"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategies.get(name).bind(params, Sampling(), {})
