"""What a generated problem is, and how procedures announce their generators."""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TEST_SHARE = 10  # one problem in ten is kept for testing


@dataclass(frozen=True)
class Drawn:
    """One problem: the `data` that the prompt shows, and the label: the states of its steps, of which the last one is final.

    A state is a string, a whole number, or a list of strings or whole numbers. `doing` says what each step does, as it would be written
    before its state ("Step: state"); empty where the states alone say it.
    """

    procedure: str
    data: str
    init: Any
    states: tuple[Any, ...]
    doing: tuple[str, ...] = ()

    @property
    def label(self) -> dict[str, Any]:
        """The label in the official form: init, intermediate states and final state."""
        return {"init": self.init, "intermediate": list(self.states[:-1]), "final": self.states[-1]}

    @property
    def held_out(self) -> bool:
        """True for the tenth of all problems, by their data, that only the task asks; reference models are trained on others only."""
        return int(hashlib.sha256(f"{self.procedure}\n{self.data}".encode()).hexdigest(), 16) % TEST_SHARE == 0


Draw = Callable[[random.Random, int], Drawn]


@dataclass(frozen=True)
class Procedure:
    """A procedure of ProcBench: its official name and number, an instruction of one line, and how a problem of so many steps is drawn."""

    name: str
    number: int
    brief: str
    draw: Draw


ANNOUNCED: dict[str, Procedure] = {}


def procedure(number: int, brief: str) -> Callable[[Draw], Draw]:
    """Announce a generator as that of the procedure of this official number; its function's name says which (`push_pop`: PushPop)."""

    def mark(draw: Draw) -> Draw:
        name = "".join(word.capitalize() for word in draw.__name__.split("_"))
        ANNOUNCED[name] = Procedure(name, number, brief, draw)
        return draw

    return mark


def lowercase(rng: random.Random, count: int) -> str:
    """So many lower-case letters."""
    return "".join(rng.choices(string.ascii_lowercase, k=count))
