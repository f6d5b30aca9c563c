"""Content hashes: one fast way to write what `canonical` defines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.types import Sampling
from perpass.identity import Frozen, canonical, canonical_json, content_hash, seed_from


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    SMALL = 1


class Words(str):
    """A string that is not just one."""


@dataclass(frozen=True)
class Pair:
    second: Any
    first: Any = None
    more: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Nothing:
    pass


ODD = st.sampled_from([Colour.RED, Size.SMALL, Words("é"), Nothing()])
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ODD
KEYS = st.text() | st.integers() | st.just(Colour.RED)
VALUES = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner).map(MappingProxyType)
        | st.builds(Pair, inner, inner, st.dictionaries(st.text(), inner))
    ),
)


def as_defined(value: Any) -> str:
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


@given(VALUES)
def test_the_fast_way_writes_what_is_defined(value: Any) -> None:
    assert canonical_json(value) == as_defined(value)


@given(VALUES, VALUES)
def test_a_frozen_value_stands_for_itself(value: Any, other: Any) -> None:
    assert content_hash(other, Frozen(value), [value]) == content_hash(other, value, [Frozen(value)])
    assert seed_from(Frozen(value)) == seed_from(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), Pair, [Pair(b"")], {"a": {"b": b""}}])
def test_what_has_no_place_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no place in an identity"):
        canonical(value)
    with pytest.raises(TypeError, match="no place in an identity"):
        canonical_json(value)


def test_hashes_never_change() -> None:
    """They are in every database: these were computed before there was a fast way."""
    asked = ("main", 0, {"b": [1, 2.5, None, True], "a": "é\ud800"}, Sampling(stop=("\n",), extra={"z": 1}))
    assert content_hash(*asked) == EXPECTED
    assert content_hash(*asked[:3], asked[3].identity) == EXPECTED


EXPECTED = "a7c39383dc34ac74aeab75605bb5bfaef728e26b0ad431ace78864b6d5502716"
