"""How much of its hardware a live cell used: MFU and MBU over the whole window, from its first send to its last token.

MFU = FLOPs that its calls executed ÷ (seconds × devices × dense peak at the precision that the engine computes in).
MBU = bytes that its calls had to move ÷ (seconds × devices × memory bandwidth); what these bytes are: docs/flops.md.

Weights move once per pass, for all calls that share it. Engines do not say which did: a call's decoding is taken to share its passes with
as many calls as were decoding beside it on average, its prefill with those whose first token came within half a token's time of its own.

Peaks are the hardware table's (`energy.profiles`), else what `bench calibrate` measured on the machine: kept with the run, or on this
machine afterwards, when name and system are the run's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa

from energy import calibrate, profiles, traffic
from energy.flops import UnknownArchitecture
from results import schema

_S: Any = schema.Sample.__table__
_A: Any = schema.Attempt.__table__
_U: Any = schema.AttemptSample.__table__
Row = dict[str, Any]
Place = tuple[int, int, int]
"""Ids of model, engine, hardware."""

FIELDS = ("mfu", "mbu", "precision", "peak_source")
NO_PEAK = "no_peak"
NO_CONFIG = "config_not_kept"
NO_CALLS = "no_attempts"
SEVERAL = "several_hardware"
RESUMED = "resumed"
RATES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
ACTIVATIONS = {"fp8": "fp8", "fbgemm_fp8": "fp8", "int8": "int8", "nvfp4": "fp4"}
"""Quantizations in which activations are small too, so that products run at another rate; others widen weights first."""


@dataclass(frozen=True)
class Call:
    """One call as it was executed. flop: None where unknown."""

    place: Place
    sent: float
    first: float | None
    last: float
    prompt: int
    cached: int
    output: int
    scored: int
    flop: float | None


@dataclass(frozen=True)
class Rates:
    """What all devices of a cell's hardware do at best. None: not known."""

    peak: float | None
    """Operations per second at `precision`."""
    bandwidth: float | None
    """Bytes per second."""
    precision: str
    source: str | None
    """`table of DATE`, `calibrated DATE` or both; None where neither knows the hardware."""


class Unknown(Exception):
    """A number cannot be computed; its text is the reason's code."""


def of_cell(connection: sa.Connection, cell_id: int, resumed: bool = False) -> Row:
    """FIELDS of a live cell: shares from 0 to 1, and `reasons` for those that are None."""
    row: Row = dict.fromkeys(FIELDS) | {"reasons": {}}
    calls = _calls(connection, cell_id)
    if resumed or not calls:  # between two runs there was a pause that is nobody's time
        return row | {"reasons": dict.fromkeys(("mfu", "mbu"), RESUMED if resumed else NO_CALLS)}
    surroundings = _environment(connection, cell_id)
    places = {place: _described(connection, place, surroundings) for place in {call.place for call in calls}}
    seconds = max(c.last for c in calls) - min(c.sent for c in calls)
    if len({str(place["hardware"]) for place in places.values()}) > 1:
        return row | {"reasons": dict.fromkeys(("mfu", "mbu"), SEVERAL)}
    rates = {place: rates_of(found, surroundings) for place, found in places.items()}
    row["precision"] = ", ".join(sorted({found.precision for found in rates.values()}))
    row["peak_source"] = next(iter(rates.values())).source
    for name, compute in (("mfu", _mfu), ("mbu", _mbu)):
        try:
            row[name] = compute(calls, places, rates) / seconds if seconds > 0 else None
        except Unknown as reason:
            row["reasons"][name] = str(reason)
    return row


def _mfu(calls: Sequence[Call], places: Mapping[Place, Row], rates: Mapping[Place, Rates]) -> float:
    """Seconds that the calls' FLOPs take at the peaks. Raises Unknown."""
    total = 0.0
    for call in calls:
        peak = rates[call.place].peak
        if call.flop is None:
            raise Unknown(UnknownArchitecture.code)
        if peak is None:
            raise Unknown(NO_PEAK)
        total += call.flop / peak
    return total


def _mbu(calls: Sequence[Call], places: Mapping[Place, Row], rates: Mapping[Place, Rates]) -> float:
    """Seconds that the calls' bytes take at the bandwidth. Raises Unknown."""
    total = 0.0
    for place, described in places.items():
        width = rates[place].bandwidth
        if described["counting"] is None:
            raise Unknown(NO_CONFIG)
        if width is None:
            raise Unknown(NO_PEAK)
        try:
            total += bytes_moved([c for c in calls if c.place == place], described) / width
        except (UnknownArchitecture, traffic.UnknownPrecision) as error:
            raise Unknown(error.code) from None
    return total


def bytes_moved(calls: Sequence[Call], described: Mapping[str, Any]) -> float:
    """Bytes of calls to one model on one engine, weights shared as the module says. described: as of `_described`."""
    settings, counting = _settings(described), described["counting"]
    how = {"dtype": described["model"].get("dtype"), "quantization": settings.get("quantization")}
    how |= {"cache_dtype": settings.get("kv_cache_dtype"), **counting["settings"]}

    @cache  # many calls are alike
    def count(prompt: int, output: int, cached: int, scored: int, batch: int) -> traffic.Traffic:
        return traffic.count(counting["config"], prompt=prompt, output=output, cached=cached, scored=scored, batch=batch, **how)

    total = 0.0
    for call, beside, together in zip(calls, decoding_beside(calls), prefilled_together(calls), strict=True):
        tokens = (call.prompt, call.output, call.cached, call.scored)
        total += count(*tokens, together).prefill.total / together + count(*tokens, beside).decode.total / beside
    return total


def decoding_beside(calls: Sequence[Call]) -> list[int]:
    """How many calls were decoding on average, itself included, while each call did: whole numbers from 1."""
    import numpy as np

    starts = np.array([c.sent if c.first is None else c.first for c in calls])
    ends = np.array([c.last for c in calls])
    times = np.concatenate([starts, ends])
    order = np.argsort(times, kind="stable")
    running = np.cumsum(np.concatenate([np.ones(len(calls)), -np.ones(len(calls))])[order])
    area = np.concatenate([[0.0], np.cumsum(running[:-1] * np.diff(times[order]))])  # calls × seconds up to each time
    spans = np.interp(ends, times[order], area) - np.interp(starts, times[order], area)
    long = ends > starts
    return [max(1, round(span / (end - start))) if ok else 1 for span, start, end, ok in zip(spans, starts, ends, long, strict=True)]


def prefilled_together(calls: Sequence[Call]) -> list[int]:
    """How many calls' first tokens came with each call's own, itself included: one pass made them."""
    import numpy as np

    steps = [(c.last - c.first) / (c.output - 1) for c in calls if c.first is not None and c.output > 1]
    half = float(np.median(steps)) / 2 if steps else 0.0
    firsts = np.sort([c.first for c in calls if c.first is not None])
    found = []
    for call in calls:
        if call.first is None:
            found.append(1)
        else:
            low, high = np.searchsorted(firsts, call.first - half, "left"), np.searchsorted(firsts, call.first + half, "right")
            found.append(int(high - low))
    return found


# --- peaks ------------------------------------------------------------------------------------------------------------------------------


def rates_of(described: Mapping[str, Any], surroundings: Mapping[str, Any]) -> Rates:
    """The peaks for one deployment. described: as of `_described`.  surroundings: the run's environment."""
    name, count = str(described["hardware"]["name"]), int(described["hardware"].get("count", 1))
    precision = computes_in(described)
    profile, measured = profiles.by_name(name), calibrate.of_run(surroundings, name)
    known = (profile.peak_flops.get(precision), profile.bandwidth) if profile else (None, None)
    own = (measured.peak(precision), measured.bandwidth_best) if measured else (None, None)
    peak, width = (b if a is None else a.value * count for a, b in zip(known, own, strict=True))
    sources = [f"table of {profiles.as_of()}"] if any(known) else []
    if measured is not None and any(a is None and b is not None for a, b in zip(known, own, strict=True)):
        sources.append(f"calibrated {measured.date}")
    return Rates(peak, width, precision, " and ".join(sources) or None)


def computes_in(described: Mapping[str, Any]) -> str:
    """The precision of matrix products, as the hardware table names it: of the weights, or of a quantization that quantizes activations."""
    config = (described["counting"] or {}).get("config") or {}
    said = config.get("quantization_config") or {}
    method = str(_settings(described).get("quantization") or said.get("quant_method") or "none")
    if method == "compressed-tensors":
        groups = list((said.get("config_groups") or {}).values())
        inputs = (groups[0].get("input_activations") if groups else None) or {}
        method = {"float8": "fp8", "int8": "int8", "float4": "nvfp4"}.get(f"{inputs.get('type')}{inputs.get('num_bits')}", method)
    dtype = str(described["model"].get("dtype"))
    return ACTIVATIONS.get(method) or RATES.get(dtype, dtype)


def _settings(described: Mapping[str, Any]) -> dict[str, Any]:
    """An engine's settings; of a server also those that it was said to have."""
    settings = dict(described["engine"].get("settings") or {})
    return settings | dict(settings.get("server") or {})


# --- reading ----------------------------------------------------------------------------------------------------------------------------


def _calls(connection: sa.Connection, cell_id: int) -> list[Call]:
    counts = (_S.c.prompt_tokens, _S.c.cached_tokens, _S.c.output_tokens, _S.c.scored_tokens)
    flop = _S.c.flop_linear + _S.c.flop_attention + _S.c.flop_head
    columns = (_S.c.id, _S.c.model_id, _S.c.engine_id, _S.c.hardware_id, _S.c.sent, _S.c.first, _S.c.last, *counts, flop)
    query = sa.select(*columns).distinct().join(_U, _U.c.sample_id == _S.c.id).join(_A, _A.c.id == _U.c.attempt_id)
    found = connection.execute(query.where(_A.c.cell_id == cell_id)).all()
    return [Call((r[1], r[2], r[3]), r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11]) for r in found]


def _environment(connection: sa.Connection, cell_id: int) -> Row:
    """Of the newest run that made attempts of the cell."""
    runs = sa.select(_A.c.run_id).where(_A.c.cell_id == cell_id)
    run: Any = schema.Run.__table__
    found = connection.execute(sa.select(run.c.environment).where(run.c.id.in_(runs)).order_by(run.c.id.desc()).limit(1)).scalar()
    return dict(found or {})


def _described(connection: sa.Connection, place: Place, surroundings: Mapping[str, Any]) -> Row:
    """Identities of model, engine and hardware, and `counting`: the model's config and the settings that change a count, as the run kept
    them; None where it did not."""
    tables: tuple[Any, ...] = (schema.Model, schema.Engine, schema.Hardware)
    own = {
        name: connection.execute(sa.select(table.identity).where(table.id == number)).scalar_one()
        for name, table, number in zip(("model", "engine", "hardware"), tables, place, strict=True)
    }
    kept = (engine for engine in surroundings.get("engines", ()) if engine.get("identity") == own)
    return own | {"counting": next((engine.get("counting") for engine in kept), None)}
