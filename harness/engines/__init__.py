"""Engines: what runs a model. One file each, found by name through the registry or the entry point group `perpass.engines`."""

from __future__ import annotations

from collections.abc import Callable

from harness.types import Engine
from perpass.registry import Registry

engines: Registry[Callable[..., Engine]] = Registry(
    "engine",
    "perpass.engines",
    ("harness.engines.transformers", "harness.engines.vllm", "harness.engines.openai", "harness.engines.scripted"),
)
engine = engines.register
