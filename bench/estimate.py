"""What a plan would take, before anything is spent: calls, tokens, seconds, joules, dollars, each as a range that says what it stands on.

A few problems are played through every strategy on an engine that needs no weights, with shared pools: that counts the calls and shows the
prompts. Lengths, seconds and joules per call come from stored cells of the same model where there are any; else lengths from max_tokens,
seconds and joules from the device's peak rates where they are known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.execute import complete
from bench.history import History, Rate
from energy import flops, roofline
from harness import attempt
from harness.cell import Cell, Deployment
from harness.context import Made, Services
from harness.engines.scripted import ScriptedEngine, boxed_digit
from harness.prompts import as_text
from harness.testing import empty_pools
from harness.types import Sampling
from results.prices import PriceBook
from tasks.types import Prompt

PLAYED = 4
"""Problems per task that are played through."""
SPREAD = (0.75, 1.33)
"""How far a total may lie from what history says, as factors."""
STEPS = 4  # of an answer that a strategy asks for step by step, where no stored cell says more
FEWEST = 100
"""Tokens of a short worked answer, where nothing is known but that up to many thousands are allowed."""
PLAY_S = 20.0
"""Seconds after which playing a strategy through is given up."""


@dataclass(frozen=True)
class Range:
    """A lower and an upper bound."""

    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)


@dataclass(frozen=True)
class Take:
    """What some work takes. None is not known; `reasons` says why, by field."""

    calls: Range | None = Range()
    prompt_tokens: Range | None = Range()
    output_tokens: Range | None = Range()
    flop: Range | None = Range()
    seconds: Range | None = Range()
    usd: Range | None = Range()
    joules: Range | None = Range()
    reasons: dict[str, str] = field(default_factory=dict)
    basis: frozenset[str] = frozenset()

    def __add__(self, other: Take) -> Take:
        sums = {name: _plus(getattr(self, name), getattr(other, name)) for name in FIELDS}
        return Take(**sums, reasons={**other.reasons, **self.reasons}, basis=self.basis | other.basis)

    def times(self, factor: float) -> Take:
        return replace(self, **{name: value.times(factor) for name in FIELDS if (value := getattr(self, name)) is not None})


FIELDS = ("calls", "prompt_tokens", "output_tokens", "flop", "seconds", "usd", "joules")


def _plus(a: Range | None, b: Range | None) -> Range | None:
    return None if a is None or b is None else a + b


def estimate(cells: Sequence[Cell], history: History) -> list[Take]:
    """What each cell would add, in order; a sample that an earlier cell of the list makes is not counted again."""
    book = PriceBook.load()
    played = complete(_play(cells))
    return [_cell(cell, calls, history, book) for cell, calls in zip(cells, played, strict=True)]


def remaining(cell: Cell, history: History) -> float:
    """The share of the cell's attempts that the database does not hold yet."""
    wanted = len(cell.problems) * cell.runs
    return max(0.0, 1 - history.finished.get(cell.identity, 0) / wanted) if wanted else 0.0


@dataclass(frozen=True)
class _Played:
    """Calls that a cell adds in `problems` problems of one trial; None when the strategy could not be played."""

    made: Sequence[Made] | None
    problems: int


async def _play(cells: Sequence[Cell]) -> list[_Played]:
    stages: dict[str, Deployment] = {}
    pools = empty_pools()
    played = []
    for cell in cells:
        on_stage = replace(
            cell, policy=_stage(cell.policy, stages), roles={name: _stage(place, stages) for name, place in cell.roles.items()}
        )
        made: list[Made] = []
        problems = on_stage.problems[:PLAYED]
        services = Services("estimate", pools, made.append, retries=0)
        try:
            async with asyncio.timeout(PLAY_S):
                answers = [await attempt.answer(on_stage, problem, 0, services) for problem in problems]
            failed = any(a.error for a in answers)
        except TimeoutError:
            failed = True
        played.append(_Played(None if failed else made, len(problems)))
    await pools.cancel()
    return played


def _stage(place: Deployment, stages: dict[str, Deployment]) -> Deployment:
    """A stand-in with the same model and a context without end."""
    if place.hash not in stages:
        model = replace(place.model, name=place.hash)
        script = None if model.think else _in_steps
        stages[place.hash] = Deployment(ScriptedEngine(model, script, context=10**9), place.hardware)
    return stages[place.hash]


def _in_steps(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """`boxed_digit`, but an answer that is asked for step by step, to a stop string, has STEPS steps before its end."""
    whole = boxed_digit(prompt, sampling, seed)
    if not sampling.stop or prompt.prefix.count(sampling.stop[0]) >= STEPS:
        return whole
    return f"a step{sampling.stop[0]}{whole}"


def _cell(cell: Cell, played: _Played, history: History, book: PriceBook) -> Take:
    scale = len(cell.problems) * cell.runs / max(played.problems, 1) * remaining(cell, history)
    if scale == 0:
        return Take(basis=frozenset({"stored"}))
    if played.made is None:
        reason = f"strategy {cell.strategy.label} could not be played through beforehand"
        nothing: dict[str, Any] = dict.fromkeys(FIELDS)
        return Take(**nothing, reasons=dict.fromkeys(FIELDS, reason))
    total = Take()
    for made in played.made:
        total += _call(cell, made, history.rate(cell, made.role, made.kind), book)
    return total.times(scale)


def _call(cell: Cell, made: Made, rate: Rate | None, book: PriceBook) -> Take:
    place = cell.roles.get(made.role, cell.policy)
    reasons: dict[str, str] = {}
    if rate is not None:
        prompt, output = _around(rate.prompt), _around(rate.output)
    else:
        asked = len(as_text(made.prompt)) + (len(made.sample.text) if made.kind == "reward" else 0)  # a reward reads the steps too
        prompt = Range(asked / 6, asked * 1.25 + 32)  # from long tokens to one per character and a wordy template
        output = _length(cell, made)
    seconds = _around(rate.seconds) if rate and rate.seconds is not None else None
    joules = _around(rate.joules) if rate and rate.joules is not None else None
    basis = {"stored cells" if rate else "max_tokens and prompt lengths"}
    flop, ideal = _computed(cell, place, prompt, output)
    if flop is None:
        reasons["flop"] = f"the architecture of {place.model.name} is not known"
    if seconds is None and ideal is not None:
        seconds = ideal
        basis.add(f"peak rates of {place.hardware.name}")
        watts = roofline.joules(place.hardware, 1.0)
        joules = ideal.times(watts) if joules is None and watts is not None else joules
    if seconds is None:
        reasons["seconds"] = f"no stored cell of {place.model.name} on {place.hardware.name} says how long a call takes"
    if joules is None:
        reasons["joules"] = f"no stored cell of {place.model.name} on {place.hardware.name} has energy"
    usd = _dollars(place, prompt, output, seconds, joules, book)
    if usd is None:
        reasons["usd"] = f"no token price of {place.model.name}, and no time or joules to price"
    return Take(Range(1, 1), prompt, output, flop, seconds, usd, joules, reasons, frozenset(basis))


def _computed(cell: Cell, place: Deployment, prompt: Range, output: Range) -> tuple[Range | None, Range | None]:
    """FLOPs of a call and its seconds at the device's peak rates, as far as architecture and device are known."""
    config, settings = place.model.config, place.engine.settings
    fixed = {k: settings[k] for k in flops.SETTINGS if settings.get(k) is not None}
    together = int(cell.concurrency or settings.get("max_num_seqs") or settings.get("max_batch") or 1)
    flop, ideal = [], []
    try:
        for p, o in ((round(prompt.low), round(output.low)), (round(prompt.high), round(output.high))):
            flop.append(float(flops.count(config or {}, prompt=p, output=o, **fixed).total))
            ideal.append(roofline.seconds(config or {}, place.hardware, place.model.dtype, prompt=p, output=o, together=together))
    except flops.UnknownArchitecture:
        return None, None
    few, many = ideal
    if few is None or many is None or fixed or settings.get("quantization"):  # the bytes of the latter two are not known
        return Range(*flop), None
    return Range(*flop), Range(few[0], many[1])


def _length(cell: Cell, made: Made) -> Range:
    """Output tokens of a call when nothing is known: from a twentieth of what is allowed, or a short answer, to all of it."""
    if made.kind != "generate":
        return Range()
    most = cell.strategy.sampling.max_tokens
    context = cell.policy.engine.settings.get("max_model_len") or cell.policy.model.context
    at_once = cell.strategy.strategy.fixes.get("temperature") == 0  # an answer without reasoning
    return Range(min(8, most) if at_once else min(most / 20, FEWEST), min(most, context) if context else most)


def _around(value: float) -> Range:
    return Range(value * SPREAD[0], value * SPREAD[1])


def _dollars(place: Deployment, prompt: Range, output: Range, seconds: Range | None, joules: Range | None, book: PriceBook) -> Range | None:
    """By the first of hardware, token and energy price that is known, as the report's cost basis."""
    if seconds is not None and book.hardware_price(place.hardware.name) is not None:
        bounds = [book.hardware_cost(place.hardware.name, s * place.hardware.count) for s in (seconds.low, seconds.high)]
    elif book.token_price(place.model.name) is not None:
        pairs = ((prompt.low, output.low), (prompt.high, output.high))
        bounds = [book.call_cost(place.model.name, prompt=round(p), cached=0, output=round(o)) for p, o in pairs]
    elif joules is not None:
        bounds = [book.energy_cost(j) for j in (joules.low, joules.high)]
    else:
        return None
    low, high = bounds
    return None if low is None or high is None else Range(low, high)
