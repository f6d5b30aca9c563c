"""Joules by phase: a call's prefill (its prompt is read, or text is scored) and its decoding (tokens are made), by role.

Nothing is stored. The basis says by what they are shared out:

- `flop`: the FLOPs of each phase. What settling attributed to a call is divided among its two parts.
- `tokens`: one each for a fresh prompt token, a scored one, and an output token. Other calls take other shares then, so the windows are
  shared out again, to all calls that they cover: seconds for a large run.

The parts of all calls and what no call took add up to the windows, to 1e-9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Any

import sqlalchemy as sa

from energy import flops
from results import energy, schema

BASES = ("flop", "tokens")
PHASES = ("prefill", "decode")
WHOLE = "whole"
"""The part of a call whose phases are not known."""
NO_CONFIG = "config_not_kept"

_S: Any = schema.Sample.__table__
_A: Any = schema.Attempt.__table__
_U: Any = schema.AttemptSample.__table__
_IDENTITIES: dict[str, Any] = {
    "model": schema.Model.__table__,
    "engine": schema.Engine.__table__,
    "hardware": schema.Hardware.__table__,
}

Split = Callable[[Any], Mapping[str, float | None]]
Joules = dict[int, dict[str, tuple[float | None, str | None]]]
"""By sample id and part: joules, or None and the code that says why."""


@dataclass(frozen=True)
class Part:
    """A part of a call, as `results.energy.share_out` takes calls: over the same time, with a weight for its FLOPs."""

    id: tuple[int, str]
    began: float
    last: float
    flop: float | None
    devices: int | None


def of_cell(connection: sa.Connection, cell_id: int, bases: Sequence[str] = BASES) -> list[dict[str, Any]]:
    """A row per role and phase: role, phase, tokens, and for each basis joules per attempt (`flop_j`, `tokens_j`), with `reasons`.

    Charged, as everywhere: a call that attempts share is charged to each. Attempts with a call whose joules are not known are left out of
    the means; `attempts` says how many are in, `of` how many there are. Where none is, joules are None and the reason is the first code.
    """
    used = sa.select(_U.c.attempt_id, _U.c.sample_id, _U.c.role, _U.c.share, _U.c.output).join(_A, _A.c.id == _U.c.attempt_id)
    uses = connection.execute(used.where(_A.c.cell_id == cell_id, _A.c.error.is_(None)).order_by(_U.c.attempt_id, _U.c.ordinal)).all()
    calls = {row.id: row for row in connection.execute(_calls(cell_id))}
    found = {basis: {"flop": _by_flops, "tokens": _by_tokens}[basis](connection, cell_id, calls) for basis in bases}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for use in uses:
        for phase, tokens in _tokens(calls[use.sample_id]).items():
            row = rows.setdefault((use.role, phase), {"role": use.role, "phase": phase, "tokens": 0.0})
            row["tokens"] += tokens if phase == "prefill" else use.output
    attempts = {use.attempt_id for use in uses}
    for basis, joules in found.items():
        lost = {use.attempt_id: code for use in reversed(uses) if (code := _code(joules.get(use.sample_id)))}
        kept = [use for use in uses if use.attempt_id not in lost]
        count = len(attempts) - len(lost)
        for (role, phase), row in rows.items():
            own = [use.share * (joules[use.sample_id].get(phase, (0.0, None))[0] or 0.0) for use in kept if use.role == role]
            row[f"{basis}_j"] = fsum(own) / count if count else None
            row.setdefault("attempts", {})[basis] = count
            row["of"] = len(attempts)
            row.setdefault("reasons", {}).update({} if count else {f"{basis}_j": next(iter(lost.values()))})
    for row in rows.values():
        row["tokens"] /= max(len(attempts), 1)
    return [rows[key] for key in sorted(rows, key=lambda k: (k[0] != "policy", k[0], PHASES.index(k[1])))]


def shares(connection: sa.Connection, cell_id: int, split: Split) -> Joules:
    """The cell's windows shared out again, to all calls that they cover. split: a call → weight by part."""
    found: Joules = {}
    for windows, inside, outside, code in energy.spans(connection, cell_id):
        parts = [Part((c.id, name), c.began, c.last, weight, c.devices) for c in inside for name, weight in split(c).items()]
        for (sample, name), share in energy.share_out(windows, parts, code)[0].items():
            found.setdefault(sample, {})[name] = (share.energy_j, share.code)
        found |= {c.id: dict.fromkeys(split(c), (None, code)) for c in outside}
    return found


def _by_tokens(connection: sa.Connection, cell_id: int, calls: Mapping[int, Any]) -> Joules:
    every = {row.id: row for row in connection.execute(_calls(None, runs={row.run_id for row in calls.values()}))}
    return shares(connection, cell_id, lambda c: _tokens(every[c.id]))


def _by_flops(connection: sa.Connection, cell_id: int, calls: Mapping[int, Any]) -> Joules:
    """A call whose phases cannot be told apart has None with the reason."""
    configs = _configs(connection, cell_id)
    return {n: _divided(row, configs.get((row.model_id, row.engine_id, row.hardware_id))) for n, row in calls.items()}


def _divided(row: Any, counting: Mapping[str, Any] | None) -> dict[str, tuple[float | None, str | None]]:
    if row.energy_j is None:
        return {WHOLE: (None, row.energy_code)}
    share = _prefill_share(row, counting)
    if share is None:
        return {WHOLE: (None, NO_CONFIG)}
    prefill = {"prefill": (row.energy_j * share, row.energy_code)}
    return prefill | ({"decode": (row.energy_j * (1 - share), row.energy_code)} if row.output_tokens else {})


def _tokens(row: Any) -> dict[str, float]:
    """Tokens of each phase that a call has; a call without any has a prefill of none."""
    fresh, output = row.prompt_tokens - row.cached_tokens + row.scored_tokens, row.output_tokens
    return ({"prefill": float(fresh)} if fresh or not output else {}) | ({"decode": float(output)} if output else {})


def _prefill_share(row: Any, counting: Mapping[str, Any] | None) -> float | None:
    """Of what was executed; None where the model is not known. The first output token comes from the prefill's pass."""
    if counting is None or row.flop is None:
        return None
    tokens = {"prompt": row.prompt_tokens, "cached": row.cached_tokens, "scored": row.scored_tokens}
    try:
        prefill = flops.count(counting["config"], output=min(row.output_tokens, 1), **tokens, **counting["settings"]).total
        whole = flops.count(counting["config"], output=row.output_tokens, **tokens, **counting["settings"]).total
    except flops.UnknownArchitecture:
        return None
    return prefill / whole if whole else 1.0


def _code(parts: Mapping[str, tuple[float | None, str | None]] | None) -> str | None:
    """Why a call's joules are not known; None where they are."""
    if not parts:
        return "unsettled"
    return next((code or "unsettled" for joules, code in parts.values() if joules is None), None)


def _calls(cell_id: int | None, runs: set[int] | None = None) -> sa.Select[Any]:
    """The calls that a cell used, or all of some runs, as they were executed."""
    flop = (_S.c.flop_linear + _S.c.flop_attention + _S.c.flop_head).label("flop")
    counts = (_S.c.prompt_tokens, _S.c.cached_tokens, _S.c.output_tokens, _S.c.scored_tokens)
    query = sa.select(_S.c.id, _S.c.run_id, _S.c.model_id, _S.c.engine_id, _S.c.hardware_id, *counts, flop, _S.c.energy_j, _S.c.energy_code)
    if cell_id is None:
        return query.where(_S.c.run_id.in_(runs or ()))
    used = sa.select(_U.c.sample_id).join(_A, _A.c.id == _U.c.attempt_id).where(_A.c.cell_id == cell_id)
    return query.where(_S.c.id.in_(used))


def _configs(connection: sa.Connection, cell_id: int) -> dict[tuple[int, int, int], Mapping[str, Any] | None]:
    """What counts a model's FLOPs, by ids of model, engine and hardware, as the runs of the cell's calls kept it."""
    run: Any = schema.Run.__table__
    used = sa.select(_U.c.sample_id).join(_A, _A.c.id == _U.c.attempt_id).where(_A.c.cell_id == cell_id)
    own = sa.select(_S.c.model_id, _S.c.engine_id, _S.c.hardware_id, _S.c.run_id).where(_S.c.id.in_(used)).distinct()
    kept: dict[tuple[int, int, int], Mapping[str, Any] | None] = {}
    for *place, run_id in connection.execute(own).tuples():
        identity = {
            name: connection.execute(sa.select(table.c.identity).where(table.c.id == number)).scalar_one()
            for (name, table), number in zip(_IDENTITIES.items(), place, strict=True)
        }
        environment: Any = connection.execute(sa.select(run.c.environment).where(run.c.id == run_id)).scalar() or {}
        found = next((e.get("counting") for e in environment.get("engines", ()) if e.get("identity") == identity), None)
        key = (place[0], place[1], place[2])
        kept[key] = kept.get(key) or found
    return kept
