"""Deduction: the gold answer follows from the text and from nothing less than its chain."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable

import pytest

import tasks
from perpass.errors import UserError
from tasks.types import Outcome, Problem, Reply

MANY = tasks.load({"kind": "logic", "size": 3000}).problems()
RULE = re.compile(r"(?:Every|Each|Anything that is a) (\w+) is (a \w+|not \w+|\w+)\.")
FACT = re.compile(r"([A-Z][a-z]+) is a (\w+)\.")
ASKED = re.compile(r"True or false: (\w+) is (not )?(\w+)\.$")


def question(problem: Problem) -> tuple[str, bool, str]:
    """Who is asked about, whether the statement affirms, and which property."""
    match = ASKED.search(problem.question)
    assert match is not None
    return match[1], match[2] is None, match[3]


def deduced(problem: Problem) -> tuple[set[str], int]:
    """All that follows about the asked individual, by forward chaining over the text, and how many rules lead to the asked property."""
    text, (who, _, asked) = problem.question.rpartition("\n")[0], question(problem)
    sentences = re.findall(r"[^.]+\.", text)
    rules = [match.groups() for s in sentences if (match := RULE.fullmatch(s.strip()))]
    facts = [match.groups() for s in sentences if (match := FACT.fullmatch(s.strip()))]
    assert len(rules) + len(facts) == len(sentences)
    known = {f"a {concept}": 0 for name, concept in facts if name == who}
    while new := {then: known[f"a {given}"] + 1 for given, then in rules if f"a {given}" in known and then not in known}:
        known |= new
    return set(known), next(steps for what, steps in known.items() if what.removeprefix("not ") == asked)


def test_the_gold_answer_follows_from_the_text_in_as_many_steps_as_are_named() -> None:
    for problem in MANY[:600]:
        _, affirms, asked = question(problem)
        known, steps = deduced(problem)
        has, has_not = asked in known, f"not {asked}" in known
        assert has != has_not
        assert problem.gold == (str(has == affirms),)
        assert steps == int(problem.meta["hops"])
        assert not any(f"not {what}" in known for what in known)


def test_half_of_the_answers_are_true_at_every_depth() -> None:
    counts = Counter((p.meta["hops"], p.gold[0]) for p in MANY)
    assert set(counts.values()) == {250} and len(counts) == 12


def mentions(problem: Problem) -> list[bool]:
    """In the order of the text, whether each rule that names the asked property affirms it."""
    asked = question(problem)[2]
    return [negated == "" for negated in re.findall(rf"is (not |){asked}\.", problem.question.rpartition("\n")[0])]


def follows_who_is_named_last(problem: Problem) -> bool:
    return question(problem)[0] == re.findall(r"\b(\w+) is a \w+\.", problem.question)[-1]


def concept_of(problem: Problem) -> str:
    found = re.search(rf"{question(problem)[0]} is a (\w+)\.", problem.question)
    assert found is not None
    return found[1]


def nearest_rule(problem: Problem) -> bool:
    """What the rule on the property says that stands nearest to the asked individual's own fact."""
    text, asked = problem.question.rpartition("\n")[0], question(problem)[2]
    home = text.index(f"{question(problem)[0]} is a ")
    rules = [(abs(match.start() - home), match[1] == "") for match in re.finditer(rf"is (not |){asked}\.", text)]
    return min(rules)[1] == question(problem)[1]


SHORTCUTS: dict[str, Callable[[Problem], bool]] = {
    "an affirmed statement is true": lambda p: question(p)[1],
    "the first rule on the property decides": lambda p: mentions(p)[0] == question(p)[1],
    "the last rule on the property decides": lambda p: mentions(p)[-1] == question(p)[1],
    "the nearest rule on the property decides": nearest_rule,
    "who is named last has the last-named property": lambda p: follows_who_is_named_last(p) == (mentions(p)[-1] == question(p)[1]),
    "the name alone": lambda p: question(p)[0] < "H",
    "the property alone": lambda p: question(p)[2] < "m",
    "the length of the text": lambda p: len(p.question) % 2 == 0,
    "the most frequent polarity": lambda p: p.question.count("not ") % 2 == 0,
    "the first concept": lambda p: concept_of(p) < "r",
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_shortcuts_are_no_better_than_chance(name: str) -> None:
    """Five standard deviations of 3,000 fair coins are 0.046."""
    right = sum(str(SHORTCUTS[name](p)) == p.gold[0] for p in MANY) / len(MANY)
    assert abs(right - 0.5) < 0.05, right


def test_the_property_is_affirmed_and_denied_once_each() -> None:
    assert all(sorted(mentions(p)) == [False, True] for p in MANY)


@pytest.mark.parametrize("distractors", [0, 1, 3])
def test_distractors_lengthen_the_text_and_lead_nowhere(distractors: int) -> None:
    for problem in tasks.load({"kind": "logic", "hops": [4, 4], "distractors": distractors, "size": 40}).problems():
        text = problem.question.rpartition("\n")[0]
        assert len(RULE.findall(text)) == 2 * 4 * (1 + distractors)
        assert len(deduced(problem)[0]) == 4 * (1 + distractors) + 1


def test_the_deepest_and_most_distracted_problems_can_be_made() -> None:
    problems = tasks.load({"kind": "logic", "hops": [12, 12], "distractors": 3, "size": 20}).problems()
    assert all(deduced(p)[1] == 12 for p in problems)


@pytest.mark.parametrize("text", ["True", "true", "TRUE", r"\text{True}", "**True**", "True."])
def test_writings(text: str) -> None:
    gold = {p.gold[0]: p for p in MANY[:50]}
    task = tasks.load("logic")
    for answer, expected in (("True", Outcome.CORRECT), ("False", Outcome.WRONG)):
        assert asyncio.run(task.judge(gold[answer], Reply(f"\\boxed{{{text}}}"))).items == (expected,)
    assert asyncio.run(task.classes([text, "True", "False", "maybe"])) == [0, 0, 1, -1]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hops": [0, 3]}, "hops must be"),
        ({"hops": [3, 13]}, "hops must be"),
        ({"distractors": 4}, "distractors must be a whole number from 0 to 3, not 4"),
        ({"distractors": True}, "distractors"),
    ],
)
def test_bad_values_are_named(spec: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tasks.load({"kind": "logic", **spec})
