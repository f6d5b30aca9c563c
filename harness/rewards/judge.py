"""An LLM as a reward: how probably it says yes when it is asked whether an answer is right so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engines import engines
from harness.engines.clock import now
from harness.rewards import reward
from harness.types import Capabilities, Engine, Model, PromptTooLong, StepScores, Timing, Usage
from perpass.errors import UserError
from tasks.types import Prompt

ASK = "Is the answer above correct so far? Reply with yes or no."
YES = "yes"


@reward("judge")
class JudgeReward:
    """`model` on an engine as a judge: P(yes) by teacher forcing, as P(True) of arXiv:2207.05221. One scoring per call.

    engine     the engine that runs it, a name or a mapping with `kind` and its settings; it must offer prompt_logprobs
    separator  what stands between two steps

    It judges the answer so far, like an outcome reward: the last step has the verdict, the others have None. For a verdict on each step ask
    for each; every call is then counted and charged as what it is, one scoring of one text. What is over-long has None.
    """

    kind = "judge"
    capabilities = Capabilities()
    outcome = True

    def __init__(
        self, model: Model, *, engine: str | Mapping[str, Any] = "transformers", separator: str = "\n", trust_remote_code: bool = False
    ):
        given = {"kind": engine} if isinstance(engine, str) else dict(engine)
        if not isinstance(given.get("kind"), str):
            raise UserError(f"reward judge: engine must be a name or a mapping with `kind`, not {engine!r}")
        factory = engines.get(given.pop("kind"), "reward judge")
        try:
            self.engine: Engine = factory(model, **given, **({"trust_remote_code": True} if trust_remote_code else {}))
        except TypeError as error:
            raise UserError(f"reward judge: engine: {error}") from error
        if self.engine.capabilities.missing(["prompt_logprobs"]):
            raise UserError(f"reward judge: engine {self.engine.kind} cannot score given texts (prompt_logprobs)")
        self.model, self.separator = self.engine.model, separator

    @property
    def settings(self) -> Mapping[str, Any]:
        """What changes results or speed, the engine's settings included."""
        return {"ask": ASK, "separator": self.separator, "engine": self.engine.kind, **self.engine.settings}

    async def open(self) -> None:
        """Open the engine."""
        await self.engine.open()

    async def close(self) -> None:
        """Close the engine."""
        await self.engine.close()

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores:
        """P(yes) on the last step. Raises what the engine raises."""
        sent = now()
        if not steps:
            return StepScores((), Usage(), Timing(sent, None, sent))
        before: tuple[None, ...] = (None,) * (len(steps) - 1)
        prompt = Prompt.chat(question).then(self.separator.join(step.strip() for step in steps), ASK)
        try:
            found = await self.engine.logprob(prompt, YES)
        except PromptTooLong:
            return StepScores((*before, None), Usage(calls=1), Timing(sent, None, now()))
        return StepScores((*before, math.exp(found.total)), found.usage, found.timing)

    def tokens(self, prompt: Prompt) -> None:
        """Reward calls have no prompt that others could continue."""
        return None

    def environment(self) -> Mapping[str, str]:
        """What the engine says of itself."""
        return self.engine.environment()
