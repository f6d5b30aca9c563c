"""Solutions as rows of tokens with what `perpass/prm` learns from each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from harness.reference.batches import ROUND
from harness.reference.solutions import SEPARATOR, Solution
from harness.reference.tokenizer import END, OPEN, PAD, SPECIALS
from harness.rewards.formats import formats

POOL = 4096  # rows sorted by length and cut into batches at a time
NONE = -1  # no verdict, no target


@dataclass(frozen=True)
class Row:
    """`ids`: the question as a user turn, then the steps as an open answer, each closed by the separator.

    begin     where the answer begins
    verdicts  per token: at the end of a step 1 while the answer so far is the solver's, 0 after; NONE elsewhere
    next      per token: the solver's next token, up to the first wrong one; NONE elsewhere
    """

    ids: list[int]
    begin: int
    verdicts: list[int]
    next: list[int]


def rows(tokenizer: Tokenizer, solutions: Sequence[Solution]) -> list[Row]:
    """The rows of `solutions`, in order; laid out as the format `perpass` does."""
    ask = formats()["perpass"].ask
    texts = [text for s in solutions for text in (ask.format(question=s.question), *s.steps, *s.right)]
    contents = iter(tokenizer.encode_batch(texts, add_special_tokens=False))
    (close,) = tokenizer.encode(SEPARATOR, add_special_tokens=False).ids
    return [
        _row(
            next(contents).ids,
            [[*next(contents).ids, close] for _ in solution.steps],
            [[*next(contents).ids, close] for _ in solution.right],
        )
        for solution in solutions
    ]


def _row(question: list[int], steps: list[list[int]], right: list[list[int]]) -> Row:
    """Behind its last line the solver writes the end token, not another line."""
    right = [*right[:-1], [*right[-1][:-1], SPECIALS.index(END)]]
    ids = [SPECIALS.index(OPEN["user"]), *question, SPECIALS.index(END), SPECIALS.index(OPEN["assistant"])]
    begin, verdicts, following = len(ids), [NONE] * len(ids), [NONE] * len(ids)
    good = True
    for place, step in enumerate(steps):
        true = right[place] if place < len(right) else []
        for at, token in enumerate(step):
            last = at == len(step) - 1
            if good:
                following[-1] = true[at] if at < len(true) else NONE
            good = good and at < len(true) and (token == true[at] or (last and at == len(true) - 1))
            ids.append(token)
            verdicts.append(int(good) if last else NONE)
            following.append(NONE)
    return Row(ids, begin, verdicts, following)


@dataclass(frozen=True)
class Batch:
    """Rows × length, padded on the right: `ids`, `verdicts` and `next` as in rows; `answer`: which tokens are of it. `tokens`: unpadded."""

    ids: NDArray[np.int64]
    answer: NDArray[np.bool_]
    verdicts: NDArray[np.int64]
    next: NDArray[np.int64]
    tokens: int


def batches(made: Sequence[Row], seed: str, batch_tokens: int) -> Iterator[Batch]:
    """All rows once, those of similar length together, in an order that depends on `seed` alone."""
    rng = random.Random(seed)
    order = list(range(len(made)))
    rng.shuffle(order)
    groups: list[list[Row]] = []
    for start in range(0, len(order), POOL):
        chosen = sorted((made[i] for i in order[start : start + POOL]), key=lambda row: len(row.ids))
        while chosen:
            count = 1
            while count < len(chosen) and (count + 1) * _rounded(len(chosen[count].ids)) <= batch_tokens:
                count += 1
            groups.append(chosen[:count])
            chosen = chosen[count:]
    rng.shuffle(groups)
    yield from map(_batch, groups)


def _batch(group: Sequence[Row]) -> Batch:
    shape = (len(group), _rounded(max(len(row.ids) for row in group)))
    found = Batch(
        np.full(shape, SPECIALS.index(PAD), np.int64),
        np.zeros(shape, np.bool_),
        np.full(shape, NONE, np.int64),
        np.full(shape, NONE, np.int64),
        sum(len(row.ids) for row in group),
    )
    for at, row in enumerate(group):
        end = len(row.ids)
        found.ids[at, :end], found.answer[at, row.begin : end] = row.ids, True
        found.verdicts[at, :end], found.next[at, :end] = row.verdicts, row.next
    return found


def _rounded(length: int) -> int:
    return -(-length // ROUND) * ROUND
