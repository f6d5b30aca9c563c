"""Training documents of the reference models: generated conversations on expressions that the arithmetic task never asks."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness import prompts
from tasks.boxed import ANSWER_FORMAT
from tasks.procbench.procedures import REFERENCE, Drawn, problems
from tasks.procbench.scoring import as_text
from tasks.procbench.task import STATE_FORMAT, asked
from tasks.rest import REST_FORMAT, merged
from tasks.stories import APPLY, LARGEST, Chain, boxed, operands, solution, stories
from tasks.types import Prompt, Turn

OPERATIONS = range(1, 7)
STEPS = range(2, 9)  # of procedures
MIX = {
    "cot": 0.13,
    "direct": 0.05,
    "judge": 0.04,
    "drill": 0.06,
    "copy": 0.05,
    "procedure": 0.46,
    "procedure direct": 0.06,
    "several": 0.13,
    "several direct": 0.02,
}
# To find one's place in a string, and to go on from there, is what procedures stand on. A small model finds it within some hundred steps
# on many copies, and very late on few: training begins with pools of documents that are mostly copies.
EARLY_POOLS = 4
EARLY_MIX = {"copy": 0.60, "cot": 0.12, "procedure": 0.20, "drill": 0.08}
COPY = "Copy."
DRILL = "Calculate line by line."
VERDICT_WEIGHT = 5.0  # a verdict is one token among the hundred of a batch row: without a weight it is learned last


@dataclass(frozen=True)
class Document:
    """One closed conversation. `weights` gives the loss weight of each turn; 0 for what is read but not learned.

    `results_only`: within a learned turn only what follows "= " on a line is learned, since the rest cannot be known.
    """

    kind: str
    questions: tuple[str, ...]
    turns: tuple[Turn, ...]
    weights: tuple[float, ...]
    results_only: bool = False


@dataclass(frozen=True)
class Sources:
    """Where training problems come from: stories by number of operations; procedures are drawn as they are needed."""

    rng: random.Random
    stories: Mapping[int, Iterator[tuple[Chain, str]]]

    @staticmethod
    def of(rng: random.Random) -> Sources:
        """Sources that share one random state, all on the training side of the split."""
        return Sources(rng, {n: stories(rng, n, held_out=False) for n in OPERATIONS})

    def story(self) -> tuple[Chain, str]:
        """A word problem of 1 to 6 operations."""
        return next(self.stories[self.rng.choice(OPERATIONS)])

    def procedure(self, most_steps: int = STEPS[-1]) -> Drawn:
        """A procedure of 2 to `most_steps` steps."""
        name, steps = self.rng.choice(REFERENCE), self.rng.randint(STEPS[0], most_steps)
        return next(problems(self.rng, name, steps, held_out=False))


def documents(seed: str, mix: Mapping[str, float] = MIX) -> Iterator[Document]:
    """Endless documents, equal for equal seeds, none on a held-out problem. `mix`: the share of each kind."""
    rng = random.Random(seed)
    sources = Sources.of(rng)
    while True:
        kind = rng.choices(list(mix), list(mix.values()))[0]
        yield MAKERS[kind](kind, sources)


def from_story(kind: str, sources: Sources) -> Document:
    """A conversation about one word problem."""
    return document(sources.rng, kind, *sources.story())


def from_procedure(kind: str, sources: Sources) -> Document:
    """A conversation about one procedure: every state on a line of its own, or the final one alone."""
    drawn = sources.procedure()
    question = asked(drawn, "brief")
    if kind == "procedure direct":
        return _closed(kind, [question], prompts.direct(question, STATE_FORMAT), boxed(as_text(drawn.states[-1])))
    return _closed(kind, [question], prompts.step_by_step(question, STATE_FORMAT), states(drawn))


def states(drawn: Drawn) -> str:
    """The step-by-step text of a procedure: one line per step with what it does and its state, the final one in a box."""
    written = [*map(as_text, drawn.states[:-1]), boxed(as_text(drawn.states[-1]))]
    return "\n".join(f"{doing} {state}" for doing, state in zip(drawn.doing, written, strict=True)) if drawn.doing else "\n".join(written)


def from_several(kind: str, sources: Sources) -> Document:
    """One to three questions in one prompt, as REST asks them: word problems, or procedures of few steps."""
    count = sources.rng.choice((1, 2, 2, 3, 3))
    pairs: list[tuple[str, str, str]] = []
    if sources.rng.random() < 0.7:
        drawn_stories = [sources.story() for _ in range(count)]
        pairs = [(question, solution(chain), boxed(chain.answer)) for chain, question in drawn_stories]
    else:
        drawn = [sources.procedure(most_steps=5) for _ in range(count)]
        pairs = [(asked(d, "brief"), states(d), boxed(as_text(d.states[-1]))) for d in drawn]
    questions = [question for question, _, _ in pairs]
    question = merged(questions)
    if kind == "several direct":
        return _closed(kind, questions, prompts.direct(question, REST_FORMAT), "\n".join(answer for _, _, answer in pairs))
    return _closed(kind, questions, prompts.step_by_step(question, REST_FORMAT), "\n".join(worked for _, worked, _ in pairs))


def document(rng: random.Random, kind: str, chain: Chain, question: str) -> Document:
    """The `kind` of conversation about one problem. A wrong solution is shown to be judged, never learned."""
    if kind == "direct":
        return _closed(kind, [question], prompts.direct(question, ANSWER_FORMAT), boxed(chain.answer))
    prompt = prompts.step_by_step(question, ANSWER_FORMAT)
    if kind == "cot":
        return _closed(kind, [question], prompt, solution(chain))
    right = rng.random() < 0.5
    shown = solution(chain) if right else corrupted(rng, chain)
    verdict = _closed(kind, [question], prompts.judge(prompt, shown), "yes" if right else "no")
    weights = (0.0, 1.0 if right else 0.0, 0.0, VERDICT_WEIGHT)
    return Document(kind, (question,), verdict.turns, weights)


def drill(kind: str, sources: Sources) -> Document:
    """Bare lines of solutions, 4 to 16 of them.

    Reading a story is learned within minutes, carrying a ten is not: a drill holds about five times as many operations per token.
    """
    count = sources.rng.randint(4, 16)
    lines: list[str] = []
    while len(lines) < count:
        lines += solution(sources.story()[0]).splitlines()[:-1]
    turns = (Turn("user", DRILL), Turn("assistant", "\n".join(lines[:count])))
    return Document(kind, (turns[1].content,), turns, (0.0, 1.0), results_only=True)


def copy(kind: str, sources: Sources) -> Document:
    """Strings to be repeated, 2 to 6 of them."""
    rng, alphabet = sources.rng, string.ascii_lowercase + string.digits
    if rng.random() < 0.7:  # no character twice: the one before says where one is, which is learned first
        drawn = "".join(rng.sample(alphabet, len(alphabet)))
    else:
        drawn = "".join(rng.choices(rng.choice((string.ascii_lowercase, alphabet, string.digits, "01", "-x")), k=len(alphabet)))
    cuts = sorted(rng.sample(range(2, len(drawn)), rng.randint(1, 5)))
    lines = [drawn[a:b] for a, b in pairwise([0, *cuts, len(drawn)])]
    text = "\n".join(lines)
    turns = (Turn("user", f"{COPY}\n{text}"), Turn("assistant", text))
    return Document(kind, (turns[0].content,), turns, (0.0, 1.0))


def _closed(kind: str, questions: Sequence[str], prompt: Prompt, answer: str) -> Document:
    turns = (*prompt.turns, Turn("assistant", prompt.prefix + answer))
    return Document(kind, tuple(questions), turns, (*(0.0 for _ in prompt.turns), 1.0))


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


MAKERS: Mapping[str, Callable[[str, Sources], Document]] = {
    "cot": from_story,
    "direct": from_story,
    "judge": from_story,
    "drill": drill,
    "copy": copy,
    "procedure": from_procedure,
    "procedure direct": from_procedure,
    "several": from_several,
    "several direct": from_several,
}
