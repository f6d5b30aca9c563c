"""The scripted engine: deterministic replies from a function, with random latency and faults on request.

It is what traces are golden on and what the exact promises of the design are tested on. Tokens are the bytes of the UTF-8 text, plus one
end token, so that usage, cuts and prefixes are exact.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.engines import engine
from harness.prompts import as_text
from harness.types import (
    Capabilities,
    Model,
    Observe,
    PromptTooLong,
    Sample,
    Sampling,
    Scored,
    StepScores,
    Timing,
    TransportFault,
    Usage,
    Watch,
)
from perpass.errors import UserError
from perpass.identity import seed_from
from tasks.types import Prompt

Script = Callable[[Prompt, Sampling, int], str]
END = 256
"""The end token, after the 256 byte values."""


def boxed_digit(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    """The default script: a line of reasoning and a boxed digit, more often one digit than others, so that votes have something to do."""
    favourite = seed_from("favourite", as_text(prompt)) % 10
    draw = random.Random(0 if sampling.greedy else seed)
    digit = favourite if draw.random() < 0.6 else draw.randrange(10)
    return "so " * draw.randint(1, 12) + f"\\boxed{{{digit}}}"


def thoughtful(think: tuple[str, str]) -> Script:
    """`boxed_digit` of a thinking model: the box behind the end marker, all else before it. What a prompt leaves open is gone on with."""

    def thinking(prompt: Prompt, sampling: Sampling, seed: int) -> str:
        (begin, end), box = think, "\\boxed{"
        thought, _, answer = boxed_digit(prompt, sampling, seed).rpartition(box)
        answer = answer if prompt.prefix.endswith(box) else box + answer
        if end in prompt.prefix:
            return answer
        return ("" if begin in prompt.prefix else begin) + thought + end + answer

    return thinking


@engine("scripted")
class ScriptedEngine:
    """Replies by `script(prompt, sampling, seed)`; the default is `boxed_digit`, `thoughtful` for a model with think markers.

    latency  (low, high) seconds that a call takes, drawn at random outside every seed: it must never change an answer
    faults   share of calls that fail with a TransportFault first, likewise
    context  longest prompt + output in tokens (bytes)
    """

    kind = "scripted"
    capabilities = Capabilities(True, True, True, True, True, True, True, True, True, True, experts=True)  # pretended, as all of it

    def __init__(
        self,
        model: Model | None = None,
        script: Script | None = None,
        *,
        latency: Sequence[float] = (0.0, 0.0),
        faults: float = 0.0,
        context: int = 100_000,
    ):
        low_high = tuple(latency) if isinstance(latency, Sequence) else ()
        if len(low_high) != 2 or not 0 <= low_high[0] <= low_high[1]:
            raise UserError(f"engine scripted: latency must be [low, high] seconds, not {latency!r}")
        if not 0 <= faults < 1:
            raise UserError(f"engine scripted: faults must be a share in [0, 1), not {faults!r}")
        self.model = model or Model("scripted", "1", "none", context=context)
        self.script = script or (thoughtful(self.model.think) if self.model.think else boxed_digit)
        self.context = context
        able = type(self).capabilities
        self.capabilities = replace(able, thinking=able.thinking and self.model.think is not None)
        self._latency, self._faults = low_high, faults
        self._weather = random.Random()  # latency and faults are the world's, not the experiment's
        self._used = Usage()
        self.opened = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"script": f"{self.script.__module__}.{self.script.__qualname__}", "context": self.context}

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        pass

    def counters(self) -> Usage:
        """Everything this engine executed: what a ledger must add up to."""
        return self._used

    def environment(self) -> Mapping[str, str]:
        return {"scripted": "1"}

    def tokens(self, prompt: Prompt) -> tuple[int, ...]:
        return tuple(as_text(prompt).encode())

    def text(self, token_ids: Sequence[int]) -> str:
        return bytes(t for t in token_ids if t != END).decode(errors="ignore")

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, observe: Observe = Observe(), watch: Watch | None = None, every: int = 32
    ) -> Sample:
        sent = time.time()
        asked = len(self.tokens(prompt))
        room = min(sampling.max_tokens, self.context - asked)
        if room < 1:
            raise PromptTooLong(f"the prompt has {asked} tokens; the context {self.context}")
        await self._wait()
        ids, finish = _stopped([*self.script(prompt, sampling, seed).encode(), END], sampling, room)
        if watch:
            for length in range(every, len(ids), every):
                if watch(self._sample(ids[:length], "length", asked, sent, seed, observe)):
                    ids, finish = ids[:length], "stop"
                    break
        sample = self._sample(ids, finish, asked, sent, seed, observe)
        sample = replace(sample, usage=replace(sample.usage, reasoning=self._reasoning(prompt.prefix, ids)))
        self._used += sample.usage
        return sample

    def _reasoning(self, prefix: str, ids: list[int]) -> int:
        """How many of the generated tokens lie inside the think markers, these included. An answer begins with its thought."""
        if self.model.think is None:
            return 0
        begin, end = self.model.think
        text = self.text(ids)
        if not text.startswith(begin) and prefix.rfind(begin) <= prefix.rfind(end):
            return 0
        return len((text.partition(end)[0] + end).encode()) if end in text else len(ids)

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        sent = time.time()
        await self._wait()
        asked, ids = as_text(prompt), text.encode()
        usage = Usage(prompt=len(asked.encode()), scored=len(ids), calls=1)
        self._used += usage
        seed = seed_from(asked, text)
        return Scored(_noise(seed, len(ids)), usage, Timing(sent, None, time.time()), greedy=not ids or seed % 2 == 0)

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores:
        """As a reward: a score per step that depends on the steps up to it only."""
        sent = time.time()
        await self._wait()
        scores = tuple(seed_from(question, steps[: i + 1]) / 2**63 for i in range(len(steps)))
        usage = Usage(prompt=len((question + "".join(steps)).encode()), calls=1)
        self._used += usage
        return StepScores(scores, usage, Timing(sent, None, time.time()))

    async def _wait(self) -> None:
        await asyncio.sleep(self._weather.uniform(*self._latency))
        if self._weather.random() < self._faults:
            raise TransportFault("scripted fault")

    def _sample(self, ids: list[int], finish: str, asked: int, sent: float, seed: int, observe: Observe) -> Sample:
        logprob = _noise(seed, len(ids)) if observe.logprobs else None
        confidence = tuple(1 - x for x in _noise(seed + 1, len(ids))) if observe.confidence else None
        signals = _noise(seed + 2, 3) if observe.hidden else None
        usage = Usage(prompt=asked, output=len(ids), calls=1)
        now = time.time()
        timing = Timing(sent, now, now)
        return Sample(self.text(ids), tuple(ids), finish, usage, timing, logprob, confidence, signals=signals)  # type: ignore[arg-type]


def _stopped(ids: list[int], sampling: Sampling, room: int) -> tuple[list[int], str]:
    """Cut after the first stop string, or at the room that is left."""
    data, ends = bytes(ids[:-1]), []
    for stop in sampling.stop:
        at = data.find(stop.encode())
        if at >= 0:
            ends.append(at + len(stop.encode()))
    if ends and min(ends) <= room:
        return ids[: min(ends)], "stop"
    return (ids, "eos") if len(ids) <= room else (ids[:room], "length")


def _noise(seed: int, length: int) -> tuple[float, ...]:
    """Pretended log-probabilities in [−2, 0), a function of the seed alone."""
    digest = hashlib.shake_128(str(seed).encode()).digest(length)
    return tuple(-2 + byte / 128 for byte in digest)
