"""Pools: samples that strategies share within a series, on one model, engine and hardware.

A pooled sample is named by pool, trial and position and made at most once: it is looked up in this process, then in the database, and
only then generated. Whoever asks first causes it; everybody waits for the same one. Verdicts of reward models are pooled alike, by what was
judged (a hash of the steps) instead of a position.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.types import Observe, Origin, Sample, Timing, Usage
from perpass.errors import PerPassError
from results.records import SampleRecord

Place = tuple[str, int]  # a pool's part for one trial
Load = Callable[[Sequence[Place]], Awaitable[Mapping[Place, Sequence[SampleRecord]]]]
Make = Callable[[], Awaitable[Sample]]
Borrow = Callable[[], Awaitable[tuple[SampleRecord, str] | None]]
"""What another engine or other hardware made of the same seed, and the code for that; None where there is nothing."""


class Drawn(NamedTuple):
    """A pooled sample and its key; `borrowed` is the code where its text is another engine's."""

    sample: Sample
    key: str
    borrowed: str = ""


class ObservationMissing(PerPassError):
    """A stored sample lacks an observation that a strategy needs. It is never regenerated in place: `--fresh` makes a new series."""


class NotInPool(PerPassError):
    """`--offline`: the pool cannot answer."""


@dataclass
class Pools:
    """All pools of a run. `load` reads what the database holds of some; `offline` forbids making new samples."""

    load: Load
    offline: bool = False
    _loaded: dict[Place, asyncio.Future[dict[str, Sample]]] = field(default_factory=dict)
    _asked: list[Place] = field(default_factory=list)  # to be read next
    _reader: asyncio.Task[None] | None = None
    _made: dict[str, asyncio.Task[Sample]] = field(default_factory=dict)

    async def draw(self, pool: str, trial: int, position: int | str, observe: Observe, make: Make, borrow: Borrow | None = None) -> Drawn:
        """The sample at `position` of the pool's part for `trial`. With `offline`, `borrow` says what else may stand in.

        Raises NotInPool, ObservationMissing, or what `make` raises.
        """
        key = sample_key(pool, trial, position)
        stored = await self._stored(pool, trial)
        if key in stored:
            return Drawn(_observed(stored[key], observe, key), key)
        if key not in self._made:
            if self.offline:
                found, code = (await borrow() if borrow else None) or (None, "")
                if found is None:
                    raise NotInPool(f"--offline: position {position} of trial {trial} is not in the pool")
                return Drawn(_observed(restore(found), observe, found.key), found.key, code)
            # Its own task: the attempt that asked first may be cancelled while others wait for the same sample.
            self._made[key] = asyncio.ensure_future(make())
        task = self._made[key]
        try:
            return Drawn(_observed(await asyncio.shield(task), observe, key), key)
        except BaseException:
            if task.done() and (task.cancelled() or task.exception()):
                self._made.pop(key, None)
            raise

    async def _stored(self, pool: str, trial: int) -> dict[str, Sample]:
        place = pool, trial
        if place not in self._loaded:
            self._loaded[place] = asyncio.get_running_loop().create_future()
            self._asked.append(place)
            if self._reader is None or self._reader.done():
                self._reader = asyncio.ensure_future(self._read())
        found = self._loaded[place]
        return found.result() if found.done() else await asyncio.shield(found)

    async def _read(self) -> None:
        """One query for all that was asked for while the last one was under way: alone, each would cost more than all else of a call."""
        while self._asked:
            asked, self._asked = self._asked, []
            waiting = [self._loaded[place] for place in asked]
            try:
                stored = await self.load(asked)
                for place, future in zip(asked, waiting, strict=True):
                    future.set_result({r.key: restore(r) for r in stored.get(place, ())})
            except Exception as error:
                for future in waiting:
                    future.set_exception(error)

    async def cancel(self) -> None:
        """Stop what is being made; nobody waits for it any more."""
        every: list[asyncio.Future[Any]] = [*self._made.values(), *([self._reader] if self._reader else []), *self._loaded.values()]
        unfinished = [task for task in every if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)


def sample_key(pool: str, trial: int, position: int | str) -> str:
    return f"{pool[:40]}:{trial}:{position}"


def restore(record: SampleRecord) -> Sample:
    """A stored sample as the harness knows it."""
    usage = Usage(record.prompt_tokens, record.cached_tokens, record.output_tokens, record.reasoning_tokens, record.scored_tokens, 1)
    return Sample(
        text=record.text,
        token_ids=record.token_ids or (),
        finish=record.finish,  # type: ignore[arg-type]  # the store keeps what Sample.finish was
        usage=usage,
        timing=Timing(record.sent, record.first, record.last),
        logprob=record.logprobs,
        confidence=record.confidence,
        origin=Origin(str(record.engine_id), str(record.hardware_id), str(record.run_id)),
        key=record.key,
        scores=record.scores,
    )


def _observed(sample: Sample, observe: Observe, key: str) -> Sample:
    lacking = ["log-probabilities"] if observe.logprobs and sample.logprob is None else []
    lacking += ["confidences"] if observe.confidence and sample.confidence is None else []
    lacking += ["hidden-state signals"] if observe.hidden and sample.signals is None else []
    if lacking:
        raise ObservationMissing(f"stored sample {key} has no {' and no '.join(lacking)}; run again with --fresh to make a new series")
    return sample
