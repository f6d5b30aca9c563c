"""What is vLLM's own: its processes, its pieces of output, its errors. What it shares with other engines is in test_conformance.py."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import psutil
import pytest

from harness import models
from harness.engines import engines, vllm_processes
from harness.engines.vllm import VLLMEngine
from harness.types import Engine, Model, Sample, Sampling
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt
from tests.harness.engines import tiny
from tests.harness.engines.test_conformance import vllm_or_skip

T = TypeVar("T")
ROOT = Path(__file__).parents[3]
ASK = Prompt.chat("one and two")
HOT = Sampling(temperature=1.0, max_tokens=40)
LONG = HOT.but(max_tokens=3000, min_tokens=3000)


def run(work: Coroutine[Any, Any, T], limit_s: float = 600) -> T:
    return asyncio.run(asyncio.wait_for(work, limit_s))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    # vLLM's attention on CPUs takes heads of 32 numbers, not of tests' usual 8
    shape = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}
    return models.resolve(str(tiny.write(tmp_path_factory.mktemp("models") / "tiny", context=4096, **shape)))


@pytest.fixture(scope="module")
def engine(model: Model) -> Iterator[VLLMEngine]:
    vllm_or_skip()
    made = VLLMEngine(model)
    run(made.open())  # on a loop of its own: the tests use others
    yield made
    run(made.close())


# What it is given --------------------------------------------------------------------------------------------------------------------


def test_registered_and_keeps_the_protocol(model: Model) -> None:
    made = VLLMEngine(model)
    assert engines.get("vllm") is VLLMEngine and isinstance(made, Engine)
    assert made.settings["max_model_len"] == 4096 and made.settings["enforce_eager"] is (made.device == "cpu")
    assert VLLMEngine(model, prefix_caching=False).capabilities.prefix_caching is False
    json.dumps(dict(made.settings))


def test_a_plan_needs_no_vllm(model: Model) -> None:
    script = f"""if True:
        import sys
        from harness import models
        from harness.engines.vllm import VLLMEngine
        VLLMEngine(models.resolve({model.path!r})).settings
        print([name for name in ("vllm", "torch", "transformers") if name in sys.modules])"""
    printed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_num_seqs": 0}, "max_num_seqs must be a whole number above 0"),
        ({"max_model_len": True}, "max_model_len must be"),
        ({"gpu_memory_utilization": 1.5}, "at most 1, not 1.5"),
        ({"kv_cache_gb": "much"}, "kv_cache_gb must be a number"),
        ({"max_model_len": 5000}, "exceeds the context of tiny, 4096"),
    ],
)
def test_settings_that_cannot_be(model: Model, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        VLLMEngine(model, **settings)


def test_without_vllm_the_error_names_the_command(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.engines.vllm.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="pip install"):
        run(VLLMEngine(model).open())


def test_ends_come_from_all_three_files(tmp_path: Path) -> None:
    from harness.engines.vllm import _ends

    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [7, 9]}')
    config = {"text_config": {"eos_token_id": 3}}
    assert _ends(Model("m", "1", "float32", config=config), tmp_path, SimpleNamespace(eos_token_id=9)) == [3, 7, 9]


# Its processes -----------------------------------------------------------------------------------------------------------------------


def test_the_environment_is_put_back_and_nothing_is_sent_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS", "9")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.delenv("VLLM_LOGGING_LEVEL", raising=False)
    before = dict(os.environ)
    with vllm_processes.surroundings(VLLM_CPU_KVCACHE_SPACE=None):
        assert os.environ["VLLM_NO_USAGE_STATS"] == os.environ["DO_NOT_TRACK"] == "1"
        assert os.environ["VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS"] == "9" and "VLLM_CPU_KVCACHE_SPACE" not in os.environ
        config = json.loads(Path(os.environ["VLLM_LOGGING_CONFIG_PATH"]).read_text())
        assert list(config["handlers"]) == ["file"]
        os.environ["LD_PRELOAD"] = "something"
    assert dict(os.environ) == before


def test_a_log_level_of_the_users_shows_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "info")
    with vllm_processes.surroundings():
        config = json.loads(Path(os.environ["VLLM_LOGGING_CONFIG_PATH"]).read_text())
    assert list(config["handlers"]) == ["file", "terminal"] and config["loggers"]["vllm"]["level"] == "INFO"


def test_the_cause_is_what_went_wrong_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert vllm_processes.size(log) == 0 and vllm_processes.cause(log, 0) == ""
    log.write_text("EngineCore 1 WARNING x: OSError: is mentioned\nValueError: an earlier start\n")
    since = vllm_processes.size(log)
    with log.open("a") as stream:
        stream.write("Exception: WorkerProc initialization failed. See stack trace for root cause.\n")
        stream.write("Worker 2 ERROR y: WorkerProc failed.\nTraceback (most recent call last):\n  File\n")
        stream.write("torch.OutOfMemoryError: no room for 3 GiB\nEngineCore 1 ERROR z\nException: see above\n")
        stream.write("EngineCore 1 ERROR z: Worker proc VllmWorker-0 died unexpectedly (exit code: None), shutting down.\n")
    assert vllm_processes.cause(log, since) == "OutOfMemoryError: no room for 3 GiB"
    log.write_text(
        "EngineCore 1 ERROR z: Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down.\nRuntimeError: cancelled\n"
    )
    assert vllm_processes.cause(log, 0) == "Worker proc VllmWorker-0 died unexpectedly (exit code: -9)"


CHILD = "from harness.engines.vllm_processes import watch_parent; import time; watch_parent(); print('up', flush=True); time.sleep(60)"


def test_a_process_that_watches_ends_with_its_parent() -> None:
    script = (
        f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {CHILD!r}]); print(p.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
    child = psutil.Process(int(next(iter(lines - {"up"}))))
    parent.kill()
    parent.wait()
    assert gone([child], 60)


def gone(processes: list[psutil.Process], limit_s: float) -> bool:
    """Whether they end in time. One that nobody waits for stays as a zombie."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if all(not p.is_running() or p.status() == psutil.STATUS_ZOMBIE for p in processes):
            return True
        time.sleep(0.1)
    return False


def vllms(pid: int) -> list[psutil.Process]:
    """vLLM's processes below `pid`."""
    return [p for p in psutil.Process(pid).children(recursive=True) if "VLLM" in p.name() or "EngineCore" in " ".join(p.cmdline())]


def test_a_loop_is_woken_once_for_many_messages_and_none_is_lost() -> None:
    vllm_or_skip()
    from harness.engines.vllm_core import Post

    async def work() -> list[tuple[int, int]]:
        loop, wakes, got = asyncio.get_running_loop(), [], []
        wake = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *given: wakes.append(given) or wake(*given)  # type: ignore[method-assign]
        post = Post(loop)
        senders = [threading.Thread(target=lambda n=n: [post.send(got.append, (n, i)) for i in range(500)]) for n in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()  # this loop sleeps meanwhile
        assert 1 <= len(wakes) <= len(senders)
        post.send(got.append, (4, 0))
        while len(got) < 2001:
            await asyncio.sleep(0)
        return got

    got = run(work())
    assert [[i for m, i in got if m == n] for n in range(4)] == [list(range(500))] * 4
    gone = asyncio.new_event_loop()
    gone.close()
    Post(gone).send(got.append, (5, 0))  # nobody is there


# With vLLM ---------------------------------------------------------------------------------------------------------------------------


def test_it_serves_callers_of_any_loop(engine: VLLMEngine) -> None:
    first, second = run(engine.generate(ASK, HOT, 1)), run(engine.generate(ASK, HOT, 1))
    assert first.text == second.text
    assert {"torch", "transformers", "device", "kv_cache_tokens"} <= set(engine.environment())


def test_what_it_does_not_take(engine: VLLMEngine) -> None:
    for sampling, said in (
        (HOT.but(temperature=3.0), "temperature must be 0, or between 0.01 and 2, not 3.0"),
        (HOT.but(temperature=0.001), "temperature must be"),
        (HOT.but(extra={"repetition_penlty": 1.2}), "did you mean 'repetition_penalty'"),
        (HOT.but(extra={"repetition_penalty": -1.0}), "repetition_penalty must be greater than zero"),
    ):
        with pytest.raises(UserError, match=said):
            run(engine.generate(ASK, sampling, 0))
    with pytest.raises(UserError, match="no tokens"):
        run(engine.generate(Prompt(raw=""), HOT, 0))
    plain, penalised = (run(engine.generate(ASK, HOT.but(extra=e), 0)) for e in ({}, {"repetition_penalty": 1.8}))
    assert plain.text != penalised.text


def test_think_markers_are_text_that_can_stop_it(engine: VLLMEngine) -> None:
    async def work() -> list[Sample]:
        return list(await asyncio.gather(*(engine.generate(ASK, HOT.but(max_tokens=200, min_tokens=200), i) for i in range(20))))

    marked = [(seed, sample) for seed, sample in enumerate(run(work())) if "<think>" in sample.text]
    assert marked, "the tiny model never drew the marker"
    for seed, sample in marked[:3]:
        stopped = run(engine.generate(ASK, HOT.but(max_tokens=200, min_tokens=1, stop=("<think>",)), seed))
        if stopped.finish == "stop":  # without min_tokens the end token may come first
            assert stopped.text.endswith("<think>") and sample.text.startswith(stopped.text[:1])


def test_long_prompts_with_seeds_do_not_kill_it(engine: VLLMEngine) -> None:
    """vLLM on CPUs dies of them when it computes prompts in parts."""
    asked = [Prompt.chat(f"{i} " + "and so on " * 80) for i in range(30)]

    async def work() -> list[Sample]:
        return list(await asyncio.gather(*(engine.generate(p, HOT, i) for i, p in enumerate(asked))))

    first = run(work())
    again = run(work())
    assert sum(a.text == b.text for a, b in zip(first, again, strict=True)) >= 28
    assert all(s.usage.cached % 128 == 0 for s in again) and sum(s.usage.cached for s in again) > 0


def test_death_and_closing_end_every_call(model: Model) -> None:
    vllm_or_skip()
    engine = VLLMEngine(model, kv_cache_gb=0.1)

    async def under_way(n: int) -> list[asyncio.Task[Sample]]:
        begun, looked = threading.Event(), threading.Event()

        def watch(part: Sample) -> bool:
            """In vLLM's thread, which waits here: until somebody has looked, none can end."""
            begun.set()
            looked.wait(60)
            return False

        calls = [asyncio.create_task(engine.generate(ASK, LONG, i, watch=watch, every=8)) for i in range(n)]
        assert await asyncio.to_thread(begun.wait, 300)
        assert not any(call.done() for call in calls)
        looked.set()
        return calls

    async def ended(calls: list[asyncio.Task[Sample]]) -> set[str]:
        errors = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 300)
        assert all(isinstance(e, PerPassError) for e in errors)
        return {str(e) for e in errors}

    async def work() -> None:
        longest, whole = await opened()
        assert longest < whole / 3
        calls = await under_way(8)
        core = next(p for p in mine() if "EngineCore" in " ".join(p.cmdline()))
        core.send_signal(signal.SIGKILL)
        assert await ended(calls) == {"vLLM died: its engine core was killed by signal 9"}
        with pytest.raises(PerPassError, match="died"):
            await engine.generate(ASK, HOT, 0)
        await engine.close()
        with pytest.raises(PerPassError, match="not open"):
            await engine.generate(ASK, HOT, 0)
        await engine.open()
        assert (await engine.generate(ASK, HOT, 0)).usage.output > 0
        processes = mine()
        assert processes
        calls = await under_way(8)
        await engine.close()
        assert await ended(calls) == {"the engine was closed before this call was done"}
        assert gone(processes, 120)
        await engine.close()

    async def opened() -> tuple[float, float]:
        """Open it; the longest time that this loop was held up, and the time that it took, in seconds."""
        opening, longest, began = asyncio.create_task(engine.open()), 0.0, time.monotonic()
        while not opening.done():
            begin = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - begin)
        await opening
        return longest, time.monotonic() - began

    def mine() -> list[psutil.Process]:
        return [p for p in vllms(os.getpid()) if p not in others]

    others = vllms(os.getpid())  # of this file's shared engine, which must not notice
    run(work())
    assert vllms(os.getpid()) == others


def test_what_keeps_it_from_starting_is_told(model: Model) -> None:
    vllm_or_skip()
    with pytest.raises(UserError, match="engine vllm: .*quantization"):
        run(VLLMEngine(model, quantization="fp3").open())
    with pytest.raises(PerPassError, match="vLLM cannot start: ValueError: No available memory for the cache"):
        run(VLLMEngine(model, kv_cache_gb=1e-5).open())


def test_opening_can_be_cancelled(model: Model) -> None:
    vllm_or_skip()
    engine = VLLMEngine(model, kv_cache_gb=0.1)

    async def work() -> None:
        others = {p.pid for p in vllms(os.getpid())}
        opening = asyncio.create_task(engine.open())
        while not {p.pid for p in vllms(os.getpid())} - others:
            await asyncio.sleep(0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(opening, 120)
        assert {p.pid for p in vllms(os.getpid())} <= others

    run(work())


SCRIPT = """
import asyncio, signal, sys
from harness import models
from harness.engines.vllm import VLLMEngine
from harness.types import Sampling
from tasks.types import Prompt

async def work():
    interrupted = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted.set)
    engine = VLLMEngine(models.resolve(sys.argv[1]), kv_cache_gb=0.1)
    await engine.open()
    print("ready", flush=True)
    await interrupted.wait()
    await asyncio.sleep(2)
    print((await engine.generate(Prompt.chat("hi"), Sampling(max_tokens=5, min_tokens=5), 0)).usage.output, flush=True)
    await asyncio.sleep(300)

if __name__ == "__main__":
    asyncio.run(work())
"""


def test_it_is_quiet_survives_ctrl_c_and_ends_with_our_process(model: Model, tmp_path: Path) -> None:
    vllm_or_skip()
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text(SCRIPT)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("VLLM_LOGGING")} | {"PYTHONPATH": str(ROOT)}
    with log.open("w") as stream:
        command = [sys.executable, str(script), str(model.path)]
        process = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, start_new_session=True)
        try:
            wait_until("ready", log, process)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of the group, which is this process's own
            wait_until("5", log, process)
            processes = vllms(process.pid)
        finally:
            process.kill()
            process.wait()
    # vLLM says this of a Triton without a CPU backend before anyone can tell it where to log.
    printed = [line for line in log.read_text().splitlines() if not line.startswith("Triton is installed")]
    assert printed == ["ready", "5"]
    assert processes and gone(processes, 120)


def wait_until(line: str, log: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the log has this line, the process has ended, or 400 seconds have passed."""
    deadline = time.monotonic() + 400
    while line not in log.read_text().splitlines() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
