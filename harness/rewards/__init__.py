"""Reward models: what judges the steps of an answer. Found by name through the registry or the entry point group `perpass.rewards`.

`roles: {reward: {model: perpass/prm, engine: transformers}}` names a reward, not an engine that generates. An engine that has `steps` of
its own, such as `scripted`, may stand there too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.engines import engines
from perpass.registry import Registry

BUILTIN = ("harness.rewards.transformers", "harness.rewards.vllm", "harness.rewards.judge")
rewards: Registry[Callable[..., Any]] = Registry("reward", "perpass.rewards", BUILTIN)
reward = rewards.register


def find(name: str, where: str = "") -> Callable[..., Any]:
    """The reward, or else the engine, of this name. Raises UserError naming the nearest of both."""
    if name in rewards.names():
        return rewards.get(name, where)
    if name in engines.names():
        return engines.get(name, where)
    return rewards.get(name, where)
