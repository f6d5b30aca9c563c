"""Short names for models, engines, hardware, strategies and tasks, as people read them in tables.

A name is as short as it can be: settings are shown only where two different things in the same table would otherwise look alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

Identity = Mapping[str, Any]


def strategy(identity: Identity) -> str:
    """`self_consistency(n=16)`: the name with every parameter that has a value."""
    params = {k: v for k, v in (identity.get("params") or {}).items() if v is not None}
    inside = ", ".join(f"{k}={_plain(v)}" for k, v in params.items())
    return f"{identity['name']}({inside})" if inside else str(identity["name"])


def hardware(identity: Identity) -> str:
    """`H100x1`, `AMD EPYC (2 cores)`."""
    name = str(identity.get("name", "unknown"))
    if name == "unknown":
        return name
    return name if re.search(r"\(\d+ cores?\)$", name) or "count" not in identity else f"{name}x{identity['count']}"


def named(identity: Identity) -> str:
    """The name, or the kind where there is none."""
    return str(identity.get("name") or identity.get("kind") or "unknown")


def distinct(identities: Mapping[int, Identity], base: Any = named) -> dict[int, str]:
    """Labels by id: `base(identity)`, with the settings that differ added where two identities would share a label."""
    labels = {number: base(identity) for number, identity in identities.items()}
    for label in set(labels.values()):
        same = [number for number, found in labels.items() if found == label]
        if len(same) < 2:
            continue
        flattened = {number: dict(flat(identities[number])) for number in same}
        keys = sorted({k for values in flattened.values() for k in values})
        differ = [k for k in keys if len({_plain(values.get(k)) for values in flattened.values()}) > 1]
        for number in same:
            added = ", ".join(f"{k.rpartition('.')[2]}={short(flattened[number].get(k))}" for k in differ[:4])
            labels[number] = f"{label[:-1]}, {added})" if label.endswith(")") and base is strategy else f"{label} ({added})"
    return labels


def flat(value: Identity, prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower() if value is not None else "null"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_plain(v) for v in value) + "]"
    return str(value) if str(value).isprintable() else repr(value)  # a separator such as '\n'


def short(value: Any) -> str:
    """Hashes and other long values cut to what tells them apart."""
    text = _plain(value)
    return text[:8] if re.fullmatch(r"[0-9a-f]{16,}", text) else text[:24]
