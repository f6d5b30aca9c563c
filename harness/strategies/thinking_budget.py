"""How long a model thinks, where it has think markers. What it thinks above a stated `max_thinking` is the overshoot: results.budgets."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, cycle, islice
from typing import Annotated

from pydantic import Field

from harness import prompts
from harness.context import Context
from harness.strategies.convergence import same
from harness.strategies.voting import plurality
from harness.strategy import Count, Tokens, strategy
from harness.types import Answer
from tasks.extraction import without_thinking
from tasks.types import Prompt

OFF, FINISHED = "arXiv:2504.09858", "Okay, I think I have finished thinking."  # quoted from it
WAIT, FINAL = "Wait", "\n\nFinal Answer:"  # quoted from arXiv:2501.19393
MORE = ("Wait", "Hmm", "Therefore")  # quoted from arXiv:2506.02867
BOTH = "{question}\n\nTwo answers disagree, one of them thought over and one given at once. Find out which is right, or whether neither is."
NEEDS = frozenset({"prefix", "thinking"})


def unthinking(ctx: Context) -> Prompt:
    """The chain-of-thought prompt, its answer opened behind a thought that is over already."""
    begin, end = ctx.think
    return ctx.compose(prompts.STEP_BY_STEP).extend(f"{begin}\n{FINISHED}\n{end}\n\n")


@strategy(name="no_thinking", version=1, family="thinking", paper=OFF, needs=NEEDS, budget=1, pool="full", prompt="question")
async def no_thinking(ctx: Context) -> Answer:
    """NoThinking: the thought is filled in beforehand, in the paper's words, and said to be over; the answer follows at once."""
    return Answer.of(await ctx.one(unthinking(ctx)))


@strategy(name="thinking_off_vote", version=1, family="thinking", paper=OFF, needs=NEEDS, budget="n", pool="full", prompt="question")
async def thinking_off_vote(ctx: Context, n: Count = 16) -> Answer:
    """n samples of `no_thinking` in parallel and a vote: the paper's other use of what thinking would have cost."""
    return await plurality(ctx, await ctx.sample(unthinking(ctx), n))


@strategy(name="budget_forcing", version=1, family="thinking", paper="arXiv:2501.19393", needs=NEEDS, budget=1, prompt="question")
async def budget_forcing(ctx: Context, max_thinking: Tokens = 2048, ignores: Annotated[int, Field(ge=0, le=1000)] = 1) -> Answer:
    """s1: a thought that ends early is made to go on by "Wait", `ignores` times; one that runs out of `max_thinking` tokens is ended.

    The paper ran 1, 2, 4 and 6 ignores, greedily, up to what the context holds. After a thought that was ended the answer begins with its
    "Final Answer:". Ours: markers of the model instead of s1's own; words that are put in count as prompt, not as thinking."""
    return await _answered(ctx, await _thought(ctx, max_thinking, [WAIT] * ignores))


@strategy(name="thinking_tokens", version=1, family="thinking", paper="arXiv:2506.02867", needs=NEEDS, budget=1, prompt="question")
async def thinking_tokens(ctx: Context, max_thinking: Tokens = 2048, most: Count = 8) -> Answer:
    """A thought that ends is made to go on by "Wait", "Hmm" and "Therefore" in turn while tokens of the budget remain.

    Ours: the order, and at most `most` times, since a model that has nothing to add could otherwise be asked a token at a time."""
    return await _answered(ctx, await _thought(ctx, max_thinking, islice(cycle(MORE), most)))


async def _thought(ctx: Context, max_thinking: int, more: Iterable[str]) -> str:
    """A thought of at most `max_thinking` tokens from marker to marker, resumed by the next of `more` each time that it ends."""
    ask, (begin, end) = ctx.compose(prompts.STEP_BY_STEP), ctx.think
    text, left = begin + "\n", max_thinking
    for word in chain(more, [None]):
        part = await ctx.one(ask.extend(text), stop=(end,), max_tokens=left)
        text, left = text + part.text.removesuffix(end), left - part.usage.output
        if part.finish == "length":
            return text + end + FINAL
        if word is None or left < 1:
            break
        text += word
    return text + end + "\n\n"


async def _answered(ctx: Context, thought: str) -> Answer:
    answer = await ctx.one(ctx.compose(prompts.STEP_BY_STEP).extend(thought))
    return Answer(text=thought + answer.text, finish=answer.finish, samples=(answer,))


@strategy(name="joint_thinking", version=1, family="thinking", paper="arXiv:2508.03363", needs=NEEDS)
async def joint_thinking(ctx: Context) -> Answer:
    """An answer with thinking and one without, at once; where they agree it is that, else the model thinks again and sees both.

    Ours: thinking is left out as in `no_thinking`, which needs no switch in the chat template. In parallel, so no pool is drawn from."""
    thought, quick = await ctx.gather(ctx.one(ctx.compose(prompts.STEP_BY_STEP)), ctx.one(unthinking(ctx)))
    if await same(ctx, [ctx.extract(thought.text), ctx.extract(quick.text)]):
        return Answer.of(thought)
    both = [without_thinking(sample.text).strip() for sample in (thought, quick)]
    told = "\n\n".join([BOTH.format(question=ctx.problem.question), *(f"Answer {i}: {text}" for i, text in enumerate(both, 1))])
    return Answer.of(await ctx.one(prompts.step_by_step(told, ctx.problem.answer_format)))
