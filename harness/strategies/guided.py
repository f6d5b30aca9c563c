"""Steps guided by the model's own judgement: whether they are right, how likely they and what follows are."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import partial
from statistics import fmean, pstdev
from typing import Any

from harness import prompts
from harness.context import Context, Score
from harness.strategies.search import Chance, Fan, Noise, Step, grow, search, settle
from harness.strategies.search_rules import Path, Paths, pick, softmax, survivors
from harness.strategies.selection import belief
from harness.strategies.tree import Node, puct, tell, visit
from harness.strategies.voting import ballots
from harness.strategy import Count, strategy
from harness.types import Answer

RIGHT = "Is the answer above correct so far, above all its last step? Reply with yes or no."
OWN: dict[str, Any] = {"family": "self-evaluation", "pool": "first stage"}
JUDGED = {"prefix", "prompt_logprobs", "judge"}


async def believed(ctx: Context, paths: Paths) -> list[Any]:
    """The judge's P(yes) that each path is right so far."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    return await ctx.gather(*(belief(ctx, ask.then(p.text, RIGHT)) for p in paths))


@strategy(name="self_eval_beam", version=1, paper="arXiv:2305.00633", needs={*JUDGED, "logprobs"}, budget="width", **OWN)
async def self_eval_beam(
    ctx: Context, width: Count = 80, fan: Fan = 16, mix: Chance = 0.5, noise: Noise = 0.5, step: Step = "\n\n", max_steps: Count = 16
) -> Answer:
    """Stochastic beam by the model's own judgement: 5 paths, 16 samples a step each; drawn in proportion to exp(value / noise).

    A step has p^mix · c^(1 − mix): p its probability per token (geometric mean), c the judge's P(yes) that all is right so far. A path's
    value is the geometric mean of its steps; the best finished path is the answer. Ours: the wording, no threshold on values.
    """

    async def value(paths: Paths) -> list[Score]:
        sure = [c ** (1 - mix) for c in await believed(ctx, paths)]
        made = [math.exp(mix * (p.samples[-1].mean_logprob or 0.0)) for p in paths]
        before = [p.value ** len(p.values) if p.values else 1.0 for p in paths]
        return [(x * y * z) ** (1 / len(p.samples)) for x, y, z, p in zip(sure, made, before, paths, strict=True)]

    rule = partial(survivors, fan=fan, noise=noise, distinct=True)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, value, step, max_steps))


@strategy(name="phi_decoding", version=1, paper="arXiv:2503.13288", needs={"prefix", "logprobs"}, budget="width", prompt="question", **OWN)
async def phi_decoding(
    ctx: Context, width: Count = 16, fan: Fan = 4, foresights: Count = 8, least: Count = 4, agree: Chance = 0.7, step: Step = "\n\n"
) -> Answer:
    """φ-decoding: of `width` next steps those no less likely than mean − σ are completed; of them width / fan are drawn, and go on.

    A step's weight is softmax(advantage / 0.1), the gain in mean log-probability over the foresight before; where enough of them gain,
    half of it, and half the softmax of the share that its completion's cluster has. From step `least` on a share above `agree` ends it.
    Ours: completions are clustered by their answer, not by their words, and that of the heaviest path is the answer.
    """
    keep, final = width // fan, Path()
    beams = [Path()] * keep

    async def likely(paths: Paths) -> list[Score]:
        return [p.samples[-1].mean_logprob for p in paths]

    for turn in range(1, foresights + 1):
        made = await grow(ctx, [p for p in beams for _ in range(1 if p.done else fan)], likely, step, foresights + 1)
        new = [p.value for p in made if p not in beams and p.value > -math.inf]
        bar = fmean(new) - pstdev(new) - 1e-12 if new else -math.inf
        steps = [p for p in made if p in beams or p.value >= bar]
        ends = await grow(ctx, steps, likely, step, 0)
        gains = [e.value - ((p.values[-2] if len(p.values) > 1 else None) or 0.0) for p, e in zip(steps, ends, strict=True)]
        kinds = list(zip(*await ballots(ctx, [e.whole for e in ends]), strict=True))
        gained = [i for i, gain in enumerate(gains) if gain > 0]
        drawn = gained if len(gained) >= keep else list(range(len(steps)))
        counts = Counter(kinds[i] for i in drawn)
        shares = [counts[kinds[i]] / len(drawn) for i in drawn]
        weights = softmax([gains[i] for i in drawn], 0.1)
        if drawn is gained:
            weights = [(w + s) / 2 for w, s in zip(weights, softmax(shares), strict=True)]
        chosen = pick(range(len(drawn)), [math.log(max(w, 1e-300)) for w in weights], keep, ctx.rng)
        final = ends[drawn[max(chosen, key=lambda c: weights[c])]]
        beams = [replace(steps[i], values=(*steps[i].values[:-1], ends[i].value)) for i in (drawn[c] for c in chosen)]
        if all(p.done for p in beams) or (turn >= least and max(shares) > agree):
            break
    return final.answer


@strategy(name="rain", version=1, paper="arXiv:2309.07124", needs=JUDGED, budget="k", **OWN)
async def rain(ctx: Context, k: Count = 4, searches: Count = 6, enough: Chance = 0.8, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """Rewindable generation: look ahead from here, judge oneself, rewind; then take the step that was visited most, and so on to the end.

    A search by PUCT gives a leaf `k` next steps, each worth the judge's P(yes) that all is right so far; after `searches` of them, or once
    the most visited step has a mean of `enough`, it is taken, and what was found behind it is kept.
    Ours: whole steps instead of sets of tokens, the numbers, and no update of similar steps by embeddings.
    """
    here = Node(Path())
    while not here.path.done:
        for _ in range(searches):
            leaf = puct(here)
            if leaf.path.done:
                visit(leaf, leaf.path.value)
            else:
                tell(leaf, await grow(ctx, [leaf.path] * k, partial(believed, ctx), step, max_steps))
            taken = max(here.children, key=lambda n: (n.visits, n.total))
            if taken.total / taken.visits >= enough:
                break
        here = taken
    return here.path.answer
