"""vLLM's asynchronous engine on an event loop of its own in a thread of its own, so that it serves callers of any loop, is opened without
holding theirs up, and receives tokens on time however busy they are."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError, VLLMError
from vllm.inputs import tokens_input
from vllm.sampling_params import RequestOutputKind, SamplingParams
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from harness.engines import vllm_processes as processes
from harness.engines.clock import now
from harness.engines.vllm_stream import Stream
from perpass.errors import PerPassError, UserError

T = TypeVar("T")
SELDOM = 2**31 - 1  # tokens between two outputs of a request that nobody watches: its first comes at once, then the rest in one piece
ENDING_S = 20.0  # longest wait for calls, then for vLLM's processes, to end by themselves


class Post:
    """Functions for a loop to call, sent from any thread. It is woken once for all that are sent before it wakes, since to wake it costs
    many times what a message does."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop, self._sent, self._woken = loop, deque[tuple[Callable[..., None], tuple[Any, ...]]](), False

    def send(self, function: Callable[..., None], *arguments: Any) -> None:
        """Nothing happens where the loop is closed: then nobody waits any more."""
        self._sent.append((function, arguments))
        if not self._woken:
            self._woken = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False  # before anything is taken: what is sent from now on wakes it again, or is taken still
        while self._sent:
            function, arguments = self._sent.popleft()
            function(*arguments)


def _answer(waiting: asyncio.Future[T], task: asyncio.Task[T]) -> None:
    """Tell the caller, on its loop, how the task ended."""
    if waiting.done():  # it was cancelled; nobody wants to hear of it
        task.cancelled() or task.exception()
    elif task.cancelled():
        waiting.cancel()
    elif error := task.exception():
        waiting.set_exception(error)
    else:
        waiting.set_result(task.result())


class Core:
    """A running vLLM, made from arguments of AsyncEngineArgs in an environment with `environment` added (None removes a variable).

    `ready` waits until it runs; any thread and event loop may then call it. Every call ends: those under way when vLLM's processes die or
    the core is closed raise PerPassError.
    """

    def __init__(self, arguments: Mapping[str, Any], environment: Mapping[str, str | None]):
        self._arguments, self._environment = dict(arguments), dict(environment)
        self._before = set(multiprocessing.active_children())
        self._children: list[BaseProcess] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._closed = False  # no calls are taken
        self._calls: set[asyncio.Task[Any]] = set()
        self._under_way: dict[asyncio.Future[Any], asyncio.Task[Any]] = {}  # tasks of this loop by the future that their caller waits for
        self._callers: WeakKeyDictionary[asyncio.AbstractEventLoop, Post] = WeakKeyDictionary()
        self._started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._post = Post(self._loop)
        self._stop = asyncio.Event()
        self._llm: Any = None
        self._died = ""
        self._thread = threading.Thread(target=self._run, name="perpass-vllm", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    async def ready(self) -> None:
        """Wait until the model is loaded. Raises UserError for arguments that vLLM finds wrong, PerPassError where it cannot run."""
        started = asyncio.wrap_future(self._started)
        started.add_done_callback(lambda done: done.exception())  # a caller that was cancelled does not want to hear of it
        await asyncio.shield(started)

    @property
    def config(self) -> Any:
        """vLLM's own configuration, once it runs."""
        return self._llm.vllm_config

    async def generate(self, ids: tuple[int, ...], parameters: Mapping[str, Any], stream: Stream) -> None:
        """Send the prompt `ids` and feed `stream` until it, or vLLM, has had enough. What the stream raises reaches the caller."""
        try:
            sampling = SamplingParams(
                **parameters,
                include_stop_str_in_output=True,
                flat_logprobs=True,
                output_kind=RequestOutputKind.DELTA,
                stream_interval=stream.every or SELDOM,
                skip_clone=True,
            )
        except VLLMClientError as error:
            raise UserError(f"engine vllm: {brief(error)}") from error
        await self._call(self._generate(ids, sampling, stream))

    async def _generate(self, ids: tuple[int, ...], sampling: SamplingParams, stream: Stream) -> None:
        outputs = self._llm.generate(tokens_input(list(ids)), sampling, str(next(self._numbers)))
        async with contextlib.aclosing(outputs):  # which makes vLLM drop the request if it is still under way
            async for output in outputs:
                if stream.feed(output, now()):
                    break

    # From other threads -------------------------------------------------------------------------------------------------------------

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on vLLM's loop. Cancelling the caller cancels it."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()
        with self._lock:
            if self._closed:
                work.close()
                raise PerPassError("the engine is closed")
            if loop not in self._callers:
                self._callers[loop] = Post(loop)
            self._post.send(self._begin, work, waiting, self._callers[loop])
        try:
            return await waiting
        except asyncio.CancelledError:
            self._post.send(self._cancel, waiting)
            raise

    def _begin(self, work: Coroutine[Any, Any, T], waiting: asyncio.Future[T], caller: Post) -> None:
        self._under_way[waiting] = task = self._loop.create_task(self._guarded(work))

        def ended(task: asyncio.Task[T]) -> None:
            del self._under_way[waiting]
            caller.send(_answer, waiting, task)

        task.add_done_callback(ended)

    def _cancel(self, waiting: asyncio.Future[Any]) -> None:
        if task := self._under_way.get(waiting):
            task.cancel()

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        """Every way in which a call of ours ends badly, in our words."""
        task = asyncio.current_task()
        assert task is not None
        self._calls.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            if self._closed:
                raise PerPassError("the engine was closed before this call was done") from None
            raise
        except EngineDeadError as error:
            raise PerPassError(self._death()) from error
        except VLLMClientError as error:
            raise UserError(f"engine vllm: {brief(error)}") from error
        except VLLMError as error:
            raise PerPassError(f"vLLM failed: {brief(error.__cause__ or error)}") from error
        finally:
            self._calls.discard(task)

    def close(self) -> None:
        """Fail what is under way, end vLLM's processes, and wait until they are gone; not from vLLM's own loop. Twice is harmless."""
        atexit.unregister(self.close)
        with self._lock:
            closed, self._closed = self._closed, True
            if not closed:
                self._loop.call_soon_threadsafe(self._stop.set)
        while not self._started.done():  # nobody waits for the model any more
            for child in self._new_children():
                processes.end(processes.family(child.pid), 0)
            time.sleep(0.1)
        self._thread.join()

    def _new_children(self) -> list[BaseProcess]:
        return [child for child in set(multiprocessing.active_children()) - self._before if child.name.startswith("EngineCore")]

    # vLLM's thread ------------------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._live())

    async def _live(self) -> None:
        try:
            self._start()
        except BaseException as error:
            with self._lock:
                self._closed = True
            self._started.set_exception(error)
            return
        self._children = self._new_children()
        family = [member for child in self._children for member in processes.family(child.pid)]
        self._started.set_result(None)
        await self._stop.wait()
        for task in self._calls:
            task.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=ENDING_S)
        self._llm.shutdown(timeout=ENDING_S)
        self._llm = None  # it complains when it is left to the end of the interpreter
        processes.end(family, 2.0)  # workers of a core that was killed

    def _start(self) -> None:
        """Blocks this loop until the model is loaded; it has no one else to serve yet."""
        with processes.surroundings(**self._environment) as self._log:
            self._since = processes.size(self._log)
            try:
                config = AsyncEngineArgs(**self._arguments).create_engine_config(UsageContext.ENGINE_CONTEXT)
            except Exception as error:
                raise UserError(f"engine vllm: {brief(error)}") from error
            try:
                self._llm = AsyncLLM.from_vllm_config(config, disable_log_stats=True)
            except Exception as error:
                raise PerPassError(f"vLLM cannot start: {processes.cause(self._log, self._since) or brief(error)}") from error

    def _death(self) -> str:
        """What vLLM's processes died of, as far as they told. It may block this loop for a moment, which has no one else to serve now."""
        if not self._died:
            told = processes.cause(self._log, self._since)
            for child in () if told else self._children:
                child.join(1.0)
                code = child.exitcode or 0
                told = f"its engine core was killed by signal {-code}" if code < 0 else ""
            self._died = f"vLLM died: {told or 'it did not tell why'}"
        return self._died


def brief(error: BaseException) -> str:
    """The line of an error that says most: pydantic and vLLM put it behind `Value error, `."""
    text = str(error).strip() or type(error).__name__
    _, found, rest = text.partition("Value error, ")
    return (rest if found else text).splitlines()[0].split(" [type=")[0][: processes.LONGEST]
