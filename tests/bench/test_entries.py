"""Entries of lists: names, `name(n=4)`, mappings, grids."""

from __future__ import annotations

import pytest

from bench.entries import entry, grid
from perpass.errors import UserError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("cot", {"kind": "cot"}),
        (" cot ", {"kind": "cot"}),
        ("self_consistency(n=4)", {"kind": "self_consistency", "n": 4}),
        ("self_consistency(n=[2, 4], temperature=0.5)", {"kind": "self_consistency", "n": [2, 4], "temperature": 0.5}),
        ("rest(base=gsm8k, s=3, flag=true, name='a, b')", {"kind": "rest", "base": "gsm8k", "s": 3, "flag": True, "name": "a, b"}),
        ("my.module:function()", {"kind": "my.module:function"}),
        ({"n": 2, "kind": "x"}, {"kind": "x", "n": 2}),
    ],
)
def test_forms_of_an_entry(written: object, meant: dict[str, object]) -> None:
    assert entry(written, "here") == meant


@pytest.mark.parametrize("written", ["cot(", "cot(4)", "cot(n=4", "cot(n=)", "cot(**x)", "cot(n=4) x"])
def test_a_call_that_cannot_be_read(written: str) -> None:
    with pytest.raises(UserError, match=r"^here: cannot read '.*'; write name or name\(n=4\)$"):
        entry(written, "here")


@pytest.mark.parametrize("written", [5, "", None, ["a"], {}, {"n": 4}, {"kind": 3}])
def test_what_is_no_entry(written: object) -> None:
    with pytest.raises(UserError, match="^here: expected"):
        entry(written, "here")


def test_a_list_as_a_value_makes_a_grid() -> None:
    made = list(grid({"n": [1, 2], "temperature": [0.5, 1.0], "k": 3}, set(), "here"))
    assert made == [{"n": n, "temperature": t, "k": 3} for n in (1, 2) for t in (0.5, 1.0)]


def test_a_parameter_that_is_a_list_is_one_value_and_a_list_of_lists_a_grid() -> None:
    assert list(grid({"stop": ["a", "b"]}, {"stop"}, "here")) == [{"stop": ["a", "b"]}]
    assert list(grid({"stop": [["a"], ["b"]]}, {"stop"}, "here")) == [{"stop": ["a"]}, {"stop": ["b"]}]


def test_an_empty_grid_is_a_mistake() -> None:
    with pytest.raises(UserError, match="here: n: expected at least one value"):
        list(grid({"n": []}, set(), "here"))
