"""The other procedures on strings and lists of strings. Distributions are ours; sizes grow with the number of steps.

Every label is made as its states are: forwards piece by piece, or (Sort) backwards from the end, never by following the finished prompt.
"""

from __future__ import annotations

import random
import string

from tasks.procbench.drawn import Drawn, lowercase, procedure

_ALPHABET = string.ascii_lowercase + string.digits


@procedure(1, "Sort the string: bring letter after letter to its place by a swap.")
def sort(rng: random.Random, steps: int) -> Drawn:
    """Sort a string by swaps that each bring the next letter to its place. Drawn backwards from the sorted string."""
    while True:
        text = sorted(lowercase(rng, steps + rng.randint(1, 6)))
        undone = ["".join(text)]
        in_place = set(rng.sample(range(len(text) - 1), len(text) - 1 - steps))
        for place in reversed(range(len(text) - 1)):
            # The letter of this place may come from as far as the next one of its kind: it was the leftmost one not yet in place.
            end = next((k for k in range(place + 1, len(text)) if text[k] == text[place]), len(text))
            if place not in in_place and end > place + 1:
                source = rng.randrange(place + 1, end)
                text[place], text[source] = text[source], text[place]
                undone.append("".join(text))
        if len(undone) == steps + 1:
            return Drawn("Sort", f"String: {undone[-1]}", undone[-1], tuple(reversed(undone[:-1])))


@procedure(2, "Append n characters of string N from the i-th on, counting from 0, for each (N, i, n).")
def gather(rng: random.Random, steps: int) -> Drawn:
    """Join pieces of strings of letters and digits."""
    strings = ["".join(rng.choices(_ALPHABET, k=rng.randint(5, 10))) for _ in range(rng.randint(2, 12))]
    sets, states, text = [], [], ""
    for _ in range(steps):
        which = rng.randrange(len(strings))
        start = rng.randrange(len(strings[which]))
        end = rng.randint(start + 1, len(strings[which]))
        text += strings[which][start:end]
        sets.append(f"({which}, {start}, {end - start})")
        states.append(text)
    return Drawn("Gather", f"Strings: [{', '.join(strings)}]\nSets of Numbers: [{', '.join(sets)}]\n", "", tuple(states))


@procedure(3, "For each string: letters, number of its digits, product. Then the sum of the products.")
def count(rng: random.Random, steps: int) -> Drawn:
    """Count letters and read digits of strings; one string fewer than steps. Half of the strings have digits, up to three."""
    rows, total = [], 0
    for _ in range(steps - 1):
        digits = rng.choices(string.digits, k=rng.choice((0, 0, 0, 1, 2, 3)))
        characters = list(lowercase(rng, rng.randint(4, 9) - len(digits)))
        letters = len(characters)
        for place, digit in zip(sorted(rng.choices(range(letters + 1), k=len(digits)), reverse=True), reversed(digits), strict=True):
            characters.insert(place, digit)
        number = sum(int(digit) * 10**power for power, digit in enumerate(reversed(digits)))
        rows.append(["".join(characters), str(letters), str(number), str(letters * number)])
        total += letters * number
    return Drawn("Count", f"Strings:\n{[row[0] for row in rows]}", "0", (*rows, total))


@procedure(4, "Add up how often each substring is in each string.")
def search(rng: random.Random, steps: int) -> Drawn:
    """Count substrings of two letters in ten strings, which hold up to two of them on purpose.

    Pairs are counted while a string grows; no letter comes three times in a row, so that no two occurrences overlap.
    """
    substrings = [lowercase(rng, 2) for _ in range(steps)]
    strings, pairs = [], []
    for _ in range(10):
        pieces = [*rng.choices(substrings, k=rng.randrange(3)), *lowercase(rng, rng.randint(3, 8))]
        rng.shuffle(pieces)
        text, found = "", dict.fromkeys(substrings, 0)
        for letter in "".join(pieces):
            if text[-2:] == 2 * letter:
                continue
            text += letter
            if text[-2:] in found:
                found[text[-2:]] += 1
        strings.append(text)
        pairs.append(found)
    states = [[0] * len(strings)]
    for substring in substrings:
        states.append([so_far + found[substring] for so_far, found in zip(states[-1], pairs, strict=True)])
    return Drawn("Search", f"Strings: [{', '.join(strings)}]\nSubstrings: [{', '.join(substrings)}]\n", states[0], tuple(states[1:]))


@procedure(5, "Append the strings in the order of the indices, counting from 0.")
def copy(rng: random.Random, steps: int) -> Drawn:
    """Join strings of letters and digits in a given order."""
    strings = ["".join(rng.choices(_ALPHABET, k=rng.randint(5, 12))) for _ in range(rng.randint(3, 16))]
    indices = [rng.randrange(len(strings)) for _ in range(steps)]
    states = [strings[indices[0]]]
    for index in indices[1:]:
        states.append(states[-1] + strings[index])
    return Drawn("Copy", f"Strings: [{', '.join(strings)}]\nIndices: [{', '.join(map(str, indices))}]\n", "", tuple(states))


@procedure(8, "Split the string at the positions, which count from 0 in the whole string.")
def split1(rng: random.Random, steps: int) -> Drawn:
    """Split a string at positions of the whole string, in any order."""
    text = lowercase(rng, rng.randint(steps + 1, steps + 8))
    positions = rng.sample(range(1, len(text)), steps)
    parts, states = {0: text}, []  # by where they begin
    for position in positions:
        start = max(k for k in parts if k < position)
        parts[position] = parts[start][position - start :]
        parts[start] = parts[start][: position - start]
        states.append([parts[k] for k in sorted(parts)])
    return Drawn("Split1", f"String:\n{text}\nPositions:\n{', '.join(map(str, positions))}", [text], tuple(states))


@procedure(9, "Split part i before its j-th character, counting from 0, for each (i, j).")
def split2(rng: random.Random, steps: int) -> Drawn:
    """Split parts of a string at positions of their own."""
    text = lowercase(rng, rng.randint(steps + 1, steps + 8))
    parts, pairs, states = [text], [], []
    for _ in range(steps):
        which = rng.choice([k for k, part in enumerate(parts) if len(part) > 1])
        place = rng.randrange(1, len(parts[which]))
        parts[which : which + 1] = [parts[which][:place], parts[which][place:]]
        pairs.append(f"({which}, {place})")
        states.append(list(parts))
    return Drawn("Split2", f"String:\n{text}\nIndices:\n{', '.join(pairs)}", [text], tuple(states))


@procedure(10, "Replace two neighbours that have a rule, the rightmost first, until none have one.")
def compose(rng: random.Random, steps: int) -> Drawn:
    """Replace neighbours by a character, the rightmost first.

    Whether a pair has a rule is drawn when the pair is first met; a draw that ends too early or goes on too long is thrown away.
    """
    while True:
        start = list(lowercase(rng, steps + rng.randint(3, 8)))
        rules: dict[str, str | None] = {}
        states = [start]
        share = 1.6 * steps / (len(start) + 2 * steps)  # rather too many rules than too few: fewer draws are thrown away
        while len(states) <= steps + 1:
            state = states[-1]
            for place in reversed(range(len(state) - 1)):
                pair = f"{state[place]}, {state[place + 1]}"
                if pair not in rules:
                    rules[pair] = lowercase(rng, 1) if len(states) <= steps and rng.random() < share else None
                if (new := rules[pair]) is not None:
                    states.append([*state[:place], new, *state[place + 2 :]])
                    break
            else:
                break
        if len(states) == steps + 1:
            break
    for _ in range(steps // 7 + 1):  # rules for pairs that never come up, as the official problems have them
        rules.setdefault(", ".join(lowercase(rng, 2)), lowercase(rng, 1))
    shown = [f"{pair} -> {new}" for pair, new in rules.items() if new is not None]
    rng.shuffle(shown)
    data = "Rules:\n" + "\n".join(shown) + f"\nInitial state:\n{', '.join(start)}"
    return Drawn("Compose", data, start, tuple(states[1:]))


@procedure(11, "Replace each character that has a rule by its two, from left to right.")
def decompose(rng: random.Random, steps: int) -> Drawn:
    """Replace characters by two others that have no rule themselves, from left to right."""
    letters = rng.sample(string.ascii_lowercase, 26)
    ruled = rng.randint(1, min(steps, 20))
    rules = {old: "".join(rng.choices(letters[ruled:], k=2)) for old in letters[:ruled]}
    replaced = [*rules, *rng.choices(letters[:ruled], k=steps - ruled)]
    text = [*replaced, *rng.choices(letters[ruled:], k=rng.randint(2, 10))]
    rng.shuffle(text)
    start, states = "".join(text), []
    for place, character in enumerate(text):
        if character in rules:
            text[place] = rules[character]
            states.append("".join(text))
    shown = "\n".join(f"{old} -> {new}" for old, new in rules.items())
    return Drawn("Decompose", f"characters: {start}\nrules:\n{shown}", start, tuple(states))


@procedure(17, "Shift characters m to n - 1 right by one, the last of them to the front, for each (m, n).")
def rotate(rng: random.Random, steps: int) -> Drawn:
    """Rotate parts of a string."""
    text = list(lowercase(rng, rng.randint(5, 14)))
    start, pairs, states = "".join(text), [], []
    for _ in range(steps):
        first, end = sorted(rng.sample(range(len(text) + 1), 2))
        if end - first < 2:  # one character does not turn
            first, end = (first - 1, end) if first else (first, end + 1)
        text.insert(first, text.pop(end - 1))
        pairs.append(f"({first}, {end})")
        states.append("".join(text))
    return Drawn("Rotate", f"String:\n{start}\nIndices:\n{', '.join(pairs)}", start, tuple(states))
