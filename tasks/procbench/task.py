"""The `procbench` task: the official problems, or problems of our own generators, judged by their final state and by all their states."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any, Literal

from perpass.errors import UserError, unknown
from tasks import answers, data
from tasks.boxed import BoxedTask, outcome
from tasks.checks import bounds, whole
from tasks.procbench import extractor, reading, scoring
from tasks.procbench.kinds import kinds
from tasks.procbench.procedures import LEAST_STEPS, MOST_STEPS, PROCEDURES, REFERENCE, Drawn, problems
from tasks.procbench.templates import templates
from tasks.registry import task
from tasks.types import Ask, Judgement, Problem, Reply

VERSION = 1
STATE_FORMAT = r"Put the final state within \boxed{}."
JSON_FORMAT = (
    'Give the states as one JSON object: {{"intermediate": [...], "final": ...}}; an intermediate state is {}, the final state {}. '
    "Nothing comes after it."
)
SOURCE = "procbench"
LENGTHS = {"short": range(2, 7), "medium": range(7, 17), "long": range(17, 26)}
Instructions = Literal["official", "brief"]
Format = Literal["free", "json"]


@task("procbench")
class ProcBench(BoxedTask):
    """Procedures of ProcBench. The outcome is FM, whether the final state is right; PA, PML, SM and FM of the written states beside it.

    `source`: `official`, the 5,520 problems of the data set, or `generated`, `size` problems of our own, spread evenly over procedures and
    numbers of steps, all on data kept from the reference models. `procedures`: names, or `reference`, those that the reference models are
    trained on; none means all. `steps`: [fewest, most]. `instructions`: the official template, or for generated problems a brief line.
    `format`: `free`, the official free-form reply with the final state in a box, read by `reading.free`; or `json`, one JSON object with
    all states (ours). Raises UserError for a bad value or missing data.
    """

    literal = True  # every letter of a question's data counts: see tasks.stress

    def __init__(
        self,
        source: Literal["official", "generated"] = "official",
        procedures: Sequence[str] | Literal["reference"] = (),
        steps: Sequence[int] = (LEAST_STEPS, MOST_STEPS),
        instructions: Instructions = "official",
        format: Format = "free",
        size: int | None = None,
        seed: int = 0,
    ):
        chosen = _names(procedures)
        low, high = bounds("procbench", "steps", steps, LEAST_STEPS, MOST_STEPS)
        spec: dict[str, Any] = {"kind": "procbench", "source": source, "procedures": chosen, "steps": [low, high], "format": format}
        if source == "official":
            data.check(SOURCE)
            if instructions != "official" or size is not None or seed:
                raise UserError("procbench: instructions, size and seed are for source: generated; the official problems are what they are")
        else:
            size = 600 if size is None else whole("procbench", "size", size, 1)
            spec |= {"instructions": instructions, "size": size, "seed": whole("procbench", "seed", seed, 0)}

        def load() -> tuple[Sequence[Problem], str]:
            if source == "official":
                return _official(chosen, low, high, format)
            return _generated(chosen, range(low, high + 1), instructions, size or 0, seed, format), "generated"

        self.format = format
        super().__init__(name="procbench", version=VERSION, spec=spec, load=load, numeric=False, grader="state")

    def _use(self, grader: str) -> None:
        super()._use(grader)
        self.judge_version = f"states-{reading.VERSION}+{self.judge_version}"

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The final state as a reply writes it; None where there is none. An empty box is the empty string."""
        if self.format == "free":
            return (reading.final_text(text),)
        final = reading.structured(text)["final"]
        return (None if final is None else scoring.as_text(final),)

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """The outcome of the final state; with a text of its own, PA, PML, SM and FM of the states written in it.

        `exact`: the final state is the gold one's very string. With a judge model `ask`, a free-form reply is also read by it, and its
        `engine PA`, … stand beside.
        """
        label, procedure = json.loads(problem.meta["label"]), problem.meta["procedure"]
        gold = str(problem.gold[0])
        found = self.extract(reply.text)[0] if reply.items is None else next(iter(reply.items), None)
        right = found is not None and scoring.equal(label["final"], reading.value(found, kinds(procedure)[1]))
        scores = {"exact": float(found == gold)}
        if reply.items is None:  # else a vote decided the final state: nobody wrote the others
            free = self.format == "free"
            scores |= scoring.score(label, reading.free(reply.text, procedure, label) if free else reading.structured(reply.text))
            if free and ask is not None:
                by_engine = scoring.score(label, await extractor.extracted(reply.text, procedure, ask))
                scores |= {f"engine {name}": value for name, value in by_engine.items()}
            right = scores["FM"] == 1
        if self.grader != "state":
            right = await answers.matches(gold, found, self.grader)
        return Judgement(items=(outcome(right, found, found, reply.finish),), scores=scores, extracted=(found,))


def asked(drawn: Drawn, instructions: Instructions) -> str:
    """The question of a generated problem."""
    if instructions == "official":
        return f"{templates()[drawn.procedure]}\n[Question]\n{drawn.data}"
    return f"{PROCEDURES[drawn.procedure].brief}\n{drawn.data}".rstrip()


def _official(chosen: Sequence[str], low: int, high: int, format: Format) -> tuple[Sequence[Problem], str]:
    table = data.load(SOURCE)
    names = {f"task{number:02d}": name for number, name in enumerate(templates(), 1)}
    found = []
    for row in table.rows:
        label = _label(row["label"])
        if row["task_name"] not in names or label is None:
            raise UserError(
                f"procbench: {row['problem_name']} of the data is no problem of task01 to task23 with a label of 2 to 25 states"
            )
        name, steps = names[row["task_name"]], len(label["intermediate"]) + 1
        if name in chosen and low <= steps <= high:
            found.append(_problem(row["problem_name"], row["prompt"], name, steps, label, format))
    if not found:
        raise UserError(f"procbench: no problem of {', '.join(chosen)} with {low} to {high} steps in the data")
    return found, table.revision


def _label(text: str) -> dict[str, Any] | None:
    """An official label, or None where the text is none."""
    try:
        label: dict[str, Any] = json.loads(text)
        return label if LEAST_STEPS <= len([*label["intermediate"], label["final"]]) <= MOST_STEPS else None
    except (ValueError, KeyError, TypeError):
        return None


def _generated(chosen: Sequence[str], steps: range, instructions: Instructions, size: int, seed: int, format: Format) -> Sequence[Problem]:
    """`size` problems, no two equal. Growing `size` keeps what was there: each depends on earlier ones only."""
    cells = [(name, n) for n in steps for name in chosen]
    share, rest = divmod(size, len(cells))
    found = []
    for at, (name, n) in enumerate(cells):
        seen: set[str] = set()
        for position in range(share + (at < rest)):
            drawn = _unseen(random.Random(f"procbench/{seed}/{name}/{n}/{position}"), name, n, seen)
            found.append(_problem(f"{name}/{n:02d}/{position:05d}", asked(drawn, instructions), name, n, drawn.label, format))
    return found


def _unseen(rng: random.Random, name: str, steps: int, seen: set[str]) -> Drawn:
    """A problem that is not among `seen`, and is there afterwards. Raises UserError where there seem to be no others."""
    for drawn, _ in zip(problems(rng, name, steps, held_out=True), range(1000), strict=False):
        if drawn.data not in seen:
            seen.add(drawn.data)
            return drawn
    raise UserError(f"procbench: size is too large: only {len(seen)} different problems of {name} with {steps} steps were found")


def _problem(key: str, question: str, name: str, steps: int, label: dict[str, Any], format: Format) -> Problem:
    intermediate, final = kinds(name)
    length = next(length for length, counts in LENGTHS.items() if steps in counts)
    return Problem(
        key=key,
        question=question,
        answer_format=STATE_FORMAT if format == "free" else JSON_FORMAT.format(intermediate.words, final.words),
        gold=(scoring.as_text(label["final"]),),
        meta={"category": f"{name}, {length}", "procedure": name, "steps": str(steps), "length": length, "label": json.dumps(label)},
    )


def _names(given: object) -> list[str]:
    known = list(PROCEDURES)
    if given == "reference":
        return list(REFERENCE)
    if not isinstance(given, (list, tuple)):
        raise UserError(f"procbench: procedures must be a list of names or 'reference', not {given!r}")
    for name in given:
        if name not in known:
            raise unknown("procedure", str(name), known)
    return [name for name in known if name in given] or known
