"""What kinds of states the procedures have, as the official labels have them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any


class Kind(Enum):
    """The kind of a state. The value is its JSON schema and its name in a sentence; a sentence is a string, but is read differently."""

    STRING = ({"type": "string"}, "a string")
    SENTENCE = ({"type": "string", "description": "a sentence"}, "a string")
    NUMBER = ({"type": "integer"}, "a whole number")
    STRINGS = ({"type": "array", "items": {"type": "string"}}, "a list of strings")
    NUMBERS = ({"type": "array", "items": {"type": "integer"}}, "a list of whole numbers")

    @property
    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""
        return dict(self.value[0])

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return self.value[1]

    @property
    def listed(self) -> bool:
        """Whether such a state is a list."""
        return self in (Kind.STRINGS, Kind.NUMBERS)


_MIXED = {
    "Count": (Kind.STRINGS, Kind.NUMBER),
    "Search": (Kind.NUMBERS, Kind.NUMBERS),
    "Compare": (Kind.STRING, Kind.STRINGS),
    "Count2": (Kind.NUMBERS, Kind.NUMBERS),
    "Cumulate": (Kind.NUMBER, Kind.NUMBER),
    "FindCyclic": (Kind.STRINGS, Kind.STRING),
    **dict.fromkeys(("Encode", "Split1", "Split2", "Compose"), (Kind.STRINGS, Kind.STRINGS)),
    **dict.fromkeys(("FillWord", "DeleteWord"), (Kind.SENTENCE, Kind.SENTENCE)),
}


def kinds(procedure: str) -> tuple[Kind, Kind]:
    """The kinds of a procedure's intermediate states and of its final one."""
    return _MIXED.get(procedure, (Kind.STRING, Kind.STRING))


def schema(procedure: str) -> dict[str, Any]:
    """The JSON schema of a procedure's predictions, as the official extraction has one per task."""
    intermediate, final = kinds(procedure)
    properties: Mapping[str, Any] = {"intermediate": {"type": "array", "items": intermediate.schema}, "final": final.schema}
    return {"type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False}


_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)")
_NOTHING = {"empty", "empty string", "(empty)", "(empty string)", r"\emptyset", r"\varnothing", r"\epsilon", "ε", "∅"}


def bare(text: str) -> str:
    """Without space, quotes and a full stop around it."""
    return text.strip().rstrip(".,;").strip("\"'` ")


def number(text: str) -> int | None:
    """The whole number that a text is, or None."""
    text = bare(text)
    return int(text.replace(",", "")) if _NUMBER.fullmatch(text) and len(text) < 4000 else None


def single(text: str, kind: Kind) -> Any:
    """A text as a state of a kind that is no list; a text that is no number stays one, which equals none."""
    if kind is Kind.NUMBER:
        found = number(text.rpartition("=")[2])
        return bare(text) if found is None else found
    text = bare(text)
    if kind is Kind.STRING:
        text = bare(text.strip("[](){}"))
    return "" if text.lower() in _NOTHING else text
