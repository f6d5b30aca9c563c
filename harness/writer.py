"""The one writer: everything a run learns goes to the store in batches, from one thread, samples before the attempts that use them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from results.records import AttemptRecord, PowerRecord, SampleRecord, WindowRecord

if TYPE_CHECKING:
    from results.store import Store

T = TypeVar("T")


class Writer:
    """Collects records and writes them every `every_s` seconds. One transaction per batch: a kill loses at most the last batch."""

    def __init__(self, store: Store, every_s: float = 0.5):
        self._store, self._every_s = store, every_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="perpass-writer")
        self._samples: list[SampleRecord] = []
        self._attempts: list[AttemptRecord] = []
        self._windows: list[WindowRecord] = []
        self._power: list[PowerRecord] = []
        self._flusher: asyncio.Task[None] | None = None

    def add(
        self,
        samples: Sequence[SampleRecord] = (),
        attempts: Sequence[AttemptRecord] = (),
        windows: Sequence[WindowRecord] = (),
        power: Sequence[PowerRecord] = (),
    ) -> None:
        """Queue records. Raises what the last batch failed with, so that a run whose database is gone stops."""
        self._raise_failure()
        self._samples += samples
        self._attempts += attempts
        self._windows += windows
        self._power += power

    async def call(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a store function in the writer's thread, after what was written before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))

    def start(self) -> None:
        self._flusher = asyncio.ensure_future(self._flush_forever())

    async def flush(self) -> None:
        """Write what is queued now. Raises what an earlier batch failed with."""
        self._raise_failure()
        await self._write()

    async def _write(self) -> None:
        batch = self._samples, self._attempts, self._windows, self._power
        if any(batch):
            self._samples, self._attempts, self._windows, self._power = [], [], [], []
            await self.call(self._store.write, *batch)

    async def close(self) -> None:
        """Write the rest and stop. Raises what writing failed with."""
        if self._flusher:
            self._flusher.cancel()
            await asyncio.gather(self._flusher, return_exceptions=True)
        try:
            await self.flush()
        finally:
            self._thread.shutdown(wait=True)

    def _raise_failure(self) -> None:
        flusher = self._flusher
        if flusher and flusher.done() and not flusher.cancelled() and (error := flusher.exception()):
            raise error

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            # Shielded: a batch that was taken from the queue is written even when the run is being stopped.
            await asyncio.shield(self._write())
