"""One answer from one prompt, or from a short chain of prompts that prepares it."""

from __future__ import annotations

import re

from harness import prompts
from harness.context import Context
from harness.strategy import Count, Tokens, strategy
from harness.thinking import said
from harness.types import Answer
from tasks.types import Prompt

# What defines a method is quoted from its paper; all other wording is ours.
TRIGGER, THEREFORE = "Let's think step by step.", "\n\nTherefore, the answer is"
PLAN = (
    "Let's first understand the problem and devise a plan to solve the problem. "
    "Then, let's carry out the plan and solve the problem step by step."
)
DRAFT = "Think step by step, but only keep minimum draft for each thinking step, with {words} words at most."
WITHIN = "Let's think step by step and use less than {tokens} tokens."
ESTIMATE = "How many tokens does a complete solution of this need at least? Do not solve it. Reply with the number alone."
STEP_BACK = "Before you solve this, step back: which general principles or facts is it about? State them and do not solve it yet."
USE_PRINCIPLES = "Now solve the question, step by step, by these principles."
REDUCE = "Which simpler questions have to be answered first, one after another? Write at most {most}, one a line, and do not answer them."
PERCEIVE = "Which statements above matter for the question? Write them down briefly, each after those it follows from, and no others."
DIAGRAM = (
    "Build up the solution in three roles, each time in the tags of the role that speaks. <proposer> states one new proposition. "
    "<critic> checks it against those before, and says what is wrong or that it holds; what is wrong is proposed anew. Go on until the "
    "question is settled. <summarizer> then joins the propositions that hold into the answer."
)


@strategy(name="direct", version=1, family="prompting", budget=1, pool="full", fixes={"temperature": 0.0})
async def direct(ctx: Context) -> Answer:
    """Answer at once, greedily, without reasoning: the floor of every frontier."""
    return Answer.of(await ctx.one(ctx.compose(system=prompts.DIRECT_SYSTEM)))


@strategy(name="cot", version=1, family="prompting", paper="arXiv:2201.11903", budget=1, pool="full", prompt="question")
async def cot(ctx: Context) -> Answer:
    """Chain of thought: one sample that reasons step by step. Its mean over trials is pass@1 of the pool that voting shares.

    Zero-shot instruction (arXiv:2205.11916) in one stage, where the paper used few-shot examples."""
    return Answer.of(await ctx.one(ctx.compose(prompts.STEP_BY_STEP)))


@strategy(name="zero_shot_cot", version=1, family="prompting", paper="arXiv:2205.11916", needs={"prefix"}, budget=1)
async def zero_shot_cot(ctx: Context) -> Answer:
    """Two stages on one open answer: "Let's think step by step." and the rationale, then "Therefore, the answer is" and 32 tokens.

    Ours: the question states its answer format from the start, so that a rationale may mark its answer already."""
    return await _two_stages(ctx, TRIGGER)


@strategy(name="plan_and_solve", version=1, family="prompting", paper="arXiv:2305.04091", needs={"prefix"}, budget=1)
async def plan_and_solve(ctx: Context) -> Answer:
    """As `zero_shot_cot`, but the answer begins with the promise to understand, to plan, and to carry the plan out (the paper's PS)."""
    return await _two_stages(ctx, PLAN)


async def _two_stages(ctx: Context, trigger: str) -> Answer:
    ask = ctx.compose().extend(trigger)
    told = (await ctx.one(ask)).text + THEREFORE
    last = await ctx.one(ask.extend(told), max_tokens=32)
    return Answer(text=trigger + told + last.text, finish=last.finish, samples=(last,))


@strategy(name="chain_of_draft", version=1, family="concise", paper="arXiv:2502.18600", budget=1, pool="full")
async def chain_of_draft(ctx: Context, words: Count = 5) -> Answer:
    """A chain of thought whose steps are drafts of at most `words` words. Ours: no examples, and the task's answer format for `####`."""
    return Answer.of(await ctx.one(ctx.compose(DRAFT.format(words=words))))


@strategy(name="concise_cot", version=1, family="concise", paper="arXiv:2401.05618", budget=1, pool="full")
async def concise_cot(ctx: Context) -> Answer:
    """A chain of thought that is told: "Be concise." Ours: no examples."""
    return Answer.of(await ctx.one(ctx.compose(f"{prompts.STEP_BY_STEP} Be concise.")))


@strategy(name="token_budget", version=1, family="concise", paper="arXiv:2412.18547", budget=1)
async def token_budget(ctx: Context, max_output: Tokens | None = None) -> Answer:
    """A chain of thought that is told to use fewer than `max_output` tokens. Nothing enforces it: see the overshoot in the report.

    None, as TALE-EP: the model estimates the number first, greedily; an estimate without a number is no budget."""
    tokens = max_output
    if tokens is None:
        guess = await said(ctx, Prompt.chat(f"{ctx.problem.question}\n{ESTIMATE}"), temperature=0.0, max_tokens=32)
        tokens = next((int(digits) for digits in re.findall(r"[0-9]{1,9}", guess.replace(",", ""))), None)
    return Answer.of(await ctx.one(ctx.compose(WITHIN.format(tokens=tokens) if tokens else prompts.STEP_BY_STEP)))


@strategy(name="re_reading", version=1, family="prompting", paper="arXiv:2309.06275", budget=1, pool="full")
async def re_reading(ctx: Context) -> Answer:
    """RE2: the question stands twice, the second time after "Read the question again:"; then a chain of thought."""
    twice = f"{ctx.problem.question}\nRead the question again: {ctx.problem.question}"
    return Answer.of(await ctx.one(prompts.step_by_step(twice, ctx.problem.answer_format)))


@strategy(name="step_back", version=1, family="prompting", paper="arXiv:2310.06117", budget=1)
async def step_back(ctx: Context) -> Answer:
    """First the general principles behind the question, then its solution by them, in one conversation.

    Ours: no examples, and no retrieval of facts about the principles."""
    ask = Prompt.chat(f"{ctx.problem.question}\n{STEP_BACK}")
    principles = await said(ctx, ask)
    return Answer.of(await ctx.one(ask.then(principles, f"{USE_PRINCIPLES} {ctx.problem.answer_format}")))


@strategy(name="least_to_most", version=1, family="prompting", paper="arXiv:2205.10625", budget=1)
async def least_to_most(ctx: Context, most: Count = 5) -> Answer:
    """Reduce the question to simpler ones, answer these one after another in one conversation, and last the question itself.

    Ours: no examples; of the list at most `most` lines count."""
    question, last = ctx.problem.question, f"Now the question itself. {prompts.STEP_BY_STEP} {ctx.problem.answer_format}"
    listed = await said(ctx, Prompt.chat(f"{question}\n{REDUCE.format(most=most)}"))
    lines = [re.sub(r"^\s*(?:[0-9]+[.):]|[-*•])?\s*", "", line) for line in listed.splitlines()]
    first, *others = [*[line for line in lines if line][:most], last]
    talk = Prompt.chat(f"{question}\n{first}")
    for following in others:
        talk = talk.then(await said(ctx, talk), following)
    return Answer.of(await ctx.one(talk))


@strategy(name="diagram_of_thought", version=1, family="prompting", paper="arXiv:2409.10038", budget=1, pool="full")
async def diagram_of_thought(ctx: Context) -> Answer:
    """One model in one answer as proposer, critic and summarizer, which build up a graph of propositions. Ours: the roles' description."""
    return Answer.of(await ctx.one(ctx.compose(DIAGRAM)))


@strategy(name="concise_organized_perception", version=1, family="prompting", paper="arXiv:2310.03309", budget=1)
async def concise_organized_perception(ctx: Context) -> Answer:
    """First the statements that matter, in an order in which they can be used; then a chain of thought with them before the question.

    Ours: the whole question stays below what was perceived, since it cannot be told from its premises; no examples."""
    seen = await said(ctx, Prompt.chat(f"{ctx.problem.question}\n{PERCEIVE}"))
    told = f"What matters, in order:\n{seen}\n\n{ctx.problem.question}"
    return Answer.of(await ctx.one(prompts.step_by_step(told, ctx.problem.answer_format)))
