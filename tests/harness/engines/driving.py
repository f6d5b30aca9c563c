"""Driving a transformers engine in tests, and what the library itself says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, TypeVar

import torch

from harness.engines.transformers import TransformersEngine
from harness.types import Sample, Sampling
from tasks.types import Prompt
from tests.harness.engines import tiny

T = TypeVar("T")
END = tiny.SPECIALS.index("<|end|>")
SAMPLING = Sampling(temperature=1.0, top_p=0.95, max_tokens=24)
GREEDY = Sampling(temperature=0, max_tokens=24)

torch.set_num_threads(1)  # several threads would wait for each other longer than these models compute


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 300))


def prompts(n: int, longest: int = 80, seed: int = 0) -> list[Prompt]:
    draw = random.Random(seed)
    return [Prompt.chat("".join(draw.choice(tiny.TEXT) for _ in range(draw.randint(1, longest)))) for _ in range(n)]


async def crowd(engine: TransformersEngine, asked: list[Prompt], sampling: Sampling, **more: Any) -> list[Sample]:
    return list(await asyncio.gather(*(engine.generate(p, sampling, seed, **more) for seed, p in enumerate(asked))))


def weights(engine: TransformersEngine) -> Any:
    """The loaded model itself."""
    assert engine._batcher is not None
    return engine._batcher._forward.model


def raw_logits(engine: TransformersEngine, ids: tuple[int, ...]) -> torch.Tensor:
    with torch.inference_mode():
        return weights(engine)(input_ids=torch.tensor([ids]), use_cache=False).logits[0]


def library_greedy(engine: TransformersEngine, prompt: Prompt, length: int) -> list[int]:
    ids = torch.tensor([engine.tokens(prompt)])
    made = weights(engine).generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=length)
    return list(made[0, ids.shape[1] :].tolist())
