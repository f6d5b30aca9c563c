"""Golden traces: what each strategy asks, in order, on the scripted engine. A strategy whose calls change must raise its version.

`python -m tests.harness.test_golden` writes the traces of strategies whose version is new; it never overwrites one.
"""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from harness.attempt import Judged, ledger
from harness.memory import Memory
from harness.prompts import as_text
from harness.strategy import strategies
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Model, Sampling, Usage
from perpass.identity import seed_from
from tasks.types import Prompt
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.obliging import ROUTER, Statements, obliging

GOLDEN = Path(__file__).parent / "golden"


SPECIAL: dict[str, dict[str, Any]] = {  # where a budget of four shows little
    "adaptive_consistency": {"n": 12, "threshold": 0.98},
    "early_stopping_consistency": {"n": 12, "window": 2},
    "adaptive_best_of_n": {"head": 8},
    "deepconf_offline": {"n": 6, "keep": 0.5, "group": 8},
    "deepconf_online": {"n": 6, "warmup": 2, "group": 8, "every": 4},
    "genselect": {"n": 5, "group": 2},
    "short_m_at_k": {"m": 1},
    "answer_convergence": {"k": 1, "chunk": 4},
    "critical_questions": {"plans": 3},
    "thinking_tokens": {"most": 4},
    "leap": {"turn": 8, "turns": 3, "summary": 16},
    **{name: {"width": 4, "fan": 2} for name in ("beam", "lookahead", "dvts", "tree_of_thought", "phi_decoding")},
    "self_eval_beam": {"width": 6, "fan": 2},
    "compute_optimal": {"n": 8},
    "mcts": {"k": 3, "n": 4},
    "rain": {"k": 2, "searches": 2},
    "graph_of_thoughts": {"keep": 2, "merged": 2},
    "adaptive_graph": {"nodes": 12},
    "deductive_verification": {"n": 3},
    "maieutic": {"width": 1, "integrity": 0.55},
    "router": {"file": str(ROUTER)},
    "portfolio": {"enough": 1.0},
    "speculative_thinking": {"patience": 1, "recap": 8},
    "mixture_of_agents": {"proposers": 2},
    "self_moa": {"window": 3},
    "debate": {"agents": 3},
}


def arguments(name: str) -> dict[str, Any]:
    """Small values for the parameters that say how much is drawn."""
    budget = strategies.get(name).budget
    return ({budget: 4} if isinstance(budget, str) else {}) | SPECIAL.get(name, {})


def stepwise(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """Goes on with an open answer of two or three short steps, of which the last has the box; a word where hope is asked for."""
    draw, text = random.Random(0 if sampling.greedy else seed), as_text(prompt)
    if "impossible." in text:
        return draw.choice(("sure", "likely", "impossible"))
    favourite = seed_from(text.partition("[assistant]")[0]) % 10
    steps = [f"step {draw.choice('abc')}" for _ in range(draw.randint(2, 3) - 1 - prompt.prefix.count("\n\n"))]
    return "\n\n".join([*steps, f"\\boxed{{{favourite if draw.random() < 0.6 else draw.randrange(10)}}}"])


def engine(name: str, **weather: Any) -> ScriptedEngine:
    """With think markers for the strategies that need them, with answers in steps for those that search, and replies to be read."""
    thinks = "thinking" in strategies.get(name).needs
    module = strategies.get(name).function.__module__
    if module.endswith((".search", ".tree", ".guided")):
        return ScriptedEngine(script=stepwise, **weather)
    if module.endswith((".decomposition", ".several", ".memory")):
        return ScriptedEngine(script=obliging, **weather)
    return ScriptedEngine(Model("scripted", "1", "none", context=100_000, think=("<think>", "</think>")) if thinks else None, **weather)


def trace(name: str, on: ScriptedEngine, problem: int = 0, trial: int = 0) -> dict[str, Any]:
    """One attempt as plain data: calls in program order, answer, ledger, clock. Nothing in it depends on time."""
    request = "generate" if "generate" in strategies.get(name).requests else min(strategies.get(name).requests)
    task = Statements() if name in ("lambada", "maieutic") else Digits(request=request)
    c, memory = cell(name, place(on), task, **arguments(name)), Memory()
    if c.strategy.strategy.memory:  # what another problem left
        asyncio.run(attempt_alone(c, c.problems[problem + 1], trial, memory=memory))
    judged, made = asyncio.run(attempt_alone(c, c.problems[problem], trial, memory=memory))
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
