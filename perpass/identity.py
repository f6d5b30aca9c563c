"""Content hashes: the identity of models, engines, strategies, tasks, cells and pools."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from math import isfinite
from typing import Any

PLAIN = frozenset({str, int, float, bool})


def canonical(value: Any) -> Any:
    """`value` as plain JSON: dataclasses and mappings become sorted objects, tuples lists. Raises TypeError for anything else."""
    if value is None or type(value) in PLAIN:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): canonical(v) for k, v in sorted(value.items(), key=lambda kv: str(kv[0]))}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    if isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an identity")


class Frozen:
    """A value that many hashes hold, with its JSON made once. Stands in them for the value, which must not change any more."""

    __slots__ = ("json",)

    def __init__(self, value: Any):
        self.json = canonical_json(value)


def canonical_json(value: Any) -> str:
    """`canonical(value)` as compact JSON with sorted keys, in ASCII. Raises TypeError as `canonical` does.

    Every call of an engine is hashed several times, so common types take one pass without the objects in between.
    """
    kind: Any = type(value)
    if kind is str:
        return encode_basestring_ascii(value)
    if kind is int or (kind is float and isfinite(value)):
        return repr(value)
    if value is None:
        return "null"
    if kind is tuple or kind is list:
        return f"[{','.join([canonical_json(v) for v in value])}]"
    if kind is Frozen:
        return str(value.json)
    if (keys := _keys(kind)) is not None:
        return f"{{{','.join([key + canonical_json(getattr(value, name)) for name, key in keys])}}}"
    if kind is dict or isinstance(value, Mapping):
        named = {str(k): v for k, v in sorted(value.items(), key=lambda kv: str(kv[0]))}
        return f"{{{','.join([f'{encode_basestring_ascii(k)}:{canonical_json(v)}' for k, v in named.items()])}}}"
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@lru_cache(maxsize=1024)
def _keys(kind: type) -> tuple[tuple[str, str], ...] | None:
    """A dataclass's fields in order of their names, each with its key in JSON; None for other types."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple((name, f"{encode_basestring_ascii(name)}:") for name in sorted(f.name for f in dataclasses.fields(kind)))


def content_hash(*parts: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `parts`. The same on every machine, Python and run."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def seed_from(*parts: Any) -> int:
    """A 63-bit seed from the same hash (63 bits fit a signed database integer and torch.Generator)."""
    return int(content_hash(*parts)[:16], 16) >> 1
