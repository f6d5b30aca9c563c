"""Sampled solutions with a verdict on every step: what `perpass/prm` is trained and measured on.

A step is a line of the answer. It is right while it and every line before it are the lines of the solver (`solution` of a word problem's
chain, `states` of a procedure): the states reached so far are the true ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from harness import prompts
from harness.engines.transformers import TransformersEngine
from harness.models import resolve
from harness.reference.data import Sources, states
from harness.types import Sampling
from tasks.boxed import ANSWER_FORMAT
from tasks.procbench.drawn import Drawn
from tasks.procbench.task import STATE_FORMAT, asked
from tasks.stories import Chain, solution

SEPARATOR = "\n"
STORIES = 0.45  # the share of word problems; the rest are procedures
POLICIES = {"perpass/nano": 0.5, "perpass/micro": 0.35, "perpass/mini": 0.15}  # a better model makes fewer mistakes to learn from
SAMPLINGS = ((0.8, 0.95), (1.0, 1.0), (1.2, 1.0))  # temperature, top_p: the first is what strategies sample with by default
TWICE = 2  # solutions of one problem by one policy
SHARD = 2000  # solutions per file
MAX_TOKENS = 256
BATCH = 256  # solutions sampled together


@dataclass(frozen=True)
class Solution:
    """`steps` as sampled by `policy`, and the lines that the solver writes for the same question."""

    kind: Literal["story", "procedure"]
    question: str
    right: tuple[str, ...]
    steps: tuple[str, ...]
    policy: str
    temperature: float

    @property
    def verdicts(self) -> list[bool]:
        """Of each step: whether everything up to and including it is right."""
        found, good = [], True
        for place, step in enumerate(self.steps):
            good = good and place < len(self.right) and step == self.right[place]
            found.append(good)
        return found


@dataclass(frozen=True)
class Asked:
    """A problem with how to state its answer and the lines that the solver writes."""

    kind: Literal["story", "procedure"]
    question: str
    answer_format: str
    right: tuple[str, ...]


def story(chain: Chain, question: str) -> Asked:
    """A word problem."""
    return Asked("story", question, ANSWER_FORMAT, tuple(solution(chain).split(SEPARATOR)))


def procedure(drawn: Drawn) -> Asked:
    """A procedure, with brief instructions."""
    return Asked("procedure", asked(drawn, "brief"), STATE_FORMAT, tuple(states(drawn).split(SEPARATOR)))


def training(sources: Sources) -> Asked:
    """A problem of the training side."""
    return story(*sources.story()) if sources.rng.random() < STORIES else procedure(sources.procedure())


def split(text: str) -> tuple[str, ...]:
    """The steps of an answer: its lines that are not empty."""
    return tuple(line for line in text.split(SEPARATOR) if line.strip())


async def sampled(engine: TransformersEngine, problem: Asked, seed: str, temperature: float, top_p: float) -> Solution:
    """One solution by an open engine, equal for equal seeds and numerics."""
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=MAX_TOKENS)
    prompt = prompts.step_by_step(problem.question, problem.answer_format)
    sample = await engine.generate(prompt, sampling, random.Random(seed).getrandbits(63))
    return Solution(problem.kind, problem.question, problem.right, split(sample.text), engine.model.name, temperature)


def policy(name: str) -> TransformersEngine:
    """The engine that samples from a reference model, many solutions together."""
    return TransformersEngine(resolve(name, device="cpu"), device="cpu", threads=1, max_batch=BATCH, max_batch_tokens=1024 * BATCH)


def shards(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """`count` files of sampled solutions in `folder`, made where they are missing: a run that was stopped goes on with the next one."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    return [_shard(folder, index, seed) for index in range(count)]


def _shard(folder: Path, index: int, seed: int) -> Path:
    path = folder / f"{seed}-{index:03d}.jsonl"
    if path.exists():
        return path
    found = asyncio.run(_all_policies(f"prm/{seed}/{index}"))
    beside = path.with_suffix(".tmp")
    beside.write_text("".join(json.dumps(asdict(s)) + "\n" for s in found))
    os.replace(beside, path)
    print(f"{path.name}: {len(found)} solutions, {sum(all(s.verdicts) for s in found) / len(found):.0%} all right", flush=True)
    return path


async def _all_policies(seed: str) -> list[Solution]:
    """A shard: each policy's share, `TWICE` solutions of each problem."""
    found: list[Solution] = []
    for name, share in POLICIES.items():
        sources, engine = Sources.of(random.Random(f"{seed}/{name}")), policy(name)
        problems = [training(sources) for _ in range(round(SHARD * share) // TWICE)]
        await engine.open()
        try:
            found += await asyncio.gather(
                *(
                    sampled(engine, problem, f"{seed}/{name}/{TWICE * place + again}", *SAMPLINGS[place % len(SAMPLINGS)])
                    for place, problem in enumerate(problems)
                    for again in range(TWICE)
                )
            )
        finally:
            await engine.close()
    return found


def read(paths: Sequence[Path]) -> list[Solution]:
    """The solutions of `shards`."""
    rows = (json.loads(line) for path in paths for line in path.read_text().splitlines())
    return [Solution(**{**row, "right": tuple(row["right"]), "steps": tuple(row["steps"])}) for row in rows]
