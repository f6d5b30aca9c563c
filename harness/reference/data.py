"""Training documents of the reference models: generated conversations on expressions that the arithmetic task never asks."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness import prompts
from tasks.boxed import ANSWER_FORMAT
from tasks.stories import APPLY, LARGEST, Chain, boxed, operands, solution, stories
from tasks.types import Prompt, Turn

OPERATIONS = range(1, 7)
MIX = {"cot": 0.40, "direct": 0.18, "judge": 0.14, "drill": 0.28}
DRILL = "Calculate line by line."
VERDICT_WEIGHT = 5.0  # a verdict is one token among the hundred of a batch row: without a weight it is learned last


@dataclass(frozen=True)
class Document:
    """One closed conversation. `weights` gives the loss weight of each turn; 0 for what is read but not learned.

    `results_only`: within a learned turn only what follows "= " on a line is learned, since the rest cannot be known.
    """

    kind: str
    question: str
    turns: tuple[Turn, ...]
    weights: tuple[float, ...]
    results_only: bool = False


def documents(seed: str, operations: range = OPERATIONS) -> Iterator[Document]:
    """Endless documents, equal for equal seeds, none on a held-out expression."""
    rng = random.Random(seed)
    sources = {n: stories(rng, n, held_out=False) for n in operations}
    while True:
        kind = rng.choices(list(MIX), list(MIX.values()))[0]
        if kind == "drill":
            yield drill(rng, sources)
        else:
            yield document(rng, kind, *next(sources[rng.choice(operations)]))


def document(rng: random.Random, kind: str, chain: Chain, question: str) -> Document:
    """The `kind` of conversation about one problem. A wrong solution is shown to be judged, never learned."""
    if kind == "direct":
        return _closed(kind, question, prompts.direct(question, ANSWER_FORMAT), boxed(chain.answer))
    asked = prompts.step_by_step(question, ANSWER_FORMAT)
    if kind == "cot":
        return _closed(kind, question, asked, solution(chain))
    right = rng.random() < 0.5
    shown = solution(chain) if right else corrupted(rng, chain)
    verdict = _closed(kind, question, prompts.judge(asked, shown), "yes" if right else "no")
    weights = (0.0, 1.0 if right else 0.0, 0.0, VERDICT_WEIGHT)
    return Document(kind, question, verdict.turns, weights)


def drill(rng: random.Random, sources: Mapping[int, Iterator[tuple[Chain, str]]]) -> Document:
    """Bare lines of solutions, 4 to 16 of them.

    Reading a story is learned within minutes, carrying a ten is not: a drill holds about five times as many operations per token.
    """
    count = rng.randint(4, 16)
    lines: list[str] = []
    while len(lines) < count:
        chain, _ = next(sources[rng.choice(list(sources))])
        lines += solution(chain).splitlines()[:-1]
    turns = (Turn("user", DRILL), Turn("assistant", "\n".join(lines[:count])))
    return Document("drill", turns[1].content, turns, (0.0, 1.0), results_only=True)


def _closed(kind: str, question: str, prompt: Prompt, answer: str) -> Document:
    turns = (*prompt.turns, Turn("assistant", prompt.prefix + answer))
    return Document(kind, question, turns, (*(0.0 for _ in prompt.turns), 1.0))


def corrupted(rng: random.Random, chain: Chain) -> str:
    """A solution with one realistic error, carried on to a wrong final answer.

    Half are slips in a result, the rest a wrong operation or a wrong operand. Later divisions that no longer come out are rounded down.
    """
    while True:
        lines, value = _with_error(rng, chain, rng.randrange(len(chain.steps)))
        if value != chain.answer:
            return "\n".join([*lines, boxed(value)])


def _with_error(rng: random.Random, chain: Chain, at: int) -> tuple[list[str], int]:
    """The lines of a solution with an error in step `at`, and its final value. Values above 999 are cut to 999, below 0 to 0."""
    value, lines = chain.start, []
    kind = rng.choice(("result", "result", "operation", "operand"))
    for position, (sign, operand) in enumerate(chain.steps):
        if position == at and kind == "operation":
            sign = rng.choice([s for s in APPLY if s != sign and (s != "/" or operand in operands(value, "/"))])
        if position == at and kind == "operand":
            operand = _slip(rng, operand) or operand + 1
        result = min(max(APPLY[sign](value, operand), 0), LARGEST)
        if position == at and kind == "result":
            result = _slip(rng, result)
        lines.append(f"{value} {sign} {operand} = {result}")
        value = result
    return lines, value


def _slip(rng: random.Random, number: int) -> int:
    """`number` with a typical slip: off by one, off by ten, or one digit wrong. Never negative, never the same."""
    digits = str(number)
    place = 10 ** rng.randrange(len(digits))
    choices = {number + 1, number - 1, number + 10, number - 10, number - number // place % 10 * place + rng.randrange(10) * place}
    return rng.choice(sorted(c for c in choices if 0 <= c <= LARGEST and c != number))
