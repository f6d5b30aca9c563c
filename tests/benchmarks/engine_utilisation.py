"""How much of the raw vLLM engine's speed is left through a run: `python tests/benchmarks/engine_utilisation.py [MODEL] [--pairs 4] …`.

A run is what `bench run` does, `harness.runner.run` with plain lines of progress, of one strategy on arithmetic into a fresh SQLite
database: prompts rendered, samples pooled, answers judged, everything written, from the moment when it opens its engine until all is in the
database. The raw engine gets the same token ids, parameters and seeds, all at once, straight into vLLM, and returns texts. Both use the
same engine, in alternation, its prefix cache emptied before each. Loading the model, creating the database, and a first pass of each kind,
which warms up, are in neither. Beside each pair stands the CPU time that this process (harness, and vLLM's own front end) took for a
request, which a busy machine changes less than it changes speeds.

`--random 12x768` takes, in the place of MODEL, a Llama of 12 layers and width 768 with random weights and the tokenizer of `perpass/mini`:
of a size that people run, but its answers are noise. They end at `--max-tokens`, hardly ever before.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import io
import json
import pstats
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from vllm.inputs import tokens_input
from vllm.sampling_params import RequestOutputKind, SamplingParams

import tasks
from bench.progress import Lines
from energy import hardware
from harness import models
from harness.cell import Cell, Deployment
from harness.engines.vllm import VLLMEngine
from harness.engines.vllm_core import Core
from harness.engines.vllm_stream import Stream
from harness.events import Options
from harness.runner import run
from harness.strategy import strategies
from harness.types import Sampling
from results.database import open_database
from results.store import Store

Asked = tuple[tuple[int, ...], dict[str, Any]]


class Lasting(VLLMEngine):
    """Stays open when a run closes it, and remembers what it was asked."""

    asked: list[Asked] | None = None
    begun = 0.0, 0.0  # when the clocks started, in seconds: of perf_counter, and of this process's CPU time

    async def open(self) -> None:
        await super().open()
        self.begun = clocks()

    async def close(self) -> None:
        pass

    async def end(self) -> None:
        await super().close()

    def record(self) -> None:
        """Remember the requests of the next run."""
        core, self.asked = self._opened(), []
        send, asked = core.generate, self.asked

        async def generate(ids: tuple[int, ...], parameters: Mapping[str, Any], stream: Stream) -> None:
            asked.append((ids, dict(parameters)))
            await send(ids, parameters, stream)

        core.generate = generate  # type: ignore[method-assign]

    def play(self) -> None:
        """Stop remembering."""
        del self._opened().generate  # type: ignore[misc]


async def raw(core: Core, asked: list[Asked]) -> int:
    """Output tokens of all requests, sent at once on vLLM's own loop."""

    async def one(number: int, ids: tuple[int, ...], parameters: dict[str, Any]) -> int:
        settings = SamplingParams(**{**parameters, "detokenize": True}, output_kind=RequestOutputKind.FINAL_ONLY)
        async for output in core._llm.generate(tokens_input(list(ids)), settings, f"raw-{number}"):
            last = output
        return len(last.outputs[0].token_ids)

    async def everything() -> int:
        return sum(await asyncio.gather(*(one(i, *request) for i, request in enumerate(asked))))

    return await core._call(everything())


async def through_a_run(engine: Lasting, given: argparse.Namespace, folder: Path) -> int:
    """Output tokens of a run of everything, every prompt rendered anew."""
    engine._renderer().render.cache_clear()
    sampling = Sampling(max_tokens=given.max_tokens, min_tokens=given.min_tokens)
    strategy = strategies.get(given.strategy).bind({}, sampling, {})
    task = tasks.load({"kind": "arithmetic", "size": given.problems})
    cell = Cell(Deployment(engine, hardware.detect("gpu" if engine.device == "cuda" else "cpu")), strategy, task, trials=given.trials)
    database = open_database(f"sqlite:///{folder / f'{time.monotonic_ns()}.db'}", create=True)
    options = Options(in_flight=given.in_flight, progress=Lines(io.StringIO()))
    try:
        summary = await run([cell], Store(database), name="utilisation", text="", argv=[], options=options)
    finally:
        database.dispose()
    assert summary.status == "done" and summary.state.errors == 0, summary
    return summary.state.output_tokens


def clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


async def timed(work: Any, engine: Lasting) -> tuple[float, float]:
    """Output tokens per second of `work`, and this process's CPU seconds."""
    await engine._opened()._call(engine._opened()._llm.reset_prefix_cache())
    engine.begun = clocks()
    tokens = await work
    (at, cpu), (begun, cpu_begun) = clocks(), engine.begun
    return float(tokens / (at - begun)), cpu - cpu_begun


def random_llama(shape: str, folder: Path) -> Path:
    """A Llama of LAYERSxHIDDEN with random weights, and the tokenizer and settings of `perpass/mini`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    mini = Path(str(models.resolve("perpass/mini").path))
    layers, hidden = (int(number) for number in shape.split("x"))
    wide = {"hidden_size": hidden, "intermediate_size": hidden * 8 // 3 // 64 * 64, "num_hidden_layers": layers}
    heads = {"head_dim": 64, "num_attention_heads": hidden // 64, "num_key_value_heads": hidden // 64, "initializer_range": 0.02}
    config = json.loads((mini / "config.json").read_text()) | wide | heads
    torch.manual_seed(0)
    made = LlamaForCausalLM(LlamaConfig(**config))
    made.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(mini / name, folder / name)
    print(f"random weights: {layers} layers × {hidden}, {sum(p.numel() for p in made.parameters()) / 1e6:.0f} M parameters", flush=True)
    return folder


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean ratio, by Student's t on logarithms."""
    logs = np.log(ratios)
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    return float(np.exp(low)), float(np.exp(high))


async def measure(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = str(random_llama(given.random, folder / f"random-{given.random}")) if given.random else given.model
        await compared(Lasting(models.resolve(model), max_num_seqs=given.max_num_seqs), given, folder)


async def compared(engine: Lasting, given: argparse.Namespace, folder: Path) -> None:
    await engine.open()
    try:
        engine.record()
        await timed(through_a_run(engine, given, folder), engine)
        asked = list(engine.asked or ())
        engine.play()
        await timed(raw(engine._opened(), asked), engine)
        ratios = []
        for pair in range(given.pairs):
            speeds: dict[str, float] = {}
            cpu: dict[str, float] = {}
            for kind in ("raw", "run") if pair % 2 else ("run", "raw"):
                work = raw(engine._opened(), asked) if kind == "raw" else through_a_run(engine, given, folder)
                speeds[kind], cpu[kind] = await timed(work, engine)
            ratios.append(speeds["run"] / speeds["raw"])
            spent = ", ".join(f"{kind} {1e3 * cpu[kind] / len(asked):.2f}" for kind in ("run", "raw"))
            print(
                f"pair {pair}: run {speeds['run']:7.0f}, raw {speeds['raw']:7.0f} output tokens/s, ratio {ratios[-1]:.3f}"
                f"; ms of CPU per request: {spent}",
                flush=True,
            )
        low, high = interval(ratios)
        print(
            f"{len(asked)} requests, in flight {given.in_flight or engine.in_flight}: ratio {statistics.median(ratios):.3f}"
            f" (median of {given.pairs} pairs;"
            f" mean {float(np.exp(np.mean(np.log(ratios)))):.3f}, 95 % interval {low:.3f}–{high:.3f})"
        )
        if given.profile:
            await profiled(engine, given, folder)
    finally:
        await engine.end()


async def profiled(engine: Lasting, given: argparse.Namespace, folder: Path) -> None:
    """Where the thread of a run's event loop spends its CPU time."""
    with cProfile.Profile(time.thread_time) as profile:
        await through_a_run(engine, given, folder)
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="perpass/nano")
    parser.add_argument("--random", metavar="LAYERSxHIDDEN", help="a Llama of this shape with random weights, in the place of MODEL")
    parser.add_argument("--strategy", default="cot")
    parser.add_argument("--problems", type=int, default=600)
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--min-tokens", type=int, default=0)
    parser.add_argument("--in-flight", type=int, help="problems in flight (default: the engine's own)")
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--profile", action="store_true", help="then profile one run")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
