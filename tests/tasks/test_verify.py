"""Math-Verify behind its wall."""

from __future__ import annotations

import asyncio
import builtins
import importlib.util
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perpass.errors import PerPassError, UserError
from tasks import verify

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = ["9^{9^{9^9}}", "100000000!", "2^{2^{2^{2^{2^2}}}}"]


@pytest.fixture
def pool() -> Iterator[verify.Pool]:
    pool = verify.Pool(size=2, limit=1.0)
    pool.any_equivalent((("x", "x"),))  # warm
    yield pool
    pool.close()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids: list[int], within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        if not any(map(alive, pids)):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("text", ENDLESS)
def test_an_endless_computation_ends_at_the_limit(pool: verify.Pool, text: str, caplog: pytest.LogCaptureFixture) -> None:
    start = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="tasks.verify"):
        assert pool.any_equivalent((("1", text),)) is None
    assert time.monotonic() - start < 60  # it would take longer than the universe; how soon after 1 s depends on the machine's load
    assert "no answer within 1 s" in caplog.text
    assert pool.any_equivalent((("x+1", "1+x"),)) is True  # a new child has taken over


def test_a_verdict_is_remembered_even_a_missing_one(pool: verify.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool.any_equivalent((("1", ENDLESS[0]),))
    monkeypatch.delattr(pool.__class__, "_compute")  # nothing may be computed again
    assert pool.any_equivalent((("1", ENDLESS[0]),)) is None


def test_a_crash_of_the_child_is_no_verdict_and_is_logged(pool: verify.Pool, caplog: pytest.LogCaptureFixture) -> None:
    child = pool._idle[0]
    os.kill(child.process.pid, signal.SIGKILL)
    child.process.wait()
    with caplog.at_level(logging.WARNING, logger="tasks.verify"):
        assert pool.any_equivalent((("x+2", "2+x"),)) is None
    assert "counted as not equivalent" in caplog.text
    assert pool.any_equivalent((("x+3", "3+x"),)) is True


def test_an_overlong_answer_is_not_even_sent(pool: verify.Pool) -> None:
    assert pool.any_equivalent((("x", "x+" * 1000 + "1"),)) is None


def test_many_threads_and_loops_share_one_pool(pool: verify.Pool) -> None:
    async def ask(n: int) -> list[bool | None]:
        return await asyncio.gather(*(pool.any_equivalent_async(((f"x+{n}", f"{m}+x"),)) for m in range(3)))

    results: dict[int, list[bool | None]] = {}
    threads = [threading.Thread(target=lambda n=n: results.update({n: asyncio.run(ask(n))})) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: [n == m for m in range(3)] for n in range(3)}
    assert len(pool._idle) <= 2


def test_the_loop_stays_free_while_a_child_computes(pool: verify.Pool) -> None:
    async def ticks() -> int:
        asked = asyncio.ensure_future(pool.any_equivalent_async((("1", ENDLESS[1]),)))
        count = 0
        while not asked.done():
            await asyncio.sleep(0.05)
            count += 1
        assert await asked is None
        return count

    assert asyncio.run(ticks()) >= 5


def test_the_order_of_a_pair_matters_to_verify_but_not_to_same() -> None:
    async def all_of_them() -> list[bool]:
        return [
            await verify.verify("5", "2+3=5"),
            await verify.verify("2+3=5", "5"),
            await verify.same("5", "2+3=5"),
            await verify.same("2+3=5", "5"),
        ]

    assert asyncio.run(all_of_them()) == [True, False, True, True]


def test_closing_ends_the_children_and_a_closed_pool_can_be_used_again(pool: verify.Pool) -> None:
    pids = [child.process.pid for child in pool._idle]
    pool.close()
    assert gone(pids, 2)
    assert pool.any_equivalent((("x+4", "4+x"),)) is True


def test_closing_under_a_running_comparison_is_told(pool: verify.Pool) -> None:
    pool.limit = 30.0
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            pool.any_equivalent((("1", "99999999!"),))
        except PerPassError as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.3)
    pool.close()
    thread.join(60)
    assert len(caught) == 1 and "closed" in str(caught[0])


SCRIPT = """
import asyncio, sys
from tasks import verify
pool = verify.pool()
pool.limit = {limit}
async def main():
    await pool.any_equivalent_async((("x", "x+1"),))
    print(*[child.process.pid for child in pool._idle], flush=True)
    await pool.any_equivalent_async((("1", "9^{{9^{{9^9}}}}"),))
asyncio.run(main())
"""


@pytest.mark.parametrize(("stop", "limit"), [(signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGKILL, 1)])
def test_no_child_outlives_its_parent(stop: int, limit: int) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(limit=limit)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids and all(map(alive, pids))
    time.sleep(0.3)
    os.kill(parent.pid, stop)
    parent.wait(60)
    assert gone(pids, limit + 60)


def test_the_memory_of_a_child_is_limited(pool: verify.Pool) -> None:
    limits = Path(f"/proc/{pool._idle[0].process.pid}/limits").read_text()
    line = next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert line.split()[3] == str(4 << 30)


def test_without_math_verify_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "math_verify" else find(name, *rest))
    with pytest.raises(UserError, match=r"^task math500 needs math-verify: pip install 'perpass\[tasks\]'$"):
        verify.require("task math500")


def test_a_child_that_cannot_import_math_verify_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError('no antlr')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    pool = verify.Pool(size=1)
    with pytest.raises(UserError, match=r"needs math-verify: pip install 'perpass\[tasks\]' \(no antlr\)"):
        pool.any_equivalent((("x", "y"),))
    assert not pool._idle and not pool._busy


def test_a_verifier_that_recognises_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stub = "LatexExtractionConfig = dict\ndef parse(*a, **k): return []\ndef verify(*a, **k): return False\n"
    (tmp_path / "math_verify.py").write_text(stub)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match="self-check failed"):
        verify.Pool(size=1).any_equivalent((("x", "y"),))


def test_the_parent_never_imports_sympy(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def guarded(name: str, *rest: object, **more: object) -> object:
        assert name.split(".")[0] not in {"sympy", "math_verify"}
        return real(name, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert verify.verify_sync("x+y", "y+x")
