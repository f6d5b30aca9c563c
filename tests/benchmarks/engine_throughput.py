"""Output tokens per second of the transformers engine: `python tests/benchmarks/engine_throughput.py [MODEL] [--concurrency 64] …`.

Without MODEL: perpass/nano's shape with random weights, whose end token is never drawn, so that lengths are as asked.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from pathlib import Path

from harness import models
from harness.engines.transformers import TransformersEngine
from harness.types import Model, Observe, Sampling, Usage
from tasks.types import Prompt


def nano_shaped(folder: Path) -> Path:
    """perpass/nano's shape with random weights."""
    from transformers import LlamaForCausalLM

    from harness.reference import sizes, tokenizer

    config = sizes.config(sizes.SIZES["nano"])
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(tokenizer.learn(500), folder)
    return folder


async def measure(model: Model, given: argparse.Namespace) -> None:
    engine = TransformersEngine(model, max_batch=given.max_batch, threads=given.threads)
    await engine.open()
    draw, gate = random.Random(0), asyncio.Semaphore(given.concurrency)
    stop = ("\n\n",) if given.stop else ()
    observe = Observe(given.observe, given.observe)

    async def one(i: int) -> Usage:
        words = " ".join(str(draw.randrange(100)) for _ in range(draw.randint(8, 30)))
        least = draw.randint(given.output // 2, given.output * 3 // 2)
        sampling = Sampling(
            temperature=given.temperature, top_p=given.top_p, max_tokens=least, min_tokens=least if given.model is None else 0, stop=stop
        )
        async with gate:
            return (await engine.generate(Prompt.chat(f"Add {words}."), sampling, i, observe)).usage

    await asyncio.gather(*(one(i) for i in range(given.concurrency)))
    begin, cpu = time.perf_counter(), time.process_time()
    used = sum(await asyncio.gather(*(one(i) for i in range(given.requests))), Usage())
    took, busy = time.perf_counter() - begin, time.process_time() - cpu
    print(
        f"{used.output / took:8.0f} output tokens/s  {used.output / busy:8.0f} per CPU second  "
        f"{used.prompt / took:8.0f} prompt tokens/s  {used.calls / took:6.1f} calls/s  "
        f"mean output {used.output / used.calls:.0f}  {busy / took:.2f} CPUs  {dict(engine.settings)}"
    )
    await engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--max-batch", type=int, default=64)
    parser.add_argument("--requests", type=int, default=512)
    parser.add_argument("--output", type=int, default=80, help="mean output tokens")
    parser.add_argument("--temperature", type=float, default=0.8)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--stop", action="store_true", help="with a stop string")
    parser.add_argument("--observe", action="store_true", help="with log-probabilities and confidences")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(models.resolve(given.model or str(nano_shaped(Path(folder)))), given))


if __name__ == "__main__":
    main()
