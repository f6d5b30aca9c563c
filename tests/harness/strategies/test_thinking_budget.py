"""Budgets of thinking: what is put in and when, what is enforced, what is counted, and two ways of answering compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from energy.hardware import Hardware
from harness import models
from harness.attempt import Answered, ledger
from harness.cell import Cell, Deployment
from harness.engines.transformers import TransformersEngine
from harness.prompts import as_text
from harness.strategies.thinking_budget import FINAL, FINISHED
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.digits import Digits, cell, place
from tests.harness.engines import tiny
from tests.harness.strategies.scripts import THINKER, answering
from tests.harness.strategies.told import ask, outputs

OVER = f"<think>\n{FINISHED}\n</think>\n\n"


def prefixes(done: Answered) -> list[str]:
    return [call.prompt.prefix for call in done.calls]


def thinking(*thoughts: str, answer: str = "\\boxed{0}") -> Callable[[str], str]:
    """The n-th thought ends by itself, the answer comes behind the end marker; a thought without an end goes on for ever."""

    def reply(text: str) -> str:
        prefix = text.partition("[assistant]")[2]
        if "</think>" in prefix:
            return answer
        begun = sum(thought.removesuffix("</think>") in prefix for thought in thoughts)
        return thoughts[begun] if begun < len(thoughts) else "z" * 500

    return reply


def test_no_thinking_answers_behind_a_thought_that_is_over() -> None:
    done = ask("no_thinking", answering(thinking(), THINKER))
    assert prefixes(done) == [OVER] and done.answer.text == "\\boxed{0}" and done.calls[0].kept.usage.reasoning == 0
    assert as_text(done.calls[0].prompt).startswith("[user]Which digit is number 0?\nPlease reason step by step. Box it.\n")


def test_a_vote_without_thinking_shares_its_samples_with_no_thinking() -> None:
    digits = iter("1221")
    on = ScriptedEngine(THINKER, script=lambda *_: f"\\boxed{{{next(digits)}}}")
    done = ask("thinking_off_vote", on, n=3)
    assert prefixes(done) == [OVER] * 3 and done.answer.items == ("2",) and all(call.pooled for call in done.calls)
    one = cell("no_thinking", place(ScriptedEngine(THINKER)))
    alone = asyncio.run(attempt_alone(one, one.problems[0]))[1][0]
    vote = cell("thinking_off_vote", place(ScriptedEngine(THINKER)))
    assert alone.key in {made.key for made in asyncio.run(attempt_alone(vote, vote.problems[0]))[1]}


def test_a_thought_that_ends_early_goes_on_by_wait() -> None:
    done = ask("budget_forcing", answering(thinking("first</think>", " second</think>", " third</think>"), THINKER), ignores=2)
    assert prefixes(done) == [
        "<think>\n",
        "<think>\nfirstWait",
        "<think>\nfirstWait secondWait",
        "<think>\nfirstWait secondWait third</think>\n\n",
    ]
    assert done.answer.text == prefixes(done)[-1] + "\\boxed{0}" and done.answer.finish == "eos"
    usage = next(iter(ledger(done).values()))[0]
    assert (usage.reasoning, usage.output) == (13 + 15 + 14, 13 + 15 + 14 + 10)  # the words put in are prompt, not output


def test_a_thought_that_runs_out_is_ended_and_never_longer_than_its_budget() -> None:
    done = ask("budget_forcing", answering(thinking("first</think>"), THINKER), max_thinking=20, ignores=6)
    assert prefixes(done) == ["<think>\n", "<think>\nfirstWait", "<think>\nfirstWait" + "z" * 7 + "</think>" + FINAL]
    assert outputs(done) == [13, 7, 10] and sum(call.kept.usage.reasoning for call in done.calls) == 20
    exact = ask("budget_forcing", answering(thinking("first</think>"), THINKER), max_thinking=13, ignores=6)
    assert prefixes(exact) == ["<think>\n", "<think>\nfirst</think>\n\n"]  # nothing is left to go on with
    none = ask("budget_forcing", answering(thinking("first</think>"), THINKER), ignores=0)
    assert prefixes(none) == ["<think>\n", "<think>\nfirst</think>\n\n"]


def test_thinking_again_in_the_answer_is_overshoot_that_the_ledger_shows() -> None:
    again = answering(thinking("first</think>", answer="<think>again</think>\\boxed{0}"), THINKER)
    done = ask("budget_forcing", again, max_thinking=13, ignores=0)
    assert next(iter(ledger(done).values()))[0].reasoning == 13 + len("<think>again</think>")


def test_thinking_tokens_take_turns_while_the_budget_lasts() -> None:
    done = ask("thinking_tokens", answering(thinking("a</think>", "b</think>", "c</think>", "d</think>"), THINKER), max_thinking=40)
    begun = [prefix.removeprefix("<think>\n") for prefix in prefixes(done)]
    assert begun[1:5] == ["aWait", "aWaitbHmm", "aWaitbHmmcTherefore", "aWaitbHmmcThereforedWait"]
    assert outputs(done) == [9, 9, 9, 9, 4, 10]  # 40 tokens of thinking, whatever ended how often
    brief = ask("thinking_tokens", answering(thinking("a</think>", "b</think>", "c</think>"), THINKER), most=1)
    assert prefixes(brief) == ["<think>\n", "<think>\naWait", "<think>\naWaitb</think>\n\n"]


def test_two_ways_of_answering_that_agree_are_the_answer_and_the_clock_holds_the_longer() -> None:
    def reply(text: str) -> str:
        return "\\boxed{4}" if FINISHED in text else "<think>long thought</think>\\boxed{4}"

    done = ask("joint_thinking", answering(reply, THINKER))
    assert prefixes(done) == ["", OVER] and done.answer.text == "<think>long thought</think>\\boxed{4}"
    assert done.serial_tokens == max(outputs(done)) and not any(call.pooled for call in done.calls)


@pytest.mark.parametrize("quick", ["\\boxed{5}", "no idea"])
def test_where_they_differ_the_model_thinks_again_and_sees_both_answers_but_no_thought(quick: str) -> None:
    def reply(text: str) -> str:
        return quick if FINISHED in text else "<think>once more</think>\\boxed{5}" if "disagree" in text else "<think>hm</think>\\boxed{4}"

    done = ask("joint_thinking", answering(reply, THINKER))
    assert len(done.calls) == 3 and done.answer.text == "<think>once more</think>\\boxed{5}"
    last = as_text(done.calls[2].prompt)
    assert f"Answer 1: \\boxed{{4}}\n\nAnswer 2: {quick}\n" in last and "hm" not in last


def test_models_without_think_markers_are_kept_out_and_bad_budgets_refused() -> None:
    for name in ("no_thinking", "thinking_off_vote", "budget_forcing", "thinking_tokens", "joint_thinking"):
        assert cell(name, place(ScriptedEngine())).lacking == ["thinking"]
    for params, message in (({"max_thinking": 0}, "max_thinking=0"), ({"ignores": -1}, "ignores=-1"), ({"ignore": 1}, "did you mean")):
        with pytest.raises(UserError, match=message):
            strategies.get("budget_forcing").bind(params, Sampling(), {})


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersEngine]:
    """A real model with random weights, which ends one token in about a hundred by an end marker."""
    made = TransformersEngine(models.resolve(str(tiny.write(tmp_path_factory.mktemp("tiny") / "m", spread=0.02, context=1024))))
    asyncio.run(made.open())
    yield made
    asyncio.run(made.close())


def test_a_real_model_keeps_to_its_budget(real: TransformersEngine) -> None:
    sampling = Sampling(temperature=1.0, top_p=1.0, max_tokens=16)
    bound = strategies.get("budget_forcing").bind({"max_thinking": 60, "ignores": 3}, sampling, {})
    c = Cell(Deployment(real, Hardware("test CPU (2 cores)", "cpu", "test CPU", 1, cores=2, found=True)), bound, Digits())

    async def everything() -> list[Any]:
        return await asyncio.gather(*(attempt_alone(c, problem, trial) for problem in c.problems for trial in range(4)))

    done = [judged.answered for judged, _ in asyncio.run(everything())]
    assert [d.error for d in done] == [None] * 24
    ended, cut = 0, 0
    for one in done:
        *thought, answer = one.calls
        spent = [call.kept.usage for call in thought]
        assert all(usage.reasoning == usage.output for usage in spent) and sum(usage.output for usage in spent) <= 60
        assert answer.prompt.prefix.startswith("<think>\n") and answer.prompt.prefix.count("</think>") == 1
        cut += answer.prompt.prefix.endswith(FINAL)
        ended += len(thought) > 1
    assert ended and cut
