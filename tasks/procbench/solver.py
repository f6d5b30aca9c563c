"""From an official prompt to its label: which procedure it states, and the states that the procedure goes through."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Any

from perpass.errors import UserError
from tasks.procbench.rules import RULES
from tasks.procbench.templates import templates

QUESTION = "[Question]\n"


def solve(prompt: str) -> dict[str, Any]:
    """The label of an official prompt: `intermediate`, its states but the last one, and `final`, with the types of the official labels.

    Space around words of the instruction does not count. Raises UserError for a prompt that is none of the 23, naming the nearest
    procedure, and for data that the procedure cannot be followed on.
    """
    instruction, _, data = prompt.replace("\r\n", "\n").partition(QUESTION)
    name = _procedure(instruction)
    try:
        states = RULES[name](data)
    except (IndexError, ValueError) as error:
        raise UserError(f"procbench: the data of this {name} problem cannot be followed: {error}") from error
    if not states:
        raise UserError(f"procbench: this {name} problem has no steps")
    return {"intermediate": states[:-1], "final": states[-1]}


def _procedure(instruction: str) -> str:
    words = tuple(instruction.split())
    known = _instructions()
    if words not in known:
        nearest = max(known, key=lambda official: difflib.SequenceMatcher(None, official, words, autojunk=False).ratio())
        raise UserError(f"procbench: the prompt is none of the {len(known)} official ones; the nearest procedure is {known[nearest]}")
    return known[words]


@cache
def _instructions() -> dict[tuple[str, ...], str]:
    return {tuple(template.split()): name for name, template in templates().items()}
