"""Convergence: when probes stop a trace, what they are asked, and what is charged of both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from harness.attempt import Answered
from harness.strategies.convergence import PROBE
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.scripts import answering
from tests.harness.strategies.told import ask, outputs

TRACE = "0123456789" * 4 + "\\boxed{9}"


def probed(*answers: str, **params: Any) -> Answered:
    """A trace of 50 tokens whose n-th probe is answered by the n-th of `answers`, as the number of chunks before it says."""

    def reply(text: str) -> str:
        prefix = text.partition("[assistant]")[2]
        return answers[len(prefix.removesuffix(PROBE)) // 10 - 1] if prefix else TRACE

    return ask("answer_convergence", answering(reply), **({"k": 2, "chunk": 10} | params))


def test_it_stops_where_the_last_k_probes_agree_and_keeps_what_stands_before() -> None:
    done = probed("4}", "3} \\]", "3}", "never", "never")
    assert [call.prompt.prefix for call in done.calls] == ["", *(TRACE[:n] + PROBE for n in (10, 20, 30))]
    assert done.answer.items == ("3",) and done.answer.text == TRACE[:30] + PROBE + "3}"
    assert outputs(done) == [30, 3, 6, 3]  # of the trace what was kept; every probe, each with its end token
    assert done.serial_tokens == 30 + 3 + 6 + 3 and done.calls[0].made.usage.output == 50
    assert [call.pooled for call in done.calls] == [True, False, False, False]


def test_probes_are_20_tokens_and_greedy_traces_are_cut_too() -> None:
    done = probed(*["3} " + "." * 90] * 4, sampling={"temperature": 0.0})
    assert outputs(done) == [20, 20, 20] and done.answer.items == ("3",)


@pytest.mark.parametrize(
    "answers",
    [
        ("3}", "4}", "3}", "4}"),
        ("3}", "3} wait", "3} Hmm", "3}"),
        ("}", "}", "", "3}"),
    ],
)
def test_without_convergence_the_trace_stays_whole_and_all_probes_are_charged(answers: tuple[str, ...]) -> None:
    done = probed(*answers)
    assert done.answer.text == TRACE and done.answer.items is None
    assert outputs(done)[0] == 50 and len(done.calls) == 5


def test_hesitation_restarts_the_count_and_more_agreement_is_asked_for_by_k() -> None:
    assert len(probed("3}", "3} okay", "3}", "3}").calls) == 5
    assert probed("3}", "3} okay", "3}", "3}").answer.items == ("3",)
    assert probed("3}", "3}", "3}", "3}", k=4).calls[0].kept.usage.output == 40
    assert probed("3}", k=1).calls[0].kept.usage.output == 10


def test_a_trace_of_one_chunk_is_never_probed() -> None:
    assert len(probed(chunk=50).calls) == len(probed(chunk=64).calls) == 1


def test_every_item_of_a_problem_has_to_converge() -> None:
    done = ask("answer_convergence", answering(lambda text: "3} \\boxed{4}" if PROBE in text else TRACE), Digits(items=2), k=2, chunk=10)
    assert done.answer.items == ("3", "4") and done.calls[0].kept.usage.output == 20
    one = ask("answer_convergence", answering(lambda text: "3}" if PROBE in text else TRACE), Digits(items=2), k=2, chunk=10)
    assert one.answer.items is None and len(one.calls) == 5


def test_it_shares_its_trace_with_cot_is_not_run_live_and_refuses_bad_numbers() -> None:
    here = place(ScriptedEngine())
    traces = [asyncio.run(attempt_alone(c, c.problems[0]))[1][0].key for c in (cell("cot", here), cell("answer_convergence", here))]
    assert traces[0] == traces[1]
    made = cell("answer_convergence", here)
    assert made.strategy.strategy.obstacle(made) is None  # type: ignore[misc]
    assert "run it pooled" in str(made.strategy.strategy.obstacle(replace(made, mode="live")))  # type: ignore[misc]
    for params in ({"k": 0}, {"chunk": 0}, {"effort": "mild"}):
        with pytest.raises(UserError, match=next(iter(params))):
            strategies.get("answer_convergence").bind(params, Sampling(), {})
