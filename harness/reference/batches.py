"""Batches for training: documents of similar length together, one document per row, so that no document sees another."""

from __future__ import annotations

import hashlib
import os
import random
from collections import deque
from collections.abc import Generator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context, parent_process
from threading import Thread

import numpy as np
from tokenizers import Tokenizer

from harness.reference.data import EARLY_MIX, EARLY_POOLS, MIX, documents
from harness.reference.tokenizer import PAD, SPECIALS, encode

POOL = 6000  # documents generated, sorted by length and cut into batches at a time
ROUND = 16  # row lengths are rounded up to a multiple of this, so that compiled kernels are reused


@dataclass(frozen=True)
class Batch:
    """`ids` (rows x length, int64) padded on the right; `weights` (same shape, float32): the loss weight of each token, 0 on padding."""

    ids: np.ndarray
    weights: np.ndarray
    tokens: int  # without padding


@dataclass(frozen=True)
class Pool:
    """One pool of documents as shuffled batches, with what the train/test separation needs to be checked."""

    index: int
    batches: tuple[Batch, ...]
    questions: tuple[str, ...]  # a hash of each


def question_hash(question: str) -> str:
    """Names a question's exact text in the separation check."""
    return hashlib.sha256(question.encode()).hexdigest()[:16]


def pool(tokenizer_text: str, seed: int, index: int, batch_tokens: int, size: int = POOL) -> Pool:
    """Pool number `index` of a training run: a pure function of its arguments, so that a resumed run goes on with the next one."""
    tokenizer = Tokenizer.from_str(tokenizer_text)
    pad = SPECIALS.index(PAD)
    mix = EARLY_MIX if index < EARLY_POOLS else MIX
    drawn = list(islice(documents(f"train/{seed}/{index}", mix), size))
    rows = sorted(encode(tokenizer, drawn), key=lambda row: len(row[0]))
    found = []
    while rows:
        count = _rows_that_fit(rows, batch_tokens)
        found.append(_batch(rows[:count], pad))
        rows = rows[count:]
    random.Random(f"order/{seed}/{index}").shuffle(found)
    return Pool(index, tuple(found), tuple(question_hash(q) for d in drawn for q in d.questions))


def _rounded(length: int) -> int:
    return -(-length // ROUND) * ROUND


def _rows_that_fit(rows: list[tuple[list[int], list[float]]], batch_tokens: int) -> int:
    count = 1
    while count < len(rows) and (count + 1) * _rounded(len(rows[count][0])) <= batch_tokens:
        count += 1
    return count


def _batch(rows: list[tuple[list[int], list[float]]], pad: int) -> Batch:
    length = _rounded(len(rows[-1][0]))
    ids = np.full((len(rows), length), pad, dtype=np.int64)
    weights = np.zeros((len(rows), length), dtype=np.float32)
    for at, (row, row_weights) in enumerate(rows):
        ids[at, : len(row)] = row
        weights[at, : len(row)] = row_weights
    return Batch(ids, weights, sum(len(row) for row, _ in rows))


def pools(tokenizer_text: str, seed: int, first: int, batch_tokens: int, size: int = POOL, ahead: int = 2) -> Generator[Pool, None, None]:
    """Endless pools from number `first` on, made `ahead` of time in a process of their own (0: in this one, when asked for)."""
    if ahead == 0:
        index = first
        while True:
            yield pool(tokenizer_text, seed, index, batch_tokens, size)
            index += 1
    # Spawned, not forked: a fork of a process that runs torch threads may hang.
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=_end_with_parent) as executor:
        waiting: deque[Future[Pool]] = deque()
        index = first
        try:
            while True:
                while len(waiting) <= ahead:
                    waiting.append(_submit(executor, tokenizer_text, seed, index, batch_tokens, size))
                    index += 1
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _end_with_parent() -> None:
    """End this worker when the training process is gone, even if that was killed outright."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _submit(executor: Executor, tokenizer_text: str, seed: int, index: int, batch_tokens: int, size: int) -> Future[Pool]:
    return executor.submit(pool, tokenizer_text, seed, index, batch_tokens, size)
