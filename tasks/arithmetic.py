"""Generated arithmetic word problems of one to six operations: what the reference models are trained for, on expressions kept from them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from perpass.errors import UserError
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.checks import bounds, whole
from tasks.registry import task
from tasks.stories import stories
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

        def load() -> tuple[Sequence[Problem], str]:
            share, rest = divmod(size, high - low + 1)
            strata = [_stratum(seed, n, share + (n - low < rest)) for n in range(low, high + 1)]
            return [problem for stratum in strata for problem in stratum], "generated"

        super().__init__(name="arithmetic", version=VERSION, spec=spec, load=load, numeric=True, grader="number")


def _stratum(seed: int, operations: int, size: int) -> list[Problem]:
    """`size` problems of different texts with this many operations, all on held-out expressions."""
    seen: set[str] = set()
    found = []
    for position in range(size):
        drawn = stories(random.Random(f"arithmetic/{seed}/{operations}/{position}"), operations, held_out=True)
        chain, question = next(pair for pair in drawn if pair[1] not in seen)
        seen.add(question)
        count = "1 operation" if operations == 1 else f"{operations} operations"
        found.append(
            Problem(
                key=f"ops{operations}/{position:06d}",
                question=question,
                answer_format=ANSWER_FORMAT,
                gold=(str(chain.answer),),
                meta={"category": count, "operations": str(operations)},
            )
        )
    return found
