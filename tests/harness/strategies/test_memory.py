"""Memory across problems: what is written down, what of it a later question sees, what is forgotten, and who is charged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.attempt import Answered
from harness.memory import Memory
from harness.prompts import as_text
from harness.strategies import memory as m
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Sampling
from perpass.errors import UserError
from tasks.types import Problem
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.obliging import obliging
from tests.harness.strategies.scripts import answering
from tests.harness.test_memory import snapshots
from tests.harness.test_runner import go

NAMES = [name for name in strategies.names() if strategies.get(name).family == "memory"]
APPLES, PEARS, TRAINS = "Anna buys apples and pears.", "Bert buys pears and plums.", "Two trains leave at noon."


@dataclass(eq=False)
class Asking(Digits):
    """Asks these questions, one after another."""

    questions: Sequence[str] = ()

    def problems(self) -> Sequence[Problem]:
        return [replace(p, question=q) for p, q in zip(super().problems(), self.questions, strict=False)]


def met(name: str, reply: Callable[[str], str], questions: Sequence[str], **params: Any) -> tuple[list[Answered], Any]:
    """Each question's attempt, and the memory after the last."""
    made, memory, done = cell(name, place(answering(reply)), Asking(questions=questions), **params), Memory(), []
    for problem in made.problems:
        done.append(asyncio.run(attempt_alone(made, problem, memory=memory))[0].answered)
        assert done[-1].error is None, done[-1].error
        memory = Memory.load(done[-1].memory)  # as it is stored
    return done, memory.state


def prompts(done: Answered) -> list[str]:
    return [as_text(call.prompt) for call in done.calls]


def test_a_cheat_sheet_stands_above_the_next_question_and_is_rewritten_after_it() -> None:
    def reply(text: str) -> str:
        if "Cheat sheet so far" not in text:
            return "\\boxed{1}"
        return "Here: <cheatsheet>\nadd up\n</cheatsheet> done" if "(empty)" in text else "<cheatsheet></cheatsheet>"

    (first, second), state = met("dynamic_cheatsheet", reply, [APPLES, TRAINS], size=9_999)
    assert prompts(first)[0].startswith(f"[user]{APPLES}\nPlease reason") and first.calls[0].pooled
    assert prompts(second)[0].startswith(f"[user]{m.SHEET}\nadd up\n\n{TRAINS}\nPlease reason")
    curating = prompts(second)[1]
    assert all(part in curating for part in ("so far:\nadd up\n", TRAINS, "\\boxed{1}", "at most 9999 tokens"))
    assert state == "add up" and [len(d.calls) for d in (first, second)] == [2, 2]  # an empty sheet changes nothing
    _, cut = met("dynamic_cheatsheet", lambda text: "<cheatsheet> a b c d e f g", [APPLES], size=20)
    assert cut == "a b c d"  # 20 tokens, bytes here, and no more


def handbook(text: str) -> str:
    if m.NAME in text:
        return "- sum_up: add the apples\n* no colon here\n1. ride: mind the trains"
    return "it repeats" if m.REFLECT in text else "\\boxed{2}"


def test_the_nearest_behaviors_are_given_and_new_ones_named_after_reflection() -> None:
    (first, second), state = met("behavior_handbook", handbook, [APPLES, "Carl sells apples."], k=1)
    assert [text.rpartition("[user]")[2].partition("\n[")[0] for text in prompts(first)[1:]] == [m.REFLECT, m.NAME]
    assert prompts(second)[0].startswith(f"[user]{m.BEHAVIORS}\nsum_up: add the apples\n\nCarl")
    assert state == [[APPLES, "sum_up: add the apples"], [APPLES, "ride: mind the trains"]]  # known ones are not added again


def test_concepts_are_chosen_by_the_model_and_abstracted_after_the_solution() -> None:
    learned = {APPLES: "buying -> add\nnot a concept\nselling -> subtract", TRAINS: "meeting -> equate", PEARS: "none"}

    def reply(text: str) -> str:
        if m.CHOOSE in text:
            return "2, then 1 and 7" if TRAINS in text else "none of them"
        return next(v for k, v in learned.items() if k in text) if "Which concepts does this teach" in text else "\\boxed{2}"

    (first, second, third), state = met("concept_memory", reply, [APPLES, TRAINS, PEARS])
    assert len(first.calls) == 2 and len(second.calls) == len(third.calls) == 3  # nothing to choose from at first
    assert prompts(second)[1].startswith(f"[user]{m.CONCEPTS}\nselling -> subtract\nbuying -> add\n\n{TRAINS}")
    assert "1. buying -> add\n2. selling -> subtract\n3. meeting -> equate" in prompts(third)[0]
    assert prompts(third)[1].startswith(f"[user]{PEARS}\nPlease") and [text for _, text in state][-1] == "meeting -> equate"


def test_a_bank_learns_strategies_from_what_the_judge_calls_right_and_lessons_from_the_rest() -> None:
    def reply(text: str) -> str:
        if text.endswith(f"{m.JUDGE}\n[assistant]"):
            return "Yes." if APPLES in text else "I see an error: no"
        if "This solution failed" in text:
            return "care: look twice"
        return "1. sum: add up\n2. check: subtract\n3. more: a\n4. most: b" if "This solution succeeded" in text else "\\boxed{2}"

    (first, second, third), state = met("reasoning_bank", reply, [APPLES, TRAINS, PEARS])
    assert [call.role for call in first.calls] == ["policy", "judge", "policy"]
    assert state[:4] == [[APPLES, "sum: add up"], [APPLES, "check: subtract"], [APPLES, "more: a"], [TRAINS, "care: look twice"]]
    assert prompts(second)[0].startswith(f"[user]{TRAINS}\n")  # shares no word with the first question
    assert prompts(third)[0].startswith(f"[user]{m.LESSONS}\nsum: add up\ncheck: subtract\nmore: a\n\n{PEARS}")


def test_what_exceeds_the_bound_is_forgotten_from_the_oldest_on() -> None:
    questions = [f"{'x' * i}?" for i in range(5)]
    _, state = met("behavior_handbook", lambda text: f"at_{len(text)}: do" if m.NAME in text else "so", questions, most=2)
    assert len(state) == 2 and [question for question, _ in state] == ["xxx?", "xxxx?"]


@given(st.lists(st.text("ab cd ef gh ", max_size=12), max_size=6), st.text("ab cd ef ", max_size=12), st.integers(0, 4))
def test_the_nearest_share_the_most_words(texts: list[str], question: str, k: int) -> None:
    texts, question = [t.replace("a", "apple") for t in texts], question.replace("a", "apple")
    found = m.nearest(question, texts, k)
    assert len(found) == len(set(found)) <= k and m.nearest(question, texts, 99)[:k] == found
    alike = any(len(word) > 2 for word in question.split())
    assert m.nearest(question, [*texts, question], 1) == [len(texts)] * alike  # the same text is the nearest, the latest of equal ones


@pytest.mark.parametrize("name", NAMES)
def test_a_memory_goes_through_the_runner_in_its_order_and_is_bounded_and_resumed(tmp_path: Path, name: str) -> None:
    def made(limit: int | None = None) -> Any:
        return replace(cell(name, place(ScriptedEngine(script=obliging)), Digits(size=5), trials=2, order=7), limit=limit)

    whole, parts = tmp_path / "a.db", tmp_path / "b.db"
    assert go([made()], whole).status == "done"
    assert [p.key for p in made().sequence] != [p.key for p in made().problems]
    for _ in range(2):
        go([made()], parts)
    assert snapshots(whole) == snapshots(parts) and len(snapshots(whole)) == 10
    kept = snapshots(whole)[0, 4]
    assert kept and (isinstance(kept, str) or all(len(entry) == 2 for entry in kept))
    assert snapshots(whole)[0, 4] != snapshots(whole)[1, 4]  # trials have memories of their own


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reply", ["", "?", "<think>never ending"])
def test_a_model_that_writes_nothing_down_is_asked_as_without_memory(name: str, reply: str) -> None:
    done, _ = met(name, lambda text: reply, [APPLES, PEARS])
    asked = prompts(done[1])[0]
    assert asked.startswith(f"[user]{PEARS}\nPlease") or (name == "dynamic_cheatsheet" and reply == "?")


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("dynamic_cheatsheet", {"size": 0}, "size=0: input should be greater than or equal to 1"),
        ("reasoning_bank", {"order": -1}, "order=-1: input should be greater than or equal to 0"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})
