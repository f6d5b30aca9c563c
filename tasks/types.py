"""The vocabulary of the tasks room: what is asked, and what a judgement is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """One closed turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Prompt:
    """What a model is given: chat turns with an OPEN assistant prefix, or raw text (base models, lm-eval prompts).

    Exactly one of `turns` and `raw` is set. `prefix` is the beginning of the assistant's answer, not yet closed.
    """

    turns: tuple[Turn, ...] = ()
    prefix: str = ""
    raw: str | None = None

    def __post_init__(self) -> None:
        if (self.raw is None) == (not self.turns):
            raise ValueError("a Prompt has either turns or raw text")

    def extend(self, text: str) -> Prompt:
        """Continue the open answer by `text`: every stepwise method is this."""
        return replace(self, prefix=self.prefix + text)

    def then(self, answer: str, user: str) -> Prompt:
        """Close the open turn with `answer`, open the next with `user`. Raises ValueError on a raw prompt, which has no turns to close."""
        if self.raw is not None:
            raise ValueError("a raw prompt has no turns: use extend")
        closed = (*self.turns, Turn("assistant", self.prefix + answer), Turn("user", user))
        return Prompt(turns=closed)

    @staticmethod
    def chat(user: str, system: str = "") -> Prompt:
        """A one-question conversation."""
        head = (Turn("system", system),) if system else ()
        return Prompt(turns=(*head, Turn("user", user)))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One unit of a task that is asked at once (for REST: s questions).

    `key` is the source's own id, or split/row in the source file: equal from hub and local data, independent of shuffle and limit.
    `gold` holds one reference answer per item. `fixed` is a protocol's exact prompt.

    `request`: generate: one reply is judged; update: one is, that took in `meta["update"]`, which arrives while it reasons and decides the
    gold answers; replies: several are judged together; choice and loglikelihood: each pair of `scored`, a prompt and
    a text after it, is scored by teacher forcing and nothing is generated. Reply.text is then a JSON list: of the replies, or of pairs
    [log-probability in nats, whether greedy decoding would have written the text (null: not known)].
    """

    key: str
    question: str
    answer_format: str
    gold: tuple[Any, ...]
    fixed: Prompt | None = None
    request: Literal["generate", "update", "replies", "choice", "loglikelihood"] = "generate"
    scored: tuple[tuple[Prompt, str], ...] = ()
    meta: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Reply:
    """What is judged. `items` override extraction (a vote decides items, not a text). `finish`: eos | stop | length."""

    text: str
    finish: str = "eos"
    items: tuple[str | None, ...] | None = None


class Outcome(StrEnum):
    """How one item ended. A correct answer is correct even if the text was cut."""

    CORRECT = "correct"
    WRONG = "wrong"
    ABSTAINED = "abstained"
    UNPARSABLE = "unparsable"
    TRUNCATED = "truncated"
    TOO_LONG = "too_long"
    ERROR = "error"


@dataclass(frozen=True)
class Judgement:
    """Outcomes and extracted answers, one per item, and further scores by name (exact, flexible, PA, SM, …).

    A score is in [0, 1] unless its name says otherwise.
    """

    items: tuple[Outcome, ...]
    scores: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    extracted: tuple[str | None, ...] = ()


Ask = Callable[[Prompt], Awaitable[str]]


@runtime_checkable
class Prescribes(Protocol):
    """A Task whose protocol prescribes more than prompts.

    `sampling`: keys of the harness's Sampling, over the experiment's and under those of a strategy's entry, and so part of a cell's
    identity. `replies`: how many replies are judged together.
    """

    @property
    def sampling(self) -> Mapping[str, Any]: ...

    @property
    def replies(self) -> int: ...


@runtime_checkable
class Task(Protocol):
    """A suite at a version and revision.

    `version` (an integer, by hand) covers problems and prompts and is part of a cell's identity; `judge_version` names extractor and grader
    with theirs and identifies judgements only. `spec` is what `tasks.load` was given, complete with defaults; it never holds a folder or a
    key.
    """

    name: str
    version: int
    items: int
    spec: Mapping[str, Any]

    @property
    def judge_version(self) -> str: ...

    @property
    def revision(self) -> str:
        """The pinned revision of the data; may read them on first use."""
        ...

    def problems(self) -> Sequence[Problem]:
        """All problems in the task's fixed order: a seeded shuffle, stratified by category."""
        ...

    def extract(self, text: str) -> tuple[str | None, ...]:
        """The answers found in a reply, one per item; None where there is none. Pure."""
        ...

    async def judge(self, problem: Problem, reply: Reply, ask: Ask | None = None) -> Judgement:
        """Judge one reply. `ask`: an optional metered judge model."""
        ...

    async def classes(self, answers: Sequence[str | None]) -> list[int]:
        """Answer-equivalence classes, one class number per answer; a true equivalence: symmetric and independent of order."""
        ...
