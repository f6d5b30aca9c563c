"""One attempt: a strategy answers one problem in one trial, then the task judges the answer. Answering and judging are two steps, since a
live cell judges only after its energy window has closed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from energy.flops import Flops
from harness.calls import Call, charge, executed, in_order
from harness.cell import Cell
from harness.context import Context, Made, Services
from harness.memory import Memory
from harness.pool import ObservationMissing
from harness.types import Answer, PromptTooLong, Usage
from perpass.identity import content_hash
from results.records import AttemptRecord, LedgerRecord, Use
from tasks.types import Judgement, Outcome, Problem, Reply

log = logging.getLogger("perpass")


@dataclass(frozen=True)
class Answered:
    """A strategy's answer with everything it took. `error` is the cause when infrastructure failed, `too_long` when the prompt did not fit.

    `calls` stand in program order; `charged` holds the usage of each; `own` are the calls that no pool holds.
    """

    cell: Cell
    problem: Problem
    trial: int
    answer: Answer | None
    error: str | None
    too_long: bool
    calls: tuple[Call, ...]
    charged: tuple[Usage, ...]
    own: tuple[Made, ...]
    memory: str | None  # what the strategy carries on, as JSON; None for one without memory, and after an error
    serial_tokens: int
    latency_s: float
    started: float
    ended: float

    @property
    def ttft_s(self) -> float | None:
        """Time to the first token of the attempt's first call, in seconds."""
        if not self.calls or self.calls[0].made.timing.first is None:
            return None
        return self.calls[0].made.timing.first - self.calls[0].made.timing.sent


@dataclass(frozen=True)
class Judged:
    """An answered attempt and its judgement."""

    answered: Answered
    judgement: Judgement


def attempt_key(series: str, cell: Cell, problem: Problem, trial: int) -> str:
    """A stable name for an attempt: what its own calls' keys begin with."""
    return content_hash(series, cell.identity, problem.key, trial)[:32]


async def answer(cell: Cell, problem: Problem, trial: int, services: Services, salt: str = "", memory: Memory | None = None) -> Answered:
    """Run the strategy. Whatever fails ends in `error` with its cause, never in an exception, but for cancellation and ObservationMissing
    (which concerns the whole cell). `salt` sets the calls of a second try apart from those of one that failed."""
    context = Context(cell, problem, trial, services, attempt_key(services.series, cell, problem, trial) + salt)
    context.carried = memory or context.carried
    started, given, error, too_long = time.time(), None, None, False
    with context.strand() as strand:
        try:
            given = await cell.strategy.strategy.function(context, **cell.strategy.params)
        except (asyncio.CancelledError, ObservationMissing):
            raise
        except PromptTooLong as caught:
            too_long = True
            log.debug("%s %s: %s", cell.label, problem.key, caught)
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
            log.debug("%s %s", cell.label, problem.key, exc_info=True)
    calls = in_order(context.calls)
    return Answered(
        cell=cell,
        problem=problem,
        trial=trial,
        answer=given,
        error=error,
        too_long=too_long,
        calls=calls,
        charged=tuple(charge(calls)),
        own=tuple(context.own),
        memory=context.carried.dump() if cell.strategy.strategy.memory and error is None else None,
        serial_tokens=strand.tokens,
        latency_s=strand.seconds,
        started=started,
        ended=time.time(),
    )


async def judge(answered: Answered) -> Judged:
    """Judge an answer. A judge that fails is an `error` with its cause: it says nothing about the answer."""
    items = answered.cell.task.items
    if answered.too_long:
        return Judged(answered, Judgement((Outcome.TOO_LONG,) * items))
    if answered.answer is None:
        return Judged(answered, Judgement((Outcome.ERROR,) * items))
    reply = Reply(answered.answer.text, answered.answer.finish, answered.answer.items)
    try:
        return Judged(answered, await answered.cell.task.judge(answered.problem, reply))
    except Exception as caught:
        failed = replace(answered, error=f"judge: {type(caught).__name__}: {caught}")
        return Judged(failed, Judgement((Outcome.ERROR,) * items))


@dataclass
class _Sum:
    usage: Usage = field(default_factory=Usage)
    flops: Flops | None = field(default_factory=lambda: Flops(0, 0, 0))


def ledger(answered: Answered) -> dict[tuple[str, str, str], tuple[Usage, Flops | None]]:
    """Charged usage and FLOPs by (role, deployment hash, kind). FLOPs are None as soon as one call's are not known."""
    sums: dict[tuple[str, str, str], _Sum] = {}
    for call, usage in zip(answered.calls, answered.charged, strict=True):
        entry = sums.setdefault((call.role, call.place.hash, call.kind), _Sum())
        spent = executed(call.place, usage, call.sampling)
        entry.usage += usage
        entry.flops = None if entry.flops is None or spent is None else entry.flops + spent
    return {key: (entry.usage, entry.flops) for key, entry in sums.items()}


def record(judged: Judged, *, run_id: int, cell_id: int, problem_id: int, model_ids: Mapping[str, int]) -> AttemptRecord:
    """The attempt as the store takes it. `model_ids`: database id of the model by deployment hash."""
    done, verdict = judged.answered, judged.judgement
    given = done.answer
    borrowed = next((call.borrowed for call in done.calls if call.borrowed), "")
    codes = {"latency_s": "shared_load"} if done.cell.mode == "pooled" else {}
    if borrowed:
        codes = {"latency_s": borrowed, "energy_j": borrowed}
    return AttemptRecord(
        cell_id=cell_id,
        problem_id=problem_id,
        trial=done.trial,
        run_id=run_id,
        text=given.text if given else "",
        items=given.items if given else None,
        finish=given.finish if given else "",
        error=done.error,
        serial_tokens=done.serial_tokens,
        latency_s=None if borrowed else done.latency_s,
        ttft_s=None if borrowed else done.ttft_s,
        started=done.started,
        ended=done.ended,
        judge=done.cell.task.judge_version,
        outcomes=tuple(str(o) for o in verdict.items),
        extracted=verdict.extracted,
        scores=verdict.scores,
        uses=_uses(done),
        ledger=tuple(_entry(key, usage, flops, model_ids) for key, (usage, flops) in ledger(done).items()),
        codes=codes,
        memory=None if done.memory is None else (done.cell.sequence.index(done.problem), done.memory),
    )


def _entry(key: tuple[str, str, str], usage: Usage, flops: Flops | None, model_ids: Mapping[str, int]) -> LedgerRecord:
    role, place, kind = key
    return LedgerRecord(
        role=role,
        model_id=model_ids[place],
        kind=kind,
        calls=usage.calls,
        prompt=usage.prompt,
        cached=usage.cached,
        output=usage.output,
        reasoning=usage.reasoning,
        scored=usage.scored,
        flop_linear=flops.linear if flops else None,
        flop_attention=flops.attention if flops else None,
        flop_head=flops.head if flops else None,
    )


def _uses(done: Answered) -> tuple[Use, ...]:
    chosen = {s.key for s in done.answer.samples} if done.answer else set()
    uses = []
    for ordinal, (call, usage) in enumerate(zip(done.calls, done.charged, strict=True)):
        share = _share(call)
        uses.append(Use(call.key, ordinal, call.role, usage.output, usage.cached, share, call.key in chosen))
    return tuple(uses)


def _share(call: Call) -> float:
    """The part of the stored sample's FLOPs that the attempt kept; by output tokens when FLOPs are not known."""
    if call.kept is call.made or call.kept.usage == call.made.usage:
        return 1.0
    whole, kept = (executed(call.place, sample.usage, call.sampling) for sample in (call.made, call.kept))
    if whole is None or kept is None:
        return call.kept.usage.output / call.made.usage.output
    return kept.total / whole.total
