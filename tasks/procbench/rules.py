"""The 23 procedures of ProcBench as rules: each reads the data of an official prompt and gives the states it goes through.

Source: the official templates (Fujisawa et al. 2024, arXiv:2410.03117). Where a template leaves something open, the rule says how the
official labels read it. A state is a string, a whole number, or a list of strings or numbers; a procedure that changes nothing ends where
it began.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from perpass.errors import UserError

MOST_STATES = 10_000  # rules of replacement that feed themselves would go on for ever

Rule = Callable[[str], list[Any]]
RULES: dict[str, Rule] = {}


def _rule(rule: Rule) -> Rule:
    RULES["".join(word.capitalize() for word in rule.__name__.split("_"))] = rule
    return rule


# --- reading the data ------------------------------------------------------


def _line(data: str, name: str, below: bool = False) -> str:
    """What stands behind `name:`, on the same line or alone on the one below."""
    found = re.search(f"^{re.escape(name)}: ?" + (r"\n(.*)$" if below else "(.*)$"), data, re.MULTILINE)
    if found is None:
        raise UserError(f"procbench: the data have no {name + ':'!r} with something behind it")
    return found[1]


def _after(data: str, name: str) -> str:
    """Everything behind `name:`."""
    _, found, rest = data.partition(f"{name}:")
    if not found:
        raise UserError(f"procbench: the data have no {name + ':'!r}")
    return rest


def _list(data: str, name: str, below: bool = False) -> list[str]:
    """The elements of `name: [a, b]` or `name: a, b`."""
    return [part.strip() for part in _line(data, name, below).strip().removeprefix("[").removesuffix("]").split(",")]


def _tuples(data: str, name: str) -> list[tuple[int, ...]]:
    """The tuples of whole numbers behind `name:`."""
    return [tuple(map(int, re.findall(r"\d+", found))) for found in re.findall(r"\(([\d, ]+)\)", _after(data, name))]


def _rules(data: str, left: str) -> dict[str, str]:
    """Replacements `left -> right`, one per line; the first of several for the same left side counts."""
    found: list[tuple[str, str]] = re.findall(rf"^({left}) -> (\S+)\s*$", data, re.MULTILINE)
    return dict(reversed(found))


# --- strings ---------------------------------------------------------------


@_rule
def sort(data: str) -> list[Any]:
    """Letter by letter, bring each occurrence to the next place by a swap. A letter that is in its place already makes no state."""
    text, place, states = _line(data, "String"), 0, []
    for letter in string.ascii_lowercase:
        while (found := text.find(letter, place)) >= 0:
            if found > place:
                text = text[:place] + letter + text[place + 1 : found] + text[place] + text[found + 1 :]
                states.append(text)
            place += 1
    return states or [text]


@_rule
def gather(data: str) -> list[Any]:
    """Append `n` characters from the `i`-th of string `N`, counted from 0."""
    strings, text, states = _list(data, "Strings"), "", []
    for which, start, length in _tuples(data, "Sets of Numbers"):
        text += strings[which][start : start + length]
        states.append(text)
    return states


@_rule
def copy(data: str) -> list[Any]:
    """Append the strings in the order of the indices, counted from 0."""
    strings, text, states = _list(data, "Strings"), "", []
    for index in _list(data, "Indices"):
        text += strings[int(index)]
        states.append(text)
    return states


@_rule
def substitute(data: str) -> list[Any]:
    """Replace every character by its partner. A character without one makes a state too: the unchanged string."""
    pairs = dict(re.findall(r"^\((.), (.)\)\s*$", data, re.MULTILINE))
    text, states = list(_line(data, "String", below=True)), []
    for place, character in enumerate(text):
        text[place] = pairs.get(character, character)
        states.append("".join(text))
    return states


@_rule
def decompose(data: str) -> list[Any]:
    """Replace the leftmost character that has a rule by its two, from the left again after each, until none has one."""
    text, rules = _line(data, "characters"), _rules(data, r"\S")
    states: list[Any] = []
    while (place := next((k for k, character in enumerate(text) if character in rules), None)) is not None:
        text = text[:place] + rules[text[place]] + text[place + 1 :]
        states.append(text)
        if len(states) > MOST_STATES:
            raise UserError(f"procbench: these rules find no end within {MOST_STATES:,} replacements")
    return states or [text]


@_rule
def rhythm(data: str) -> list[Any]:
    """Append the next element of each of two sequences, which start over at their ends."""
    one, two, text, states = _list(data, "Sequence 1"), _list(data, "Sequence 2"), "", []
    for step in range(int(_line(data, "N"))):
        text += one[step % len(one)] + two[step % len(two)]
        states.append(text)
    return states


@_rule
def decode(data: str) -> list[Any]:
    """Write out each run `AxB`: the character A, B times."""
    text, states = "", []
    for run in _line(data, "Sentence").split():
        text += run[0] * int(run[2:])
        states.append(text)
    return states


@_rule
def push_pop(data: str) -> list[Any]:
    """Remove and add letters at both ends. The string may get empty, and taking from an empty one leaves it so."""
    text, states = _line(data, "Initial string"), []
    for action, end, letter in re.findall(r"(push|pop)_(left|right)(?:\((\w)\))?", _after(data, "Actions")):
        kept = text if action == "push" else text[1:] if end == "left" else text[:-1]
        text = letter + kept if end == "left" else kept + letter  # no letter where one is taken
        states.append(text)
    return states


@_rule
def rotate(data: str) -> list[Any]:
    """Shift the characters `m` to `n - 1` to the right by one, the last of them to the front."""
    text, states = _line(data, "String", below=True), []
    for start, end in _tuples(data, "Indices"):
        part = text[start:end]
        text = text[:start] + part[-1:] + part[:-1] + text[end:]
        states.append(text)
    return states


@_rule
def delete_char(data: str) -> list[Any]:
    """Remove each letter where it comes first; one that is not there leaves the string as it is."""
    text, states = _line(data, "String"), []
    for letter in re.findall(r"^\d+\. (\S)\s*$", _after(data, "Steps"), re.MULTILINE):
        text = text.replace(letter, "", 1)
        states.append(text)
    return states


@_rule
def move_cyclic(data: str) -> list[Any]:
    """Move the x around the ends of the array."""
    array, states = _line(data, "Initial array", below=True), []
    place, size = array.index("x"), len(array)
    for direction, distance in re.findall(r"\((left|right), (\d+)\)", _after(data, "Operations")):
        place = (place + (int(distance) if direction == "right" else -int(distance))) % size
        states.append("-" * place + "x" + "-" * (size - place - 1))
    return states


# --- lists and numbers -----------------------------------------------------


@_rule
def count(data: str) -> list[Any]:
    """For each string: its letters, its digits read as one number (none: 0), their product. The final state is the sum of the products.

    Leading zeros do not count, and all is written as text but for the sum.
    """
    rows, total = [], 0
    for text in re.findall(r"'([^']*)'", _after(data, "Strings")):
        letters, digits = sum(map(str.isalpha, text)), int("0" + re.sub(r"[^0-9]", "", text))
        rows.append([text, str(letters), str(digits), str(letters * digits)])
        total += letters * digits
    return [*rows, total]


@_rule
def search(data: str) -> list[Any]:
    """Add how often each substring is in each string; occurrences do not overlap, and a substring that comes again counts again."""
    strings, states = _list(data, "Strings"), []
    counts = [0] * len(strings)
    for substring in _list(data, "Substrings"):
        counts = [so_far + text.count(substring) for so_far, text in zip(counts, strings, strict=True)]
        states.append(counts)
    return states


@_rule
def encode(data: str) -> list[Any]:
    """Write the runs from the left: the character, an underscore, its length."""
    codes = [f"{run[0][0]}_{len(run[0])}" for run in re.finditer(r"(.)\1*", _line(data, "String", below=True))]
    return [codes[: k + 1] for k in range(len(codes))]


@_rule
def split1(data: str) -> list[Any]:
    """Split at positions of the original string."""
    text, states = _line(data, "String", below=True), []
    cuts = [0, len(text)]
    for position in _list(data, "Positions", below=True):
        cuts = sorted([*cuts, int(position)])
        states.append([text[a:b] for a, b in pairwise(cuts)])
    return states


@_rule
def split2(data: str) -> list[Any]:
    """Split the `i`-th part at its own position `j`."""
    parts, states = [_line(data, "String", below=True)], []
    for which, place in _tuples(data, "Indices"):
        parts = [*parts[:which], parts[which][:place], parts[which][place:], *parts[which + 1 :]]
        states.append(parts)
    return states


@_rule
def compose(data: str) -> list[Any]:
    """Replace the rightmost two neighbours that have a rule by its one character, from the right again after each, until none have one."""
    state, rules = _list(data, "Initial state", below=True), _rules(data, r"\S, \S")
    states: list[Any] = []
    while True:
        place = next((k for k in reversed(range(len(state) - 1)) if f"{state[k]}, {state[k + 1]}" in rules), None)
        if place is None:
            return states or [state]
        state = [*state[:place], rules[f"{state[place]}, {state[place + 1]}"], *state[place + 2 :]]
        states.append(state)


@_rule
def compare(data: str) -> list[Any]:
    """What each candidate shares with the beginning of the target, up to the first that equals it; the final state lists them all."""
    target, shared = _line(data, "Target"), []
    for candidate in _list(data, "Candidate"):
        same = next((k for k, (a, b) in enumerate(zip(target, candidate, strict=False)) if a != b), min(len(target), len(candidate)))
        shared.append(target[:same])
        if candidate == target:
            return [*shared[:-1], shared]
    raise UserError(f"procbench: no candidate is the target {target!r}")


@_rule
def cumulate(data: str) -> list[Any]:
    """Add to and multiply the number."""
    value, states = int(re.findall(r"N = (-?\d+)", data)[0]), []
    for word, number in re.findall(r"(Add|Multiply) (-?\d+)", _after(data, "Operations")):
        value = value + int(number) if word == "Add" else value * int(number)
        states.append(value)
    return states


@_rule
def find_cyclic(data: str) -> list[Any]:
    """Go right from where the letter comes first, around the end, counting down; the final state is the letter at zero."""
    text = _line(data, "String")
    letter, number = re.findall(r"'(\w+)'", _after(data, "Command"))[:2]
    place = text.index(letter)
    walked = [text[(place + step) % len(text)] for step in range(int(number) + 1)]
    return [*([walked[step], str(int(number) - step)] for step in range(1, int(number))), walked[-1]]


# --- sentences -------------------------------------------------------------


@_rule
def count2(data: str) -> list[Any]:
    """Add the letters of each word, upper and lower case alike, to 26 counts; digits and signs are none.

    A letter beyond a to z gets a count of its own behind the 26, as the official generator gives it.
    """
    counts, states = dict.fromkeys(string.ascii_lowercase, 0), []
    for word in _line(data, "Sentence", below=True).split():
        for letter in filter(str.isalpha, word):
            counts[letter.lower()] = counts.get(letter.lower(), 0) + 1
        states.append(list(counts.values()))
    return states


@_rule
def fill_word(data: str) -> list[Any]:
    """Replace the first `[k]` by the word of pair k, in the order of the list."""
    text, states = _line(data, "Sentence", below=True), []
    for number, word in re.findall(r"\((\d+), ([^()]*)\)", _after(data, "List")):
        text = text.replace(f"[{number}]", word, 1)
        states.append(text)
    return states


@_rule
def delete_word(data: str) -> list[Any]:
    """Remove each word where it comes first as a whole word, upper and lower case apart; one that is not there changes nothing."""
    words, states = _line(data, "Sentence", below=True).split(" "), []
    for word in _list(data, "Words"):
        if word in words:
            words.remove(word)
        states.append(" ".join(words))
    return states
