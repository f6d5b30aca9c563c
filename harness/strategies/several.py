"""Several models: the role `helper` is the larger one, which the policy asks when it has to, or works with. The ledger keeps them apart."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import Field

from harness import prompts
from harness.context import Context
from harness.replies import agreed, listed, numbered
from harness.routing import RouterFile, Trained, features
from harness.strategies.prompting import DRAFT, PLAN
from harness.strategies.selection import belief, best
from harness.strategies.synthesis import MERGE
from harness.strategies.voting import Share, ballots, plurality
from harness.strategy import Count, Tokens, strategy
from harness.thinking import said
from harness.types import Answer, Sample
from tasks.extraction import without_thinking
from tasks.types import Prompt

SEVERAL: dict[str, Any] = {"family": "several models", "needs": {"helper"}}
CASCADE: dict[str, Any] = {**SEVERAL, "pool": "full", "prompt": "question"}  # all that it samples is what `cot` samples, of either model
FIRST: dict[str, Any] = {**SEVERAL, "pool": "first stage"}
Part = Annotated[float, Field(ge=0, le=1)]
# Cues and the sentence of the authors' program, uservan/speculative_thinking.
AFFIRMS, REFLECTS = ("yeah", "yes", "final answer", "confident"), ("wait", "alternatively", "hold on", "another")
VERIFIES = ("verify", "think again", "recap", "check")
RECAP = "Let me check whether there are some wrong steps:"
OTHERS = "Others answered:\n\n{others}\n\nTake what they say into account, and give an updated answer. "
OPPOSE = "You disagree with the last answer. Say what is wrong with it, and argue for another one. "
REPLY = "You stand by the first answer. Reply to the objection; change your answer only if it is right. "
SETTLED = "Is it settled by now which answer is correct? End with yes or no."
RULE = "Decide between them, step by step. "
SKETCH = "Sketch the solution: at most {most} points, one short line each, the last one the answer. Do not work them out."
EXPAND = "Write out point {point} of the sketch, and only this point, in full. "
METHODS = (prompts.STEP_BY_STEP, PLAN, DRAFT.format(words=5))


@strategy(name="cascade_agreement", version=1, paper="arXiv:2310.03094", budget="n", **CASCADE)
async def cascade_agreement(ctx: Context, n: Count = 5, threshold: Share = 0.8) -> Answer:
    """n chains of thought of the small model; where the share that agrees reaches the threshold, on every item, their vote is the answer,
    else a chain of thought of the role `helper`."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    samples = await ctx.sample(ask, n)
    if all(max(Counter(c for c in item if c >= 0).values(), default=0) / n >= threshold for item in await ballots(ctx, samples)):
        return await plurality(ctx, samples)
    return Answer.of(await ctx.one(ask, role="helper"))


@strategy(name="cascade_confidence", version=1, paper="arXiv:2404.10136", budget=1, **{**CASCADE, "needs": {"helper", "logprobs"}})
async def cascade_confidence(ctx: Context, threshold: Share = 0.9, quantile: Part | None = None) -> Answer:
    """The small model's chain of thought where its confidence reaches the threshold, else one of the role `helper`.

    Confidence: geometric mean of the tokens' probabilities (the paper's Chow-Average), or that quantile of them (Chow-Quantile; 0: the
    least). Ours: the threshold; the paper sweeps it."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    sample = await ctx.one(ask)
    tokens = sorted(sample.logprob or (-math.inf,))
    confidence = math.exp(fmean(tokens) if quantile is None else tokens[round(quantile * (len(tokens) - 1))])
    return Answer.of(sample if confidence >= threshold else await ctx.one(ask, role="helper"))


@strategy(name="router", version=1, paper="arXiv:2406.18665", budget=1, **CASCADE)
async def router(ctx: Context, file: RouterFile = "router.json", threshold: Part = 0.5) -> Answer:
    """A chain of thought of the small model where P(it is right) reaches the threshold, else one of the role `helper`.

    P is what `bench train-router` fitted to stored attempts (see harness.routing), out of the question alone; or, with --stage after, also
    of the small model's sample, which is then always charged. Ours: cheap features of the text, where RouteLLM learns from preferences."""
    assert isinstance(file, Trained)
    ask, question, sample = ctx.compose(prompts.STEP_BY_STEP), ctx.problem.question, None
    values = features(question)
    if file.router.reads_sample:
        sample = await ctx.one(ask)
        values = features(question, sample.usage.output, sample.finish == "length")
    if file.router.chance(values) < threshold:
        return Answer.of(await ctx.one(ask, role="helper"))
    return Answer.of(sample or await ctx.one(ask))


@strategy(name="portfolio", version=1, paper="arXiv:2502.09955", budget=1, **{**FIRST, "needs": {"helper", "judge", "prompt_logprobs"}})
async def portfolio(ctx: Context, methods: Annotated[int, Field(ge=1, le=3)] = 3, enough: Share = 0.9) -> Answer:
    """Models × methods (chain of thought, plan, draft), cheapest first, each answer verified as it comes: the first that the judge believes
    with P(yes) ≥ enough is the answer, and where none is, the one it believes most. All that was asked is charged.

    Ours: a judge stands for the paper's verifiers (a proof checker, running code), and the members."""
    made, scores = list[Sample](), list[float | None]()
    for role, method in ((role, method) for role in ("policy", "helper") for method in METHODS[:methods]):
        ask = ctx.compose(method)
        made.append(await ctx.one(ask, role=role))
        scores.append(score := await belief(ctx, prompts.judge(ask, without_thinking(made[-1].text))))
        if score >= enough:
            break
    return best(made, scores)


@strategy(name="speculative_thinking", version=1, paper="arXiv:2504.12329", budget=1, **{**FIRST, "needs": {"helper", "prefix"}})
async def speculative_thinking(
    ctx: Context, peek: Tokens = 20, recap: Tokens = 125, patience: Count = 15, step: Annotated[str, Field(min_length=1)] = "\n\n"
) -> Answer:
    """The small model writes; after each `step` it peeks `peek` tokens ahead, and where they affirm, reflect or verify, the role `helper`
    writes those tokens instead, and `recap` more where what it wrote verifies. After `patience` reflections of its the helper is to check
    the steps in `recap` tokens, which then grow by 25 up to 200, the patience by 5 up to 30.

    Words and numbers of the authors' program. A peek that is replaced is charged; ours: one without a cue is kept, not written anew."""
    ask, given, text, used, reflected = ctx.compose(prompts.STEP_BY_STEP), ctx.cell.strategy.sampling, "", 0, 0

    async def write(role: str, most: int = given.max_tokens, stop: tuple[str, ...] = ()) -> Sample:
        nonlocal text, used
        part = await ctx.one(ask.extend(text), role=role, max_tokens=min(most, given.max_tokens - used), stop=(*stop, *given.stop))
        text, used = text + part.text, used + max(part.usage.output, 1)
        return part

    def open_(part: Sample) -> bool:
        return used < given.max_tokens and (part.finish == "length" or (part.finish == "stop" and part.text.endswith(step)))

    part = await write("policy", stop=(step,))
    while open_(part):
        if reflected >= patience:
            text, reflected = text + RECAP, 0
            part = await write("helper", recap)
            recap, patience = min(recap + 25, 200), min(patience + 5, 30)
        else:
            before = text, used
            part = await write("policy", peek)
            if any(cue in part.text.lower() for cue in (*AFFIRMS, *REFLECTS, *VERIFIES)):
                text, used = before
                part = await write("helper", peek)
                reflected += any(cue in part.text.lower() for cue in REFLECTS)
                if open_(part) and any(cue in part.text.lower() for cue in VERIFIES):
                    part = await write("helper", recap)
        part = await write("policy", stop=(step,)) if open_(part) else part
    return Answer(text=text, finish=part.finish, samples=(part,))


@strategy(name="mixture_of_agents", version=1, paper="arXiv:2406.04692", budget="proposers", **FIRST)
async def mixture_of_agents(
    ctx: Context, proposers: Count = 3, layers: Annotated[int, Field(ge=2, le=10)] = 3, aggregator: Literal["helper", "policy"] = "helper"
) -> Answer:
    """Layers of answers, `proposers` of either model, each but the first seeing the one before; the last is the aggregator's one answer.
    The paper's numbers. Ours: the wording; in the first layer one model waits for the other, so that both read their pools."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    made = [*await ctx.sample(ask, proposers), *await ctx.sample(ask, proposers, role="helper")]
    for layer in range(1, layers):
        ask = prompts.candidates(ctx.problem.question, [without_thinking(s.text) for s in made], f"{MERGE} {ctx.problem.answer_format}")
        last = layer == layers - 1
        made = await ctx.gather(*(ctx.one(ask, role=r) for r in ((aggregator,) if last else ("policy", "helper") * proposers)))
    return Answer.of(made[0])


@strategy(name="self_moa", version=1, paper="arXiv:2502.00674", family="several models", budget="n", pool="first stage")
async def self_moa(ctx: Context, n: Count = 6, window: Annotated[int, Field(ge=2)] = 6) -> Answer:
    """Self-MoA: n answers of one model, which itself makes one of them. With a smaller window Self-MoA-Seq: it reads so many at a time,
    from the second time on the last synthesis and as many new ones as fit beside it."""
    samples, merged = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n), list[Sample]()
    while samples:
        fits = window - len(merged)
        texts = [without_thinking(s.text) for s in (*merged, *samples[:fits])]
        ask = prompts.candidates(ctx.problem.question, texts, f"{MERGE} {ctx.problem.answer_format}")
        samples, merged = samples[fits:], [await ctx.one(ask)]
    return Answer.of(merged[0])


@strategy(name="debate", version=1, paper="arXiv:2305.14325", family="several models", budget="agents", pool="first stage")
async def debate(ctx: Context, agents: Annotated[int, Field(ge=2, le=1000)] = 3, rounds: Count = 2) -> Answer:
    """Agents of one model answer; then, round after round, each in its own conversation sees the others' answers and updates its own. They
    vote. Two rounds of three agents, as in the paper, the first round included. Ours: the wording."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    asks, made = [ask] * agents, await ctx.sample(ask, agents)
    for _ in range(rounds - 1):
        texts = [without_thinking(s.text).strip() for s in made]
        others = ["\n\n".join(text for j, text in enumerate(texts) if j != i) for i in range(agents)]
        told = [OTHERS.format(others=text) + ctx.problem.answer_format for text in others]
        asks = [ask.then(own, request) for ask, own, request in zip(asks, texts, told, strict=True)]
        made = await ctx.gather(*map(ctx.one, asks))
    return await plurality(ctx, made)


@strategy(name="debate_judge", version=1, paper="arXiv:2305.19118", family="several models", needs={"judge"}, budget=1, pool="first stage")
async def debate_judge(ctx: Context, rounds: Count = 3) -> Answer:
    """MAD: one side answers, the other has to disagree, in turn; after each round the judge says whether it is settled, and then, or after
    `rounds`, decides with an answer of its own. Ours: the wording; the first side begins with the pool's chain of thought."""
    question, told = ctx.problem.question, [(await ctx.one(ctx.compose(prompts.STEP_BY_STEP))).text]

    def heard(request: str) -> Prompt:
        sides = [f"{'Second' if i % 2 else 'First'} side:\n{without_thinking(text).strip()}" for i, text in enumerate(told)]
        return Prompt.chat("\n\n".join([question, *sides, request]))

    for number in range(rounds):
        if number:
            told.append(await said(ctx, heard(REPLY + ctx.problem.answer_format)))
        told.append(await said(ctx, heard(OPPOSE + ctx.problem.answer_format)))
        if agreed(await said(ctx, heard(SETTLED), role="judge", temperature=0.0)):
            break
    return Answer.of(await ctx.one(heard(RULE + ctx.problem.answer_format), role="judge", temperature=0.0))


@strategy(name="sketch_expand", version=1, paper="arXiv:2501.09367", budget=1, **SEVERAL)
async def sketch_expand(ctx: Context, parts: Count = 6, sketch: Tokens = 128) -> Answer:
    """PICE: the role `helper` sketches the solution in at most `parts` points and `sketch` tokens; the small model writes out all points at
    once, each alone, the last with the answer. Ours: one expansion of each, where the paper may choose among several; without a point in
    the sketch the small model answers by chain of thought."""
    question = ctx.problem.question
    points = listed(await said(ctx, Prompt.chat(f"{question}\n{SKETCH.format(most=parts)}"), role="helper", max_tokens=sketch), parts)
    if not points:
        return Answer.of(await ctx.one(ctx.compose(prompts.STEP_BY_STEP)))
    told = [f"{question}\n\nSketch:\n{numbered(points)}\n\n{EXPAND.format(point=i + 1)}" for i in range(len(points))]
    told[-1] += ctx.problem.answer_format
    made = await ctx.gather(*(ctx.one(Prompt.chat(text.strip())) for text in told))
    text = "\n\n".join(without_thinking(s.text).strip() for s in made)
    return Answer(text=text, finish=made[-1].finish, samples=tuple(made))
