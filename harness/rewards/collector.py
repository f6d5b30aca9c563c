"""Collects calls that come within some milliseconds, from however many problems, into one batch for a worker thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from perpass.errors import PerPassError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Collector(Generic[Item, Result]):
    """`work(items)` gives a result per item; it runs in one thread of its own, on one batch at a time.

    The first call of a batch waits `wait_s` for company. While a batch is under way the next one gathers.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Result]], wait_s: float):
        self._work, self._wait_s = work, wait_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="perpass-reward")
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._closed = False

    async def put(self, item: Item) -> Result:
        """The result for `item`. Raises what the work raised for its batch, PerPassError after `close`."""
        if self._closed:
            raise PerPassError("the reward model is closed")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.ensure_future(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._wait_s)
            batch, self._waiting = [(item, future) for item, future in self._waiting if not future.done()], []
            if not batch:  # all were cancelled
                continue
            try:
                found = await asyncio.get_running_loop().run_in_executor(self._thread, self._work, [item for item, _ in batch])
            except BaseException as error:
                _fail(batch, error)
                if isinstance(error, asyncio.CancelledError):
                    raise
                continue
            for (_, future), result in zip(batch, found, strict=True):
                if not future.done():
                    future.set_result(result)

    async def close(self) -> None:
        """Fail what waits, wait for the batch under way, and end the thread. Closing twice is harmless."""
        self._closed = True
        _fail(self._waiting, PerPassError("the reward model was closed before this call was done"))
        self._waiting = []
        if self._runner is not None:
            await asyncio.gather(self._runner, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, wait=True)


def _fail(batch: Sequence[tuple[Item, asyncio.Future[Result]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
