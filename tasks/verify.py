"""Math-Verify behind a wall: a pool of warm child processes, each comparison under a hard wall-clock limit.

Math-Verify's own timeouts use SIGALRM, which works in the main thread only and cannot interrupt one long C call. Here a child that
exceeds its limit is killed and replaced, by the parent and, should the parent be gone, by the kernel. A timeout or crash counts as "not
equivalent" and is logged.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import itertools
import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from perpass.errors import PerPassError, UserError

VERSION = 1  # of this way of calling Math-Verify; raise it when a pair would be decided otherwise
LIMIT_SECONDS = 5.0
START_SECONDS = 120.0
LONGEST = 1_000  # characters; a longer answer is never equivalent here
LONGEST_REPLY = 200_000  # the same for whole replies
_CACHED = 200_000
_CHILD = Path(__file__).with_name("verify_child.py")

log = logging.getLogger(__name__)
Pairs = tuple[tuple[str, str], ...]
How = Literal["answers", "replies", "difference", "rest"]
"""answers: two answers in LaTeX, by Math-Verify. replies: a whole solution and a whole reply, by Math-Verify's own extraction. difference:
two expressions in LaTeX, by sympy's parser, equal where their difference simplifies to 0. rest: an answer in LaTeX and a whole
`\\boxed{}`, by Math-Verify as REST calls it."""


def require(what: str) -> None:
    """Raise UserError if Math-Verify is not installed. `what` needs it: "task math500"."""
    if importlib.util.find_spec("math_verify") is None:
        raise UserError(f"{what} needs math-verify: pip install 'perpass[tasks]'")


def require_latex(what: str) -> None:
    """Raise UserError where sympy's LaTeX parser cannot work: it takes one version of its grammar's runtime only."""
    try:
        found = metadata.version("antlr4-python3-runtime")
    except metadata.PackageNotFoundError:
        found = "none"
    if not found.startswith("4.11"):
        raise UserError(f"{what} needs antlr4-python3-runtime 4.11 (installed: {found}): pip install 'perpass[tasks]'")


class _Dead(Exception):
    """The child did not answer: it crashed, or exceeded its limit."""


class _Child:
    """One warm process, used by one thread at a time."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._buffer = b""
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD)],  # -P: this folder's module names must not shadow the standard library's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C reaches the parent alone, which then ends its children
        )

    def start(self) -> None:
        """Wait until it is warm. Raises UserError if Math-Verify cannot be imported there."""
        first = self._read(START_SECONDS)
        if first != "ready":
            raise UserError(f"comparing mathematics needs math-verify: pip install 'perpass[tasks]' ({first[1]})")

    def ask(self, how: How, pairs: Pairs, limit: float) -> bool:
        number = next(self._numbers)
        assert self.process.stdin is not None
        try:
            # The kernel's own limit is later, so that the parent's is the one that decides.
            self.process.stdin.write(json.dumps([number, limit + 1, how, pairs]).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise _Dead("the process was gone") from error
        reply = self._read(limit)
        if reply[0] != number:
            raise _Dead("it answered another question")
        if reply[2]:
            log.info("math-verify failed with %s; counted as not equivalent", reply[2])
        return bool(reply[1])

    def _read(self, limit: float) -> Any:
        assert self.process.stdout is not None
        end = time.monotonic() + limit
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise _Dead(f"no answer within {limit:g} s")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise _Dead(f"it ended with code {self.process.wait()}")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class Pool:
    """At most `size` children, started when first needed. Thread-safe; not tied to an event loop."""

    def __init__(self, size: int | None = None, limit: float = LIMIT_SECONDS):
        self.size = size or max(1, min(4, os.cpu_count() or 1))
        self.limit = limit
        self._idle: list[_Child] = []
        self._busy: set[_Child] = set()
        self._lock = threading.Lock()
        self._places = threading.Semaphore(self.size)
        self._threads: ThreadPoolExecutor | None = None
        self._cache: OrderedDict[tuple[How, Pairs], bool | None] = OrderedDict()

    def any_equivalent(self, pairs: Pairs, how: How = "answers") -> bool | None:
        """Whether any (gold, answer) pair is equivalent; None if that was not found out within the limit for all of them. Blocks."""
        asked = how, pairs
        with self._lock:
            if asked in self._cache:
                self._cache.move_to_end(asked)
                return self._cache[asked]
        longest = LONGEST_REPLY if how == "replies" else LONGEST
        fits = max((len(text) for pair in pairs for text in pair), default=0) <= longest
        result = self._compute(how, pairs) if fits else None
        with self._lock:
            if how != "replies":  # whole replies are long and hardly come twice
                self._cache[asked] = result
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return result

    async def any_equivalent_async(self, pairs: Pairs, how: How = "answers") -> bool | None:
        """The same, without blocking the event loop."""
        with self._lock:
            if (how, pairs) in self._cache:
                return self._cache[how, pairs]
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="verify")
            threads = self._threads
        return await asyncio.get_running_loop().run_in_executor(threads, self.any_equivalent, pairs, how)

    def _compute(self, how: How, pairs: Pairs) -> bool | None:
        with self._places:
            child = self._take()
            try:
                answer = child.ask(how, pairs, self.limit)
            except _Dead as reason:
                if not self._drop(child):
                    raise PerPassError("the comparison was cut short: its process pool was closed") from reason
                log.warning("math-verify on %.200r: %s; counted as not equivalent", pairs[0], reason)
                return None
            except BaseException:  # Ctrl-C in between: the child may still answer the old question
                self._drop(child)
                raise
            with self._lock:
                self._busy.discard(child)
                self._idle.append(child)
            return answer

    def _take(self) -> _Child:
        with self._lock:
            if self._idle:
                child = self._idle.pop()
                self._busy.add(child)
                return child
        child = _Child()
        with self._lock:
            self._busy.add(child)
        try:
            child.start()
        except _Dead as reason:
            self._drop(child)
            raise PerPassError(f"cannot start the comparison process: {reason}") from reason
        except BaseException:
            self._drop(child)
            raise
        return child

    def _drop(self, child: _Child) -> bool:
        """End a child. False if the pool was closed meanwhile."""
        with self._lock:
            known = child in self._busy
            self._busy.discard(child)
        child.kill()
        return known

    def close(self) -> None:
        """End every child. The pool can be used again afterwards."""
        with self._lock:
            idle, busy = [*self._idle], [*self._busy]
            self._idle.clear()
            self._busy.clear()
            threads, self._threads = self._threads, None
        for child in idle:
            child.kill()
        for child in busy:
            child.process.kill()  # the thread that waits for it sees it end, and closes the pipes
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


_pool = Pool()


def _close() -> None:
    _pool.close()


def _forget() -> None:
    """After a fork the child must not talk through its parent's pipes."""
    global _pool
    _pool = Pool()


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def pool() -> Pool:
    """The process-wide pool."""
    return _pool


async def verify(gold: str, answer: str) -> bool:
    """Whether Math-Verify takes `answer` for `gold`, both LaTeX without delimiters. The order matters: it takes `2+3=5` for `5` only."""
    return bool(await _pool.any_equivalent_async(((gold, answer),)))


async def check(gold: str, answer: str, how: How) -> bool:
    """Whether `answer` is right by another comparison; not within the limit is no."""
    return bool(await _pool.any_equivalent_async(((gold, answer),), how))


def verify_sync(gold: str, answer: str, how: How = "answers") -> bool:
    """`verify` or `check` for code without an event loop; blocks at most the limit."""
    return bool(_pool.any_equivalent(((gold, answer),), how))


async def same(a: str, b: str) -> bool:
    """Symmetric: whether Math-Verify takes either for the other."""
    first, second = sorted((a, b))
    return bool(await _pool.any_equivalent_async(((first, second), (second, first))))


async def tractable(text: str) -> bool:
    """Whether Math-Verify comes to an end on `text` at all: one probe instead of one timeout for each comparison with it."""
    return await _pool.any_equivalent_async((("1", text),)) is not None
