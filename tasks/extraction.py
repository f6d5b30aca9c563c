r"""Finding the answer in a reply. Pure text work, kept apart from comparison; every function is linear in the text and never raises.

Marked forms, in order of trust: `\boxed{x}` and `#### x`, of which the last complete one counts; then the phrase "the answer is x".
"""

from __future__ import annotations

import re
from functools import lru_cache

VERSION = 1  # raise it when any text would yield another answer: it is part of every judge version

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*(?P<open>\{)?|\\[{}]|\\\\(?!boxed|fbox)|[{}]")
_BARE_BOX = re.compile(r"[-+]?[0-9][0-9.,/]*|\\[A-Za-z]+|[A-Za-z](?![A-Za-z])")  # \boxed 5, \boxed\pi
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t]*([^\n]*)")
_HEADING = re.compile(r"\d+[.):]\s+\S|[^\W\d_]{2,}")  # '#### 2. Add them up', '#### Conclusion': Markdown, not answers
_PHRASE = re.compile(r"\banswer[ \t]?[*_]{0,2}[ \t]?(?::|=|is\b)[ \t]?[*_:]{0,3}\s{0,4}(?=([^\n]{0,400}))", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_NUMBER = re.compile(
    r"(?<![0-9.^_])(?<![\^_]\{)(?P<sign>[-−+](?P<gap>\s?))?"
    r"(?P<body>(?:[0-9]+\s?)?\\[dt]?frac\s?\{\s?[-−]?[0-9][0-9.,]*\s?\}\s?\{\s?[0-9][0-9.,]*\s?\}"
    r"|\\?\$?(?:[0-9]{1,3}(?:(?:,|\{,\}|,\\!|\\,)[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3}(?![0-9A-Za-z]))?(?:/[0-9]+(?![0-9/]))?"
    r"|\.[0-9]+)"
)
_LONGEST = 2_000  # an answer longer than this is not an answer
_LONGEST_PHRASE = 200


def without_thinking(text: str) -> str:
    """The text after the last `</think>`; an unfinished thought (`<think>` that is never closed) is no answer and is dropped too."""
    text = text.rpartition("</think>")[2]
    return text.partition("<think>")[0]


def extract_marked(text: str) -> str | None:
    r"""The last marked answer in a reply, stripped, or None: `\boxed{}` (balanced, innermost) or `#### x`, else "the answer is x"."""
    return explicitly_marked(text) or in_words(text)


@lru_cache(maxsize=64)  # a judge looks twice, once for the answer and once for whether it was marked
def explicitly_marked(text: str) -> str | None:
    r"""The last complete `\boxed{}` or `#### x`, whichever comes later; empty and unclosed ones are passed over."""
    text = without_thinking(text)
    found = max((_last_box(text), _last_hashes(text)), key=lambda hit: hit[0])
    return found[1] or None


def in_words(text: str) -> str | None:
    """What follows the last "the answer is" (or "answer:") that is followed by something like an answer, up to the sentence's end."""
    text = without_thinking(text)
    for match in reversed(list(_PHRASE.finditer(text))):
        sentence = _SENTENCE_END.split(match[1], maxsplit=1)[0]
        answer = _tidy(sentence.rpartition(" is ")[2])  # "Answer: the largest n is 34"
        if answer and len(answer) <= _LONGEST_PHRASE and _answerlike(answer):
            return answer
    return None


def boxes(text: str) -> list[str]:
    r"""The contents of all outermost `\boxed{}` of a text in order, stripped, up to the first that is never closed."""
    found: list[tuple[str, int]] = []
    for match in re.finditer(r"\\boxed\{", text):
        if found and match.start() < found[-1][1]:  # inside the one before
            continue
        end = _closing(text, match.end())
        if end is None:
            break
        found.append((text[match.end() : end].strip(), end))
    return [content for content, _ in found]


def rest_boxes(text: str, count: int) -> list[str]:
    r"""The first `count` boxes of a whole reply, each from its `\boxed` to its closing brace, as REST's own extraction takes them.

    Those that are missing are `\boxed{None}`. Unlike `boxes` behind `without_thinking`, it reads what stands before a thought and in one
    that never ends, and takes `\boxed {x}`. Source: `split_boxed_content` of opendatalab/REST (Apache-2.0).
    """
    text = _without_thoughts(text) if "<think>" in text else text.rpartition("</think>")[2]
    found: list[str] = []
    start = text.find("\\boxed")
    while start >= 0 and len(found) < count:
        end = _closing(text, start, 0)
        if end is None:
            break
        found.append(text[start : end + 1])
        start = text.find("\\boxed", end + 1)
    return found + ["\\boxed{None}"] * (count - len(found))


def _without_thoughts(text: str) -> str:
    """The text without what stands between `<think>` and the next `</think>`."""
    kept, at = [], 0
    while (start := text.find("<think>", at)) >= 0 and (end := text.find("</think>", start)) >= 0:
        kept.append(text[at:start])
        at = end + len("</think>")
    return "".join(kept) + text[at:]


def boxed_gold(solution: str) -> str | None:
    r"""The content of the last `\boxed{}` or `\fbox{}` of a published MATH solution as it is written there, or of `\boxed x` up to a `$`.

    As the data set's own script reads it; None where there is no box or it is never closed.
    """
    if "\\boxed " in solution:
        return solution.rpartition("\\boxed ")[2].partition("$")[0]
    opening = "\\boxed{" if "\\boxed" in solution else "\\fbox{"
    start = solution.rfind(opening.removesuffix("{"))
    if not solution.startswith(opening, start):
        return None
    end = _closing(solution, start + len(opening))
    return None if end is None else solution[start + len(opening) : end]


def _closing(text: str, start: int, depth: int = 1) -> int | None:
    """Where the outermost of the braces that are open at `start`, or open next where none is, is closed."""
    for match in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if match[0] == "{" else -1
        if depth == 0 and match[0] == "}":
            return match.start()
    return None


def extract_last_number(text: str) -> str | None:
    r"""The last number as it is written, without currency (`1,000`, `-3.5`, `3/4`, `\frac{3}{4}`), or None. Exponents do not count."""
    text = without_thinking(text)
    last = None
    for last in _NUMBER.finditer(text):  # noqa: B007
        pass
    if last is None:
        return None
    sign = "-" if last["sign"] and last["sign"][0] in "-−" and _is_sign(text[: last.start()], bool(last["gap"])) else ""
    return sign + last["body"].replace("\\$", "").replace("$", "")


def _is_sign(before: str, gap: bool) -> bool:
    """Whether a minus is a sign: `is -5`, `= - 5`, `(-5`; and not an operator: `x-5`, `x - 5`."""
    before = before[-8:]
    if gap:
        return before.rstrip()[-1:] in ("", *"=(,:[{$*")
    return not (before[-1:].isalnum() or before[-1:] in (*")]}%",))


def _last_box(text: str) -> tuple[int, str]:
    """Start and content of the last closed, non-empty box; (-1, "") if there is none. One pass, so that hostile text stays linear."""
    best = (-1, "")
    open_braces: list[int] = []  # start of the content if the brace opens a box, else -1
    for match in _BRACES.finditer(text):
        token = match[0]
        if match["open"] or token == "{":
            open_braces.append(match.end() if match["open"] else -1)
        elif token == "}" and open_braces:
            start = open_braces.pop()
            if start > best[0] and match.start() - start <= _LONGEST:
                best = _better(best, start, text[start : match.start()])
        elif "box" in token:
            bare = _BARE_BOX.match(text, match.end())
            best = _better(best, match.end(), bare[0]) if bare else best
    return best


def _last_hashes(text: str) -> tuple[int, str]:
    best = (-1, "")
    for match in _HASHES.finditer(text):
        content = _tidy(match[1])
        if content and len(content) <= _LONGEST_PHRASE and not _HEADING.match(content):
            best = _better(best, match.start(), content)
    return best


def _better(best: tuple[int, str], start: int, content: str) -> tuple[int, str]:
    content = _tidy(content)
    return (start, content) if content and start > best[0] else best


def _tidy(answer: str) -> str:
    """Without Markdown emphasis, enclosing `$` and the full stop of the sentence."""
    answer = answer.strip().strip("*_").strip()
    answer = answer.rstrip(".,;: ") if not answer.endswith("...") else answer
    for left, right in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        inner = answer[len(left) : -len(right)]
        if answer.startswith(left) and answer.endswith(right) and inner.strip() and left not in inner:
            return inner.strip()
    return answer.strip()


def _answerlike(answer: str) -> bool:
    """Not prose: has a digit or mathematics, or is at most three words ("the answer is correct because …" is prose)."""
    return bool(re.search(r"[0-9\\$=+^]", answer)) or len(answer.split()) <= 3
