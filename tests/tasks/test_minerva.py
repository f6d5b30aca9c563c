"""MATH by lm-eval's Minerva protocol, against lm-eval itself on MATH-500."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tasks
from perpass.errors import UserError
from tasks import minerva, verify
from tasks.types import Outcome, Prescribes, Prompt, Reply

pytestmark = pytest.mark.usefixtures("published")
PIECES = [
    r"\frac",
    "12",
    "ab",
    "{",
    "}",
    "sqrt[3]",
    r"\sqrt",
    "$",
    " ",
    "=",
    r"\text{",
    "cm",
    r"\left(",
    "1,000",
    ",",
    "square",
    r"\pi",
    "%",
]


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("lm_eval.tasks.minerva_math.utils")


@pytest.fixture(scope="module")
def rows(real_data: Path) -> list[dict[str, str]]:
    return list(json.loads((real_data / "math/math500.json").read_text()).values())


def test_prompts_are_lm_evals(theirs: Any, rows: list[dict[str, str]]) -> None:
    """Examples, delimiters and question as its `first_n` sampler and default delimiters put them together."""
    shots = "".join(f"{theirs.doc_to_text(shot)} {shot['solution']}\n\n" for shot in theirs.list_fewshot_samples())
    problems = {p.key: p for p in tasks.load("math500-minerva").problems()}
    assert len(problems) == 500
    assert all(problems[row["unique_id"]].fixed == Prompt(raw=shots + theirs.doc_to_text(row)) for row in rows)


def test_it_prescribes_its_sampling() -> None:
    task = tasks.load("math500-minerva")
    assert isinstance(task, Prescribes) and task.sampling["stop"] == ("Problem:",)
    assert (task.sampling["temperature"], task.sampling["max_tokens"]) == (0.0, 256)


def test_normal_forms_of_all_answers_are_lm_evals(theirs: Any, rows: list[dict[str, str]]) -> None:
    for row in rows:
        gold = theirs.remove_boxed(theirs.last_boxed_only_string(row["solution"]))
        assert minerva.boxed_gold(row["solution"]) == gold
        for text in (gold, row["answer"], row["solution"], f"x = {gold}\\text{{ cm}}", row["problem"]):
            assert minerva.normal(text) == theirs.normalize_final_answer(text)
        reply = f"Hence.\nFinal Answer: The final answer is ${gold}$. I hope it is correct."
        for text in (reply, reply[:-9], row["solution"]):
            assert minerva.final(text) == theirs.get_unnormalized_answer(text)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=8).map("".join))
def test_normal_forms_of_any_text_are_lm_evals(text: str) -> None:
    theirs = pytest.importorskip("lm_eval.tasks.minerva_math.utils")
    assert minerva.normal(text) == theirs.normalize_final_answer(text)


def test_both_scores_are_lm_evals(theirs: Any, rows: list[dict[str, str]]) -> None:
    """On every tenth problem: the right answer in several forms, and the next problem's."""
    task = tasks.load("math500-minerva")
    problems = {p.key: p for p in task.problems()}
    seen = set()
    for i, row in enumerate(rows[::10]):
        for answer in (row["answer"], f"{{{row['answer']}}} + 0", rows[i * 10 + 1]["answer"]):
            for text in (f"Final Answer: The final answer is ${answer}$. I hope it is correct.", rf"So $\boxed{{{answer}}}$."):
                doc = {"solution": row["solution"], "answer": theirs.normalize_final_answer(minerva.boxed_gold(row["solution"]))}
                wanted = theirs.process_results(doc, [text])
                judged = asyncio.run(task.judge(problems[row["unique_id"]], Reply(text)))
                found = {name: judged.scores[name] for name in wanted}
                assert found == wanted, (row["unique_id"], text)
                seen.add(tuple(wanted.values()))
    assert seen >= {(0, 0), (1, 1), (0, 1)}


def test_a_reply_ends_at_its_stop_string_and_the_outcome_is_our_own() -> None:
    task = tasks.load("math500-minerva")
    asked = {p.key: p for p in task.problems()}["test/precalculus/807.json"]
    good = r"Final Answer: The final answer is $\left(3, \frac{\pi}{2}\right)$. I hope it is correct."
    judged = asyncio.run(task.judge(asked, Reply(good + "Problem: Final Answer: The final answer is $1$. I hope", "stop")))
    assert judged.items == (Outcome.CORRECT,) and judged.scores["math_verify"] == 1
    assert task.judge_version.startswith("boxed-1+default-1+lm-eval-minerva_math-1")


def test_an_endless_comparison_is_no_and_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = verify.Pool(size=1, limit=1.0)
    monkeypatch.setattr(verify, "_pool", pool)
    task = tasks.load("math500-minerva")
    asked = task.problems()[0]
    asyncio.run(task.judge(asked, Reply("Final Answer: The final answer is $x+1-1$. I hope it is correct.")))  # warm
    began = time.monotonic()
    judged = asyncio.run(task.judge(asked, Reply("Final Answer: The final answer is $9^{9^{9^{9^9}}}!$. I hope it is correct.")))
    assert judged.scores["exact_match"] == judged.scores["math_verify"] == 0 and time.monotonic() - began < 60
    pool.close()


def test_without_the_grammars_runtime_it_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.metadata, "version", lambda name: "4.13.2")
    with pytest.raises(UserError, match=r"task math500-minerva needs antlr4-python3-runtime 4.11 \(installed: 4.13.2\)"):
        tasks.load("math500-minerva")


def test_math_has_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hendrycks_math/geometry/test.jsonl"
    path.parent.mkdir(parents=True)
    row = {"problem": "Area?", "level": "Level 2", "type": "Geometry", "solution": r"It is $\boxed{\frac12}$."}
    path.write_text(json.dumps(row) + "\n")
    monkeypatch.setenv("PERPASS_DATA", str(tmp_path))
    task = tasks.load({"kind": "math-minerva", "subject": "geometry"})
    (asked,) = task.problems()
    assert asked.key == "test/geometry/0" and asked.meta["level"] == "2" and str(asked.fixed.raw).endswith("Problem:\nArea?\n\nSolution:")  # type: ignore[union-attr]
    judged = asyncio.run(task.judge(asked, Reply("Final Answer: The final answer is $0.5$. I hope it is correct.")))
    assert judged.items == (Outcome.CORRECT,) and judged.scores["exact_match"] == 1
