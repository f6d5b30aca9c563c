"""MATH and MATH-500 as lm-eval 0.4.13 asks and scores them (`minerva_math*`, version 3.1), without lm-eval.

The strings are data: tasks/data/minerva.json; see NOTICE. Comparisons run in the killable processes of tasks.verify, 5 s each at most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from perpass.errors import UserError
from tasks import data, hendrycks, verify
from tasks.extraction import boxed_gold
from tasks.protocol import ProtocolTask, greedy
from tasks.registry import task
from tasks.types import Problem, Prompt

VERSION = 1
INVALID = "[invalidanswer]"

Load = Callable[[], tuple[Sequence[Problem], str]]


@task("math-minerva")
def math_minerva(subject: hendrycks.Subject = "all") -> ProtocolTask:
    """The 5,000 test problems of MATH behind Minerva's four examples, as raw text; greedy, at most 256 tokens; two scores.

    Raises UserError for a missing data folder or package.
    """
    hendrycks.check(subject, "test")

    def load() -> tuple[Sequence[Problem], str]:
        keyed, revision = hendrycks.rows(subject, "test")
        return [_problem(key, row["problem"], row["solution"], hendrycks.meta(row)) for key, row in keyed], revision

    return _task("math-minerva", {"kind": "math-minerva", "subject": subject}, load)


@task("math500-minerva")
def math500_minerva() -> ProtocolTask:
    """MATH-500 behind Minerva's four examples, as raw text; greedy, at most 256 tokens; two scores.

    Raises UserError for a missing data folder or package.
    """
    source = "math500/solutions"
    data.check(source)

    def load() -> tuple[Sequence[Problem], str]:
        table = data.load(source)
        return [
            _problem(row["unique_id"], row["problem"], row["solution"], {"category": row["subject"], "level": row["level"]})
            for row in table.rows
        ], table.revision

    return _task("math500-minerva", {"kind": "math500-minerva"}, load)


def _task(name: str, spec: Mapping[str, Any], load: Load) -> ProtocolTask:
    verify.require_latex(f"task {name}")
    return ProtocolTask(
        protocol=f"lm-eval-minerva_math-{VERSION}+pool-{verify.VERSION}",
        sampling=greedy(strings()["stop"]),
        scores=scores,
        name=name,
        version=VERSION,
        spec=spec,
        load=load,
        numeric=False,
    )


def _problem(key: str, question: str, solution: str, meta: Mapping[str, str]) -> Problem:
    gold = boxed_gold(solution)
    if gold is None:
        raise UserError(f"minerva {key}: its solution has no boxed answer")
    asked = strings()["question"]
    shots = "".join(f"{asked.format(problem=shot['problem'])} {shot['solution']}\n\n" for shot in strings()["examples"])
    prompt = Prompt(raw=shots + asked.format(problem=question))
    known = {**meta, "solution": solution}
    return Problem(key=key, question=question.strip(), answer_format="", gold=(gold.strip(),), fixed=prompt, meta=known)


async def scores(problem: Problem, text: str) -> Mapping[str, float]:
    """`exact_match`: the final answer in Minerva's normal form, the same text or a difference that sympy simplifies to 0.

    `math_verify`: Math-Verify's verdict on the whole reply against the whole published solution.
    """
    solution = problem.meta["solution"]
    answer, gold = normal(final(text)), normal(boxed_gold(solution) or "")
    same = bool(answer) and answer == gold
    exact = same or await verify.check(answer, gold, "difference")
    return {"exact_match": float(exact), "math_verify": float(await verify.check(solution, text, "replies"))}


@cache
def strings() -> dict[str, Any]:
    """The protocol's strings, as quoted."""
    found: dict[str, Any] = json.loads(resources.files("tasks").joinpath("data/minerva.json").read_text(encoding="utf-8"))
    return found


def final(text: str) -> str:
    """What stands behind "The final answer is" in a reply; `[invalidanswer]` where that is missing."""
    match = re.search(strings()["final"], text + "I hope it is correct.")
    return match[1].strip() if match else INVALID


def normal(answer: str) -> str:
    """Minerva's normal form of a final answer (appendix D), as lm-eval's version 3.1 does it."""
    quoted = strings()
    answer = answer.split("=")[-1]
    for word in filter(str.isalpha, quoted["removed"]):  # while spaces still delimit it
        answer = re.sub(rf"(?<!\\)\b{word}\b", "", answer)
    for old, new in quoted["substitutions"]:
        answer = answer.replace(old, new)
    for removed in quoted["removed"]:
        answer = _outside_commands(answer, removed) if removed.isalpha() else answer.replace(removed, "")
    for pattern, kept in quoted["rewritten"]:
        answer = re.sub(pattern, kept, answer)
    answer = answer.replace("$", "")
    return answer.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+", answer) else answer


def _outside_commands(text: str, word: str) -> str:
    """`text` without `word` wherever it is not part of a LaTeX command: the `ft` of `\\left` stays."""
    pieces = re.split(r"(\\[a-zA-Z]+)", text)
    pieces[::2] = [piece.replace(word, "") for piece in pieces[::2]]
    return "".join(pieces)
