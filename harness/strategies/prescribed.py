"""What the protocols of some tasks prescribe themselves: several replies judged together, and given texts scored."""

from __future__ import annotations

import json

from harness.context import Context
from harness.strategy import Count, strategy
from harness.types import Answer


@strategy(name="replies", version=1, family="protocol", budget="n", pool="full", prompt="question", requests={"replies"})
async def replies(ctx: Context, n: Count = 1) -> Answer:
    """n replies, handed to the task together: for protocols that filter several, such as the majority of the first eight.

    The text is their JSON list.
    """
    samples = await ctx.sample(ctx.ask, n)
    finish = next((s.finish for s in samples if s.finish == "length"), samples[-1].finish)
    return Answer(text=json.dumps([s.text for s in samples], ensure_ascii=False), finish=finish, samples=tuple(samples))


@strategy(
    name="loglikelihood",
    version=1,
    family="protocol",
    needs={"prompt_logprobs"},
    fixes={"temperature": 0.0},  # it draws nothing: one trial is all there is
    prompt="question",
    requests={"choice", "loglikelihood"},
)
async def loglikelihood(ctx: Context) -> Answer:
    """Teacher forcing of every text that the problem gives, generating nothing: how multiple choice is scored.

    The text is a JSON list of [total log-probability in nats, whether greedy decoding would have written the text], one per given text.
    """
    found = await ctx.gather(*(ctx.logprob(prompt, text) for prompt, text in ctx.problem.scored))
    return Answer(text=json.dumps([[scored.total, scored.greedy] for scored in found]))
