r"""Bin packing: put items into as few bins as possible. The answer is the packing itself.

A packing can be checked exactly, where the number of bins alone is guessed too easily: total size over capacity is mostly right.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from random import Random
from typing import Any

from tasks.checks import bounds, whole
from tasks.registry import task
from tasks.types import Problem
from tasks.verified import VerifiedTask, spread

VERSION = 1
VERIFIER = 1
FEWEST, MOST = 4, 12
CAPACITIES = range(20, 61)
ANSWER_FORMAT = r"Put the packing within \boxed{}, a list of bins, each a list of its items' sizes: \boxed{[[7, 2], [5]]}."

_NOISE = re.compile(r"\\left(?![A-Za-z])|\\right(?![A-Za-z])|\\[,;:! ]|\\(?=[{}])|\\text(?![A-Za-z])|\$|`")
# Each text has one way to match at most, or hostile ones would take forever.
_FLAT = re.compile(r"(?:\[[^\[\]]*\](?: ?,)? ?)+")
_NESTED = re.compile(rf"\[ ?({_FLAT.pattern})\]")
_BIN = re.compile(r"\[([^\[\]]*)\]")
_SIZES = re.compile(r"\s*[0-9]{1,6}(?:\s*,\s*[0-9]{1,6})*\s*")


@task("bin_packing")
class BinPacking(VerifiedTask):
    """`size` problems spread evenly over how many items there are, from `items[0]` to `items[1]`.

    Correct is a packing of all items into the smallest number of bins, whichever. Only problems are asked where first fit in the order in
    which the items are listed needs more bins. Scores: `valid`, a packing at all; `optimality`, fewest bins over bins used.
    Raises UserError for a bad value.
    """

    scored = ("valid", "optimality")

    def __init__(self, items: Sequence[int] = (FEWEST, MOST), size: int = 600, seed: int = 0):
        low, high = bounds("bin_packing", "items", items, FEWEST, MOST)
        whole("bin_packing", "size", size, 1)
        whole("bin_packing", "seed", seed, 0)
        spec = {"kind": "bin_packing", "items": [low, high], "size": size, "seed": seed}

        def load() -> tuple[Sequence[Problem], str]:
            return spread("bin_packing", seed, size, range(low, high + 1), _draw), "generated"

        super().__init__(name="bin_packing", version=VERSION, verifier=VERIFIER, spec=spec, load=load)

    def read(self, answer: str) -> Hashable | None:
        """The bins, each ascending, in ascending order; their order and that of their items say nothing. Empty bins do not count."""
        text = " ".join(_NOISE.sub(" ", answer).translate(str.maketrans("{}()", "[][]")).split()).rstrip(" .")
        nested = _NESTED.fullmatch(text)
        if nested is None and not _FLAT.fullmatch(text):
            return None
        found = [inner for inner in _BIN.findall(nested[1] if nested else text) if inner.strip()]
        if not found or not all(_SIZES.fullmatch(inner) for inner in found):
            return None
        return tuple(sorted(tuple(sorted(map(int, inner.split(",")))) for inner in found))

    def check(self, problem: Problem, answer: Any) -> tuple[bool, Mapping[str, float]]:
        """Whether every item is in one bin, no bin is too full, and there are as few as can be."""
        capacity, fewest = int(problem.meta["capacity"]), int(problem.meta["bins"])
        packed = Counter(item for packing in answer for item in packing)
        valid = packed == Counter(map(int, problem.meta["sizes"].split())) and all(sum(packing) <= capacity for packing in answer)
        return valid and len(answer) == fewest, {"valid": float(valid), "optimality": fewest / len(answer) if valid else 0.0}


def fewest_bins(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """A packing into the smallest number of bins, by branch and bound.

    Items go largest first, each into every bin that has room and is not as full as one tried before, or into a new one. A branch ends
    where its bins, with those that the remaining items need at least, are no fewer than the best packing's. Exponential: for few items.
    """
    ordered = sorted(sizes, reverse=True)
    best = first_fit(ordered, capacity)

    def place(at: int, bins: list[list[int]], left: int) -> None:
        nonlocal best
        room = sum(capacity - sum(b) for b in bins)
        if len(bins) + max(0, -(-(left - room) // capacity)) >= len(best):
            return
        if at == len(ordered):
            best = [list(b) for b in bins]
            return
        item, tried = ordered[at], set()
        for packing in bins:
            full = sum(packing)
            if full + item <= capacity and full not in tried:
                tried.add(full)
                packing.append(item)
                place(at + 1, bins, left - item)
                packing.pop()
        bins.append([item])
        place(at + 1, bins, left - item)
        bins.pop()

    place(0, [], sum(ordered))
    return best


def first_fit(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Each item in turn into the first bin that has room."""
    bins: list[list[int]] = []
    for item in sizes:
        room = next((b for b in bins if sum(b) + item <= capacity), None)
        if room is None:
            bins.append([item])
        else:
            room.append(item)
    return bins


def _draw(rng: Random, count: int, position: int) -> tuple[Hashable, Problem]:
    while True:
        capacity = rng.choice(CAPACITIES)
        sizes = [rng.randint(capacity // 10, capacity * 3 // 4) for _ in range(count)]
        packing = fewest_bins(sizes, capacity)
        if len(first_fit(sizes, capacity)) > len(packing):
            break
    question = (
        f"Items of these sizes are to be packed into bins: {', '.join(map(str, sizes))}. The sizes in a bin may add up to {capacity} at "
        "most. Pack all items into as few bins as possible."
    )
    return (tuple(sorted(sizes)), capacity), Problem(
        key=f"items{count:02d}/{position:06d}",
        question=question,
        answer_format=ANSWER_FORMAT,
        gold=(str(packing),),
        meta={
            "category": f"{count} items",
            "items": str(count),
            "sizes": " ".join(map(str, sizes)),
            "capacity": str(capacity),
            "bins": str(len(packing)),
        },
    )
