"""Solutions as rows of tokens with what `perpass/prm` has to say about each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from harness import prompts
from harness.reference.batches import ROUND
from harness.reference.solutions import SEPARATOR, Solution
from harness.reference.tokenizer import END, OPEN, PAD, SPECIALS
from tasks.boxed import ANSWER_FORMAT

POOL = 4096  # rows sorted by length and cut into batches at a time
NONE = -1  # no label, no target


@dataclass(frozen=True)
class Row:
    """`ids`: the question as the base model was asked it, then the steps as an open answer, each closed by the separator.

    verdicts  per token: 1 while the answer so far is the solver's, 0 after, NONE where nothing is asked. Behind the first wrong step only
              ends of steps are asked: what a wrong line contains has no truth of its own
    ends      per token: it closes a step
    next      per token: the solver's next token, up to the first wrong one; NONE elsewhere
    """

    ids: list[int]
    verdicts: list[int]
    ends: list[bool]
    next: list[int]


def rows(tokenizer: Tokenizer, solutions: Sequence[Solution]) -> list[Row]:
    """The rows of `solutions`, in order."""
    texts = [text for s in solutions for text in (turn(s.question), *s.steps, *s.right)]
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


def turn(question: str) -> str:
    """The user turn: asked in words that it never met, the base model knows little of how an answer goes on."""
    return prompts.step_by_step(question, ANSWER_FORMAT).turns[-1].content


def _row(question: list[int], steps: list[list[int]], right: list[list[int]]) -> Row:
    ids = [SPECIALS.index(OPEN["user"]), *question, SPECIALS.index(END), SPECIALS.index(OPEN["assistant"])]
    verdicts, ends, following = [NONE] * len(ids), [False] * len(ids), [NONE] * len(ids)
    good = True
    for place, step in enumerate(steps):
        true = right[place] if place < len(right) else []
        began = good
        for at, token in enumerate(step):
            if good:
                following[-1] = true[at] if at < len(true) else NONE
            good = good and at < len(true) and token == true[at]
            last = at == len(step) - 1
            ids.append(token)
            verdicts.append(int(good) if began or last else NONE)
            ends.append(last)
            following.append(NONE)
    return Row(ids, verdicts, ends, following)


@dataclass(frozen=True)
class Batch:
    """Rows × length, padded on the right: `ids` int64, `verdicts` and `next` int64 with NONE, `ends` bool. `tokens`: without padding."""

    ids: NDArray[np.int64]
    verdicts: NDArray[np.int64]
    ends: NDArray[np.bool_]
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
    yield from map(batch, groups)


def batch(group: Sequence[Row]) -> Batch:
    """Rows as one batch."""
    shape = (len(group), _rounded(max(len(row.ids) for row in group)))
    found = Batch(
        np.full(shape, SPECIALS.index(PAD), np.int64),
        np.full(shape, NONE, np.int64),
        np.zeros(shape, np.bool_),
        np.full(shape, NONE, np.int64),
        sum(len(row.ids) for row in group),
    )
    for at, row in enumerate(group):
        end = len(row.ids)
        found.ids[at, :end], found.verdicts[at, :end] = row.ids, row.verdicts
        found.ends[at, :end], found.next[at, :end] = row.ends, row.next
    return found


def _rounded(length: int) -> int:
    return -(-length // ROUND) * ROUND
