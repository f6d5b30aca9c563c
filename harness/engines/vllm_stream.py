"""What vLLM sends of one request, put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.types import Finish, Observe
from perpass.errors import PerPassError


class Stream:
    """Tokens, log-probabilities and times of one request, as its outputs arrive in pieces of any size.

    observe    what to keep beside the tokens
    likeliest  how many of the likeliest tokens vLLM was asked for, if confidence is observed
    watch      told a number of tokens; True ends the request there, even where more have arrived
    every      it is asked after each multiple of so many tokens, but not at the end
    """

    def __init__(self, observe: Observe, likeliest: int = 0, watch: Callable[[int], bool] | None = None, every: int = 0):
        self.observe, self._likeliest, self._watch, self.every = observe, likeliest, watch, every if watch else 0
        self.tokens: list[int] = []
        self.logprobs: list[float] = []
        self.confidence: list[float] = []
        self.chunks: list[tuple[float, int]] = []  # when each piece arrived, and the tokens there were then
        self.scored: list[float] = []  # of the prompt's tokens but its first, if asked for
        self.ranks: list[int | None] = []  # theirs among all tokens, from 1
        self.cached = 0  # tokens of the prompt that were in vLLM's cache
        self.first: float | None = None  # when the first token arrived, in seconds since the epoch
        self.last: float | None = None
        self.finish: Finish | None = None
        self.stop: str | None = None  # the stop string that ended it
        self._asked = 0

    def feed(self, output: Any, at: float) -> bool:
        """Take a RequestOutput that arrived at `at`; True when no more is wanted. Raises PerPassError when vLLM gave the request up."""
        part = output.outputs[0]
        self.cached = output.num_cached_tokens or self.cached
        if output.prompt_logprobs:
            self.scored, self.ranks = list(output.prompt_logprobs.logprobs), list(output.prompt_logprobs.ranks)
        if part.token_ids:
            self.first = at if self.first is None else self.first
            self.last = at
            self.tokens.extend(part.token_ids)
            if self.observe.chunks:
                self.chunks.append((at, len(self.tokens)))
            self._look(part.logprobs)
        if output.finished:
            self._end(part.finish_reason, part.stop_reason)
        return self._cut() or output.finished

    def _look(self, flat: Any) -> None:
        """`flat`: vLLM's FlatLogprobs. A position's first entry is the token that was drawn, its last ones are the likeliest."""
        if flat is None:
            return
        values, most = flat.logprobs, self._likeliest
        for start, end in zip(flat.start_indices, flat.end_indices, strict=True):
            if self.observe.logprobs:
                self.logprobs.append(values[start])
            if self.observe.confidence:
                self.confidence.append(-sum(values[end - most : end]) / most)

    def _end(self, reason: str, stop: int | str | None) -> None:
        if reason not in ("stop", "length"):
            raise PerPassError(f"vLLM gave the request up ({reason})")
        self.stop = stop if isinstance(stop, str) else None
        self.finish = "length" if reason == "length" else "stop" if self.stop is not None else "eos"

    def _cut(self) -> bool:
        """Ask the watch about every multiple of `every` that has been reached, the end excepted."""
        if not self.every or self._watch is None:
            return False
        while (length := self._asked + self.every) < len(self.tokens) + (self.finish is None):
            self._asked = length
            if self._watch(length):
                self.shorten(length)
                self.finish, self.stop = "stop", None
                return True
        return False

    def shorten(self, length: int) -> None:
        """Forget what came after the first `length` tokens."""
        del self.tokens[length:], self.logprobs[length:], self.confidence[length:]
        self.chunks = [(at, min(count, length)) for at, count in self.chunks]
