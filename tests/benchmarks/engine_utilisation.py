"""How much of the raw vLLM engine's speed is left through a run: `python tests/benchmarks/engine_utilisation.py [MODEL] [--pairs 4] …`.

A run is `harness.runner.run` of one strategy on arithmetic into a fresh SQLite database: prompts rendered, samples pooled, answers judged,
everything written, from the moment when it opens its engine until all is in the database. The raw engine gets the same token ids,
parameters and seeds, all at once, straight into vLLM, and returns texts. Both use the same engine, in alternation, its prefix cache emptied
before each. Loading the model, creating the database, and a first pass of each kind, which warms up, are in neither.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
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
    begun = 0.0  # when the clock started, in seconds of perf_counter

    async def open(self) -> None:
        await super().open()
        self.begun = time.perf_counter()

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


async def through_a_run(engine: VLLMEngine, given: argparse.Namespace, folder: Path) -> int:
    """Output tokens of a run of everything."""
    sampling = Sampling(max_tokens=given.max_tokens, min_tokens=given.min_tokens)
    strategy = strategies.get(given.strategy).bind({}, sampling, {})
    task = tasks.load({"kind": "arithmetic", "size": given.problems})
    cell = Cell(Deployment(engine, hardware.detect("gpu" if engine.device == "cuda" else "cpu")), strategy, task, trials=given.trials)
    database = open_database(f"sqlite:///{folder / f'{time.monotonic_ns()}.db'}", create=True)
    options = Options(in_flight=given.in_flight)
    try:
        summary = await run([cell], Store(database), name="utilisation", text="", argv=[], options=options)
    finally:
        database.dispose()
    assert summary.status == "done" and summary.state.errors == 0, summary
    return summary.state.output_tokens


async def timed(work: Any, engine: VLLMEngine) -> float:
    """Output tokens per second of `work`."""
    await engine._opened()._call(engine._opened()._llm.reset_prefix_cache())
    engine.begun = time.perf_counter()
    tokens = await work
    return float(tokens / (time.perf_counter() - engine.begun))


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean ratio, by Student's t on logarithms."""
    logs = np.log(ratios)
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    return float(np.exp(low)), float(np.exp(high))


async def measure(given: argparse.Namespace) -> None:
    engine = Lasting(models.resolve(given.model), max_num_seqs=given.max_num_seqs)
    await engine.open()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            engine.record()
            await timed(through_a_run(engine, given, folder), engine)
            asked = list(engine.asked or ())
            engine.play()
            await timed(raw(engine._opened(), asked), engine)
            ratios = []
            for pair in range(given.pairs):
                speeds: dict[str, float] = {}
                for kind in ("raw", "run") if pair % 2 else ("run", "raw"):
                    work = raw(engine._opened(), asked) if kind == "raw" else through_a_run(engine, given, folder)
                    speeds[kind] = await timed(work, engine)
                ratios.append(speeds["run"] / speeds["raw"])
                print(
                    f"pair {pair}: run {speeds['run']:7.0f}, raw {speeds['raw']:7.0f} output tokens/s, ratio {ratios[-1]:.3f}", flush=True
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


async def profiled(engine: VLLMEngine, given: argparse.Namespace, folder: Path) -> None:
    """Where the thread of a run's event loop spends its CPU time."""
    with cProfile.Profile(time.thread_time) as profile:
        await through_a_run(engine, given, folder)
    pstats.Stats(profile).strip_dirs().sort_stats("tottime").print_stats(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", default="perpass/nano")
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
