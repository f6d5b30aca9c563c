"""The vocabulary of the harness: sampling, samples, usage, engines and rewards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

from perpass.errors import PerPassError, UserError, unknown
from perpass.identity import Frozen
from tasks.types import Prompt

Finish = Literal["eos", "stop", "length"]
Kind = Literal["generate", "score", "reward"]


def _empty() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. All of it is identity. Stop strings stay in the text.

    temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; `max_tokens` is cut to the context that is left.
    `thinking`: None leaves the model's default, True/False switch it, a string is an effort level.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int = 512
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    thinking: bool | str | None = None
    extra: Mapping[str, Any] = field(default_factory=_empty)

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        object.__setattr__(self, "stop", tuple(self.stop))
        for name, low, high in (("temperature", 0, 5), ("top_p", 0, 1), ("min_p", 0, 1), ("top_k", 0, 10**6), ("min_tokens", 0, 10**7)):
            _within(name, getattr(self, name), low, high)
        _within("max_tokens", self.max_tokens, 1, 10**7)
        if self.top_p == 0:
            raise UserError("sampling: top_p must be above 0 (1 switches it off)")
        if self.min_tokens > self.max_tokens:
            raise UserError(f"sampling: min_tokens {self.min_tokens} exceeds max_tokens {self.max_tokens}")

    @cached_property
    def identity(self) -> Frozen:
        """For the hashes of calls."""
        return Frozen(self)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    def but(self, where: str = "sampling", **changes: Any) -> Sampling:
        """A copy with `changes`, itself where there are none. Raises UserError for an unknown key, naming the nearest."""
        if not changes:
            return self
        known = [f.name for f in fields(self)]
        for name in changes:
            if name not in known:
                raise unknown("sampling parameter", name, known, where)
        values = {f: getattr(self, f) for f in known} | changes
        return Sampling(**values)


def _within(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UserError(f"sampling: {name} must be a number, not {value!r}")
    if isinstance(value, float) and isinstance(low, int) and name in {"top_k", "max_tokens", "min_tokens"}:
        raise UserError(f"sampling: {name} must be a whole number, not {value!r}")
    if not low <= value <= high:
        raise UserError(f"sampling: {name} must be between {low} and {high}, not {value!r}")


@dataclass(frozen=True)
class Usage:
    """Tokens of one or more calls; adds up with +. `prompt` includes `cached`; `output` includes `reasoning`."""

    prompt: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    scored: int = 0
    calls: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt + other.prompt,
            self.cached + other.cached,
            self.output + other.output,
            self.reasoning + other.reasoning,
            self.scored + other.scored,
            self.calls + other.calls,
        )


@dataclass(frozen=True)
class Timing:
    """Raw timestamps of a call in seconds since the epoch; `first` is the first output token (None if there was none).

    `chunks`: when each piece of the stream came and how many tokens there were then; () if not observed. A piece may hold several tokens.
    """

    sent: float
    first: float | None
    last: float
    chunks: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class Origin:
    """Who made a sample: names of engine and hardware, and the run."""

    engine: str = ""
    hardware: str = ""
    run: str = ""


@dataclass(frozen=True)
class Sample:
    """One completion.

    text        what was generated, stop string kept
    token_ids   the generated ids, () when the engine does not give them
    finish      eos | stop | length
    logprob     log-probability (nats) of each generated token under the sampled distribution's model at temperature 1; None if not observed
    confidence  per token, −mean log-probability of the 20 likeliest tokens (DeepConf, arXiv:2508.15260); None if not observed
    key         names it in the pool or the attempt; empty before it is recorded
    scores      of a reward call, whose text is the steps: the verdict on each
    signals     net, cumulative and aligned change of its hidden states (harness.engines.signals); () for a trace too short to have any;
                None if not observed. They are not stored: a pooled sample that was read from the database has none
    """

    text: str
    token_ids: tuple[int, ...]
    finish: Finish
    usage: Usage
    timing: Timing
    logprob: tuple[float, ...] | None = None
    confidence: tuple[float, ...] | None = None
    origin: Origin = Origin()
    key: str = ""
    scores: tuple[float | None, ...] | None = None
    signals: tuple[float, ...] | None = None

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability per generated token (nats); None if not observed or empty."""
        return sum(self.logprob) / len(self.logprob) if self.logprob else None


@dataclass(frozen=True)
class Scored:
    """Teacher-forced scoring: log-probability (nats) of each token of the given text, in order.

    `greedy`: whether every token is the likeliest at its place, so that greedy decoding would have written the text; None where the engine
    does not say.
    """

    logprobs: tuple[float, ...]
    usage: Usage
    timing: Timing
    greedy: bool | None = None

    @property
    def total(self) -> float:
        return sum(self.logprobs)


@dataclass(frozen=True)
class StepScores:
    """A reward model's verdict on each step, in [0, 1]; None where the input was over-long, never a truncated score."""

    scores: tuple[float | None, ...]
    usage: Usage
    timing: Timing


@dataclass(frozen=True)
class Answer:
    """What a strategy returns. Voting strategies fill `items`, one per item of the problem; otherwise they are extracted from `text`.

    `samples` are the chosen ones, whose text this is (the context records everything that was used).
    """

    text: str
    finish: Finish = "eos"
    items: tuple[str | None, ...] | None = None
    samples: tuple[Sample, ...] = ()

    @staticmethod
    def of(sample: Sample) -> Answer:
        """The answer that a single sample is."""
        return Answer(text=sample.text, finish=sample.finish, samples=(sample,))


@dataclass(frozen=True)
class Observe:
    """What to record while generating, beside the text."""

    logprobs: bool = False
    confidence: bool = False
    chunks: bool = False  # when each piece of the stream came: of live cells
    hidden: bool = False  # how hidden states moved: Sample.signals

    def __or__(self, other: Observe) -> Observe:
        return Observe(
            self.logprobs or other.logprobs,
            self.confidence or other.confidence,
            self.chunks or other.chunks,
            self.hidden or other.hidden,
        )


INSIDE = ("dola", "entropy", "experts")
"""Keys of `Sampling.extra` that change what happens inside the model. Each is also the name of the capability that it needs."""


@dataclass(frozen=True)
class Capabilities:
    """What an engine can do; strategies declare what they need by these names. The last three: the keys of `Sampling.extra` in INSIDE."""

    prefix: bool = False
    logprobs: bool = False
    confidence: bool = False
    prompt_logprobs: bool = False
    seed: bool = False
    thinking: bool = False
    token_ids: bool = False
    abort: bool = False
    prefix_caching: bool = False
    hidden_states: bool = False
    dola: bool = False
    entropy: bool = False
    experts: bool = False

    def missing(self, needs: Sequence[str]) -> list[str]:
        """Those of `needs` that are capability names and not offered."""
        names = {f.name for f in fields(self)}
        return [n for n in needs if n in names and not getattr(self, n)]


@dataclass(frozen=True)
class Model:
    """Weights at a revision and precision, with what the harness must know before any of them is loaded.

    name      what people call it: perpass/nano, a hub id, or a folder's name
    revision  commit of the hub, or a hash of the weights
    path      local folder, or None when a server holds the weights; never identity
    config    the architecture's config.json, or None when unknown (then FLOPs are null, `unknown_architecture`)
    context   longest prompt + output in tokens; None when unknown
    think     (open, close) think markers, or None
    facts     where config and context come from when not from the model's files: to plan with, not to run; never identity
    """

    name: str
    revision: str
    dtype: str
    path: str | None = None
    config: Mapping[str, Any] | None = None
    context: int | None = None
    think: tuple[str, str] | None = None
    template: str = ""  # hash of the chat template
    facts: str | None = None

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "revision": self.revision, "dtype": self.dtype, "template": self.template, "think": self.think}


class PromptTooLong(PerPassError):
    """The prompt leaves no room in the model's context: the attempt's outcome is `too_long`."""


class TransportFault(PerPassError):
    """A fault of the connection or server that is worth another try; `retry_after` in seconds if the server said."""

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


Watch = Callable[[Sample], bool]
Keep = Callable[[Sample, Callable[[int], Sample]], Sample]
"""keep(whole, first): what is used of a finished sample, `first(n)` being its first n tokens."""


@runtime_checkable
class Engine(Protocol):
    """What runs a model. One instance serves many concurrent calls.

    `settings` is complete with defaults and is identity (no folder, no key). `hardware` is the identity mapping of what it runs on.
    It may say how many problems in flight keep it busy, as `in_flight`; more than it works on together, so that the next is always there.
    """

    kind: str
    model: Model
    capabilities: Capabilities

    @property
    def settings(self) -> Mapping[str, Any]: ...

    async def open(self) -> None:
        """Load the weights or connect. Raises UserError when weights are missing, PerPassError when it cannot start."""
        ...

    async def close(self) -> None: ...

    async def generate(
        self, prompt: Prompt, sampling: Sampling, seed: int, observe: Observe = Observe(), watch: Watch | None = None, every: int = 32
    ) -> Sample:
        """One completion. `watch(partial)` is asked after every `every` output tokens; True cuts the sample there (finish `stop`).

        Raises PromptTooLong, TransportFault. Cancelling the task aborts the request.
        """
        ...

    async def logprob(self, prompt: Prompt, text: str) -> Scored:
        """Teacher-forced log-probabilities of `text` after `prompt`. Needs the capability `prompt_logprobs`."""
        ...

    def tokens(self, prompt: Prompt) -> tuple[int, ...] | None:
        """The prompt's token ids, or None when the engine does not know them."""
        ...

    def text(self, token_ids: Sequence[int]) -> str:
        """The text of generated ids, without special tokens. Needs the capability `token_ids`."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Versions that belong to the run, never to identity."""
        ...


@runtime_checkable
class Reward(Protocol):
    """A model that judges steps. An outcome reward is the last step's."""

    model: Model

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def steps(self, question: str, steps: Sequence[str]) -> StepScores: ...
