"""Content hashes: the identity of models, engines, strategies, tasks, cells and pools."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

PLAIN = frozenset({str, int, float, bool})


def canonical(value: Any) -> Any:
    """`value` as plain JSON: dataclasses and mappings become sorted objects, tuples lists. Raises TypeError for anything else."""
    if value is None or type(value) in PLAIN:  # first, since most are: identities are made for every call
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


def content_hash(*parts: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `parts`. The same on every machine, Python and run."""
    text = json.dumps(canonical(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def seed_from(*parts: Any) -> int:
    """A 63-bit seed from the same hash (63 bits fit a signed database integer and torch.Generator)."""
    return int(content_hash(*parts)[:16], 16) >> 1
