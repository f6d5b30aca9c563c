"""Tokens of an answer: as the server counts them, else by the tokenizer, never a guess."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.engines.openai_reading import Reading, number
from harness.types import Usage
from perpass.errors import PerPassError

if TYPE_CHECKING:
    from harness.engines.rendering import Renderer


@dataclass(frozen=True)
class Meter:
    """Counts one answer. `renderer`: the tokenizer, or None; `prompt`: the prompt's ids; `thinking`: it leaves a think marker open."""

    renderer: Renderer | None
    prompt: tuple[int, ...] | None
    thinking: bool

    def usage(self, reading: Reading, text: str, ids: tuple[int, ...], *, exact: bool, unfinished: bool, shown: bool) -> Usage:
        """Usage of the part `text` (`ids`, where the server sends them) of what was read.

        exact       the part was cut out by its ids: they are its length
        unfinished  the server has not counted the whole: its running count holds
        shown       for the eyes of a watch only: what nobody counts is 0

        Raises PerPassError when nothing counts an answer that is kept.
        """
        prompt = number(reading.usage, "prompt_tokens") or reading.prompt or (len(self.prompt) if self.prompt else None)
        output = len(ids) if exact else self._output(reading, text, ids, unfinished)
        if not shown and (prompt is None or output is None):
            raise PerPassError("the server counts no tokens (it sent no `usage`); give the engine a `tokenizer` to count them by")
        prompt, output = prompt or 0, output or 0
        cached = number(reading.usage, "prompt_tokens_details", "cached_tokens")
        if cached is None:
            cached = number(reading.usage, "prompt_cache_hit_tokens")  # DeepSeek
        reasoning = None if exact or unfinished else number(reading.usage, "completion_tokens_details", "reasoning_tokens")
        if reasoning is None:
            reasoning = self._reasoning(reading, ids)
        return Usage(prompt=prompt, cached=min(cached or 0, prompt), output=output, reasoning=min(reasoning, output), calls=1)

    def _output(self, reading: Reading, text: str, ids: tuple[int, ...], unfinished: bool) -> int | None:
        if unfinished:
            if ids or reading.running or reading.logprobs or self.renderer is None:
                return reading.count
            return len(self.renderer.continuation(text))
        told = number(reading.usage, "completion_tokens")
        if told is not None or ids:
            return told if told is not None else len(ids)
        if self.renderer is None:
            return None
        return len(self.renderer.continuation(text)) + (reading.reason is not None and reading.finish == "eos")  # the end token has no text

    def _reasoning(self, reading: Reading, ids: tuple[int, ...]) -> int:
        if self.renderer is None:
            return 0
        if ids:
            return self.renderer.reasoning(ids, self.thinking)
        return len(self.renderer.continuation(reading.reasoning)) if reading.reasoning else 0
