"""An engine that answers by what it is asked, whatever the order: for strategies that make prompts of answers."""

from __future__ import annotations

from collections.abc import Callable

from harness.attempt import Answered
from harness.prompts import as_text
from harness.testing import ScriptedEngine
from harness.types import Model

THINKER = Model("scripted", "1", "none", context=100_000, think=("<think>", "</think>"))
USER = "[user]Which digit is number 0?\n"


def answering(reply: Callable[[str], str], model: Model | None = None) -> ScriptedEngine:
    """`reply(prompt as text)`, for every seed."""
    return ScriptedEngine(model, script=lambda prompt, sampling, seed: reply(as_text(prompt)))


def asked(done: Answered) -> list[str]:
    """What was asked in each call, in program order, without the question that all begin with."""
    return [as_text(call.prompt).removeprefix(USER) for call in done.calls]
