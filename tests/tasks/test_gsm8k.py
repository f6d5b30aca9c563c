"""GSM8K on its published data."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

import tasks
from perpass.errors import UserError
from tasks.types import Outcome, Reply

pytestmark = pytest.mark.usefixtures("published")


def test_it_has_all_problems_with_stable_keys() -> None:
    task = tasks.load("gsm8k")
    problems = {p.key: p for p in task.problems()}
    assert set(problems) == {f"test/{row}" for row in range(1319)}
    first = problems["test/0"]
    assert first.question.startswith("Janet") and first.gold == ("18",) and first.meta == {"category": "2 steps", "steps": "2"}
    assert first.answer_format == r"Put your final answer within \boxed{}."
    assert len(tasks.load({"kind": "gsm8k", "split": "train"}).problems()) == 7473


def test_its_identity_holds_no_folder(published: Path) -> None:
    task = tasks.load("gsm8k")
    assert task.spec == {"kind": "gsm8k", "split": "test"}
    assert task.revision == "e53f048856ff4f594e959d75785d2c2d37b678ee"
    assert str(published) not in repr(task.spec)


def test_every_gold_answer_is_a_whole_number() -> None:
    assert all(p.gold[0].lstrip("-").isdigit() for p in tasks.load("gsm8k").problems())


def test_any_first_problems_have_the_mix_of_all() -> None:
    problems = tasks.load("gsm8k").problems()
    whole, part = Counter(p.meta["steps"] for p in problems), Counter(p.meta["steps"] for p in problems[:200])
    assert all(abs(part[steps] - whole[steps] * 200 / 1319) < 2 for steps in whole)


def test_published_solutions_and_boxed_golds_are_correct(real_data: Path) -> None:
    task = tasks.load("gsm8k")

    async def outcomes() -> Counter[Outcome]:
        found: Counter[Outcome] = Counter()
        for p in task.problems():
            for text in (rf"So it is \boxed{{{p.gold[0]}}}.", f"#### {int(p.gold[0]):,}", f"That makes ${p.gold[0]}.00."):
                found[(await task.judge(p, Reply(text))).items[0]] += 1
            found[(await task.judge(p, Reply(rf"\boxed{{{p.gold[0]}1}}"))).items[0]] += 1
        return found

    assert asyncio.run(outcomes()) == {Outcome.CORRECT: 3 * 1319, Outcome.WRONG: 1319}


def test_a_solution_without_its_mark_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k/test.jsonl").write_text('{"question": "?", "answer": "five"}\n')
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    with pytest.raises(UserError, match="gsm8k test/0: its answer has no '#### '"):
        tasks.load("gsm8k").problems()
