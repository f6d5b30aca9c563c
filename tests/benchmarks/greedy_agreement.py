"""Do transformers and vLLM give the same greedy float32 texts? `python tests/benchmarks/greedy_agreement.py [MODEL] [--prompts 500] …`.

Arithmetic problems, half asked directly, half step by step. Where two texts part, the two tokens in question are scored by both engines:
a difference is explained when both find them to be as good as equally likely. Ends with 1 when fewer texts than `--least` are equal, or a
difference is not explained.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tasks
from harness import models
from harness.engines.jobs import Scoring
from harness.engines.transformers import TransformersEngine, _promise
from harness.engines.vllm import VLLMEngine
from harness.engines.vllm_stream import Stream
from harness.prompts import direct, step_by_step
from harness.types import Observe, Sample, Sampling
from tasks.types import Prompt

NEAR = 1e-3  # nats between two tokens that are as good as equally likely; float32 sums differ by some 1e-5 between engines


@dataclass(frozen=True)
class Parting:
    """Where two texts part: after `length` tokens, by how many nats each engine prefers its own token."""

    prompt: int
    length: int
    tokens: tuple[int, int]
    gaps: tuple[float, float]

    @property
    def explained(self) -> bool:
        return max(map(abs, self.gaps)) < NEAR


def prompts(n: int) -> list[Prompt]:
    problems = tasks.load({"kind": "arithmetic", "size": max(6, -(-n // 2))}).problems()
    asked = [ask(p.question, p.answer_format) for p in problems for ask in (direct, step_by_step)]
    return asked[:n]


async def texts(engine: Any, asked: Sequence[Prompt], sampling: Sampling, at_once: int) -> list[Sample]:
    gate = asyncio.Semaphore(at_once)

    async def one(prompt: Prompt) -> Sample:
        async with gate:
            made: Sample = await engine.generate(prompt, sampling, 0, Observe(logprobs=True))
            return made

    return list(await asyncio.gather(*map(one, asked)))


async def logprob(engine: Any, ids: tuple[int, ...], token: int) -> float:
    """Log-probability of `token` after `ids`, by ids: as text, the two might be tokenised otherwise."""
    if isinstance(engine, VLLMEngine):
        stream = Stream(Observe())
        settings = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0, "detokenize": False}
        await engine._opened().generate((*ids, token), settings, stream)
        return stream.scored[-1]
    done, future = _promise()
    job = Scoring(ids=(*ids, token), done=done, count=1)
    await engine._finished(job, future)
    return job.logprobs[0]


async def parting(number: int, prompt: Prompt, engines: Sequence[Any], samples: Sequence[Sample]) -> Parting | None:
    one, other = (s.token_ids for s in samples)
    if one == other:
        return None
    length = next(i for i, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    ids, tokens = (*engines[0].tokens(prompt), *one[:length]), (one[length], other[length])
    scores = [[await logprob(engine, ids, token) for token in tokens] for engine in engines]
    return Parting(number, length, tokens, (scores[0][0] - scores[0][1], scores[1][1] - scores[1][0]))


async def compare(given: argparse.Namespace) -> bool:
    model = models.resolve({"id": given.model, "dtype": "float32"})
    engines: list[Any] = [TransformersEngine(model), VLLMEngine(model)]
    asked, sampling = prompts(given.prompts), Sampling(temperature=0, max_tokens=given.max_tokens)
    for engine in engines:
        await engine.open()
    try:
        made = [await texts(engine, asked, sampling, given.at_once) for engine in engines]
        partings = [await parting(i, p, engines, pair) for i, (p, *pair) in enumerate(zip(asked, *made, strict=True))]
    finally:
        for engine in engines:
            await engine.close()
    return report(given, made, [p for p in partings if p is not None])


def report(given: argparse.Namespace, made: Sequence[Sequence[Sample]], partings: Sequence[Parting]) -> bool:
    equal = [(a, b) for a, b in zip(*made, strict=True) if a.token_ids == b.token_ids]
    tokens = sum(s.usage.output for s in made[0])
    noise = max((abs(x - y) for a, b in equal for x, y in zip(a.logprob or (), b.logprob or (), strict=True)), default=0.0)
    share = len(equal) / len(made[0])
    print(f"{given.model}: {len(equal)} of {len(made[0])} texts equal ({share:.2%}), {tokens} tokens; their log-probabilities differ by at")
    print(f"most {noise:.1e} nats. {len(partings)} texts part.")
    for p in partings:
        gaps = " and ".join(f"{gap:+.1e}" for gap in p.gaps)
        verdict = "a near-tie" if p.explained else "NOT EXPLAINED"
        print(f"  prompt {p.prompt} after {p.length} tokens: {p.tokens[0]} or {p.tokens[1]}, {gaps} nats: {verdict}")
    return share >= given.least and all(p.explained for p in partings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="perpass/nano")
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--least", type=float, default=0.99, help="smallest share of equal texts")
    sys.exit(0 if asyncio.run(compare(parser.parse_args())) else 1)


if __name__ == "__main__":
    main()
