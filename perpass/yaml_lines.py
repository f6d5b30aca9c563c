"""YAML as plain values that remember their lines, so that an error can say where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from perpass.errors import UserError

Loc = tuple[str | int, ...]


@dataclass
class Source:
    """Where each value of an experiment or another file was written: a line of it, or a flag of the command line.

    `places` maps a value's path ("strategies", 2, "n") to words such as "gsm8k.yaml:12" or "--strategy cot"; `name` stands for all else.
    """

    name: str
    places: dict[Loc, str] = field(default_factory=dict)

    def where(self, loc: Loc) -> str:
        """The place of the value at `loc`, or of the nearest one around it."""
        for end in range(len(loc), -1, -1):
            if loc[:end] in self.places:
                return self.places[loc[:end]]
        return self.name

    def replace(self, loc: Loc, place: str) -> None:
        """From now on, the value at `loc` and all inside it was written at `place`."""
        for inner in [known for known in self.places if known[: len(loc)] == loc]:
            del self.places[inner]
        self.places[loc] = place


def read(text: str, name: str, least: str, example: str) -> tuple[dict[str, Any], Source]:
    """The mapping that `text` holds, and its lines; `least` and `example` say what such a file holds.

    Raises UserError for malformed or empty YAML, doubled keys, or no mapping.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        problem = " ".join((error.problem or error.context or "cannot be read").split())
        raise UserError(f"{name}{line}: malformed YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name}: malformed YAML: {' '.join(str(error).split())}") from None
    if node is None:
        raise UserError(f"{name}: the file is empty; {least}")
    source = Source(name)
    value = _plain(node, (), source)
    if not isinstance(value, dict):
        raise UserError(f"{source.where(())}: expected a mapping such as `{example}`, not {said(value)}")
    return value, source


def _plain(node: yaml.Node, loc: Loc, source: Source) -> Any:
    if len(loc) > 30:  # also what an alias inside its own anchor comes to
        raise UserError(f"{source.where(loc)}: nested too deeply")
    source.places[loc] = f"{source.name}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, loc, source)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, (*loc, i), source) for i, child in enumerate(node.value)]
    try:
        return _Loader.scalar(node)
    except (ValueError, yaml.YAMLError) as error:
        raise UserError(f"{source.where(loc)}: malformed YAML: {' '.join(str(error).split())}") from None


def _mapping(node: yaml.MappingNode, loc: Loc, source: Source) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key_node, child in node.value:
        place = f"{source.name}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise UserError(f"{place}: a key must be a plain word")
        if key_node.tag == "tag:yaml.org,2002:merge":
            raise UserError(f"{place}: merge keys (<<) are not supported; write the keys out")
        key = key_node.value
        if key in made:
            raise UserError(f"{place}: {key!r} is given twice")
        made[key] = _plain(child, (*loc, key), source)
        source.places[(*loc, key)] = place
    return made


class _Loader(yaml.SafeLoader):
    @classmethod
    def scalar(cls, node: yaml.Node) -> Any:
        """A single scalar node as a plain value; dates stay text."""
        if node.tag == "tag:yaml.org,2002:timestamp":
            return node.value
        return cls("").construct_object(node)


def parse(text: str) -> Any:
    """One value as YAML would read it: `4`, `true`, `[2, 4]`, `gsm8k`. Text that is no YAML stays text."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def said(value: Any) -> str:
    """A value as it appears in an error: short, on one line."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
