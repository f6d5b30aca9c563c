"""ProcBench: official problems from their file, generated ones that are right, and its measures."""

from __future__ import annotations

import asyncio
import json
import random
import re
from itertools import islice

import pytest

import tasks
from perpass.errors import UserError
from tasks.procbench import score
from tasks.procbench.procedures import PROCEDURES, problems
from tasks.procbench.task import asked, templates
from tasks.types import Outcome, Problem, Reply, Task

GENERATED = {"kind": "procbench", "source": "generated"}


def label(problem: Problem) -> dict:
    return json.loads(problem.meta["label"])


def judged(task: Task, problem: Problem, text: str, **more):
    return asyncio.run(task.judge(problem, Reply(text, **more)))


def written(told: dict) -> str:
    """A reply that states the whole label, a state per line."""
    line = [", ".join(map(str, s)) if isinstance(s, list) else str(s) for s in [*told["intermediate"], told["final"]]]
    return "\n".join([*line[:-1], f"\\boxed{{{line[-1]}}}"])


# Independent readings of the data, by another way than the generators go: from the prompt's text to its states.


def substitute(text: str) -> list:
    pairs = dict(re.findall(r"\((\w), (\w)\)", text))
    string = text.rpartition("\n")[2]
    return [string[: k + 1].translate(str.maketrans(pairs)) + string[k + 1 :] for k in range(len(string))]


def encode(text: str) -> list:
    codes = [f"{m[0][0]}_{len(m[0])}" for m in re.finditer(r"(.)\1*", text.splitlines()[-1])]
    return [codes[: k + 1] for k in range(len(codes))]


def rhythm(text: str) -> list:
    one, two, n = (re.search(f"{name}: (.*)", text)[1] for name in ("Sequence 1", "Sequence 2", "N"))
    long = ["".join(p) for p in zip(one.split(", ") * 30, two.split(", ") * 30, strict=False)][: int(n)]
    return ["".join(long[: k + 1]) for k in range(int(n))]


def compare(text: str) -> list:
    target, candidates = re.search("Target: (.*)", text)[1], re.search("Candidate: (.*)", text)[1].split(", ")
    found = []
    for candidate in candidates:
        same = next((k for k, (a, b) in enumerate(zip(target, candidate, strict=True)) if a != b), len(target))
        found.append(target[:same])
        if same == len(target):
            return [*found[:-1], found]
    raise AssertionError("no candidate is the target")


def decode(text: str) -> list:
    whole = [a * int(n) for a, n in re.findall(r"(\d)x(\d)", text)]
    return ["".join(whole[: k + 1]) for k in range(len(whole))]


def push_pop(text: str) -> list:
    value, states = list(re.search("Initial string: (.*)", text)[1]), []
    for action in re.search("Actions: (.*)", text)[1].split(", "):
        if action.startswith("push"):
            value.insert(0 if "left" in action else len(value), action[-2])
        else:
            value.pop(0 if "left" in action else -1)
        states.append("".join(value))
    return states


def delete_char(text: str) -> list:
    value, states = list(re.search("String: (.*)", text)[1]), []
    for letter in re.findall(r"\d+\. (\w)", text):
        value.remove(letter)
        states.append("".join(value))
    return states


def cumulate(text: str) -> list:
    value, states = int(re.search(r"N = (\d+)", text)[1]), []
    for word, number in re.findall(r"(Add|Multiply) (\d+)", text):
        value = value + int(number) if word == "Add" else value * int(number)
        states.append(value)
    return states


def move_cyclic(text: str) -> list:
    array, states = re.search(r"array:\n(.*)", text)[1], []
    for direction, distance in re.findall(r"\((left|right), (\d+)\)", text):
        for _ in range(int(distance)):
            array = array[1:] + array[0] if direction == "left" else array[-1] + array[:-1]
        states.append(array)
    return states


def find_cyclic(text: str) -> list:
    string = re.search(r"String: (.*)", text)[1]
    letter, count = re.findall(r"'(\w+)'", text.partition("Command")[2])
    walk = (string * 10)[string.index(letter) :]
    return [*([walk[k], str(int(count) - k)] for k in range(1, int(count))), walk[int(count)]]


READ = {name: globals()[re.sub("(?<!^)([A-Z])", r"_\1", name).lower()] for name in PROCEDURES}


@pytest.mark.parametrize("name", PROCEDURES)
@pytest.mark.parametrize("steps", [2, 5, 8, 25])
def test_generated_labels_agree_with_an_independent_reading_of_the_prompt(name, steps):
    for drawn in islice(problems(random.Random(f"{name}{steps}"), name, steps, held_out=True), 60):
        read = READ[name](drawn.data.rstrip("\n"))
        assert {"intermediate": read[:-1], "final": read[-1]} == {k: v for k, v in drawn.label.items() if k != "init"}
        assert len(read) == steps


@pytest.mark.parametrize("name", PROCEDURES)
def test_the_independent_reading_agrees_with_the_official_labels(name, published):
    """So generated problems are the official procedures."""
    task = tasks.load({"kind": "procbench", "procedures": [name]})
    assert len(task.problems()) == 24
    for problem in task.problems():
        read, told = READ[name](problem.question.rpartition("[Question]\n")[2].rstrip("\n")), label(problem)
        assert (read[:-1], read[-1]) == (told["intermediate"], told["final"])


def test_official_prompts_are_the_templates_and_the_data(published):
    task = tasks.load("procbench")
    assert len(task.problems()) == 552 and task.spec["procedures"] == list(templates())
    for problem in task.problems():
        assert problem.question.startswith(templates()[problem.meta["procedure"]] + "\n[Question]\n")
        assert int(problem.meta["steps"]) == len(label(problem)["intermediate"]) + 1


def test_official_labels_written_out_score_one(published):
    task = tasks.load({"kind": "procbench", "procedures": ["PushPop", "Encode", "Cumulate", "FindCyclic", "Split1", "Search"]})
    for problem in task.problems():
        told = label(problem)
        if told["final"] in ("", []) or "" in told["intermediate"]:
            continue  # an empty state cannot be written on a line
        found = judged(task, problem, written(told))
        assert found.items == (Outcome.CORRECT,)
        assert {k: found.scores[k] for k in ("PA", "SM", "FM")} == {"PA": 1.0, "SM": 1.0, "FM": 1.0}, problem.key


def test_generated_problems_are_balanced_different_and_held_out():
    task = tasks.load(GENERATED | {"steps": [2, 6], "size": 200})
    found = task.problems()
    assert len({p.question for p in found}) == 200
    assert {(p.meta["procedure"], p.meta["steps"]) for p in found} == {(name, str(n)) for name in PROCEDURES for n in range(2, 7)}
    assert all(p.question.startswith(templates()[p.meta["procedure"]]) for p in found)
    larger = {p.key: p.question for p in tasks.load(GENERATED | {"steps": [2, 6], "size": 300}).problems()}
    assert all(larger[p.key] == p.question for p in found)
    assert tasks.load(task.spec).problems() == found
    trained = {asked(d, "official") for name in PROCEDURES for d in islice(problems(random.Random(1), name, 2, held_out=False), 500)}
    assert not trained & {p.question for p in found}


def test_a_partly_right_reply():
    task = tasks.load(GENERATED | {"procedures": ["Cumulate"], "steps": [4, 4], "size": 1, "instructions": "brief"})
    problem = task.problems()[0]
    told = label(problem)
    a, b, c = told["intermediate"]
    found = judged(task, problem, f"1. {a}\n2. {b}\n3. {c + 1}\n\\boxed{{{told['final']}}}")
    assert found.items == (Outcome.CORRECT,)
    assert {k: found.scores[k] for k in ("PA", "PML", "SM", "FM")} == {"PA": 0.5, "PML": 2.0, "SM": 0.0, "FM": 1.0}
    alone = judged(task, problem, f"\\boxed{{{told['final']}}}")
    assert alone.items == (Outcome.CORRECT,) and alone.scores["PA"] == 0.0
    voted = judged(task, problem, "", items=(str(told["final"]),))
    assert voted.items == (Outcome.CORRECT,) and "PA" not in voted.scores
    assert judged(task, problem, "no idea").items == (Outcome.UNPARSABLE,)


def test_measures_on_hand_worked_cases():
    gold = {"intermediate": ["a", "ab"], "final": "abc"}
    assert score(gold, gold) == {"PA": 1.0, "PML": 3.0, "SM": 1.0, "FM": 1.0}
    assert score(gold, {"intermediate": ["a"], "final": "abc"}) == {"PA": 1 / 3, "PML": 1.0, "SM": 0.0, "FM": 1.0}
    assert score(gold, {"intermediate": ["a", "ab", "abc", "abcd"], "final": "x"}) == {"PA": 0.6, "PML": 3.0, "SM": 0.0, "FM": 0.0}
    assert score(gold, {"intermediate": [], "final": ""})["PA"] == 0.0
    number = {"intermediate": [12], "final": 24}
    assert score(number, {"intermediate": ["12"], "final": "24"})["SM"] == 1.0  # int() of both
    assert score(number, {"intermediate": ["twelve"], "final": None})["PML"] == 0.0
    lists = {"intermediate": [["1_7"]], "final": ["1_7", "0_2"]}
    assert score(lists, {"intermediate": [["1_7"]], "final": ["1_7", "0_2"]})["SM"] == 1.0
    assert score(lists, {"intermediate": ["1_7"], "final": ["1_7"]}) == {"PA": 0.0, "PML": 0.0, "SM": 0.0, "FM": 0.0}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"procedures": ["PushPap"]}, "PushPop"),
        ({"procedures": ["Sort"]}, "unknown procedure"),  # without a generator yet
        ({"steps": [1, 4]}, "steps must be"),
        ({"steps": [2, 26]}, "steps must be"),
        ({"size": 0}, "size must be"),
        ({"instructions": "short"}, "official"),
        ({"source": "hub"}, "generated"),
    ],
)
def test_bad_values_are_said_in_a_sentence(spec, says):
    with pytest.raises(UserError, match=says):
        tasks.load(GENERATED | spec)


def test_a_size_that_different_problems_cannot_fill():
    task = tasks.load(GENERATED | {"procedures": ["Encode"], "steps": [2, 2], "size": 500})
    with pytest.raises(UserError, match="only 1[0-9] different problems of Encode with 2 steps"):
        task.problems()
