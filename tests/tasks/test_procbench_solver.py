"""ProcBench's procedures: from official prompts to official labels, and what the templates leave open."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

import tasks
from perpass.errors import UserError
from tasks.procbench import solve
from tasks.procbench.procedures import PROCEDURES
from tasks.procbench.task import asked
from tasks.procbench.templates import templates


def typed(state: Any) -> Any:
    """A state with its types, so that 1 and "1" differ."""
    return [typed(e) for e in state] if isinstance(state, (list, tuple)) else (type(state).__name__, state)


def states(procedure: str, data: str) -> list[Any]:
    """All states of data in the official form."""
    told = solve(f"{templates()[procedure]}\n[Question]\n{data}")
    return [*told["intermediate"], told["final"]]


def test_all_official_labels_of_the_sample(published):
    problems = tasks.load("procbench").problems()
    assert len(problems) == 552
    for problem in problems:
        told, found = json.loads(problem.meta["label"]), solve(problem.question)
        assert set(found) == {"intermediate", "final"}
        assert typed([found["intermediate"], found["final"]]) == typed([told["intermediate"], told["final"]]), problem.key


@pytest.mark.parametrize("name", PROCEDURES)
def test_generated_labels_are_those_of_the_procedure(name):
    """Generators make their labels by another way than the solver: backwards, or piece by piece."""
    for steps in range(2, 26):
        for seed in range(8):
            drawn = PROCEDURES[name].draw(random.Random(f"{name}/{steps}/{seed}"), steps)
            found = solve(asked(drawn, "official"))
            assert typed([*found["intermediate"], found["final"]]) == typed(list(drawn.states))
            assert len(drawn.states) == steps and drawn.procedure == name


HAND_WORKED = [
    ("Sort", "String: aab", ["aab"]),  # nothing to swap: it ends where it began
    ("Sort", "String: baba", ["abba", "aabb"]),
    ("Gather", "Strings: [ab1, cd]\nSets of Numbers: [(0, 1, 9), (1, 0, 1)]\n", ["b1", "b1c"]),
    ("Count", "Strings:\n['a0b07', 'xy', '12']", [["a0b07", "2", "7", "14"], ["xy", "2", "0", "0"], ["12", "0", "12", "0"], 14]),
    ("Search", "Strings: [aaa, aaaa, baa]\nSubstrings: [aa, aa]\n", [[1, 2, 1], [2, 4, 2]]),  # no overlaps; a second time counts again
    ("Copy", "Strings: [a, b2]\nIndices: [1, 1, 0]\n", ["b2", "b2b2", "b2b2a"]),
    ("Substitute", "Pairs:\n(a, b)\n(b, c)\nString:\nabz", ["bbz", "bcz", "bcz"]),  # one by one, never twice; z has no partner
    ("Encode", "String:\n0110", [["0_1"], ["0_1", "1_2"], ["0_1", "1_2", "0_1"]]),
    ("Split1", "String:\nabcd\nPositions:\n3, 1", [["abc", "d"], ["a", "bc", "d"]]),
    ("Split2", "String:\nabcd\nIndices:\n(0, 3), (0, 1)", [["abc", "d"], ["a", "bc", "d"]]),
    ("Compose", "Rules:\na, a -> a\nInitial state:\na, a, a", [["a", "a"], ["a"]]),
    ("Compose", "Rules:\na, b -> c\nb, c -> d\nInitial state:\na, b, c", [["a", "d"]]),  # the rightmost first: a, b is gone
    ("Compose", "Rules:\na, b -> c\nInitial state:\nb, a", [["b", "a"]]),
    ("Decompose", "characters: ab\nrules:\na -> bb\nb -> cd", ["bbb", "cdbb", "cdcdb", "cdcdcd"]),  # what comes of a rule has rules too
    ("Rhythm", "Sequence 1: 0, 1\nSequence 2: a, b, c\nN: 4", ["0a", "0a1b", "0a1b0c", "0a1b0c1a"]),
    ("Compare", "Target: ab\nCandidate: zz, abc, a, ab, ab", ["", "ab", "a", ["", "ab", "a", "ab"]]),
    ("Count2", "Sentence:\nAb 7 a", [[1, 1, *[0] * 24], [1, 1, *[0] * 24], [2, 1, *[0] * 24]]),
    ("Decode", "Sentence: 1x2 0x10\n", ["11", "110000000000"]),
    ("PushPop", "Initial string: a\nActions: pop_left, pop_right, push_left(b)", ["", "", "b"]),
    ("PushPop", "Initial string: \nActions: push_left(b), push_right(c)", ["b", "bc"]),
    ("Rotate", "String:\nabcd\nIndices:\n(0, 4), (1, 3), (2, 3)", ["dabc", "dbac", "dbac"]),
    ("FillWord", "Sentence:\n[2] )-[10] [1]\nList:\n[(1, x), (10, y), (2, z)]", ["[2] )-[10] x", "[2] )-y x", "z )-y x"]),
    ("DeleteChar", "String: abab\nSteps: \n1. b\n2. z\n3. b", ["aab", "aab", "aa"]),
    ("DeleteWord", "Sentence:\nThe the thesis of the\nWords: [the, of]\n", ["The thesis of the", "The thesis the"]),
    ("Cumulate", "N = 3\nOperations: [Add 0, Multiply 5, Add 12]\n", [3, 15, 27]),
    ("MoveCyclic", "Initial array:\nx--\nOperations: [\n (left, 1),\n (right, 3),\n (right, 2)\n]\n", ["--x", "--x", "-x-"]),
    ("FindCyclic", "String: aba\nCommand: ['a', '4']\n", [["b", "3"], ["a", "2"], ["a", "1"], "b"]),
    ("FindCyclic", "String: q\nCommand: ['q', '1']\n", ["q"]),
]


@pytest.mark.parametrize(("procedure", "data", "expected"), HAND_WORKED)
def test_hand_worked(procedure, data, expected):
    assert typed(states(procedure, data)) == typed(expected)


def test_space_at_the_ends_and_other_line_ends_do_not_count():
    prompt = f"{templates()['Cumulate']}\n[Question]\nN = 1\nOperations: [Add 2, Multiply 3]\n"
    assert solve(prompt) == solve("\n" + prompt.rstrip()) == solve(prompt.replace("\n", "\r\n")) == {"intermediate": [3], "final": 9}


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (
            "Add or multiply numbers to an initial number.\n[Question]\nN = 1",
            "none of the 23 official ones; the nearest procedure is Cumulate",
        ),
        ("", "none of the 23"),
        (templates()["Sort"].replace("swapping", "moving"), "the nearest procedure is Sort"),
        (f"{templates()['Gather']}\n[Question]\nStrings: [a]", "no 'Sets of Numbers:'"),
        (f"{templates()['Copy']}\n[Question]\nStrings: [a]\nIndices: [1]", "the data of this Copy problem cannot be followed"),
        (f"{templates()['Compare']}\n[Question]\nTarget: ab\nCandidate: ac", "no candidate is the target 'ab'"),
        (f"{templates()['Decompose']}\n[Question]\ncharacters: a\nrules:\na -> ab", "no end within"),
        (f"{templates()['Cumulate']}\n[Question]\nN = 1\nOperations: []", "this Cumulate problem has no steps"),
    ],
)
def test_what_cannot_be_solved_is_said_in_a_sentence(prompt, says):
    with pytest.raises(UserError, match=says) as caught:
        solve(prompt)
    assert "\n" not in str(caught.value)
