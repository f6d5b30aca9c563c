from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from harness import models
from harness.engines.transformers import TransformersEngine
from harness.types import Sample
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.driving import GREEDY, SAMPLING, crowd, prompts, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("models") / "tiny")


class Held:
    """A watch that holds the engine's thread in the middle of a completion until it may `go`, however busy the machine is."""

    def __init__(self) -> None:
        self._begun, self.go = threading.Event(), threading.Event()

    def __call__(self, part: Sample) -> bool:
        self._begun.set()
        assert self.go.wait(300)
        return False

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 300)


def test_layers_without_keys_and_values_are_refused(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m", architecture="jamba", num_experts=2, attn_layer_period=2, attn_layer_offset=1)
    engine = TransformersEngine(models.resolve(str(folder)))

    async def work() -> None:
        try:
            await engine.open()
            await engine.generate(Prompt.chat("a"), SAMPLING, 0)
        finally:
            await engine.close()

    with pytest.raises(PerPassError, match=r"cannot batch jamba|engine failed"):  # which, depends on the version of transformers
        run(work())


def test_cancelling_frees_the_row(folder: Path) -> None:
    engine = TransformersEngine(models.resolve(str(folder)), max_batch=1)

    async def work() -> tuple[Sample, int]:
        await engine.open()
        assert engine._batcher is not None
        endless = SAMPLING.but(max_tokens=200, min_tokens=200)
        held = Held()
        first = asyncio.create_task(engine.generate(Prompt.chat("long"), endless, 0, watch=held, every=8))
        queued = asyncio.create_task(engine.generate(Prompt.chat("queued"), endless, 0))
        await held.begun()
        first.cancel()
        queued.cancel()
        ended = await asyncio.gather(first, queued, return_exceptions=True)
        assert all(isinstance(e, asyncio.CancelledError) for e in ended)
        held.go.set()
        last = await engine.generate(Prompt.chat("short"), SAMPLING.but(max_tokens=2), 0)
        output = engine.counters().output
        await engine.close()
        return last, output

    last, output = run(work())
    assert last.usage.output <= 2 and output < 200


def test_more_callers_than_rows_and_a_small_budget(folder: Path) -> None:
    asked = prompts(50, longest=60)

    async def work(engine: TransformersEngine) -> list[Sample]:
        await engine.open()
        made = await crowd(engine, asked, GREEDY)
        await engine.close()
        return made

    model = models.resolve(str(folder))
    wide, narrow = (run(work(TransformersEngine(model, **kw))) for kw in ({"max_batch": 7}, {"max_batch_tokens": 300}))
    assert [s.token_ids for s in wide] == [s.token_ids for s in narrow]


def test_an_error_in_the_forward_pass_reaches_every_caller(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(models.resolve(str(folder)), max_batch=2)

    async def work() -> tuple[list[Any], Sample]:
        await engine.open()
        assert engine._batcher is not None
        with monkeypatch.context() as patch:
            patch.setattr(engine._batcher._forward, "decode", _broken)
            calls = [engine.generate(p, SAMPLING, 0) for p in prompts(5)]
            failed = await asyncio.gather(*calls, return_exceptions=True)
        return list(failed), await engine.generate(Prompt.chat("after"), SAMPLING, 0)

    failed, after = run(work())
    assert after.usage.output > 0  # and the engine lives on
    for error in failed:
        if not isinstance(error, Sample):  # one that ended with its first token never saw a decoding step
            assert isinstance(error, PerPassError) and "out of luck" in str(error)
            assert isinstance(error.__cause__, RuntimeError)
    assert any(isinstance(error, PerPassError) for error in failed)
    run(engine.close())


def _broken(*_: Any) -> None:
    raise RuntimeError("out of luck")


def test_closing_fails_what_is_under_way_and_opening_again_works(folder: Path) -> None:
    engine = TransformersEngine(models.resolve(str(folder)))

    async def work() -> None:
        with pytest.raises(PerPassError, match="not open"):
            await engine.generate(Prompt.chat("a"), SAMPLING, 0)
        await engine.open()
        assert engine._batcher is not None
        held, batcher = Held(), engine._batcher
        long = SAMPLING.but(max_tokens=200, min_tokens=200)
        call = asyncio.create_task(engine.generate(Prompt.chat("a"), long, 0, watch=held, every=8))
        await held.begun()
        closing = asyncio.create_task(engine.close())
        while not batcher._closed:
            await asyncio.sleep(0.001)
        held.go.set()
        await closing
        with pytest.raises(PerPassError, match="closed"):
            await call
        used = engine.counters()
        await engine.open()
        again = await engine.generate(Prompt.chat("a"), SAMPLING, 0)
        assert engine.counters() == used + again.usage
        await engine.close()
        await engine.close()

    run(work())


def test_opening_twice_at_once_loads_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = TransformersEngine(models.resolve(str(folder)))
    loads: list[str] = []
    original = engine._loaded
    monkeypatch.setattr(engine, "_loaded", lambda: loads.append("load") or original())

    async def work() -> None:
        await asyncio.gather(engine.open(), engine.open())
        await engine.close()

    run(work())
    assert loads == ["load"]


def test_weights_that_do_not_fill_the_architecture_are_an_error(tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "m")
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 tensors .* model.layers.1.mlp.up_proj.weight"):
        run(TransformersEngine(models.resolve(str(folder))).open())
