"""MATH-500 on its published data."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest

import tasks
from perpass.errors import UserError
from tasks.types import Judgement, Outcome, Problem, Reply, Task

pytestmark = pytest.mark.usefixtures("published")


async def judge_all(task: Task, texts: dict[str, str]) -> list[tuple[Problem, Judgement]]:
    asked = [p for p in task.problems() if p.key in texts]
    judged = await asyncio.gather(*(task.judge(p, Reply(texts[p.key])) for p in asked))
    return list(zip(asked, judged, strict=True))


def wrong(task: Task, texts: dict[str, str]) -> list[tuple[object, str]]:
    return [(p.gold[0], texts[p.key]) for p, j in asyncio.run(judge_all(task, texts)) if j.items != (Outcome.CORRECT,)]


def test_it_has_all_problems_with_the_sources_ids() -> None:
    task = tasks.load("math500")
    problems = {p.key: p for p in task.problems()}
    assert len(problems) == 500 and task.spec == {"kind": "math500"}
    assert task.revision == "ff5b20257d8185524591543f8ff5993951537bb8"
    first = problems["test/precalculus/807.json"]
    assert first.gold == (r"\left( 3, \frac{\pi}{2} \right)",) and first.meta == {"category": "Precalculus", "level": "2"}


def test_any_first_problems_have_the_mix_of_all() -> None:
    problems = tasks.load("math500").problems()
    whole, part = Counter(p.meta["category"] for p in problems), Counter(p.meta["category"] for p in problems[:50])
    assert all(abs(part[name] - whole[name] / 10) < 1.5 for name in whole)


def test_every_gold_answer_is_accepted_in_a_box() -> None:
    task = tasks.load("math500")
    texts = {p.key: rf"Therefore the answer is $\boxed{{{p.gold[0]}}}$." for p in task.problems()}
    assert wrong(task, texts) == []


def test_every_published_solution_is_accepted(real_data: Path) -> None:
    rows = json.loads((real_data / "math/math500.json").read_text()).values()
    assert wrong(tasks.load("math500"), {row["unique_id"]: row["solution"] for row in rows}) == []


def test_what_math_verify_reads_is_accepted_for_every_formula() -> None:
    """The gold answer in other words of LaTeX: text normalisation cannot settle these, so Math-Verify must read the tidied form."""
    task = tasks.load("math500")
    formulas = [p for p in task.problems() if "\\frac" in p.gold[0] and "\\text" not in p.gold[0] and not set(p.gold[0]) & set("([,=")]
    texts = {p.key: rf"\boxed{{{{{p.gold[0]}}}+0}}" for p in formulas}
    assert len(texts) > 40
    assert wrong(task, texts) == []


def test_the_answer_to_another_problem_is_wrong() -> None:
    """Each problem gets the next one's answer; the few that are right have the same answer."""
    task = tasks.load("math500")
    problems = task.problems()
    texts = {p.key: rf"\boxed{{{q.gold[0]}}}" for p, q in zip(problems, [*problems[1:], problems[0]], strict=True)}
    right = [(p.gold[0], texts[p.key]) for p, j in asyncio.run(judge_all(task, texts)) if j.items == (Outcome.CORRECT,)]
    assert all(tasks.answers.canonical(gold) == tasks.answers.canonical(text[7:-1]) for gold, text in right)
    assert len(right) < 20


def test_without_math_verify_it_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "math_verify" else find(name, *rest))
    with pytest.raises(UserError, match=r"^task math500 needs math-verify: pip install 'perpass\[tasks\]'$"):
        tasks.load("math500")
