"""Blocksworld: the validator does what the rules say, and the shortest plan is the shortest."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks.blocksworld import Action, Blocksworld, after, plan
from tasks.types import Judgement, Outcome, Problem, Reply

Facts = frozenset[tuple[str, str]]


def facts(text: str) -> Facts:
    """What is on what, from the question's own words; `hand` holds nothing."""
    return frozenset(re.findall(r"([A-F]) is on (?:the )?(table|[A-F])", text))


def asked(problem: Problem) -> tuple[Facts, Facts]:
    start, goal = (line for line in problem.question.splitlines() if line.startswith(("Start:", "Goal:")))
    return facts(start), facts(goal)


def possible(state: Facts) -> Iterator[tuple[Action, Facts]]:
    """The actions of the domain and what they make of a state, over facts and not stacks: shares no code with the room."""
    held = next((block for block, below in state if below == "hand"), "")
    below_some = {below for _, below in state}
    clear = [block for block, below in state if block not in below_some and below != "hand"]
    if held:
        rest = state - {(held, "hand")}
        yield ("put", held, ""), rest | {(held, "table")}
        for block in clear:
            yield ("stack", held, block), rest | {(held, block)}
        return
    for block, below in state:
        if block in clear:
            action = ("pick", block, "") if below == "table" else ("unstack", block, below)
            yield action, state - {(block, below)} | {(block, "hand")}


def distance(start: Facts, goal: Facts) -> int:
    """The fewest actions, breadth first over all states, those with a block in the hand included."""
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        state, steps = queue.popleft()
        if state == goal:
            return steps
        for _, other in possible(state):
            if other not in seen:
                seen.add(other)
                queue.append((other, steps + 1))
    raise AssertionError("not reachable")


def simulated(start: Facts, actions: tuple[Action, ...]) -> Facts | None:
    for action in actions:
        made = dict(possible(start)).get(action)
        if made is None:
            return None
        start = made
    return start


def stacks(state: Facts) -> tuple[tuple[str, ...], ...]:
    above = {below: block for block, below in state}
    found = []
    for block, below in state:
        if below == "table":
            stack = [block]
            while stack[-1] in above:
                stack.append(above[stack[-1]])
            found.append(tuple(stack))
    return tuple(sorted(found))


def judge(text: str, start: str = "AB C", goal: str = "A CB", moves: int = 1) -> Judgement:
    meta = {"start": start, "goal": goal, "moves": str(moves)}
    problem = Problem(key="p", question="?", answer_format="", gold=("",), meta=meta)
    return asyncio.run(tasks.load("blocksworld").judge(problem, Reply(f"\\boxed{{{text}}}")))


@pytest.mark.parametrize("blocks", [4, 5])
def test_no_plan_is_shorter_and_the_gold_plan_gets_there(blocks: int) -> None:
    for problem in Blocksworld(blocks=blocks, size=36).problems():
        start, goal = asked(problem)
        assert len(start) == len(goal) == blocks
        actions = plan(problem.gold[0])
        assert actions is not None and simulated(start, actions) == goal
        assert distance(start, goal) == len(actions) == 2 * int(problem.meta["moves"])


def test_the_largest_domain_and_the_longest_plans_can_be_asked() -> None:
    problems = Blocksworld(blocks=6, moves=[8, 8], size=3).problems()
    assert all(len(plan(p.gold[0]) or ()) == 16 for p in problems)
    assert len(Blocksworld(blocks=4, moves=[6, 6], size=2).problems()) == 2


@settings(deadline=None)
@given(st.data())
def test_the_validator_agrees_with_rules_over_facts(data: st.DataObject) -> None:
    problem = data.draw(st.sampled_from(Blocksworld(blocks=4, size=24).problems()))
    state, actions = asked(problem)[0], []
    begin = state
    for _ in range(data.draw(st.integers(0, 6))):
        action, state = data.draw(st.sampled_from(sorted(possible(state), key=str)))
        actions.append(action)
    if data.draw(st.booleans()):
        block = st.sampled_from("ABCD")
        odd = data.draw(
            st.tuples(st.sampled_from(["pick", "put"]), block, st.just("")) | st.tuples(st.sampled_from(["stack", "unstack"]), block, block)
        )
        actions.insert(data.draw(st.integers(0, len(actions))), odd)
    end = simulated(begin, tuple(actions))
    expected = None if end is None or any(below == "hand" for _, below in end) else stacks(end)
    assert after(stacks(begin), actions) == expected


GOOD = (("unstack", "B", "A"), ("stack", "B", "C"))


@pytest.mark.parametrize(
    "text",
    [
        "unstack B from A; stack B on C",
        "Unstack B from A, Stack B onto C.",
        "1. unstack B from A\n2. stack B on C",
        "1) unstack b from a; 2) stack b on c",
        "(unstack b a)\n(stack b c)",
        "unstack the block B from the block A; stack block B on top of block C",
        "unstack B from on top of A and then stack B on top of C",
        r"\text{unstack } B \text{ from } A; \text{stack } B \text{ on } C",
        r"\text{unstack B from A; stack B on C}",
        r"unstack B from A \\ stack B on C",
        "unstack B from A → stack B on C",
    ],
)
def test_writings_of_a_plan(text: str) -> None:
    assert plan(text) == GOOD


def test_the_other_actions() -> None:
    assert (
        plan("pick up C; put down C") == plan("pick-up C from the table; put-down C on the table") == (("pick", "C", ""), ("put", "C", ""))
    )


@pytest.mark.parametrize(
    "text", ["", ";", "move B to C", "unstack B; stack B on C", "stack B on C; done", "unstack BB from A", "pick up 1"]
)
def test_what_is_no_plan(text: str) -> None:
    assert plan(text) is None


@pytest.mark.parametrize(
    ("text", "outcome", "valid", "optimality"),
    [
        ("unstack B from A; stack B on C", Outcome.CORRECT, 1, 1),
        ("unstack B from A; put down B; pick up B; stack B on C", Outcome.CORRECT, 1, 0.5),
        ("unstack B from A; put down B", Outcome.WRONG, 1, 0),  # not the goal
        ("unstack B from A", Outcome.WRONG, 0, 0),  # still in the hand
        ("stack B on C", Outcome.WRONG, 0, 0),  # not in the hand
        ("pick up B; stack B on C", Outcome.WRONG, 0, 0),  # not on the table
        ("pick up A; put down A; unstack B from A; stack B on C", Outcome.WRONG, 0, 0),  # not clear
        ("unstack B from C; stack B on C", Outcome.WRONG, 0, 0),  # not there
        ("unstack B from A; pick up C; put down C; stack B on C", Outcome.WRONG, 0, 0),  # two in the hand
        ("unstack B from A; stack B on B", Outcome.WRONG, 0, 0),
        ("unstack F from A; stack F on C", Outcome.WRONG, 0, 0),
        ("B goes on C", Outcome.UNPARSABLE, 0, 0),
    ],
)
def test_judging(text: str, outcome: Outcome, valid: float, optimality: float) -> None:
    judged = judge(text)
    assert judged.items == (outcome,)
    assert judged.scores == {"valid": valid, "optimality": optimality}


def test_classes_are_by_actions() -> None:
    answers = ["unstack B from A; stack B on C", "(unstack b a), (stack b c)", "pick up A", None, "what?"]
    assert asyncio.run(tasks.load("blocksworld").classes(answers)) == [0, 0, 1, -1, -1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"blocks": 3}, "blocks must be a whole number from 4 to 6, not 3"),
        ({"blocks": 7}, "blocks must be"),
        ({"blocks": 4, "moves": [1, 7]}, r"moves must be \[fewest, most\] with 1 <= fewest <= most <= 6"),
    ],
)
def test_bad_values_are_named(spec: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tasks.load({"kind": "blocksworld", **spec})
