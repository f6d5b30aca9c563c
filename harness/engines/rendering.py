"""Between prompts and token ids: chat templates, open prefixes, texts of generated ids, stop strings, think markers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engines.answers import Answers, Seam
from harness.types import Model
from perpass.errors import PerPassError, UserError
from tasks.types import Prompt


@dataclass(frozen=True)
class Rendered:
    """A prompt as the model sees it. `thinking`: a think marker is open at its end, so that the answer begins inside it."""

    ids: tuple[int, ...]
    thinking: bool


class Renderer:
    """A model's tokenizer, as the engine uses it.

    Chat turns go through the chat template with an open assistant turn, the prefix is appended to that text, and the whole is tokenised
    once, the template's own special tokens included and none added. Raw prompts are tokenised as the tokenizer does by default. What was
    generated and remembered is never tokenised anew: a prompt that continues it has the generated ids, and only what was written after
    them is tokenised, on its own.

    Generated text is what the ids add to a text before them, so that word-initial spaces survive in every tokenizer; special tokens are
    left out, think markers kept even where they are special.
    """

    def __init__(self, model: Model, tokenizer: Any):
        self.model = model
        self.tokenizer = tokenizer
        self._backend = getattr(tokenizer, "backend_tokenizer", None)
        self._hidden = self._special_ids()
        self._anchor = [int(t) for t in self._encode("a")[-1:]]
        self._anchored = self._plain(self._anchor)
        self._answers = Answers(self.text, self._hidden)
        self.remember = self._answers.add
        self.render = functools.lru_cache(maxsize=1024)(self._render)

    def _special_ids(self) -> frozenset[int]:
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        special = {int(i) for i, token in added.items() if getattr(token, "special", False)} | set(self.tokenizer.all_special_ids)
        shown = {i for i, token in added.items() if self.model.think and str(token) in self.model.think}
        return frozenset(special - shown)

    def _render(self, prompt: Prompt, thinking: bool | str | None = None) -> Rendered:
        """Token ids of `prompt`. Raises UserError when the model has no chat template for its turns, or no switch for `thinking`."""
        if prompt.prefix and (seam := self._answers.seam(prompt)):
            return self._continued(prompt.prefix, seam, thinking)
        if prompt.raw is not None:
            before = prompt.raw
            ids = self.tokenizer(before + prompt.prefix)["input_ids"]
        else:
            before = self._conversation(prompt, thinking)
            if self.model.think and self._begins_thinking(before) and prompt.prefix.startswith(self.model.think[0]):
                before = before.rstrip().removesuffix(self.model.think[0])  # the template opens the thought that the prefix opens: once
            ids = self._encode(before + prompt.prefix)
        return Rendered(tuple(ids), self._is_open(prompt.prefix, self._begins_thinking(before)))

    def _continued(self, prefix: str, seam: Seam, thinking: bool | str | None) -> Rendered:
        before = self.render(seam.before, thinking)
        ids = (*before.ids, *seam.ids, *self._following(seam.rest))
        return Rendered(ids, self._is_open(prefix, before.thinking))

    def _following(self, text: str) -> list[int]:
        """Ids of a text that follows others. A tokenizer that begins every text with a space is made to begin it elsewhere."""
        ids = self._encode(text)
        if text and self.text(ids) != text:
            line = self._encode("\n")
            longer = self._encode("\n" + text)
            if longer[: len(line)] == line and self.text(longer[len(line) :]) == text:
                return longer[len(line) :]
        return ids

    def _conversation(self, prompt: Prompt, thinking: bool | str | None) -> str:
        template = self.tokenizer.chat_template
        if not template:
            raise UserError(f"model {self.model.name!r} has no chat template: it takes raw prompts only")
        turns = [{"role": turn.role, "content": turn.content} for turn in prompt.turns]
        options = self._thinking(str(template), thinking)
        try:
            return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **options))
        except Exception as error:  # a template raises what it likes, for instance on a system turn
            raise PerPassError(f"model {self.model.name!r}: its chat template refuses this conversation: {error}") from error

    def _thinking(self, template: str, thinking: bool | str | None) -> dict[str, Any]:
        """The template's variables for the thinking switch. Asking a model that cannot think not to is no error."""
        if isinstance(thinking, str):
            if "reasoning_effort" in template:
                return {"reasoning_effort": thinking}
        elif thinking is None or (not thinking and self.model.think is None):
            return {}
        elif "enable_thinking" in template:
            return {"enable_thinking": thinking}
        elif thinking and self.model.think is not None:
            return {}
        raise UserError(f"model {self.model.name!r} has no switch in its chat template for thinking: {thinking!r}")

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def continuation(self, text: str) -> tuple[int, ...]:
        """Ids of a text that is scored after a prompt, tokenised on its own."""
        return tuple(self._encode(text))

    def _plain(self, ids: Sequence[int]) -> str:
        if self._backend is not None:
            return str(self._backend.decode(list(ids), skip_special_tokens=False))
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    def text(self, ids: Sequence[int]) -> str:
        """The text of generated ids; bytes of a character that is not complete become U+FFFD."""
        shown = [i for i in ids if i not in self._hidden]
        whole = self._plain([*self._anchor, *shown])
        return whole.removeprefix(self._anchored) if whole.startswith(self._anchored) else self._plain(shown)

    def stops(self, strings: Sequence[str]) -> StopFinder | None:
        """A fresh finder of `strings`, None when there are none."""
        wanted = tuple(s for s in strings if s)
        return StopFinder(wanted, self._pieces(), self._hidden) if wanted else None

    def _pieces(self) -> Callable[[int], str | None]:
        """Token by token, the text that it completes; None while a character is incomplete."""
        if self._backend is None:
            return _Redecoder(self.text)
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(skip_special_tokens=False)
        for token in self._anchor:
            stream.step(self._backend, token)
        return functools.partial(stream.step, self._backend)

    def _begins_thinking(self, conversation: str) -> bool:
        return self.model.think is not None and conversation.rstrip().endswith(self.model.think[0])

    def _is_open(self, prefix: str, before: bool) -> bool:
        """Whether a think marker is open at the end of `prefix`. `before`: one is at its beginning."""
        if self.model.think is None:
            return False
        begin, end = self.model.think
        return prefix.rfind(begin) > prefix.rfind(end) if begin in prefix or end in prefix else before

    def reasoning(self, ids: Sequence[int], thinking: bool) -> int:
        """How many of the generated ids lie inside the think markers, those included. `thinking`: the prompt left a marker open."""
        if self.model.think is None or not ids:
            return 0
        begin, end = self.model.think
        text = self.text(ids)
        if not thinking and begin not in text:
            return 0
        before = 0 if thinking else self._first_with(begin, ids) - 1
        return (self._first_with(end, ids) if end in text else len(ids)) - before

    def _first_with(self, mark: str, ids: Sequence[int]) -> int:
        """The smallest n for which the text of the first n ids contains `mark`, which the whole does; by bisection."""
        low, high = 1, len(ids)
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if mark in self.text(ids[:middle]) else (middle + 1, high)
        return low


class StopFinder:
    """Watches generated tokens for stop strings, at about a microsecond a token.

    Only the end of the text that a stop string may reach into is kept.
    """

    def __init__(self, strings: Sequence[str], piece: Callable[[int], str | None], hidden: frozenset[int]):
        self._strings = strings
        self._piece = piece
        self._hidden = hidden
        self._keep = max(map(len, strings)) - 1
        self._tail = ""
        self._seen = 0  # characters so far

    def feed(self, token: int) -> int | None:
        """The next token. Where the text ends, in characters, if it completes a stop string: right after the one that ends first."""
        piece = None if token in self._hidden else self._piece(token)
        if not piece:
            return None
        self._seen += len(piece)
        text = self._tail + piece
        ends = [at + len(s) for s in self._strings if (at := text.find(s)) >= 0]
        if ends:
            self._tail = text[min(ends) :][-self._keep :] if self._keep else ""
            return self._seen - len(text) + min(ends)
        self._tail = text[-self._keep :] if self._keep else ""
        return None


class _Redecoder:
    """The same as a decode stream for tokenizers without one: decodes everything anew, and waits while the last character is incomplete."""

    def __init__(self, text: Callable[[Sequence[int]], str]):
        self._text = text
        self._ids: list[int] = []
        self._given = 0

    def __call__(self, token: int) -> str | None:
        self._ids.append(token)
        whole = self._text(self._ids)
        if whole.endswith("\ufffd"):
            return None
        piece, self._given = whole[self._given :], len(whole)
        return piece
