"""Golden traces: what each strategy asks, in order, on the scripted engine. A strategy whose calls change must raise its version.

`python -m tests.harness.test_golden` writes the traces of strategies whose version is new; it never overwrites one.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from harness.attempt import Judged, ledger
from harness.prompts import as_text
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Model, Usage
from tests.harness.digits import Digits, cell, place

GOLDEN = Path(__file__).parent / "golden"


def arguments(name: str) -> dict[str, Any]:
    """Small values for the parameters that say how much is drawn."""
    budget = strategies.get(name).budget
    return {budget: 4} if isinstance(budget, str) else {}


def engine(name: str, **weather: Any) -> ScriptedEngine:
    """With think markers for the strategies that need them."""
    thinks = "thinking" in strategies.get(name).needs
    return ScriptedEngine(Model("scripted", "1", "none", context=100_000, think=("<think>", "</think>")) if thinks else None, **weather)


def trace(name: str, on: ScriptedEngine, problem: int = 0, trial: int = 0) -> dict[str, Any]:
    """One attempt as plain data: calls in program order, answer, ledger, clock. Nothing in it depends on time."""
    request = "generate" if "generate" in strategies.get(name).requests else min(strategies.get(name).requests)
    c = cell(name, place(on), Digits(request=request), **arguments(name))
    judged, made = asyncio.run(attempt_alone(c, c.problems[problem], trial))
    seeds = {m.key: m.seed for m in made}
    return {
        "strategy": f"{name}@{c.strategy.strategy.version}",
        "calls": [
            {
                "path": list(call.path),
                "role": call.role,
                "kind": call.kind,
                "pooled": call.pooled,
                "seed": seeds[call.key],
                "prompt": as_text(call.prompt),
                "text": call.kept.text,
            }
            for call in judged.answered.calls
        ],
        "answer": summary(judged),
        "ledger": {" ".join(k[::2]): plain(usage) for k, (usage, _) in ledger(judged.answered).items()},
        "serial_tokens": judged.answered.serial_tokens,
    }


def summary(judged: Judged) -> dict[str, Any]:
    answer = judged.answered.answer
    assert answer is not None, judged.answered.error
    return {"text": answer.text, "items": answer.items, "outcomes": [str(o) for o in judged.judgement.items]}


def plain(usage: Usage) -> dict[str, int]:
    return {k: v for k, v in vars(usage).items() if v}


@pytest.mark.parametrize("name", strategies.names())
def test_calls_are_golden(name: str) -> None:
    found = json.loads(json.dumps(trace(name, engine(name))))
    path = GOLDEN / f"{found['strategy']}.json"
    assert path.exists(), f"no golden trace of {found['strategy']}; look at the change, then run python -m tests.harness.test_golden"
    assert found == json.loads(path.read_text()), f"the calls of {name} changed: raise its version"


@pytest.mark.parametrize("name", strategies.names())
def test_latency_and_faults_change_nothing(name: str) -> None:
    calm = [trace(name, engine(name), problem) for problem in range(3)]
    for _ in range(20):
        stormy = engine(name, latency=(0.0, 0.004), faults=0.2)
        assert [trace(name, stormy, problem) for problem in range(3)] == calm


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in strategies.names():
        new = trace(each, engine(each))
        target = GOLDEN / f"{new['strategy']}.json"
        if not target.exists():
            target.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n")
            print("wrote", target)
