"""Paths of reasoning that learn from each other on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness import prompts
from harness.context import Context
from harness.strategies.voting import plurality
from harness.strategy import Count, Tokens, strategy
from harness.types import Answer, Sample

OPEN, CLOSE = "\n\n<summary>\nIn short, where I stand: ", "</summary>"
READ = "\n<peers>\n{told}\n</peers>\n\nHmm, let me compare this with what I have.\n\n"


@strategy(name="leap", version=1, family="peers", paper="arXiv:2505.07787", needs={"prefix"}, budget="paths", pool="first stage")
async def leap(ctx: Context, paths: Count = 4, turns: Count = 5, turn: Tokens = 2048, summary: Tokens = 256, peers: Count = 2) -> Answer:
    """LeaP: parallel paths; after every `turn` tokens each sums up in at most `summary` tokens where it stands and reads the summaries of
    `peers` others, the least similar by Levenshtein distance (the paper's dispersed routing), then goes on. Last a vote.

    A path that comes to its end leaves the exchange. Ours: the last turn runs to its end, where the original appends a final answer; a
    path's unfinished paragraph stays; wording and tags."""
    ask, ended = ctx.compose(prompts.STEP_BY_STEP), dict[int, Sample]()
    parts, open_ = dict(enumerate(await ctx.sample(ask, paths, max_tokens=turn))), dict.fromkeys(range(paths), "")
    for number in range(turns):
        open_ = {i: open_[i] + part.text for i, part in parts.items()}
        ended |= {i: replace(part, text=open_.pop(i)) for i, part in parts.items() if part.finish != "length" or number == turns - 1}
        if not open_:
            break
        texts = await ctx.gather(*(ctx.one(ask.extend(t + OPEN), max_tokens=summary, stop=(CLOSE,)) for t in open_.values()))
        told = {i: sample.text.removesuffix(CLOSE) for i, sample in zip(open_, texts, strict=True)}
        for i in open_:
            others = "\n".join(f"- {told[j]}" for j in dispersed(told, i, peers))
            open_[i] += OPEN + told[i] + CLOSE + (READ.format(told=others) if others else "\n\n")
        length: dict[str, Any] = {} if number == turns - 2 else {"max_tokens": turn}
        parts = dict(zip(open_, await ctx.gather(*(ctx.one(ask.extend(t), **length) for t in open_.values())), strict=True))
    return await plurality(ctx, [ended[i] for i in range(paths)])


def dispersed(told: Mapping[int, str], path: int, peers: int) -> list[int]:
    """The `peers` others whose summaries are the least like this path's, in order; alike is 1 − distance / length of the longer text."""
    alike = {j: 1 - levenshtein(told[path], told[j]) / max(len(told[path]), len(told[j]), 1) for j in told if j != path}
    return sorted(sorted(alike, key=lambda j: (alike[j], j))[:peers])


def levenshtein(a: str, b: str) -> int:
    """The fewest insertions, deletions and substitutions of a character that make `b` of `a`; a row of the table at a time."""
    import numpy as np

    codes, places = np.array([ord(c) for c in b], dtype=np.int64), np.arange(len(b) + 1)
    row = places
    for i, c in enumerate(a, 1):
        best = np.concatenate([[i], np.minimum(row[1:] + 1, row[:-1] + (codes != ord(c)))])
        row = np.minimum.accumulate(best - places) + places  # insertions: the cheapest place to the left, one each from there
    return int(row[-1])
