"""Reading what models reply, tolerantly: a small model may not keep to a format, and what cannot be read says nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable


def verdict(text: str, *words: str) -> str | None:
    """The last of the words in a reply, whatever their case; None where there is none."""
    return next(reversed(re.findall(rf"\b(?:{'|'.join(words)})\b", text.lower())), None)


def agreed(text: str) -> bool:
    """Whether a reply's last word of yes and no is yes."""
    return verdict(text, "yes", "no") == "yes"


def numbers(text: str, most: int) -> list[int]:
    """The different whole numbers from 1 to `most` that a reply names, in its order."""
    found = map(int, re.findall(r"(?<![\d.])\d{1,6}(?!\d|\.\d)", text))
    return list(dict.fromkeys(n for n in found if 1 <= n <= most))


def listed(text: str, most: int) -> list[str]:
    """The first `most` different lines of a reply that say something, without numbers and bullets; "none" says nothing."""
    lines = [re.sub(r"^\s*(?:#?\d+[.):]|[-*•])?\s*", "", line).strip() for line in text.splitlines()]
    return [line for line in dict.fromkeys(lines) if re.search(r"\w", line) and not re.fullmatch(r"none\W*", line.lower())][:most]


def premises(text: str) -> dict[int, tuple[list[int], str]]:
    """The numbered lines of a reply in the format of Natural Program (arXiv:2306.03872): by its number, the numbers of those that a line
    rests on and what it says: `#5. (by #1 #3) so` is {5: ([1, 3], "so")}."""
    found = re.findall(r"^\s*#?\s*(\d{1,3})\s*[.):]\s*(?:\(by\b([^)]*)\)\s*)?(.*\S)", text, re.MULTILINE | re.IGNORECASE)
    return {int(number): (numbers(by, 999), line) for number, by, line in found}


def sentences(text: str) -> list[str]:
    """The sentences of a question; the last is what is asked, without a "true or false:" before it."""
    parts = [part.strip() for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()] or [text]
    return [*parts[:-1], re.sub(r"^true or false\W*\s", "", parts[-1], flags=re.IGNORECASE)]


def numbered(lines: Iterable[str]) -> str:
    """Lines with numbers from 1."""
    return "\n".join(f"{i}. {line}" for i, line in enumerate(lines, 1))
