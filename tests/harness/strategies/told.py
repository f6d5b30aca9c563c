"""An engine that says what a test tells it: the samples in the order in which they are asked for, and what is thought of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.attempt import Answered
from harness.prompts import as_text
from harness.testing import ScriptedEngine, attempt_alone
from harness.types import Sample, Sampling, Scored, StepScores
from tasks.types import Prompt
from tests.harness.digits import Digits, cell, place


def never(*_: Any) -> Any:
    raise AssertionError("this should not be asked")


class Told(ScriptedEngine):
    """`texts`: the sampled replies in turn, then it fails; `greedy(prompt text)`: a greedy reply; `yes(prompt text)`: P(yes) by scoring;
    `rewards(steps)`; `confidence` and `logprob`: per token of a text, by the text."""

    def __init__(
        self,
        texts: Sequence[str] = (),
        *,
        greedy: Callable[[str], str] = never,
        yes: Callable[[str], float] = never,
        rewards: Callable[[Sequence[str]], Sequence[float | None]] = never,
        confidence: Mapping[str, Sequence[float]] | None = None,
        logprob: Mapping[str, Sequence[float]] | None = None,
    ):
        super().__init__(script=self.say)
        self.left, self.greedy, self.yes, self.rewards = list(texts), greedy, yes, rewards
        self.confidence, self.observed = confidence or {}, logprob or {}

    def say(self, prompt: Prompt, sampling: Sampling, seed: int) -> str:
        return self.greedy(as_text(prompt)) if sampling.greedy else self.left.pop(0)

    async def generate(self, *args: Any, **kwargs: Any) -> Sample:
        made = await super().generate(*args, **kwargs)
        confidence, logprob = self.confidence.get(made.text), self.observed.get(made.text)
        return replace(
            made,
            confidence=made.confidence if confidence is None else tuple(confidence),
            logprob=made.logprob if logprob is None else tuple(logprob),
        )

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        p = self.yes(as_text(prompt))
        return replace(await super().logprob(prompt, text), logprobs=(math.log(p if text == "yes" else 1 - p),))

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores:
        return replace(await super().steps(question, steps), scores=tuple(self.rewards(steps)))


def ask(name: str, engine: Told, task: Digits | None = None, **params: Any) -> Answered:
    """The first problem answered by strategy `name`."""
    asked = cell(name, place(engine), task, **params)
    done = asyncio.run(attempt_alone(asked, asked.problems[0]))[0].answered
    assert done.error is None, done.error
    return done


def boxes(digits: str) -> list[str]:
    """One reply for each digit; a dot is a reply without an answer."""
    return [f"it is \\boxed{{{d}}}" if d != "." else "no idea" for d in digits]


def numbered(digits: str) -> list[str]:
    """As `boxes`, all different: their place stands in front."""
    return [f"{i}: {text}" for i, text in enumerate(boxes(digits))]


def outputs(done: Answered) -> list[int]:
    """Charged output tokens of each completion."""
    return [usage.output for call, usage in zip(done.calls, done.charged, strict=True) if call.kind == "generate"]
