"""GSM8K as lm-eval 0.4.13 asks and scores it (`gsm8k` and `gsm8k_cot`, both version 3.0), without lm-eval.

The strings are data: tasks/data/gsm8k_lmeval.json; see NOTICE.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from tasks import data
from tasks.gsm8k import problem
from tasks.protocol import ProtocolTask, greedy
from tasks.registry import task
from tasks.types import Problem, Prompt

VERSION = 1
SHOTS = 5
SEED = 1234
"""lm-eval's default `fewshot_random_seed`."""
INVALID = "[invalid]"

Load = Callable[[], tuple[Sequence[Problem], str]]


@task("gsm8k-lmeval")
def gsm8k_lmeval() -> ProtocolTask:
    """The 1,319 test problems behind five solved training problems each, as raw text; greedy, at most 256 tokens; scored by two filters.

    The prompts are those of a whole run of lm-eval: one random stream gives every problem, in the source's order, five examples of its own.
    Raises UserError for a missing data folder or package.
    """
    data.check("gsm8k/train")
    return _task("gsm8k-lmeval", "gsm8k", _sampled)


@task("gsm8k-cot")
def gsm8k_cot() -> ProtocolTask:
    """The 1,319 test problems behind the eight chains of thought of Wei et al. 2022, as raw text; greedy, at most 256 tokens; two filters.

    Raises UserError for a missing data folder or package.
    """
    return _task("gsm8k-cot", "gsm8k_cot", _same)


def _task(name: str, protocol: str, load: Load) -> ProtocolTask:
    data.check("gsm8k/test")
    strict, flexible = re.compile(strings()[protocol]["strict"]), re.compile(strings()["flexible"])

    async def scores(asked: Problem, text: str) -> Mapping[str, float]:
        given = {"strict-match": filtered(strict, text, 0), "flexible-extract": filtered(flexible, text, -1)}
        return {name: float(normal(answer) == asked.meta["reference"]) for name, answer in given.items()}

    return ProtocolTask(
        protocol=f"lm-eval-{protocol}-{VERSION}",
        sampling=greedy(strings()[protocol]["stop"]),
        scores=scores,
        name=name,
        version=VERSION,
        spec={"kind": name},
        load=load,
        numeric=True,
        grader="number",
    )


@cache
def strings() -> dict[str, Any]:
    """The protocol's strings, as quoted."""
    found: dict[str, Any] = json.loads(resources.files("tasks").joinpath("data/gsm8k_lmeval.json").read_text(encoding="utf-8"))
    return found


def filtered(pattern: re.Pattern[str], text: str, which: int) -> str:
    """lm-eval's regex filter: match number `which`, its first group that is not empty, stripped; `[invalid]` where there is none."""
    found = pattern.findall(text)
    if not found:
        return INVALID
    match = found[which]
    groups = [group for group in match if group] if isinstance(match, tuple) else [match]
    return (groups[0] if groups else INVALID).strip()


def normal(answer: str) -> str:
    """What lm-eval's exact_match compares: without commas, dollar signs, a solution and a final full stop; in lower case."""
    for pattern in strings()["ignored"]:
        answer = re.sub(pattern, "", answer)
    return answer.lower()


def _sampled() -> tuple[Sequence[Problem], str]:
    """Five examples per problem from the training problems, drawn anew for each from one stream."""
    test, train = data.load("gsm8k/test"), data.load("gsm8k/train")
    asked = strings()["gsm8k"]["question"]
    stream, places = random.Random(SEED), range(len(train.rows))
    found = []
    for index, row in enumerate(test.rows):
        drawn = [train.rows[place] for place in stream.sample(places, SHOTS)]
        shots = "".join(f"{asked.format(question=shot['question'])} {shot['answer']}\n\n" for shot in drawn)
        found.append(_problem(index, row, shots + asked.format(question=row["question"]), row["answer"]))
    return found, _revision(test, train)


def _same() -> tuple[Sequence[Problem], str]:
    test, quoted = data.load("gsm8k/test"), strings()["gsm8k_cot"]
    asked = quoted["question"]
    shots = "".join(f"{asked.format(question=shot['question'])} {shot['target']}\n\n" for shot in quoted["examples"])
    return [
        _problem(index, row, shots + asked.format(question=row["question"]), row["answer"].split("####")[-1].strip())
        for index, row in enumerate(test.rows)
    ], test.revision


def _problem(index: int, row: Mapping[str, str], prompt: str, target: str) -> Problem:
    """`meta["reference"]` is what lm-eval compares with, which need not be our gold answer's very string."""
    return problem(f"test/{index}", row["question"], row["answer"], Prompt(raw=prompt), {"reference": normal(target)})


def _revision(test: data.Table, train: data.Table) -> str:
    """The pinned commit that both are at, else both revisions."""
    return test.revision if test.revision == train.revision else f"{test.revision}+{train.revision}"
