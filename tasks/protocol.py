"""Tasks that follow a published protocol: its exact prompts and decoding, and its scores beside our own judgement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.boxed import BoxedTask
from tasks.types import Ask, Judgement, Problem, Reply

Scores = Callable[[Problem, str], Awaitable[Mapping[str, float]]]


class ProtocolTask(BoxedTask):
    """A BoxedTask whose problems have a `fixed` prompt, and which prescribes its sampling (see tasks.types.Prescribes).

    `protocol` names it with its version, for the judge version. `scores` are its own scores of a reply that ends before the first stop
    string, as the protocol's runner hands it over. The outcome is ours: the default extraction, compared by the task's grader.
    """

    replies = 1

    def __init__(self, *, protocol: str, sampling: Mapping[str, Any], scores: Scores, **boxed: Any):
        self.protocol = protocol
        self.sampling = sampling
        self._scores = scores
        super().__init__(**boxed)

    def _use(self, grader: str) -> None:
        super()._use(grader)
        self.judge_version += f"+{self.protocol}"

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The answer by the default extractor, in what comes before the first stop string."""
        return super().extract(before(text, self.sampling["stop"]))

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """As a BoxedTask, with the protocol's own scores."""
        reply = replace(reply, text=before(reply.text, self.sampling["stop"]))
        judged = await super().judge(problem, reply, ask)
        return replace(judged, scores={**judged.scores, **await self._scores(problem, reply.text)})


def greedy(stop: Sequence[str], max_tokens: int = 256) -> dict[str, Any]:
    """Sampling as lm-eval does it where a task says nothing else: greedy, at most 256 tokens (its `max_gen_toks`)."""
    return {"temperature": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "max_tokens": max_tokens, "stop": tuple(stop)}


def before(text: str, stops: Sequence[str]) -> str:
    """`text` up to the first of the stop strings, which our samples keep and lm-eval's replies do not have."""
    return text[: min((at for stop in stops if stop and (at := text.find(stop)) >= 0), default=len(text))]
