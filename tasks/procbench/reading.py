r"""Reading the states that a reply states, without a judge model. Pure text work; linear in the text, never raises.

Free-form replies: the final state is the last `\boxed{}` (an empty one is the empty string), else `final` of a JSON or Python object, else
what stands behind "Final …:", else what the default extractor finds. The states before it: `intermediate` of an object, else the list
behind "Intermediate …:", else the last list of fitting depth, or the lines (plain, numbered, with bullets, "Step 3: … → x") that state
one.
Quotes, code marks, Markdown bold and LaTeX's escapes around states do not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tasks import answers
from tasks.procbench import scoring
from tasks.procbench.kinds import Kind, bare, kinds, number, single

VERSION = 1  # raise it when any reply would be read otherwise: it is part of the judge version

_PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "−": "-", "–": "-", "$": None})
_CLEAN: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE), ""),  # fences of code blocks; what is in them stays
    (re.compile(r"^[ \t]*\|.*\n[ \t]*\|[ \t:|-]+$", re.MULTILINE), ""),  # heads of tables
    (re.compile(r"\*\*|\\[\[\]()]|\\[,;! ]"), ""),
    (re.compile(r"\\(?:text|texttt|textbf|textit|mathtt|mathrm|mathbf|mathit|verb)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\([_#%&-])"), r"\1"),
    (re.compile(r"\\(?:(?:long)?(?:right|Right)arrow|to)(?![A-Za-z])"), "→"),
    (re.compile(r"\\(?:left|right)(?![a-z])"), ""),
    (re.compile(r"\\u((?![dD][89a-fA-F])[0-9a-fA-F]{4})"), lambda match: chr(int(match[1], 16))),  # JSON's letters
    (re.compile(r"\\\{"), "["),
    (re.compile(r"\\\}"), "]"),
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_LABEL = r"^[ \t>#*_-]{0,20}(?:\d+[.)][ \t]{1,4})?(?:(?:so|thus|therefore|hence),?[ \t]+)?(?:the[ \t]+)?"
_FINAL = re.compile(_LABEL + r"final\b[^\n:=\[\"'`]{0,50}?(?:[ \t]*(?::|=)|[ \t]+is\b:?|[ \t]*$)[ \t*_]*(.*)$", re.I | re.M)
_FINAL_IS = re.compile(r"\bfinal(?:[ \t]+\w+){1,3}[ \t]+is:?[ \t]+([^\n]+)", re.I)
_BEFORE = re.compile(_LABEL + r"[^\n:=\[]{0,40}?\bintermediate\b[^\n:\[]{0,60}(?::|$|(?=\[))", re.I | re.M)
_STEP = re.compile(r"\d\s*(?:[+*×·x]|\\times|\\cdot)\s*\d|[→⇒]|=>|->|^(?:Add|Multiply)", re.I)  # what a line with a result has
_QUOTED = re.compile(r"([\"'`])(.{0,1500}?)\1(?=\s*(?:[,\])}]|$))", re.DOTALL)
_RAW = re.compile(r"[^,\[\]()\n]*")
_MARK = re.compile(r"\s*(?:[-*+•]\s+(?=\S)|\(?\d+[.):]\)?\s+|(?:after\s+)?step\s*\d+\s*[:.)-]?\s*)", re.IGNORECASE)
_ARROW = re.compile(r"→|⇒|⟶|=>|->|:|(?<=\s)=(?=\s)")
_BECOMES = re.compile(_ARROW.pattern + r"|\b(?:becomes|gives|giving|yields|get|is now|results in)\b", re.I)
_TOKEN = re.compile(r"-*[a-z0-9][a-z0-9-]*")  # not a line of dashes
_EMPTY = re.compile(r"[\"'`∅ε]|empty|\\(?:emptyset|varnothing|epsilon)", re.IGNORECASE)
_ELEMENT = re.compile(r"[A-Za-z0-9_-]+")
_SPAN = re.compile(r"([\"'`])([^\"'`\n]*)\1")
_START = re.compile(r"\s*(?:[-*+•]\s+)?(?:#|(?:the\s+)?(?:initial|original|given|start|input|target|question)[^\n:=]{0,30}[:=])", re.I)
_GIVEN = "Strings?|Substrings|Sets of Numbers|Indices|Positions|Pairs|Rules|Words|List|Operations|Command|Actions|Candidate|Target|Sentence"
_ECHO = re.compile(rf"\s*(?:{_GIVEN}|characters|Sequence [12]|N)\s*[:=]")  # the problem's data said again


def clean(text: str) -> str:
    """A reply after its thinking, without marks of Markdown and LaTeX that never belong to a state."""
    text = answers.without_thinking(text).translate(_PLAIN)
    for pattern, instead in _CLEAN:
        text = pattern.sub(instead, text)
    return text


def final_text(text: str) -> str | None:
    """The final state as a free-form reply writes it; None where it states none."""
    return _final(clean(text), text)[0]


def _final(text: str, raw: str) -> tuple[str | None, int]:
    """The final state in a clean text, and where the text about it begins (the text's length where it is not marked in place)."""
    boxes = list(_BOX.finditer(text))
    labels = list(_FINAL.finditer(text))
    first = min((match.start() for match in boxes[:1] + labels[-1:]), default=len(text))
    if boxes:
        return boxes[-1][1].strip(), first
    found = find_object(text)
    if found is not None and found["final"] is not None:
        return scoring.as_text(found["final"]), first
    for label in reversed(labels):
        rest = label[1].strip() or next((line.strip() for line in text[label.end() :].splitlines() if line.strip()), "")
        if rest.startswith("[") and not rest.startswith("[]") and (group := next(_groups(text[text.find("[", label.start()) :]), None)):
            return (rest if re.search(r"\]\s*\w", rest) else scoring.as_text(group)), label.start()
        if rest:
            return bare(rest), label.start()
    for said in reversed(list(_FINAL_IS.finditer(text))):
        return bare(said[1]), said.start()
    return answers.extract(raw), first


def value(text: str, kind: Kind) -> Any:
    """A written state as one of a kind; what cannot be read as that kind equals none."""
    text = clean(text)
    if not kind.listed:
        return single(text, kind)
    groups = [group for group in _groups(text) if not any(isinstance(e, list) for e in group)]
    parts = groups[-1] if groups else [bare(part) for part in text.strip().strip("[](){}").split(",")] if text.strip() else []
    return _elements(parts, kind)


def free(text: str, procedure: str, gold: Mapping[str, Any]) -> dict[str, Any]:
    """The label that a free-form reply states. The final state is None where it states none.

    A last intermediate state equal to the final one is the final one said twice if there are more states than in `gold`; nothing else of
    `gold` is looked at.
    """
    kind, last = kinds(procedure)
    cleaned = clean(text)
    written, about_final = _final(cleaned, text)
    final = None if written is None else value(written, last)
    found = find_object(cleaned)
    states = _listed(found["intermediate"], kind) if found else []
    states = states or _before(cleaned, about_final, kind, final)
    if len(states) > len(gold["intermediate"]) and final is not None and scoring.equal(final, states[-1]):
        states = states[:-1]
    return {"intermediate": states, "final": final}


def structured(text: str) -> dict[str, Any]:
    """The label in the last JSON object of a reply with a `final`; types as they are written. Without one: no states, final None."""
    found = find_object(clean(text))
    if found is None:
        return {"intermediate": [], "final": None}
    return found if isinstance(found["intermediate"], list) else {**found, "intermediate": []}


def find_object(text: str) -> dict[str, Any] | None:
    """The last object with `intermediate` and `final` in a clean text: JSON, else near it (Python's quotes, no quotes, cut off).

    A missing `final` is None.
    """
    starts = [match.start() for match in re.finditer(r"\{", text)][-30:]
    for start in reversed(starts):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and "final" in found:
            return {"intermediate": found.get("intermediate", []), "final": found["final"]}
    keys = {key[1]: key.end() for key in re.finditer(r"[\"'](intermediate|final)[\"']\s*:\s*", text)}  # where each comes last
    last = {name: _value_at(text, at) for name, at in keys.items()}
    states = last.get("intermediate")
    return {"intermediate": states if isinstance(states, list) else [], "final": last.get("final")} if last else None


# --- lists -----------------------------------------------------------------


def _value_at(text: str, at: int) -> Any:
    """The value that begins at `at`; of one that is cut off, a list has what there is of it, and anything else is None."""
    if text[at : at + 1] == "[":
        return _group(text, at)[0]
    if quoted := _QUOTED.match(text, at):
        return quoted[2]
    raw = re.compile(r"[^,}\n]{1,300}(?=[,}\n])").match(text, at)
    return bare(raw[0]) if raw else None


def _groups(text: str) -> Iterator[list[Any]]:
    """The outermost lists of a text, with elements as text and lists of such; one that is never closed has what there is of it."""
    at = text.find("[")
    while at >= 0:
        group, at = _group(text, at)
        yield group
        at = text.find("[", at)


def _group(text: str, at: int, depth: int = 1) -> tuple[list[Any], int]:
    """The list that opens at `at`, and where it ends. Brackets below the second level are dropped."""
    found: list[Any] = []
    at += 1
    while at < len(text):
        character = text[at]
        if character in "])":
            return found, at + 1
        if character in "[(" and depth < 2:
            inner, at = _group(text, at, depth + 1)
            found.append(inner)
        elif character in ", \t\r\n[(":
            at += 1
        elif quoted := _QUOTED.match(text, at):
            found.append(quoted[2])
            at = quoted.end()
        else:
            raw = _RAW.match(text, at)
            assert raw is not None
            found += [part] if (part := bare(raw[0])) else []  # not the dots of "a, b, ..."
            at = max(raw.end(), at + 1)
    return found, at


def _elements(parts: Sequence[Any], kind: Kind) -> list[Any]:
    """The elements of a state that is a list."""
    if kind is Kind.NUMBERS:
        return [part if (found := number(str(part))) is None else found for part in parts]
    return [part if isinstance(part, list) else bare(str(part)) for part in parts]


def _listed(found: Any, kind: Kind) -> list[Any]:
    """The states of a list of states; those of the wrong depth are kept as they are and equal nothing."""
    states: list[Any] = []
    for state in found if isinstance(found, list) else []:
        if kind.listed:
            states.append(_elements(state, kind) if isinstance(state, list) else state)
        else:
            states.append(single(str(state), kind) if isinstance(state, (str, int)) else state)
    return states


# --- what stands before the final state ------------------------------------


def _before(text: str, about_final: int, kind: Kind, final: Any) -> list[Any]:
    """The states that are stated before the final one, or behind a label of their own."""
    labels = [match for match in _BEFORE.finditer(text) if not _FINAL.match(match[0])]
    for label in reversed(labels[-8:]):
        start = label.end()
        found = _in_region(text[start : about_final if about_final > start else len(text)], kind, final, first=True)
        if found:
            return found
    return _in_region(text[:about_final], kind, final, first=False)


def _in_region(text: str, kind: Kind, final: Any, first: bool) -> list[Any]:
    """The first or the last list of states (not one that is the final state itself), or the lines that state one: what has more."""
    found = (_states(group, kind) for group in _groups(_without_echo(text)))
    lists = [states for states in found if states is not None and states != final]
    listed = lists[0 if first else -1] if lists else []
    lines = [state for line in text.splitlines() if (state := _line(line, kind)) is not None]
    return listed if len(listed) >= len(lines) else lines


def _without_echo(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not _ECHO.match(line))


def _states(group: list[Any], kind: Kind) -> list[Any] | None:
    """The states of a list, if it is one of states of this kind."""
    if kind.listed:
        return _listed(group, kind) if group and all(isinstance(state, list) for state in group) else None
    states = _listed(group, kind)
    fits = all(isinstance(state, int) if kind is Kind.NUMBER else isinstance(state, str) for state in states)
    if kind is Kind.STRING:
        fits = fits and all(state == "" or _TOKEN.fullmatch(state) for state in states)
    if kind is Kind.SENTENCE:
        fits = fits and any(" " in state for state in states)  # [3] is a gap, [for, the] are the words
    return states if fits and states else None


def _line(line: str, kind: Kind) -> Any:
    """The state that a line states, or None."""
    if _START.match(line) or _ECHO.match(line) or line.rstrip().endswith(":"):
        return None
    rest, marked = line, False
    for _ in range(3):  # "- 2. Step 2: …"
        if found := _MARK.match(rest):
            rest, marked = rest[found.end() :], True
    rest = rest.strip().rstrip(",;").strip()
    if rest.startswith("|"):  # a row of a table
        rest, marked = rest.strip("| ").rpartition("|")[2].strip(), True
    if not rest:
        return None
    if kind.listed:
        return _list_in(rest, kind)
    if kind is Kind.NUMBER:
        return _number_in(rest, marked)
    if kind is Kind.SENTENCE:
        return _sentence_in(rest)
    return _string_in(rest)


def _string_in(rest: str) -> str | None:
    """A string of small letters, digits and dashes: the whole, or what stands behind the last arrow, colon or "becomes"."""
    if rest.lstrip("\"'` ").startswith("[") and "," in rest:  # Compare's final state, which lists all
        return None
    for part in (rest, _BECOMES.split(rest)[-1]):
        state = single(part, Kind.STRING)
        if _TOKEN.fullmatch(state) or (state == "" and _EMPTY.search(part)):
            return str(state)
    return None


def _sentence_in(rest: str) -> str | None:
    """Words without punctuation: the last in quotes, or what stands behind the last arrow or colon."""
    spans = [found[2] for found in _SPAN.finditer(rest) if " " in found[2]]
    for part in (*reversed(spans), _ARROW.split(rest)[-1]):
        state = bare(part)
        if re.search(r"\w", state) and not re.search(r"[.,:;!?()]", state):
            return state
    return None


def _number_in(rest: str, marked: bool) -> int | None:
    part = re.split(_BECOMES.pattern + "|=", rest, flags=re.I)[-1]
    if part != rest and not marked and not _STEP.search(rest):
        return None  # `N = 1` states no step
    return number(part)


def _list_in(rest: str, kind: Kind) -> list[Any] | None:
    groups = [group for group in _groups(rest) if group and not any(isinstance(e, list) for e in group)]
    if groups:
        return _elements(groups[-1], kind)
    for part in (rest, _BECOMES.split(rest)[-1]):
        parts = [bare(e) for e in part.strip("(){}").split(",")]
        if all(_ELEMENT.fullmatch(e) for e in parts) and (len(parts) > 1 or "_" in parts[0]):
            return _elements(parts, kind)
    return None
