"""What the runner hands to the store: plain values, no database ids except those the store gave out itself.

Counts are tokens; times are seconds since the epoch; energies joules; FLOPs plain counts. None is "not known"; its code stands in `codes`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class SampleRecord:
    """One engine call: a completion (`generate`), a teacher-forced scoring (`score`) or a reward call (`reward`).

    `key` is unique and stable: for a pooled sample it is made of pool, trial and position; for another call, of the attempt, fork path and
    counter. Writing a key that is already stored changes nothing, which is what makes a resumed run write nothing twice.
    """

    key: str
    kind: str
    pool: str | None
    trial: int
    position: int | None
    run_id: int
    model_id: int
    engine_id: int
    hardware_id: int
    problem_id: int
    role: str
    seed: int
    prompt: str
    text: str
    finish: str
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    scored_tokens: int
    flop_linear: float | None
    flop_attention: float | None
    flop_head: float | None
    sent: float
    first: float | None
    last: float
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    confidence: tuple[float, ...] | None = None
    chunks: tuple[float, ...] | None = None  # of a live cell's call: seconds after `sent` and tokens so far, in turn, of each piece
    scores: tuple[float | None, ...] | None = None  # a reward call's verdict on each step; None where the input was over-long


@dataclass(frozen=True)
class Use:
    """That an attempt used a sample, and what of it is charged: `output` kept tokens, `cached` shared within the attempt, `share` of its
    FLOPs.

    `start` and `end` place the call on the attempt's own logical clock (tokens), `chosen` marks the sample whose text is the answer.
    """

    sample_key: str
    ordinal: int
    role: str
    output: int
    cached: int
    share: float
    chosen: bool = False


@dataclass(frozen=True, kw_only=True)
class LedgerRecord:
    """What an attempt is charged, added up by role, model and kind. Energy is filled in when the run's windows are settled."""

    role: str
    model_id: int
    kind: str
    calls: int
    prompt: int
    cached: int
    output: int
    reasoning: int
    scored: int
    flop_linear: float | None
    flop_attention: float | None
    flop_head: float | None


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One strategy on one problem, one trial, with its judgement. `error` is the cause when infrastructure failed; then every outcome is
    `error`.

    `codes` are validity codes and reasons, e.g. {"latency_s": "shared_load"}. `latency_s` is the critical path of its calls' times.
    """

    cell_id: int
    problem_id: int
    trial: int
    run_id: int
    text: str
    items: tuple[str | None, ...] | None
    finish: str
    error: str | None
    serial_tokens: int
    latency_s: float | None
    ttft_s: float | None
    started: float
    ended: float
    judge: str
    outcomes: tuple[str, ...]
    extracted: tuple[str | None, ...]
    scores: Mapping[str, float]
    uses: tuple[Use, ...]
    ledger: tuple[LedgerRecord, ...]
    codes: Mapping[str, str] = field(default_factory=dict)
    memory: tuple[int, str] | None = None  # of a strategy with memory: the place in its order, and what it carries on


@dataclass(frozen=True, kw_only=True)
class PowerRecord:
    """Readings of one quantity of one device over a stretch of a run. `times`: seconds after `started`."""

    run_id: int
    meter: str
    quantity: str
    domain: str
    device: str
    started: float
    ended: float
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Twin:
    """A pooled sample, by who made it: `engine` and `hardware` are their identities."""

    key: str
    engine: Mapping[str, Any]
    hardware: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class WindowRecord:
    """One span over which energy was read, a row per domain and device. `kind`: pooled | whole | steady | idle. None has its code."""

    run_id: int
    cell_id: int | None
    kind: str
    meter: str
    meter_version: int
    source: str
    domain: str
    device: str
    start: float
    end: float
    energy_j: float | None
    valid: bool
    codes: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CellKey:
    """What identifies a cell. Every mapping is an identity: plain JSON, no folder, no key, no series.

    `roles` maps a role's name to {"model": …, "engine": …, "hardware": …} identities, only for roles that the strategy needs.
    """

    model: Mapping[str, Any]
    engine: Mapping[str, Any]
    hardware: Mapping[str, Any]
    strategy: Mapping[str, Any]  # name, version, params, sampling
    task: Mapping[str, Any]  # name, version, revision, spec
    roles: Mapping[str, Any]
    seed: int
    mode: str
    concurrency: int | None
