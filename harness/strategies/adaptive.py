"""How many samples a problem gets is decided on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil, comb
from typing import Any

from harness import prompts
from harness.context import Context
from harness.strategies.selection import Aggregate, belief, best, rewards
from harness.strategies.voting import Positive, Share, ballots, plurality, pooled_only
from harness.strategy import Count, strategy
from harness.types import Answer, Sample
from tasks.types import Prompt

CAPABLE = "Do not answer the question above. Are you able to answer it correctly? Reply with yes or no."
ALL: dict[str, Any] = {"family": "adaptive", "budget": "n", "pool": "full", "prompt": "question"}
ZERO_SHOT = {"prompt_logprobs", "judge", "token_ids"}
PART: dict[str, Any] = {"family": "adaptive", "pool": "first stage"}
RESTART = "Would you answer better if you started over? Reply with yes or no."


@strategy(name="adaptive_consistency", version=1, paper="arXiv:2305.11860", **ALL)
async def adaptive_consistency(ctx: Context, n: Count = 40, threshold: Share = 0.95, wave: Count = 1) -> Answer:
    """Samples until the leading answer is a majority against the second with P ≥ threshold, at most n; then they vote.

    With a and b votes P is that of Beta(a + 1, b + 1) > ½: four that agree are enough. `wave` samples are drawn at once (the paper: 1).
    With several items each has to be settled.
    """
    prompt, samples = ctx.compose(prompts.STEP_BY_STEP), list[Sample]()
    while len(samples) < n:
        samples += await ctx.sample(prompt, min(wave, n - len(samples)))
        if all(_ahead(item) >= threshold for item in await ballots(ctx, samples)):
            break
    return await plurality(ctx, samples)


def _ahead(classes: Sequence[int]) -> float:
    """P(Beta(a + 1, b + 1) > ½) of the two largest classes, which is P(at most a heads of a + b + 1 coins): exact."""
    a, b = sorted([0, 0, *Counter(c for c in classes if c >= 0).values()])[:-3:-1]
    return sum(comb(a + b + 1, heads) for heads in range(a + 1)) / 2 ** (a + b + 1)


@strategy(name="early_stopping_consistency", version=1, paper="arXiv:2401.10480", **ALL)
async def early_stopping_consistency(ctx: Context, n: Count = 40, window: Count = 5) -> Answer:
    """Windows of samples until all of one window give the same answer, at most n samples; all drawn vote (ESC)."""
    prompt, samples, agreed = ctx.compose(prompts.STEP_BY_STEP), list[Sample](), False
    while len(samples) < n and not agreed:
        drawn = await ctx.sample(prompt, min(window, n - len(samples)))
        samples += drawn
        agreed = all(item[0] >= 0 and len(set(item)) == 1 for item in await ballots(ctx, drawn))
    return await plurality(ctx, samples)


@strategy(name="instance_adaptive", version=1, paper="arXiv:2506.09338", needs={"reward"}, **ALL)
async def instance_adaptive(
    ctx: Context, n: Count = 64, first: Count = 2, target: Share = 0.99, scale: Positive = 1.0, agg: Aggregate = "last", step: str = "\n\n"
) -> Answer:
    """Best of N by reward, N being the fewest samples with 1 − (1 − p)^N ≥ target, at most n; p is what the reward says of this problem.

    Ours: p is the mean reward of the `first` samples times `scale`, a factor to be fitted on stored samples (measured accuracy over
    mean reward); the paper calibrates the reward model by quantile regression and asks it before the first sample.
    """
    prompt = ctx.compose(prompts.STEP_BY_STEP)
    samples = await ctx.sample(prompt, min(first, n))
    scores = await rewards(ctx, samples, agg, step)
    fails = 1 - min(scale * sum(s or 0.0 for s in scores) / len(scores), 1.0)
    more = next((k for k in range(1, n) if fails**k <= 1 - target), n) - len(samples)
    if more > 0:
        samples += await ctx.sample(prompt, more)
        scores += await rewards(ctx, samples[-more:], agg, step)
    return best(samples, scores)


@strategy(name="internal_confidence", version=1, paper="arXiv:2506.09669", needs={"prompt_logprobs"}, budget="many", **PART)
async def internal_confidence(ctx: Context, many: Count = 16, few: Count = 1, threshold: Share = 0.5) -> Answer:
    """Before any token the model says whether it can answer: P(yes) ≥ threshold gets `few` samples, all else `many`; they vote.

    Ours: the paper's baseline, P(yes) of the last layer by teacher forcing, in our words; its method averages over layers and tokens, and
    routes to retrieval or a larger model.
    """
    p = await belief(ctx, Prompt.chat(f"{ctx.problem.question}\n{CAPABLE}"), "policy")
    return await plurality(ctx, await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), min(few, many) if p >= threshold else many))


@strategy(name="adaptive_best_of_n", version=1, paper="arXiv:2410.02725", needs=ZERO_SHOT, budget="n", obstacle=pooled_only, **PART)
async def adaptive_best_of_n(ctx: Context, n: Count = 16, head: Count = 64, keep: Share = 0.5) -> Answer:
    """n beginnings of `head` tokens; the share `keep` that would least gain from starting over is finished, and of these the best is taken.

    P(no) to "started over?" decides both times, by teacher forcing. Ours: the judge is the untrained model, a zero-shot variant, weaker
    than the paper's, which is trained for its question; traces are drawn whole, and those not finished are charged their beginning.
    """
    prompt, heads = ctx.compose(prompts.STEP_BY_STEP), dict[str, str]()

    def note(whole: Sample, first: Callable[[int], Sample]) -> Sample:
        heads[whole.key] = first(min(head, len(whole.token_ids))).text
        return whole

    async def again(texts: Sequence[str]) -> list[float]:
        return await ctx.gather(*(belief(ctx, prompt.then(text, RESTART)) for text in texts))

    samples = await ctx.sample(prompt, n, keep=note)
    gains = await again([heads[s.key] for s in samples])
    ranked = sorted(range(n), key=lambda i: gains[i])
    kept = [samples[i] for i in sorted(ranked[: ceil(keep * n)])]
    for i in ranked[ceil(keep * n) :]:
        ctx.trim(samples[i], head)
    return best(kept, [-gain for gain in await again([s.text for s in kept])])
