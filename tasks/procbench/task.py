"""The `procbench` task: the official problems, or problems of our own generators, judged by their final state and by all their states."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

from perpass.errors import UserError, unknown
from tasks import data
from tasks.boxed import BoxedTask
from tasks.procbench import scoring
from tasks.procbench.procedures import LEAST_STEPS, MOST_STEPS, PROCEDURES, Drawn, problems
from tasks.registry import task
from tasks.types import Ask, Judgement, Problem, Reply

VERSION = 1
STATE_FORMAT = r"Put the final state within \boxed{}."
SOURCE = "procbench"
LENGTHS = {"short": range(2, 7), "medium": range(7, 17), "long": range(17, 26)}
Instructions = Literal["official", "brief"]


@task("procbench")
class ProcBench(BoxedTask):
    """Procedures of ProcBench. The outcome is FM, whether the final state is right; PA, PML, SM and FM of the written states beside it.

    `source`: `official`, the 5,520 problems of the data set, or `generated`, `size` problems of our own on procedures with a generator,
    spread evenly over procedures and numbers of steps, all on data kept from the reference models. `procedures`: names; none means all
    that the source has. `steps`: [fewest, most]. `instructions`: the official template, or for generated problems a brief line.
    Raises UserError for a bad value or missing data.
    """

    def __init__(
        self,
        source: Literal["official", "generated"] = "official",
        procedures: Sequence[str] = (),
        steps: Sequence[int] = (LEAST_STEPS, MOST_STEPS),
        instructions: Instructions = "official",
        size: int | None = None,
        seed: int = 0,
    ):
        known = list(PROCEDURES) if source == "generated" else list(templates())
        chosen = _names(procedures, known)
        low, high = _bounds(steps)
        if source == "official":
            data.check(SOURCE)
            if instructions != "official" or size is not None or seed:
                raise UserError("procbench: instructions, size and seed are for source: generated; the official problems are what they are")
            spec: dict[str, Any] = {"kind": "procbench", "source": source, "procedures": chosen, "steps": [low, high]}
        else:
            size = 600 if size is None else _whole("size", size, 1)
            spec = {"kind": "procbench", "source": source, "procedures": chosen, "steps": [low, high]}
            spec |= {"instructions": instructions, "size": size, "seed": _whole("seed", seed, 0)}

        def load() -> tuple[Sequence[Problem], str]:
            if source == "official":
                return _official(chosen, low, high)
            return _generated(chosen, range(low, high + 1), instructions, size or 0, seed), "generated"

        super().__init__(name="procbench", version=VERSION, spec=spec, load=load, numeric=False, grader="state")

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The outcome of the final state; with a text of its own, PA, PML, SM and FM of the states written in it, one per line."""
        judgement = await super().judge(problem, reply, ask)
        if reply.items is not None:  # a vote decided the final state: nobody wrote the others
            return judgement
        label = json.loads(problem.meta["label"])
        found = scoring.score(label, scoring.predicted(reply.text, judgement.extracted[0], label))
        return Judgement(judgement.items, {**judgement.scores, **found}, judgement.extracted)


@cache
def templates() -> dict[str, str]:
    """The official instruction of each of the 23 procedures, by name, in the official order."""
    found: dict[str, str] = json.loads(resources.files("tasks").joinpath("data/procbench.json").read_text())["templates"]
    return found


def asked(drawn: Drawn, instructions: Instructions) -> str:
    """The question of a generated problem."""
    if instructions == "official":
        return f"{templates()[drawn.procedure]}\n[Question]\n{drawn.data}"
    return f"{PROCEDURES[drawn.procedure].brief}\n{drawn.data}".rstrip()


def _official(chosen: Sequence[str], low: int, high: int) -> tuple[Sequence[Problem], str]:
    table = data.load(SOURCE)
    names = list(templates())
    found = []
    for row in table.rows:
        name, label = names[int(row["task_name"].removeprefix("task")) - 1], json.loads(row["label"])
        steps = len(label["intermediate"]) + 1
        if name in chosen and low <= steps <= high:
            found.append(_problem(row["problem_name"], row["prompt"], name, steps, label))
    if not found:
        raise UserError(f"procbench: no problem of {', '.join(chosen)} with {low} to {high} steps in the data")
    return found, table.revision


def _generated(chosen: Sequence[str], steps: range, instructions: Instructions, size: int, seed: int) -> Sequence[Problem]:
    """`size` problems, no two equal. Growing `size` keeps what was there: each depends on earlier ones only."""
    kinds = [(name, n) for n in steps for name in chosen]
    share, rest = divmod(size, len(kinds))
    found = []
    for at, (name, n) in enumerate(kinds):
        seen: set[str] = set()
        for position in range(share + (at < rest)):
            drawn = _unseen(random.Random(f"procbench/{seed}/{name}/{n}/{position}"), name, n, seen)
            found.append(_problem(f"{name}/{n:02d}/{position:05d}", asked(drawn, instructions), name, n, drawn.label))
    return found


def _unseen(rng: random.Random, name: str, steps: int, seen: set[str]) -> Drawn:
    """A problem that is not among `seen`, and is there afterwards. Raises UserError where there seem to be no others."""
    for drawn, _ in zip(problems(rng, name, steps, held_out=True), range(1000), strict=False):
        if drawn.data not in seen:
            seen.add(drawn.data)
            return drawn
    raise UserError(f"procbench: size is too large: only {len(seen)} different problems of {name} with {steps} steps were found")


def _problem(key: str, question: str, name: str, steps: int, label: dict[str, Any]) -> Problem:
    length = next(length for length, counts in LENGTHS.items() if steps in counts)
    return Problem(
        key=key,
        question=question,
        answer_format=STATE_FORMAT,
        gold=(scoring.as_text(label["final"]),),
        meta={"category": f"{name}, {length}", "procedure": name, "steps": str(steps), "label": json.dumps(label)},
    )


def _names(given: object, known: Sequence[str]) -> list[str]:
    if not isinstance(given, (list, tuple)):
        raise UserError(f"procbench: procedures must be a list of names, not {given!r}")
    for name in given:
        if name not in known:
            raise unknown("procedure", str(name), known)
    return [name for name in known if name in given] or list(known)


def _bounds(steps: object) -> tuple[int, int]:
    pair = list(steps) if isinstance(steps, (list, tuple)) else []
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
    if not whole or len(pair) != 2 or not LEAST_STEPS <= pair[0] <= pair[1] <= MOST_STEPS:
        expected = f"[fewest, most] with {LEAST_STEPS} <= fewest <= most <= {MOST_STEPS}"
        raise UserError(f"procbench: steps must be {expected}, not {steps!r}")
    return pair[0], pair[1]


def _whole(key: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"procbench: {key} must be a whole number of at least {least}, not {value!r}")
    return value
