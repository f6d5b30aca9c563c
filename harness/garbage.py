"""How often Python looks for garbage while a run is on."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000  # objects that may be made before they are looked at


@contextmanager
def seldom_collected() -> Iterator[None]:
    """The garbage collector leaves alone what is there already, modules and engines: because of what a run makes it would go through them
    again and again, half a second each time with vLLM. What is made it looks at seldom, since most of it goes by itself with its attempt.

    Only while engines are in use: what they leave when they are closed is to be collected.
    """
    often, ours = gc.get_threshold(), not gc.get_freeze_count()  # else somebody else has frozen, and will undo it
    gc.set_threshold(YOUNG, *often[1:])
    if ours:
        gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*often)
        if ours:
            gc.unfreeze()
