"""All that a strategy sees: one problem, one trial. Strategies hold no retries, logging or error handling; this is where those live."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from harness import prompts
from harness.calls import Call, pool_key
from harness.cell import Cell, Deployment
from harness.fork import Fork, Path, current
from harness.memory import Memory
from harness.pool import NotInPool, Pools, sample_key
from harness.types import Keep, Kind, Observe, Reward, Sample, Sampling, Scored, StepScores, Timing, TransportFault, Usage, Watch
from perpass.errors import PerPassError
from perpass.identity import content_hash, seed_from
from results.records import SampleRecord
from tasks.types import Problem, Prompt

T = TypeVar("T")
Score = float | None


@dataclass(frozen=True)
class Services:
    """What the runner lends to every attempt of a run. `made` is told of each engine call, once, as soon as it is made."""

    series: str
    pools: Pools
    made: Callable[[Made], None]
    retries: int = 5
    backoff_s: float = 0.5
    borrow: Callable[[Deployment, int], Awaitable[tuple[SampleRecord, str] | None]] | None = None  # --offline: another engine's text


@dataclass(frozen=True)
class Made:
    """An engine call that was just made, with all that is stored of it."""

    key: str
    kind: Kind
    pool: str | None
    trial: int
    position: int | None
    place: Deployment
    cell: Cell
    problem: Problem
    role: str
    seed: int
    prompt: Prompt
    sample: Sample
    sampling: Sampling | None = None  # of a completion


@dataclass
class Context:
    """One problem, one trial of a cell's strategy.

    Calls outside any `gather` at temperature > 0 take the next positions of their pool; all others are the attempt's own, seeded by where
    they stand in the strategy, never by when they happen.
    """

    cell: Cell
    problem: Problem
    trial: int
    services: Services
    attempt_key: str
    calls: list[Call] = field(default_factory=list)
    own: list[Made] = field(default_factory=list)  # calls that belong to this attempt alone, stored with it
    carried: Memory = field(default_factory=Memory)
    _cursors: dict[str, int] = field(default_factory=dict)
    _at_once: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by key of a sample: the keys of all that were made with it

    # -- what is asked ---------------------------------------------------------------------------------------------------------------
    @property
    def ask(self) -> Prompt:
        """The question with its answer format; the protocol's own prompt where the task fixes one."""
        return self.compose()

    def compose(self, instruction: str = "", system: str = "") -> Prompt:
        """The question with its answer format and a strategy's own instruction (before the format) and system turn."""
        if self.problem.fixed is not None:
            return self.problem.fixed
        return prompts.ask(self.problem.question, self.problem.answer_format, instruction, system)

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The answers found in `text`, one per item of the problem."""
        return self.cell.task.extract(text)

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """Answer-equivalence classes, one number per answer."""
        return await self.cell.task.classes(answers)

    @property
    def rng(self) -> random.Random:
        """The random stream of this strand."""
        return current.get().rng

    @property
    def think(self) -> tuple[str, str]:
        """The policy's think markers, open and close. Raises PerPassError for a model without; the need `thinking` keeps those out."""
        if self.cell.policy.model.think is None:
            raise PerPassError(f"model {self.cell.policy.model.name!r} has no think markers")
        return self.cell.policy.model.think

    @property
    def memory(self) -> Memory:
        """What the strategy carries from problem to problem. Raises PerPassError unless it declares `memory`."""
        if not self.cell.strategy.strategy.memory:
            raise PerPassError(f"strategy {self.cell.strategy.name} used its memory without declaring it")
        return self.carried

    # -- calls -----------------------------------------------------------------------------------------------------------------------
    async def sample(
        self,
        prompt: Prompt,
        n: int = 1,
        role: str = "policy",
        watch: Watch | None = None,
        every: int = 32,
        keep: Keep | None = None,
        **sampling: Any,
    ) -> list[Sample]:
        """n completions of `prompt`, made at once. `watch(partial)` is asked after every `every` output tokens; True cuts.

        `keep(whole, first)` is asked once about each finished sample, for cuts that depend on all of it; `first(n)` needs `token_ids`. What
        it keeps is what is charged. Raises ValueError for n < 1 and for more than one greedy sample (they would be equal).
        """
        place, drawn = self._place(role), self.cell.strategy.sampling.but(f"strategy {self.cell.strategy.name}", **sampling)
        if n < 1 or (drawn.greedy and n > 1):
            raise ValueError(f"sample(n={n}) at temperature {drawn.temperature}")
        fork = current.get()
        positions = self._positions(fork, place, prompt, drawn, n)
        work = [self._complete(place, prompt, drawn, role, watch, every, keep, fork.step(), position) for position in positions]
        made = [await work[0]] if n == 1 else await _together(work)
        fork.advance(*_longest(made))
        self._at_once |= dict.fromkeys((key := tuple(s.key for s in made)), key)
        return made

    async def one(self, prompt: Prompt, role: str = "policy", **sampling: Any) -> Sample:
        """One completion."""
        return (await self.sample(prompt, 1, role, **sampling))[0]

    def trim(self, sample: Sample, tokens: int) -> Sample:
        """The first `tokens` output tokens of a sample of this attempt; from now on only they are charged, in tokens and time (of samples
        made at once, the time of the longest).

        For cuts that further calls decide. Needs `token_ids`; what an engine has made live it has spent all the same.
        """
        index, call = next((i, c) for i, c in enumerate(self.calls) if c.key == sample.key)
        if tokens >= len(call.kept.token_ids):
            return call.kept
        kept = replace(_first(call.made, tokens, call.place), finish="stop")
        before = _longest([c.kept for c in self.calls if c.key in self._at_once[sample.key]])
        self.calls[index] = replace(call, kept=kept)
        after = _longest([c.kept for c in self.calls if c.key in self._at_once[sample.key]])
        current.get().advance(after[0] - before[0], after[1] - before[1])
        return kept

    async def logprob(self, prompt: Prompt, text: str, role: str = "policy") -> Scored:
        """Teacher-forced log-probabilities of `text` as the answer to `prompt`."""
        place, fork = self._place(role), current.get()
        path = fork.step()
        scored = await self._retried(lambda: place.engine.logprob(prompt, text))
        made = Sample(text, (), "stop", scored.usage, scored.timing, logprob=scored.logprobs)
        self._own(place, prompt, made, role, "score", path, 0)
        fork.advance(0, scored.timing.last - scored.timing.sent)
        return scored

    async def reward(self, steps: Sequence[str], role: str = "reward") -> list[Score]:
        """A reward model's score of each step, in [0, 1]. None where over-long; None ranks last. An outcome reward scores the last alone.

        Equal steps have equal scores, so a pooled run judges them once, whoever asks, inside `gather` too; each attempt is charged once.
        """
        place, fork, prompt = self._place(role), current.get(), Prompt(raw=self.problem.question)
        path = fork.step()
        if self.cell.mode == "live":
            judged = self._own(place, prompt, await self._judge(place, role, steps), role, "reward", path, 0)
        else:
            pool = content_hash(self.services.series, place.hash, "reward", self.problem.question)
            name = content_hash(list(steps))[:32]
            make = lambda: self._judge(place, role, steps, pool, sample_key(pool, 0, name))  # noqa: E731
            judged, key, _ = await self.services.pools.draw(pool, 0, name, Observe(), make)
            judged = replace(judged, key=key)
            self.calls.append(Call(key, path, role, "reward", place, prompt, judged, judged, pooled=True))
        fork.advance(0, judged.timing.last - judged.timing.sent)
        return list(judged.scores or ())

    async def gather(self, *branches: Coroutine[Any, Any, T]) -> list[T]:
        """Run branches at once: each gets its own seeds, clock and random stream; this strand resumes at the latest of them."""
        parent = current.get()
        path = parent.step()
        forks = [self.fork((*path, i), parent.tokens, parent.seconds) for i in range(len(branches))]
        results = await _together([_within(fork, branch) for fork, branch in zip(forks, branches, strict=True)])
        parent.join(forks)
        return results

    # -- inside ----------------------------------------------------------------------------------------------------------------------
    def fork(self, path: Path = (), tokens: int = 0, seconds: float = 0.0) -> Fork:
        return Fork(path, lambda: self._seed("rng", path), tokens, seconds)

    @contextmanager
    def strand(self) -> Iterator[Fork]:
        """The attempt's root strand, current inside the block."""
        root = self.fork()
        token = current.set(root)
        try:
            yield root
        finally:
            current.reset(token)

    def _seed(self, *place: Any) -> int:
        return seed_from(self._base, *place)

    @cached_property
    def _base(self) -> str:
        """What all of the attempt's own seeds begin with. Series, engine and hardware do not enter."""
        cell = self.cell
        return content_hash(cell.seed, cell.policy.model_identity, cell.strategy_identity, cell.task.name, self.problem.key, self.trial)

    def _place(self, role: str) -> Deployment:
        if role == "policy":
            return self.cell.policy
        if role not in self.cell.roles:
            raise PerPassError(f"strategy {self.cell.strategy.name} used role {role!r} without declaring it in needs")
        return self.cell.roles[role]

    def _positions(self, fork: Fork, place: Deployment, prompt: Prompt, sampling: Sampling, n: int) -> Sequence[tuple[str, int] | None]:
        """The pool that n calls draw from, with its next n positions; None each where they are the attempt's own calls."""
        if fork.path or sampling.greedy or self.cell.mode == "live":
            return [None] * n
        pool = pool_key(self.services.series, self.cell.seed, place, prompt, sampling)
        begin = self._cursors.get(pool, 0)
        self._cursors[pool] = begin + n
        return [(pool, begin + i) for i in range(n)]

    async def _complete(
        self,
        place: Deployment,
        prompt: Prompt,
        sampling: Sampling,
        role: str,
        watch: Watch | None,
        every: int,
        keep: Keep | None,
        path: Path,
        position: tuple[str, int] | None,
    ) -> Sample:
        if position is None:
            seed = self._seed(path)
            made = await self._engine(place, prompt, sampling, seed, watch, every)
            return self._own(place, prompt, made, role, "generate", path, seed, keep=keep, sampling=sampling)
        pool, index = position
        observe = self.cell.strategy.strategy.observe
        make = lambda: self._fill(place, prompt, sampling, role, pool, index)  # noqa: E731
        borrow = lambda: self._borrow(place, self._pool_seed(place, prompt, sampling, index))  # noqa: E731
        made, key, borrowed = await self.services.pools.draw(pool, self.trial, index, observe, make, borrow)
        made = replace(made, key=key)
        kept = _kept(cut(made, place, watch, every) if watch else made, place, keep)
        call = Call(key, path, role, "generate", place, prompt, made, kept, pooled=True, borrowed=borrowed, sampling=sampling)
        self.calls.append(call)
        return kept

    async def _borrow(self, place: Deployment, seed: int) -> tuple[SampleRecord, str] | None:
        return await self.services.borrow(place, seed) if self.services.borrow else None

    def _pool_seed(self, place: Deployment, prompt: Prompt, sampling: Sampling, index: int) -> int:
        return seed_from(self.cell.seed, place.model_identity, prompt, sampling.identity, self.trial, index)

    async def _fill(self, place: Deployment, prompt: Prompt, sampling: Sampling, role: str, pool: str, index: int) -> Sample:
        seed = self._pool_seed(place, prompt, sampling, index)
        made = await self._engine(place, prompt, sampling, seed)
        key = sample_key(pool, self.trial, index)
        cell, problem = self.cell, self.problem
        self.services.made(Made(key, "generate", pool, self.trial, index, place, cell, problem, role, seed, prompt, made, sampling))
        return made

    async def _judge(self, place: Deployment, role: str, steps: Sequence[str], pool: str = "", key: str = "") -> Sample:
        """A reward call; with a pool it is announced here, where it is made, else by the attempt that it belongs to."""
        if not isinstance(place.engine, Reward):
            raise PerPassError(f"the engine of role {role!r} ({place.engine.kind}) gives no rewards")
        model, prompt = place.engine, Prompt(raw=self.problem.question)
        given: StepScores = await self._retried(lambda: model.steps(self.problem.question, steps))
        made = Sample("\n".join(steps), (), "stop", given.usage, given.timing, scores=given.scores)
        if pool:
            self.services.made(Made(key, "reward", pool, 0, None, place, self.cell, self.problem, role, 0, prompt, made))
        return made

    def _own(
        self,
        place: Deployment,
        prompt: Prompt,
        made: Sample,
        role: str,
        kind: Kind,
        path: Path,
        seed: int,
        keep: Keep | None = None,
        sampling: Sampling | None = None,
    ) -> Sample:
        """Record a call that belongs to this attempt alone."""
        key = f"{self.attempt_key}:{'.'.join(map(str, path))}"
        made = replace(made, key=key)
        kept = _kept(made, place, keep)
        self.calls.append(Call(key, path, role, kind, place, prompt, made, kept, pooled=False, sampling=sampling))
        call = Made(key, kind, None, self.trial, None, place, self.cell, self.problem, role, seed, prompt, made, sampling)
        self.own.append(call)
        self.services.made(call)
        return kept

    async def _engine(
        self, place: Deployment, prompt: Prompt, sampling: Sampling, seed: int, watch: Watch | None = None, every: int = 32
    ) -> Sample:
        observe = self.cell.recorded
        if place is not self.cell.policy:  # what the plan wants observed was checked against the policy's engine only
            can = place.engine.capabilities
            observe = Observe(observe.logprobs and can.logprobs, observe.confidence and can.confidence, observe.chunks)
        return await self._retried(lambda: place.engine.generate(prompt, sampling, seed, observe, watch, every))

    async def _retried(self, call: Callable[[], Awaitable[T]]) -> T:
        """Transport faults are tried again with exponential backoff, or after the time that the server named."""
        if self.services.pools.offline:
            raise NotInPool("--offline: this call belongs to the attempt alone, no pool can answer it")
        for tries in range(self.services.retries + 1):
            try:
                return await call()
            except TransportFault as fault:
                if tries == self.services.retries:
                    raise PerPassError(f"{fault} (gave up after {tries + 1} tries)") from fault
                wait = fault.retry_after if fault.retry_after is not None else self.services.backoff_s * 2**tries
                await asyncio.sleep(wait)
        raise AssertionError("unreachable")


def _kept(made: Sample, place: Deployment, keep: Keep | None) -> Sample:
    """What `keep` has of a finished sample; finish `stop` where that is less than all."""
    if keep is None:
        return made
    kept = keep(made, lambda length: _first(made, length, place))
    return replace(kept, finish="stop") if len(kept.token_ids) < len(made.token_ids) else kept


def cut(made: Sample, place: Deployment, watch: Watch, every: int) -> Sample:
    """What `watch` would have kept of a stored trace, asked after every `every` output tokens.

    The time of the last kept token is interpolated between the stored first and last; needs an engine that gives token ids.
    """
    ids = made.token_ids
    for length in range(every, len(ids), every):
        part = _first(made, length, place)
        if watch(part):
            return replace(part, finish="stop")
    return made


def _first(made: Sample, length: int, place: Deployment) -> Sample:
    timing, whole = made.timing, len(made.token_ids)
    first = timing.first if timing.first is not None else timing.last
    last = first + (timing.last - first) * (length - 1) / max(whole - 1, 1)
    usage: Usage = replace(made.usage, output=length, reasoning=min(made.usage.reasoning, length))
    return replace(
        made,
        text=place.engine.text(made.token_ids[:length]),
        token_ids=made.token_ids[:length],
        usage=usage,
        timing=Timing(timing.sent, timing.first, last, tuple(c for c in timing.chunks if c[1] <= length)),
        logprob=made.logprob[:length] if made.logprob else made.logprob,
        confidence=made.confidence[:length] if made.confidence else made.confidence,
        signals=None,  # they are of the whole trace
    )


def _longest(made: Sequence[Sample]) -> tuple[int, float]:
    """How many tokens and seconds calls take that are made at once."""
    return max(s.usage.output for s in made), max(s.timing.last - s.timing.sent for s in made)


async def _within(fork: Fork, branch: Coroutine[Any, Any, T]) -> T:
    current.set(fork)  # this task's own copy of the context
    return await branch


async def _together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all, each in a task of its own, so that no fork leaks into its parent; the first failure cancels the others and is raised."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
