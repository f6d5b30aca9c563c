"""The engine `transformers`: models of Hugging Face transformers in this process, on a CPU or one GPU, with continuous batching."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness import models
from harness.engines import engine, inside
from harness.engines.device import accelerator
from harness.types import (
    Capabilities,
    Model,
    Observe,
    PromptTooLong,
    Sample,
    Sampling,
    Scored,
    Timing,
    Usage,
    Watch,
)
from perpass.errors import PerPassError, UserError, unknown
from tasks.types import Prompt

if TYPE_CHECKING:  # torch takes seconds to import: only an engine that is opened needs it
    from harness.engines.batching import Batcher
    from harness.engines.jobs import Generation, Job
    from harness.engines.rendering import Rendered, Renderer

SMALL = 20_000_000  # parameters; below, one CPU thread is faster than several: their hand-over costs more than the work
NOTHING = Observe()
PACKAGES = ("torch", "transformers", "tokenizers", "numpy")


@engine("transformers")
class TransformersEngine:
    """Runs `model` with transformers.

    device            auto | cpu | cuda | cuda:N
    attention         auto | sdpa | eager: auto is sdpa, except for architectures that it cannot compute
    max_batch         most requests that decode together
    max_batch_tokens  most tokens that the key-value cache is sized for: rows × longest prompt + output
    threads           CPU threads of torch; None: one for models below 20M parameters, else what torch finds
    early_exit_layer  run the first so many layers only, then final norm and output head; None: all
    experts           active experts per token of a mixture of experts; None: the model's own number

    `sampling.extra` takes dola, entropy and experts (docs/inside.md).

    Of a sample: `token_ids`, `logprob` and `usage.output` hold every generated token, the end token included; `text` leaves out special
    tokens and ends right after the stop string, even where the last token went further. Log-probabilities and confidence are of the raw
    logits, before temperature and truncation. Stop strings count from the token on at which min_tokens is reached, as in vLLM.
    """

    kind = "transformers"

    def __init__(
        self,
        model: Model,
        *,
        device: str = "auto",
        attention: str = "auto",
        max_batch: int = 64,
        max_batch_tokens: int = 131_072,
        threads: int | None = None,
        early_exit_layer: int | None = None,
        experts: int | None = None,
        trust_remote_code: bool = False,
    ):
        for name, value in (("max_batch", max_batch), ("max_batch_tokens", max_batch_tokens), ("threads", threads or 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"engine transformers: {name} must be a whole number above 0, not {value!r}")
        if attention not in ("auto", "sdpa", "eager"):
            raise unknown("attention", attention, ("auto", "sdpa", "eager"), "engine transformers")
        if device not in ("auto", "cpu") and not device.startswith("cuda"):
            raise unknown("device", device, ("auto", "cpu", "cuda"), "engine transformers")
        models.need_writer(model)
        self.model = model
        self.device = accelerator() if device == "auto" else device
        self._inside = inside.settings(model.config, early_exit_layer=early_exit_layer, experts=experts)
        routed = inside.routed(model.config)
        able = Capabilities(True, True, True, True, True, token_ids=True, abort=True, hidden_states=True, dola=True, entropy=True)
        self.capabilities = replace(able, thinking=model.think is not None, experts=routed)
        self._attention = _attention(model) if attention == "auto" else attention
        self.in_flight = 2 * max_batch
        self._max_batch, self._max_batch_tokens, self._threads = max_batch, max_batch_tokens, threads
        self._trust = trust_remote_code
        self._opening = threading.Lock()
        self._batcher: Batcher | None = None
        self._text: Renderer | None = None
        self._used = Usage()  # of batchers that are closed
        self._reasoning = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        """What changes results or speed, complete with defaults, but for changes inside the model, which are there when they are made."""
        return {
            "device": self.device.partition(":")[0],
            "attention": self._attention,
            "max_batch": self._max_batch,
            "max_batch_tokens": self._max_batch_tokens,
            "threads": self._threads,
            **self._inside,
        }

    async def open(self) -> None:
        """Load tokenizer and weights in a thread. Raises UserError when they are missing or do not fit the architecture."""
        await asyncio.to_thread(self._load)

    async def close(self) -> None:
        """Stop the worker, fail what is under way, free the memory. Closing twice is harmless."""
        batcher, self._batcher = self._batcher, None
        if batcher is None:
            return
        await asyncio.to_thread(batcher.close)
        self._used += batcher.used()
        del batcher
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()

    def _load(self) -> None:
        with self._opening:  # two roles may share an engine and open it at once
            if self._batcher is None:
                self._batcher = self._loaded()

    def _loaded(self) -> Batcher:
        _libraries()
        from harness.engines.batching import THREADS, Batcher
        from harness.engines.forward import Forward
        from harness.engines.loading import end_ids, load

        renderer = self._renderer()
        loaded = load(self.model, self.device, self._attention, self._trust)
        forward = Forward(loaded, pad=renderer.tokenizer.pad_token_id or 0, **self._inside)
        small = self.device == "cpu" and sum(p.numel() for p in loaded.parameters()) < SMALL
        threads = self._threads or (1 if small else THREADS)
        return Batcher(forward, end_ids(loaded, renderer.tokenizer), self._max_batch, self._max_batch_tokens, threads)

    def _renderer(self) -> Renderer:
        """The tokenizer, loaded on first use: prompts can be counted without weights."""
        if self._text is None:
            _libraries()
            from harness.engines.loading import load_tokenizer
            from harness.engines.rendering import Renderer

            self._text = Renderer(self.model, load_tokenizer(self.model, self._trust))
        return self._text

    def obstacle(self, sampling: Sampling) -> str | None:
        """Why it cannot draw like this, in a sentence; None when it can. Asked before anything is loaded."""
        try:
            inside.asked(sampling, self.model.config, self._inside.get("early_exit_layer") or inside.layers(self.model.config))
        except UserError as error:
            return str(error)
        return None

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, observe: Observe = NOTHING, watch: Watch | None = None, every: int = 32
    ) -> Sample:
        """One completion. Its random stream depends on `seed` alone.

        `watch` is called in the worker thread, in a copy of the caller's context; what it raises reaches the caller. Raises PromptTooLong
        when the context has no room for one token, UserError for a prompt or parameter that the model cannot take, PerPassError when the
        engine failed or is closed. Cancelling the task frees the request's row at the next step.
        """
        from harness.engines.clock import now
        from harness.engines.jobs import Generation
        from harness.engines.signals import Trajectory

        sent = now()
        if self._batcher is None:
            raise PerPassError("the engine is not open")
        asked = inside.asked(sampling, self.model.config, self._batcher.layers)
        rendered = self._rendered(prompt, sampling.thinking)
        text = self._renderer()
        done, future = _promise()
        job = Generation(
            ids=rendered.ids,
            done=done,
            limit=min(sampling.max_tokens, self._room(rendered, 1)),
            sampling=sampling,
            seed=seed,
            observe=observe,
            stops=text.stops(sampling.stop),
            every=every,
            inside=asked,
            trajectory=Trajectory() if observe.hidden else None,
        )
        if watch is not None:
            context, cut = contextvars.copy_context(), watch
            job.watch = lambda part: context.run(cut, self._sample(part, rendered, sent))
        await self._finished(job, future)
        sample = self._sample(job, rendered, sent)
        self._reasoning += sample.usage.reasoning
        text.remember(prompt, sample.token_ids)
        return sample

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        """Teacher-forced log-probabilities of `text` after `prompt`, one per token of `text`.

        Prompt and text are tokenised separately: scored jointly, the tokens at the seam could belong to both. Raises as `generate`.
        """
        from harness.engines.clock import now
        from harness.engines.jobs import Scoring

        sent = now()
        rendered = self._rendered(prompt, None)
        ids = self._renderer().continuation(text)
        self._room(rendered, len(ids))
        if not ids:
            return Scored((), Usage(), Timing(sent, None, sent), True)
        done, future = _promise()
        job = Scoring(ids=(*rendered.ids, *ids), done=done, count=len(ids))
        await self._finished(job, future)
        usage = Usage(prompt=len(rendered.ids), scored=len(ids), calls=1)
        return Scored(tuple(job.logprobs), usage, Timing(sent, None, job.last), job.greedy)

    async def _finished(self, job: Job, future: asyncio.Future[None]) -> None:
        if self._batcher is None:
            raise PerPassError("the engine is not open")
        self._batcher.put(job)
        try:
            await future
        except asyncio.CancelledError:
            job.cancelled = True
            raise

    def _rendered(self, prompt: Prompt, thinking: bool | str | None) -> Rendered:
        rendered = self._renderer().render(prompt, thinking)
        if not rendered.ids:
            raise UserError(f"the prompt has no tokens, and model {self.model.name!r} adds none of its own")
        return rendered

    def _room(self, rendered: Rendered, need: int) -> int:
        """Tokens left in the context. Raises PromptTooLong when that is less than `need`."""
        if self.model.context is None:
            return 2**31
        room = self.model.context - len(rendered.ids)
        if room < need:
            raise PromptTooLong(f"the prompt has {len(rendered.ids)} tokens and needs {need} more; the context is {self.model.context}")
        return room

    def _sample(self, job: Generation, rendered: Rendered, sent: float) -> Sample:
        text, ids = self._renderer(), tuple(job.tokens)
        reasoning = text.reasoning(ids, rendered.thinking)
        return Sample(
            text=text.text(ids)[: job.end],
            token_ids=ids,
            finish=job.finish,
            usage=Usage(prompt=len(rendered.ids), output=len(ids), reasoning=reasoning, calls=1),
            timing=Timing(sent, job.first, job.last, tuple(job.chunks)),
            logprob=tuple(job.logprobs) if job.observe.logprobs else None,
            confidence=tuple(job.confidence) if job.observe.confidence else None,
            signals=job.trajectory.signals() if job.trajectory else None,
        )

    def tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's token ids, with the model's default for thinking. Loads the tokenizer, not the weights."""
        return self._renderer().render(prompt, None).ids

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens other than think markers."""
        return self._renderer().text(token_ids)

    def counters(self) -> Usage:
        """Everything this engine executed since it was made; `reasoning` of finished calls only. Cancelled and failed calls count too."""
        executed = self._used + (self._batcher.used() if self._batcher else Usage())
        return executed + Usage(reasoning=self._reasoning)

    def environment(self) -> Mapping[str, str]:
        """Package versions, the device by name, and the threads in use."""
        found = {"device": self.device}
        for package in PACKAGES:
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        if self._batcher is not None:
            found["threads"] = str(self._batcher.threads)
        if self.device.startswith("cuda") and self._batcher is not None:
            import torch

            found |= {"cuda": str(torch.version.cuda), "gpu": torch.cuda.get_device_name(self.device)}
        return found


def _attention(model: Model) -> str:
    """torch's fused attention has neither a cap on logits (Gemma 2) nor attention sinks (gpt-oss)."""
    config = model.config or {}
    text = config.get("text_config") or config
    return "eager" if text.get("attn_logit_softcapping") or text.get("model_type") == "gpt_oss" else "sdpa"


def _libraries() -> None:
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as error:
        raise UserError(f"engine transformers needs {error.name}: pip install 'perpass[local]'") from error


def _promise() -> tuple[Callable[[BaseException | None], None], asyncio.Future[None]]:
    """A future of the running loop, and how another thread resolves it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def done(error: BaseException | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    return done, future
