"""Entries of an experiment's lists: `name`, `name(n=4)` or a mapping, and the grids that they stand for."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from perpass.errors import UserError
from perpass.yaml_lines import parse, said

_CALL = re.compile(r"\s*([^\s(){}\[\],]+)\s*\((.*)\)\s*", re.DOTALL)


def entry(value: Any, where: str, key: str = "kind") -> dict[str, Any]:
    """An entry as a mapping with `kind` first. Raises UserError when it is neither a name, nor `name(n=4)`, nor a mapping with a kind."""
    if isinstance(value, str) and value.strip():
        return _call(value, where, key) if "(" in value else {key: value.strip()}
    if isinstance(value, Mapping):
        if not isinstance(value.get(key), str) or not value[key]:
            raise UserError(f"{where}: expected `{key}: NAME` in {said_mapping(value)}")
        return {key: value[key], **{k: v for k, v in value.items() if k != key}}
    raise UserError(f"{where}: expected a name or a mapping with `{key}`, not {said(value)}")


def said_mapping(value: Mapping[str, Any]) -> str:
    """A mapping as it appears in an error: its first keys."""
    keys = list(value)
    return "{" + ", ".join(f"{k}: …" for k in keys[:3]) + (", …" if len(keys) > 3 else "") + "}"


def _call(text: str, where: str, key: str) -> dict[str, Any]:
    """`name(n=4, mode=fast)` as a mapping; the values are read as YAML would."""
    problem = UserError(f"{where}: cannot read {text.strip()!r}; write name or name(n=4)")
    match = _CALL.fullmatch(text)
    if not match:
        raise problem
    source = f"f({match[2]})"
    try:
        call = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError):
        raise problem from None
    if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
        raise problem
    return {key: match[1], **{str(k.arg): parse(ast.get_source_segment(source, k.value) or "") for k in call.keywords}}


def grid(made: Mapping[str, Any], whole: Collection[str], where: str) -> Iterator[dict[str, Any]]:
    """Every combination of the values that are lists. Keys in `whole` take a list as one value; a list of lists is a grid there too."""
    axes: list[list[Any]] = []
    for name, value in made.items():
        listed = isinstance(value, list) and (name not in whole or any(isinstance(v, list) for v in value))
        if listed and not value:
            raise UserError(f"{where}: {name}: expected at least one value in the list")
        axes.append(list(value) if listed else [value])
    for values in itertools.product(*axes):
        yield dict(zip(made, values, strict=True))
