"""Engines that fail or offer little, named in experiments as `tests.bench.broken:…`."""

from __future__ import annotations

from typing import Any

from harness.engines.scripted import ScriptedEngine
from harness.types import Capabilities, Sample


class BrokenEngine(ScriptedEngine):
    """Every call fails."""

    kind = "broken"

    async def generate(self, *arguments: Any, **named: Any) -> Sample:
        raise RuntimeError("this engine is broken")


class PlainEngine(ScriptedEngine):
    """Offers nothing beyond text."""

    kind = "plain"
    capabilities = Capabilities()
