"""Engines that fail or offer little, named in experiments as `tests.bench.broken:…`."""

from __future__ import annotations

import asyncio
from typing import Any

from harness.engines.scripted import ScriptedEngine
from harness.types import Capabilities, Sample


class BrokenEngine(ScriptedEngine):
    """Every call fails."""

    kind = "broken"

    async def generate(self, *arguments: Any, **named: Any) -> Sample:
        raise RuntimeError("this engine is broken")


class HeldEngine(ScriptedEngine):
    """Answers so many calls, then none: a run that does not end by itself."""

    kind = "held"
    left = 20

    async def generate(self, *arguments: Any, **named: Any) -> Sample:
        self.left -= 1
        if self.left < 0:
            await asyncio.Event().wait()
        return await super().generate(*arguments, **named)


class PlainEngine(ScriptedEngine):
    """Offers nothing beyond text."""

    kind = "plain"
    capabilities = Capabilities()
