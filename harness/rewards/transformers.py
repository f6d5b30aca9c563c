"""Reward models of Hugging Face transformers in this process: `perpass/prm`, published process reward models, outcome rewards."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from harness.engines.clock import now
from harness.engines.device import accelerator
from harness.engines.transformers import PACKAGES, _libraries
from harness.rewards import formats, reward
from harness.rewards.collector import Collector
from harness.rewards.formats import Asked
from harness.types import Capabilities, Model, StepScores, Timing, Usage
from perpass.errors import PerPassError, UserError, unknown
from tasks.types import Prompt

if TYPE_CHECKING:  # torch takes seconds to import: only a reward that is opened needs it
    from harness.rewards.scoring import Scorer

Scores = tuple[float, ...]


@reward("transformers")
class TransformersReward:
    """Judges the steps of answers with `model`. Calls of all problems are collected into batches.

    format            how the model is asked (`harness/data/rewards.yaml`); None: the one of its name or architecture
    device            auto | cpu | cuda | cuda:N
    collect_ms        how long the first call of a batch waits for others
    max_batch_tokens  most tokens of one forward pass, padding included, unless a single answer has more
    threads           CPU threads of torch; None: one for models below 20M parameters, else what torch finds

    A verdict is the probability that an answer is right up to its step, in [0, 1]; with an outcome reward, which judges whole answers, the
    last step has the verdict and the others have None. Where the input is longer than the model's context, all are None.
    """

    kind = "transformers"
    capabilities = Capabilities()

    def __init__(
        self,
        model: Model,
        *,
        format: str | None = None,
        device: str = "auto",
        collect_ms: float = 10.0,
        max_batch_tokens: int = 16_384,
        threads: int | None = None,
        trust_remote_code: bool = False,
    ):
        for name, value in (("max_batch_tokens", max_batch_tokens), ("threads", threads or 1)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"reward transformers: {name} must be a whole number above 0, not {value!r}")
        if isinstance(collect_ms, bool) or not isinstance(collect_ms, (int, float)) or not 0 <= collect_ms <= 1000:
            raise UserError(f"reward transformers: collect_ms must be between 0 and 1000, not {collect_ms!r}")
        if device not in ("auto", "cpu") and not device.startswith("cuda"):
            raise unknown("device", device, ("auto", "cpu", "cuda"), "reward transformers")
        self.model = model
        self.format = formats.find(model, format)
        self.device = accelerator() if device == "auto" else device
        self._wait_s, self._max_batch_tokens, self._threads, self._trust = collect_ms / 1000, max_batch_tokens, threads, trust_remote_code
        self._opening = threading.Lock()
        self._scorer: Scorer | None = None
        self._collector: Collector[Asked, Scores] | None = None
        self._used = Usage()

    @property
    def outcome(self) -> bool:
        """Whether it judges whole answers: the last step has the verdict."""
        return self.format.outcome

    @property
    def settings(self) -> Mapping[str, Any]:
        """What changes results or speed, complete with defaults."""
        return {
            "format": self.format.name,
            "separator": self.format.separator,
            "device": self.device.partition(":")[0],
            "collect_ms": self._wait_s * 1000,
            "max_batch_tokens": self._max_batch_tokens,
            "threads": self._threads,
            **({"scale": self.format.scale, "shift": self.format.shift} if self.format.likelihood else {}),
        }

    async def open(self) -> None:
        """Load tokenizer and weights in a thread. Raises UserError when they are missing or do not fit the format."""
        await asyncio.to_thread(self._load)
        if self._collector is None:
            assert self._scorer is not None
            self._collector = Collector(self._scorer.scores, self._wait_s)

    def _load(self) -> None:
        with self._opening:  # two roles may share a deployment and open it at once
            if self._scorer is None:
                _libraries()
                from harness.rewards.scoring import Scorer

                self._scorer = Scorer.load(self.model, self.format, self.device, self._max_batch_tokens, self._threads, self._trust)

    async def close(self) -> None:
        """Stop the worker, fail what is under way, free the memory. Closing twice is harmless."""
        collector, self._collector, self._scorer = self._collector, None, None
        if collector is not None:
            await collector.close()
            del collector
            gc.collect()
            if self.device.startswith("cuda"):
                import torch

                torch.cuda.empty_cache()

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores:
        """A verdict per step. Of its usage, `scored` are the tokens at which the head is computed and read, `prompt` all others.

        Raises PerPassError when the model is not open, failed, or cannot tell the steps apart.
        """
        sent = now()
        if self._scorer is None or self._collector is None:
            raise PerPassError("the reward model is not open")
        if not steps:
            return StepScores((), Usage(), Timing(sent, None, sent))
        asked = formats.ask(self.format, self._scorer.tokenizer, question, steps)
        if self.model.context is not None and len(asked.ids) > self.model.context:
            found: Scores = ()
            usage = Usage(calls=1)
        else:
            found = await self._collector.put(asked)
            usage = Usage(prompt=len(asked.ids) - asked.read, scored=asked.read, calls=1)
        self._used += usage
        without = (None,) * (len(steps) - len(found))
        return StepScores((*without, *found), usage, Timing(sent, None, now()))

    def tokens(self, prompt: Prompt) -> None:
        """Reward calls have no prompt that others could continue."""
        return None

    def counters(self) -> Usage:
        """Everything that was scored since this was made."""
        return self._used

    def environment(self) -> Mapping[str, str]:
        """Package versions, the device by name, and the threads in use."""
        found = {"device": self.device}
        for package in PACKAGES:
            with contextlib.suppress(PackageNotFoundError):
                found[package] = version(package)
        if self._scorer is not None:
            found["threads"] = str(self._scorer.threads)
        return found
