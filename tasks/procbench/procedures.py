"""Procedures of ProcBench as generators of our own: each draws the data of a problem and builds its states as it goes.

Source of the procedures: Fujisawa et al. 2024 (arXiv:2410.03117). Distributions are ours.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from tasks.procbench import draw_sentences, draw_simple, draw_strings  # noqa: F401  they announce their procedures
from tasks.procbench.drawn import ANNOUNCED, Drawn, Procedure

__all__ = ["LEAST_STEPS", "MOST_STEPS", "PROCEDURES", "REFERENCE", "Drawn", "Procedure", "problems"]

LEAST_STEPS, MOST_STEPS = 2, 25
# All 23, in the official order.
PROCEDURES: dict[str, Procedure] = {p.name: p for p in sorted(ANNOUNCED.values(), key=lambda p: p.number)}
# Those that the reference models are trained on: a small model learns to copy a string or a sentence with a change, late or never to count.
REFERENCE = ("Substitute", "Rhythm", "Compare", "Decode", "PushPop", "FillWord", "DeleteChar", "DeleteWord", "Cumulate", "FindCyclic")


def problems(rng: random.Random, procedure: str, steps: int, *, held_out: bool) -> Iterator[Drawn]:
    """Endless problems of a procedure from one side of the train/test split."""
    draw = PROCEDURES[procedure].draw
    while True:
        drawn = draw(rng, steps)
        if drawn.held_out == held_out:
            yield drawn
