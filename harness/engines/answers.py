"""Token ids of answers that were generated, by the prompts that they continue: a prompt is text, what the model wrote are ids."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.types import Prompt, Turn

REMEMBERED = 2**22  # tokens, 4 bytes each; the oldest answers go first

Place = tuple[tuple[Turn, ...], str | None]


@dataclass(eq=False)
class Given:
    """`ids` were generated after the open answer `prefix`."""

    prefix: str
    ids: array[int]
    decode: Callable[[Sequence[int]], str]

    @cached_property
    def text(self) -> str:
        return self.decode(self.ids)

    def first(self, characters: int) -> tuple[int, int]:
        """The most tokens whose text is no longer than this and whole, and its length."""
        low, high = 0, len(self.ids)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if len(self.decode(self.ids[:middle]).rstrip("\ufffd")) <= characters else (low, middle - 1)
        while not self.text[:characters].startswith(text := self.decode(self.ids[:low])):  # it ends within a character
            low -= 1
        return low, len(text)


@dataclass(frozen=True)
class Seam:
    """Where a prompt is not as it was generated: `ids` follow `before`, `rest` follows them."""

    before: Prompt
    ids: tuple[int, ...]
    rest: str


class Answers:
    """Remembers the latest generated answers. `decode`: the text of ids; `hidden`: ids without one, such as the end token."""

    def __init__(self, decode: Callable[[Sequence[int]], str], hidden: frozenset[int], most: int = REMEMBERED):
        self._decode, self._hidden, self._room = decode, hidden, most
        self._given: dict[Place, list[Given]] = {}
        self._order: deque[Place] = deque()

    def add(self, prompt: Prompt, ids: Sequence[int]) -> None:
        """`ids` were generated after `prompt`."""
        end = len(ids)
        while end and ids[end - 1] in self._hidden:
            end -= 1
        if not end:
            return
        place = (prompt.turns, prompt.raw)
        self._given.setdefault(place, []).append(Given(prompt.prefix, array("i", ids[:end]), self._decode))
        self._order.append(place)
        self._room -= end
        while self._room < 0:
            self._forget()

    def _forget(self) -> None:
        place = self._order.popleft()
        given = self._given[place]
        self._room += len(given.pop(0).ids)
        if not given:
            del self._given[place]

    def seam(self, prompt: Prompt) -> Seam | None:
        """Of the answers that `prompt` continues, or that it is the beginning of, the one that covers most of it; None without one."""
        best, most = None, 0
        for given in self._given.get((prompt.turns, prompt.raw), ()):
            if len(given.prefix) >= len(prompt.prefix) or not prompt.prefix.startswith(given.prefix):
                continue
            left = prompt.prefix[len(given.prefix) :]
            shared = min(len(left), len(given.text))
            if left[:shared] == given.text[:shared] and len(given.prefix) + shared > most:
                best, most = given, len(given.prefix) + shared
        if best is None:
            return None
        count, length = best.first(most - len(best.prefix))
        while count and best.ids[count - 1] in self._hidden:
            count -= 1
        before = Prompt(prompt.turns, best.prefix, prompt.raw)
        return Seam(before, tuple(best.ids[:count]), prompt.prefix[len(best.prefix) + length :]) if count else None
