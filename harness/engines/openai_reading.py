"""A completion as it arrives from an OpenAI-compatible server, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.types import Finish, Sample, TransportFault, Watch
from perpass.errors import PerPassError

TOP = 20  # likeliest tokens that a confidence is the mean over
THINK = ("<think>", "</think>")


class Reading:
    """What has arrived of one completion.

    text         the answer so far; reasoning that a server sends apart stands in front of it, between think markers
    ids          ids of the generated tokens, empty where the server gives none
    logprobs     nats per generated token, confidence likewise; empty where not asked for
    usage        the server's latest count, None before the first
    first, last  when the first token and the latest one arrived, seconds since the epoch
    """

    def __init__(self, think: tuple[str, str] | None = None):
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.confidence: list[float] = []
        self.usage: Mapping[str, Any] | None = None
        self.prompt: int | None = None  # tokens, where the server shows them
        self.first: float | None = None
        self.last: float | None = None
        self.reason: str | None = None  # the server's finish_reason
        self.stop_reason: str | int | None = None
        self.names_stop = False  # the server says which stop string ended an answer, or that none did
        self.running = False  # it counts tokens as they come
        self.widest = 0  # most likely tokens that it showed for one
        self.fingerprint = ""
        self.reasoning = ""
        self.chunks: list[tuple[float, int]] = []  # when each piece came, and the tokens there were then; one a piece where they are hidden
        self._parts: list[str] = []
        self._pieces = 0
        self._think = think or THINK
        self._thinking = False

    @property
    def text(self) -> str:
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def count(self) -> int:
        """Tokens so far: by ids, by the server's running count, by log-probabilities, else by pieces of text."""
        return len(self.ids) or number(self.usage, "completion_tokens") or len(self.logprobs) or self._pieces

    def feed(self, chunk: Mapping[str, Any], at: float) -> str:
        """Take a chunk in; returns the text it added. Raises TransportFault for one that is not of the form, PerPassError for an answer
        that the server withholds."""
        try:
            return self._feed(chunk, at)
        except (AttributeError, TypeError, ValueError, KeyError, IndexError):
            raise TransportFault("the server sent a chunk that is not of the form of a completion") from None

    def count_only(self, chunk: Mapping[str, Any]) -> None:
        """Take no more of a chunk than the server's count."""
        if isinstance(chunk.get("usage"), Mapping):
            self.usage = chunk["usage"]

    def _feed(self, chunk: Mapping[str, Any], at: float) -> str:
        self.count_only(chunk)
        self.fingerprint = chunk.get("system_fingerprint") or self.fingerprint
        if not chunk.get("choices"):
            return ""
        choice = chunk["choices"][0]
        message = choice.get("delta") or choice.get("message") or {}
        shown = chunk.get("prompt_token_ids") or choice.get("prompt_token_ids")
        if shown:
            self.prompt = len(shown)
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        added = self._added(thought, message.get("content") or choice.get("text") or "")
        ids, before = choice.get("token_ids") or (), len(self.logprobs)
        self.ids += map(int, ids)
        if choice.get("logprobs"):
            self._observed(choice["logprobs"])
        for name in ("stop_reason", "matched_stop"):  # vLLM, SGLang
            if name in choice:
                self.names_stop = True
                self.stop_reason = choice[name] if choice[name] is not None else self.stop_reason
        if reason := choice.get("finish_reason"):
            self._finished(str(reason))
        elif number(chunk.get("usage"), "prompt_tokens"):
            self.running = True
        if added or ids or len(self.logprobs) > before:
            self._pieces += 1
            self.chunks.append((at, len(self.ids) or len(self.logprobs) or self._pieces))
            self.first = at if self.first is None else self.first
            self.last = at
        elif reason:
            self.last = at
        return added

    def _added(self, thought: str, said: str) -> str:
        self.reasoning += thought
        added = thought
        if thought and not self._thinking:
            added = self._think[0] + thought
            self._thinking = True
        if said and self._thinking:
            added += self._think[1]
            self._thinking = False
        added += said
        if added:
            self._parts.append(added)
        return added

    def _observed(self, found: Mapping[str, Any]) -> None:
        """Log-probabilities in the form of chat completions (`content`) or of completions (`token_logprobs`)."""
        if found.get("content"):
            for token in found["content"]:
                self._take(token["logprob"], [other["logprob"] for other in token.get("top_logprobs") or ()])
            return
        tops = found.get("top_logprobs") or ()
        for i, logprob in enumerate(found.get("token_logprobs") or ()):
            top = tops[i] if i < len(tops) and tops[i] else {}
            self._take(logprob, list(top.values()))

    def _take(self, logprob: float, top: Sequence[float]) -> None:
        self.logprobs.append(float(logprob))
        self.widest = max(self.widest, len(top))
        if top:
            best = sorted(top, reverse=True)[:TOP]  # the drawn token comes along even where it is not among them
            self.confidence.append(-sum(best) / len(best))

    def _finished(self, reason: str) -> None:
        if reason in ("abort", "error"):
            raise TransportFault(f"the server gave up on the request (finish_reason {reason})")
        if reason == "content_filter":
            raise PerPassError("the server withheld the answer (finish_reason content_filter)")
        self.reason = reason

    @property
    def finish(self) -> Finish:
        """How it ended: `stop` is a stop string of ours; any other end that the model chose is `eos`. A stop token is the model's."""
        if self.reason == "length":
            return "length"
        return "stop" if isinstance(self.stop_reason, str) else "eos"

    def whole(self) -> str:
        """The text with the stop string that ended it, where the server has cut that off."""
        stop = self.stop_reason if self.finish == "stop" else None
        return self.text if not isinstance(stop, str) or self.text.endswith(stop) else self.text + stop


class Stops:
    """Finds stop strings in a text that arrives in pieces, for servers that do not say which one ended an answer."""

    def __init__(self, strings: Sequence[str]):
        self._strings = [s for s in strings if s]
        self._keep = max(map(len, self._strings), default=1) - 1
        self._tail = ""
        self._seen = 0

    def feed(self, piece: str) -> int | None:
        """The next piece. Where the text ends, in characters, if a stop string is complete: right after the one that ends first."""
        text = self._tail + piece
        self._seen += len(piece)
        ends = [at + len(s) for s in self._strings if (at := text.find(s)) >= 0]
        self._tail = text[-self._keep :] if self._keep else ""
        return self._seen - len(text) + min(ends) if ends else None


def number(found: Mapping[str, Any] | None, *path: str) -> int | None:
    """A whole number inside nested mappings, None where there is none."""
    value: Any = found
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Kept:
    """What is kept of an answer that was cut on our side: `length` tokens where their ids tell them apart, or `end` characters, else all
    that has arrived."""

    length: int | None = None
    end: int | None = None


class Cutter:
    """Ends an answer on our side: at one of `stops` (none before `min_tokens`), or where `watch` says so, which is asked after every
    `every` tokens, but not about the whole answer. `sample` makes what it is shown."""

    def __init__(self, stops: Sequence[str], min_tokens: int, watch: Watch | None, every: int, sample: Callable[[Kept], Sample]):
        self._stops = Stops(stops) if stops else None
        self._least, self._watch, self._every, self._sample = min_tokens, watch, every, sample
        self._next = every

    def __call__(self, reading: Reading, added: str) -> Kept | None:
        """To be asked after each chunk, with the text that it added."""
        if self._stops and (end := self._stops.feed(added)) is not None and reading.count >= self._least:
            return Kept(end=end)
        while self._watch and (self._next < reading.count or (self._next == reading.count and reading.reason is None)):
            kept = Kept(length=self._next) if reading.ids else Kept()
            self._next += self._every
            if not reading.ids:  # only what has arrived can be shown, and once is enough
                self._next = (reading.count // self._every + 1) * self._every
            if self._watch(self._sample(kept)):
                return kept
        return None
