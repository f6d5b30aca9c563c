"""Two models: the policy and, in the role `helper`, another on an engine of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from harness.attempt import Answered
from harness.cell import Cell
from harness.engines.scripted import Script
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Model
from tests.harness.digits import Digits, cell, place

LARGE = Model("large", "1", "none", context=100_000)


def large(script: Script) -> ScriptedEngine:
    """An engine for the helper."""
    return ScriptedEngine(LARGE, script)


def paired(name: str, policy: ScriptedEngine, helper: ScriptedEngine, task: Digits | None = None, **params: Any) -> Cell:
    """A cell whose helper is another model; a judge is the policy."""
    made = cell(name, place(policy), task, **params)
    roles = {role: place(helper) if role == "helper" else made.policy for role in made.strategy.strategy.roles}
    return replace(made, roles=roles)


def ask(name: str, policy: ScriptedEngine, helper: ScriptedEngine, task: Digits | None = None, **params: Any) -> Answered:
    """The first problem answered by both."""
    made = paired(name, policy, helper, task, **params)
    done = asyncio.run(attempt_alone(made, made.problems[0]))[0].answered
    assert done.error is None, done.error
    return done


def roles(done: Answered) -> str:
    """Who was asked, in program order: p, h or j, capital where it scored."""
    return "".join(call.role[0].upper() if call.kind == "score" else call.role[0] for call in done.calls)
