"""What devices can do at best and may draw: the dated table `energy/data/hardware.yaml`. Never a price."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["gpu", "cpu"]
"""`gpu` stands for every accelerator: TPUs, Gaudis and NPUs too."""

Sources = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Value:
    """A number, where it is published, and on which day (ISO) we read it there; None where we did not."""

    value: float
    source: str
    read: str | None = None


@dataclass(frozen=True)
class Profile:
    """One device type, per device. None: not known from a source."""

    name: str
    kind: Kind
    peak_flops: Mapping[str, Value | None]
    """Dense peak operations per second by precision: bf16, fp16, fp8, fp4, int8, tf32, fp32."""
    bandwidth: Value | None
    """Bytes per second."""
    memory_gb: Value | None
    """As marketed."""
    tdp_w: Value | None
    """Watts by design; a CPU's is of the whole package."""
    cores: Value | None
    """Physical cores of a CPU package."""
    reported: tuple[str, ...]
    aliases: tuple[str, ...]


def profiles(kind: Kind | None = None) -> tuple[Profile, ...]:
    """Every row of the table, in its order."""
    return tuple(profile for profile in _table()[0] if kind in (None, profile.kind))


def as_of() -> str:
    """The table's date (ISO)."""
    return _table()[2]


def generic_watts_per_cpu() -> Value:
    """Watts of one busy logical CPU where the model is not in the table."""
    return _table()[1]


def by_name(name: str) -> Profile | None:
    """The profile called `name` here; case, spaces and punctuation do not matter."""
    wanted = plain(name)
    return next((p for p in profiles() if wanted in {plain(n) for n in (p.name, *p.aliases, *p.reported)}), None)


def by_report(reported: str, kind: Kind) -> Profile | None:
    """The profile of a device by the name that its driver or /proc/cpuinfo gives: a GPU's whole name, a CPU's model within it."""
    if kind == "gpu":
        return next((p for p in profiles("gpu") if plain(reported) in {plain(n) for n in p.reported}), None)
    return next((p for p in profiles("cpu") if any(_within(n, reported) for n in p.reported)), None)


def names() -> list[str]:
    """The names that an experiment may declare."""
    return [profile.name for profile in profiles()]


def plain(name: str) -> str:
    """`name` without case, spaces and punctuation (a plus stays: it tells processors apart)."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _within(model: str, reported: str) -> bool:
    return re.search(rf"(?<![\w+]){re.escape(model)}(?![\w+])", reported, re.IGNORECASE) is not None


@lru_cache(maxsize=1)
def _table() -> tuple[tuple[Profile, ...], Value, str]:
    import yaml

    raw: dict[str, Any] = yaml.safe_load((files("energy") / "data" / "hardware.yaml").read_text(encoding="utf-8"))
    sources: Sources = raw["sources"]
    gpus = _rows(raw["gpus"].items(), "gpu", sources)
    cpus = _rows(raw["cpus"].items(), "cpu", sources)
    generic = _value(raw["generic_cpu"]["watts_per_cpu"], sources)
    assert generic is not None
    return (*gpus, *cpus), generic, str(raw["as_of"])


def _rows(rows: Iterable[tuple[str, dict[str, Any]]], kind: Kind, sources: Sources) -> list[Profile]:
    return [
        Profile(
            name=name,
            kind=kind,
            peak_flops={precision: _value(v, sources) for precision, v in (row.get("peak_flops") or {}).items()},
            bandwidth=_value(row.get("bandwidth"), sources),
            memory_gb=_value(row.get("memory_gb"), sources),
            tdp_w=_value(row.get("tdp_w"), sources),
            cores=_value(row.get("cores"), sources),
            reported=tuple(row.get("reported") or ()),
            aliases=tuple(row.get("aliases") or ()),
        )
        for name, row in rows
    ]


def _value(pair: list[Any] | None, sources: Sources) -> Value | None:
    """[number, source key] → Value. A key without a source is an error in the table (KeyError)."""
    if pair is None:
        return None
    source = sources[pair[1]]
    return Value(float(pair[0]), f"{source['title']}; {source['address']}", source["read"] and str(source["read"]))
