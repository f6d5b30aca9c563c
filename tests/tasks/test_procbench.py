"""ProcBench as a task: official problems from their file, two answer formats, and its measures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

import tasks
from perpass.errors import UserError
from tasks.procbench import score
from tasks.procbench.templates import templates
from tasks.types import Outcome, Problem, Reply, Task

GENERATED = {"kind": "procbench", "source": "generated"}


def label(problem: Problem) -> dict:
    return json.loads(problem.meta["label"])


def judged(task: Task, problem: Problem, text: str, **more):
    return asyncio.run(task.judge(problem, Reply(text, **more)))


def written(told: dict) -> str:
    """A reply that states the whole label, a state per line; an empty one in quotes."""
    line = [", ".join(map(str, s)) if isinstance(s, list) else str(s) for s in [*told["intermediate"], told["final"]]]
    return "\n".join([*(text or '""' for text in line[:-1]), f"\\boxed{{{line[-1]}}}"])


def fractions(found) -> dict[str, float]:
    return {k: v for k, v in found.scores.items() if k in ("PA", "SM", "FM")}


def test_official_prompts_are_the_templates_and_the_data(published):
    task = tasks.load("procbench")
    assert len(task.problems()) == 552 and task.spec["procedures"] == list(templates())
    for problem in task.problems():
        assert problem.question.startswith(templates()[problem.meta["procedure"]] + "\n[Question]\n")
        steps = int(problem.meta["steps"])
        assert steps == len(label(problem)["intermediate"]) + 1
        assert problem.meta["length"] == ("short" if steps <= 6 else "medium" if steps <= 16 else "long")


@pytest.mark.parametrize("format", ["free", "json"])
def test_official_labels_written_out_score_one(published, format):
    """Empty states too: an empty box is the empty string."""
    task = tasks.load({"kind": "procbench", "format": format})
    for problem in task.problems():
        told = label(problem)
        text = written(told) if format == "free" else f"So it is:\n{json.dumps(told)}"
        found = judged(task, problem, text)
        assert found.items == (Outcome.CORRECT,) and found.scores["exact"] == 1.0, problem.key
        assert fractions(found) == {"PA": 1.0, "SM": 1.0, "FM": 1.0}, problem.key
        assert judged(task, problem, "", items=found.extracted).items == (Outcome.CORRECT,)


def test_the_free_format_is_what_reference_models_are_trained_on():
    task = tasks.load(GENERATED | {"size": 30})
    assert {p.answer_format for p in task.problems()} == {r"Put the final state within \boxed{}."}
    assert task.spec["format"] == "free" and task.judge_version == "states-1+boxed-1+state-1"
    assert task.with_grader("exact").judge_version == "states-1+boxed-1+exact-1"


def test_the_json_format_says_the_kinds_of_states():
    task = tasks.load(GENERATED | {"procedures": ["Count"], "format": "json", "size": 1})
    problem = task.problems()[0]
    assert "an intermediate state is a list of strings, the final state a whole number" in problem.answer_format
    assert '{"intermediate": [...], "final": ...}' in problem.answer_format
    told = label(problem)
    wrong = told | {"final": told["final"] + 1}
    found = judged(task, problem, f"<think>{json.dumps(told)}</think>```json\n{json.dumps(wrong)}\n```")
    assert (
        found.items == (Outcome.WRONG,) and found.extracted == (str(wrong["final"]),) and found.scores["PML"] == len(told["intermediate"])
    )
    assert judged(task, problem, f"\\boxed{{{told['final']}}}").items == (Outcome.UNPARSABLE,)  # not what was asked
    listed = judged(task, problem, json.dumps(told | {"final": [told["final"]]}))
    assert listed.items == (Outcome.WRONG,) and listed.scores["FM"] == 0.0  # a list is no number, though its text reads alike
    cut = judged(task, problem, json.dumps(told).rpartition('"final": ')[0] + '"final": 1', finish="length")
    assert cut.items == (Outcome.TRUNCATED,) and cut.scores["PML"] == len(told["intermediate"])


def test_a_judge_model_reads_free_replies_beside_the_reader():
    task = tasks.load(GENERATED | {"procedures": ["Encode"], "steps": [3, 3], "size": 1})
    problem = task.problems()[0]
    told = label(problem)
    asked = []

    async def ask(prompt):
        asked.append(prompt)
        return json.dumps({"intermediate": told["intermediate"], "final": told["final"]})

    reply = Reply(f"<think>hm</think>The runs are as you see them, at last \\boxed{{{', '.join(told['final'])}}}")
    found = asyncio.run(task.judge(problem, reply, ask))
    assert found.scores["PA"] == 0.0 and found.scores["engine PA"] == found.scores["engine SM"] == 1.0
    system, user = asked[0].turns
    assert '"array"' in system.content and user.content.startswith("# Answer of a model:\nThe runs")
    asyncio.run(task.judge(problem, Reply("", items=("1_2",)), ask))
    assert len(asked) == 1  # a vote has no text

    async def refuses(prompt):
        return "I cannot."

    assert asyncio.run(task.judge(problem, reply, refuses)).scores["engine FM"] == 0.0


def test_an_empty_final_state():
    task = tasks.load(GENERATED | {"procedures": ["PushPop"], "steps": [2, 2], "size": 1})
    problem = task.problems()[0]
    meta = {**problem.meta, "label": json.dumps({"init": "ab", "intermediate": ["b"], "final": ""})}
    empty = replace(problem, gold=("",), meta=meta)
    for text in ("b\n\\boxed{}", "b\n\\boxed{\\text{}}", 'b\n\\boxed{""}', "b\n\\boxed{\\text{empty string}}", '1. b\nFinal string: ""'):
        found = judged(task, empty, text)
        assert found.items == (Outcome.CORRECT,) and found.scores["SM"] == 1.0, text
    assert judged(task, empty, "b").items == (Outcome.UNPARSABLE,)
    assert judged(task, problem, "\\boxed{}").items == (Outcome.WRONG,)
    assert asyncio.run(task.classes(["", None, "a", '""'])) == [0, -1, 1, 0]


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
    assert score(number, {"intermediate": [float("inf")], "final": 24.5})["PML"] == 0.0 and score(number, number)["SM"] == 1.0
    assert score(lists, {"intermediate": ["1_7"], "final": ["1_7"]}) == {"PA": 0.0, "PML": 0.0, "SM": 0.0, "FM": 0.0}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"procedures": ["PushPap"]}, "PushPop"),
        ({"procedures": "trained"}, "a list of names or 'reference'"),
        ({"format": "xml"}, "'free' or 'json'"),
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
