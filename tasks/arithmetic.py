"""Generated arithmetic word problems of one to six operations: what the reference models are trained for, on expressions kept from them."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from perpass.errors import UserError
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.checks import bounds, whole
from tasks.registry import task
from tasks.stories import LATER, Chain, continued, renumbered, stories
from tasks.types import Problem

VERSION = 1
MOST_OPERATIONS = 6
MOST_PER_COUNT = 10_000  # problems per operation count; there are many more different texts, even with one operation


@task("arithmetic")
class Arithmetic(BoxedTask):
    """`size` problems spread evenly over the operation counts from `operations[0]` to `operations[1]`, both included.

    A problem depends on (seed, operation count, position) and on earlier positions only: growing `size` keeps what was there.
    Raises UserError for a bad value, and for a size that different problems cannot fill.
    """

    def __init__(self, operations: Sequence[int] = (1, MOST_OPERATIONS), size: int = 600, seed: int = 0):
        low, high = bounds("arithmetic", "operations", operations, 1, MOST_OPERATIONS)
        whole("arithmetic", "size", size, 1)
        whole("arithmetic", "seed", seed, 0)
        most = MOST_PER_COUNT * (high - low + 1)
        if size > most:
            raise UserError(f"arithmetic: size {size} is too large: at most {most} different problems with operations {[low, high]}")
        spec = {"kind": "arithmetic", "operations": [low, high], "size": size, "seed": seed}
        self._chains: dict[str, Chain] = {}

        def load() -> tuple[Sequence[Problem], str]:
            share, rest = divmod(size, high - low + 1)
            found = [pair for n in range(low, high + 1) for pair in _stratum(seed, n, share + (n - low < rest))]
            self._chains.update({problem.key: chain for problem, chain in found})
            return [problem for problem, _ in found], "generated"

        super().__init__(name="arithmetic", version=VERSION, spec=spec, load=load, numeric=True, grader="number")

    def renumbered(self, problem: Problem, rng: random.Random, rate: float) -> Problem:
        """One of this task's problems with a share `rate` of its numbers (at least one) drawn anew, and the answer that it then has.

        The story stays the same to the word, and the new expression is one that no training saw.
        """
        self.problems()
        chain = renumbered(rng, self._chains[problem.key], rate)
        numbers = iter(map(str, chain.numbers))
        question = re.sub(r"[0-9]+", lambda _: next(numbers), problem.question)
        return replace(problem, question=question, gold=(str(chain.answer),))

    def updated(self, problem: Problem, rng: random.Random) -> tuple[str, tuple[str, ...]]:
        """News about one of this task's problems, one operation more, and the gold answers from then on, which always differ."""
        self.problems()
        chain = continued(rng, self._chains[problem.key])
        sign, operand = chain.steps[-1]
        return LATER[sign].format(n=operand), (str(chain.answer),)


def _stratum(seed: int, operations: int, size: int) -> list[tuple[Problem, Chain]]:
    """`size` problems of different texts with this many operations, all on held-out expressions, each with its chain."""
    seen: set[str] = set()
    found = []
    for position in range(size):
        drawn = stories(random.Random(f"arithmetic/{seed}/{operations}/{position}"), operations, held_out=True)
        chain, question = next(pair for pair in drawn if pair[1] not in seen)
        seen.add(question)
        count = "1 operation" if operations == 1 else f"{operations} operations"
        problem = Problem(
            key=f"ops{operations}/{position:06d}",
            question=question,
            answer_format=ANSWER_FORMAT,
            gold=(str(chain.answer),),
            meta={"category": count, "operations": str(operations)},
        )
        found.append((problem, chain))
    return found
