"""Runs what is missing of a list of cells: engines opened in sets, problems in flight under one limit, everything written as it comes."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness import attempt
from harness import work as work_of
from harness.attempt import Answered, Judged
from harness.calls import executed
from harness.cell import Cell, Deployment
from harness.context import Made, Services
from harness.environment import engine as environment_of
from harness.environment import engine_versions, environment
from harness.events import Options, Status, Summary
from harness.garbage import seldom_collected
from harness.memory import Memory
from harness.offline import borrowed
from harness.pool import ObservationMissing, Pools
from harness.prompts import as_text
from harness.spending import Spending
from harness.windows import WindowRecorder, meter_for
from harness.work import Chain, One, Work
from harness.writer import Writer
from perpass.errors import BudgetReached
from perpass.identity import seed_from
from results.records import SampleRecord, Twin
from tasks.types import Outcome, Problem

if TYPE_CHECKING:
    from results.store import Store


async def run(
    cells: Sequence[Cell], store: Store, *, name: str, text: str, argv: Sequence[str], series: str = "main", options: Options = Options()
) -> Summary:
    """Run every attempt of `cells` that the store does not hold yet, in series `series`.

    Errors of single attempts become outcomes. Cancelling (Ctrl-C) saves the state and returns status `interrupted`; so does a budget, as
    `budget`. Raises what makes going on impossible: an engine that cannot start, a database that cannot be written.
    """
    return await _Run(cells, store, name, text, list(argv), series, options).run()


@dataclass
class _Run:
    cells: Sequence[Cell]
    store: Store
    name: str
    text: str
    argv: list[str]
    series: str
    options: Options
    status: Status = field(default_factory=Status)
    run_id: int = 0
    stopped_by: str = ""
    idle_known: bool = False
    problem_ids: dict[int, dict[str, int]] = field(default_factory=dict)  # by task object
    twins: asyncio.Task[dict[int, list[Twin]]] | None = None  # --offline: all pooled samples of the series by seed
    ids: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # model, engine, hardware by deployment

    async def run(self) -> Summary:
        self.status.started = self.status.now = time.time()
        self.writer = Writer(self.store)
        try:
            work = await self.writer.call(self._register)
            todo = [w for w in work if w.todo]
            self.status.cells, self.status.cells_done = len(work), len(work) - len(todo)
            ended = await self._missing(todo) if todo else "done"
        finally:
            await self.writer.close()
        if ended == "done" and self.status.errors:
            ended = "errors"
        return Summary(self.run_id, ended, self.status, self.stopped_by)

    # -- what is there and what is missing --------------------------------------------------------------------------------------------
    def _register(self) -> list[Work]:
        """Rows of all cells and problems, and what each cell still lacks. Runs in the writer's thread."""
        work, ids = [], self.problem_ids
        for cell in self.cells:
            row = self.store.cell(cell.key, self.series, self.name, cell.limit, cell.trials)
            if id(cell.task) not in ids:
                task_id = self.store.task_id(cell.key.task)
                ids[id(cell.task)] = self.store.problem_ids(task_id, cell.task.problems())
            problem_ids = ids[id(cell.task)]
            finished = self.store.finished(row.id)
            wanted = [(p, t) for p in cell.sequence for t in range(cell.runs)]
            todo = [(p, t) for p, t in wanted if (problem_ids[p.key], t) not in finished]
            work.append(Work(cell, row.id, problem_ids, todo, resumed=len(todo) < len(wanted) and bool(todo), left=len(todo)))
            self._check_order(work[-1])
            self.status.attempts += len(todo)
            self.status.attempts_before += len(wanted) - len(todo)
        return work

    def _check_order(self, w: Work) -> None:
        """A memory holds what it has met, so what is stored must be the beginning of what is wanted. Runs in the writer's thread."""
        if w.cell.strategy.strategy.memory:
            order = [w.problem_ids[p.key] for p in w.cell.sequence]
            if any(met[: len(order)] != order[: len(met)] for met in self.store.memory_order(w.cell_id).values()):
                self._drop(w, "memory_order: its stored memory met other problems before (another --limit); --fresh begins a new series")

    def _begin(self, work: Sequence[Work]) -> None:
        from results.energy import settle_all

        settle_all(self.store.engine)  # what a killed run left
        places = {d.hash: d for w in work for d in work_of.places(w.cell)}
        self.surroundings = surroundings = environment([w.cell for w in work], places.values())
        self.run_id = self.store.begin_run(self.name, self.text, self.argv, surroundings, self.series)
        self.ids = {
            h: (
                self.store.model_id(d.identity()["model"]),
                self.store.engine_id(d.identity()["engine"]),
                self.store.hardware_id(d.identity()["hardware"]),
            )
            for h, d in places.items()
        }
        for w in work:
            if w.resumed and w.cell.mode == "live":
                self.store.add_code(w.cell_id, "resumed")
            if w.resumed and any(engine_versions(e) != engine_versions(surroundings) for e in self.store.environments(w.cell_id)):
                self.store.add_code(w.cell_id, "mixed_environment")

    # -- the run ----------------------------------------------------------------------------------------------------------------------
    async def _missing(self, work: Sequence[Work]) -> str:
        """Run it all; returns how it ended."""
        self.spending = Spending(self.options, self.status)
        groups = list(work_of.groups(work))
        for places, _ in groups:  # before anything is spent: --require-energy fails closed
            self.spending.check(places, meter_for([p.hardware for p in places], self.options.require_energy))
        await self.writer.call(self._begin, work)
        self.writer.start()
        ticker, ended = asyncio.ensure_future(self._tick()), "failed"
        try:
            for places, members in groups:
                await self._group(places, members)
            ended = "done"
        except BudgetReached as reached:
            ended, self.stopped_by = "budget", str(reached)
        except asyncio.CancelledError:
            ended = "interrupted"
        finally:
            ticker.cancel()
            with seldom_collected():
                await self.writer.flush()
                await self.writer.call(self._end, "failed" if ended == "done" and self.status.errors else ended)
        self._report()
        return ended

    def _end(self, ended: str) -> None:
        from results.energy import settle

        settle(self.store.engine, self.run_id)
        self.store.end_run(self.run_id, ended)

    async def _group(self, places: Sequence[Deployment], work: Sequence[Work]) -> None:
        """All cells that share a set of engines."""
        meter = meter_for([p.hardware for p in places], self.options.require_energy)
        recorder = WindowRecorder(meter, self.run_id, self.writer.add, self.options.window_s)
        if self.options.idle_s and not self.idle_known:  # once a run, before anything is loaded
            self.idle_known = await recorder.idle(self.options.idle_s)
        pools = Pools(lambda wanted: self.writer.call(self.store.pools, wanted), self.options.offline)
        services = Services(self.series, pools, self._made, self.options.retries, self.options.backoff_s, self._borrow)
        self.spending.recorder = recorder
        async with self._open(places):
            self._check_capabilities(work)
            opened = {p.hash: environment_of(p) for p in places}
            self.surroundings["engines"] = [opened.get(e["hash"], e) for e in self.surroundings["engines"]]
            await self.writer.call(self.store.describe_run, self.run_id, self.surroundings)
            try:
                with seldom_collected():
                    if pooled := [w for w in work if w.cell.mode == "pooled"]:
                        async with recorder.span("pooled"):
                            await self._pooled(pooled, services)
                    for w in (w for w in work if w.cell.mode == "live"):
                        await self._live(w, services, recorder)
            finally:
                await pools.cancel()
                self.spending.close(recorder)

    def _check_capabilities(self, work: Sequence[Work]) -> None:
        """A server tells what it can do only once it is open: drop the cells whose strategy needs more."""
        for w in work:
            if w.cell.lacking:
                self._drop(w, f"its engine turned out to lack {', '.join(w.cell.lacking)}")

    def _drop(self, w: Work, reason: str) -> None:
        if not w.dropped:
            w.dropped = reason
            self.status.notes.append(f"skipped {w.cell.label}: {reason}")

    @asynccontextmanager
    async def _open(self, places: Sequence[Deployment]) -> AsyncIterator[None]:
        opened: list[Deployment] = []
        try:
            for place in [] if self.options.offline else places:
                self.status.cell = f"opening {place.model.name} on {place.engine.kind}"
                self._report()
                opened.append(place)
                await place.engine.open()
            yield
        finally:
            for place in opened:
                await place.engine.close()

    async def _pooled(self, work: Sequence[Work], services: Services) -> None:
        async def one(w: Work, problem: Problem, trial: int, memory: Memory) -> bool:
            answered = await self._answer(w, problem, trial, services, memory)
            if answered:
                self._store(w, await attempt.judge(answered))
            return answered is not None and answered.error is None

        await self._work((job for w in work for job in work_of.chains(w)), self.options.in_flight or work_of.in_flight(work), one)

    async def _live(self, w: Work, services: Services, recorder: WindowRecorder) -> None:
        """Alone on its devices; judging waits until the window has closed."""
        answers: list[Answered] = []

        async def one(w: Work, problem: Problem, trial: int, memory: Memory) -> bool:
            if answered := await self._answer(w, problem, trial, services, memory):
                answers.append(answered)
                self.status.attempts_unjudged += 1
            return answered is not None and answered.error is None

        try:
            async with recorder.span("whole", w.cell_id):
                if w.cell.rate is None:
                    await self._work(work_of.chains(w), w.cell.concurrency or 1, one)
                else:
                    await self._arrivals(w, w.cell.rate, one)
            recorder.steady(w.cell_id, [call.made for a in answers for call in a.calls], w.cell.concurrency or 1)
        finally:
            for answered in answers:
                judged = await attempt.judge(answered)
                self.status.attempts_unjudged -= 1
                self._store(w, judged)

    async def _work(self, jobs: Iterator[tuple[Work, Chain]], at_once: int, one: One) -> None:
        """`at_once` workers take jobs in order. The first failure stops the others and is raised."""

        async def worker() -> None:
            for w, chain in jobs:
                memory = await self._memory(w, *chain[0])
                for problem, trial in chain:
                    self.spending.stop_if_reached()
                    if w.dropped:
                        break
                    self.status.cell = w.cell.label
                    if not await one(w, problem, trial, memory):
                        break  # a memory goes on from here in the next run

        workers = [asyncio.ensure_future(worker()) for _ in range(at_once)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            if any(isinstance(d.exception(), BudgetReached) for d in done):
                await asyncio.wait(workers)  # what is in flight was paid for: let it finish
            for d in done:
                d.result()
        finally:
            for unfinished in workers:
                unfinished.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _arrivals(self, w: Work, rate: float, one: One) -> None:
        """Problems arrive at random (a Poisson process, seeded by the experiment), `rate` a second, whatever is still under way."""
        gaps, due = random.Random(seed_from("arrivals", w.cell.seed)), time.monotonic()

        async def arrive(problem: Problem, trial: int, at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            self.spending.stop_if_reached()
            self.status.cell = w.cell.label
            await one(w, problem, trial, Memory())

        jobs = []
        for problem, trial in w.todo:
            due += gaps.expovariate(rate)
            jobs.append(asyncio.ensure_future(arrive(problem, trial, due)))
        try:
            await asyncio.gather(*jobs)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _memory(self, w: Work, problem: Problem, trial: int) -> Memory:
        """What the strategy carries into `problem`: empty at the first, and for a strategy without memory."""
        before = w.cell.sequence.index(problem) - 1 if w.cell.strategy.strategy.memory else -1
        return Memory() if before < 0 else Memory.load(await self.writer.call(self.store.memory_after, w.cell_id, trial, before))

    async def _borrow(self, place: Deployment, seed: int) -> tuple[SampleRecord, str] | None:
        """What another engine or other hardware made of `seed` in this series, where it stands for what `place` would draw."""
        if self.twins is None:
            self.twins = asyncio.ensure_future(self.writer.call(self.store.twins, self.series))
        for twin in (await self.twins).get(seed, ()):
            if code := borrowed(place, twin.engine, twin.hardware):
                return (await self.writer.call(self.store.samples, [twin.key]))[twin.key], code
        return None

    async def _answer(self, w: Work, problem: Problem, trial: int, services: Services, memory: Memory) -> Answered | None:
        try:
            return await attempt.answer(w.cell, problem, trial, services, salt=f".{self.run_id}", memory=memory)
        except ObservationMissing as missing:
            self._drop(w, f"observation_missing: {missing}")
            return None

    # -- what comes out ---------------------------------------------------------------------------------------------------------------
    def _made(self, made: Made) -> None:
        """An engine call was made: spent, once, whoever uses it."""
        self.status.calls += 1
        self.status.output_tokens += made.sample.usage.output
        self.spending.add(made)
        if made.pool is not None:
            self.writer.add(samples=[self._sample(made)])

    def _store(self, w: Work, judged: Judged) -> None:
        done = judged.answered
        model_ids = {h: ids[0] for h, ids in self.ids.items()}
        row = attempt.record(judged, run_id=self.run_id, cell_id=w.cell_id, problem_id=w.problem_ids[done.problem.key], model_ids=model_ids)
        self.writer.add(samples=[self._sample(m) for m in done.own], attempts=[row])
        outcomes = judged.judgement.items
        w.left -= 1
        self.status.cells_done += w.left == 0
        self.status.attempts_done += 1
        self.status.errors += any(o is Outcome.ERROR for o in outcomes)
        self.status.items += len(outcomes)
        self.status.correct += sum(o is Outcome.CORRECT for o in outcomes)

    def _sample(self, made: Made) -> SampleRecord:
        sample, usage = made.sample, made.sample.usage
        work = executed(made.place, usage, made.sampling)
        model_id, engine_id, hardware_id = self.ids[made.place.hash]
        return SampleRecord(
            key=made.key,
            kind=made.kind,
            pool=made.pool,
            trial=made.trial,
            position=made.position,
            run_id=self.run_id,
            model_id=model_id,
            engine_id=engine_id,
            hardware_id=hardware_id,
            problem_id=self.problem_ids[id(made.cell.task)][made.problem.key],
            role=made.role,
            seed=made.seed,
            prompt=as_text(made.prompt),
            text=sample.text,
            finish=sample.finish,
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            output_tokens=usage.output,
            reasoning_tokens=usage.reasoning,
            scored_tokens=usage.scored,
            flop_linear=work.linear if work else None,
            flop_attention=work.attention if work else None,
            flop_head=work.head if work else None,
            sent=sample.timing.sent,
            first=sample.timing.first,
            last=sample.timing.last,
            token_ids=sample.token_ids or None,
            logprobs=sample.logprob,
            confidence=sample.confidence,
            chunks=tuple(v for at, count in sample.timing.chunks for v in (at - sample.timing.sent, float(count))) or None,
            scores=sample.scores,
        )

    async def _tick(self) -> None:
        """Report twice a second; every other second with fresh joules, whose reading takes milliseconds."""
        for tick in itertools.count():
            if self.options.progress and tick % 4 == 0:
                self.spending.refresh()
            self._report()
            await asyncio.sleep(0.5)

    def _report(self) -> None:
        self.status.now = time.time()
        if self.options.progress:
            with suppress(BrokenPipeError):
                self.options.progress(replace(self.status, notes=list(self.status.notes)))
