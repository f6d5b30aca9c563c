"""The simpler procedures, on one string or number or on two.

Distributions are ours; sizes grow with the number of steps. What a random state draws here must never change: which problems the reference
models were not trained on hangs on it.
"""

from __future__ import annotations

import random
import string

from tasks.procbench.drawn import Drawn, lowercase, procedure

_LARGEST = 9999


@procedure(6, "Replace each character by its partner, from left to right.")
def substitute(rng: random.Random, steps: int) -> Drawn:
    """Replace every character of a string by its partner in a list of pairs, from left to right. Every character has one."""
    alphabet = string.ascii_lowercase + string.digits
    text = "".join(rng.choices(alphabet, k=steps))
    pairs = {old: rng.choice(alphabet.replace(old, "")) for old in rng.sample(sorted(set(text)), len(set(text)))}
    states = tuple("".join(pairs[c] for c in text[: k + 1]) + text[k + 1 :] for k in range(steps))
    shown = "\n".join(f"({old}, {new})" for old, new in pairs.items())
    doing = tuple(f"{c} -> {pairs[c]}:" for c in text)
    return Drawn("Substitute", f"Pairs:\n{shown}\nString:\n{text}", text, states, doing)


@procedure(7, "Write the string as runs: character, underscore, length.")
def encode(rng: random.Random, steps: int) -> Drawn:
    """Write a string of zeros and ones as its runs: 1_7, 0_2. Runs are of 1 to 9."""
    bit = rng.randrange(2)
    runs = [(str((bit + k) % 2), rng.randint(1, 9)) for k in range(steps)]
    whole, codes = [c * n for c, n in runs], [f"{c}_{n}" for c, n in runs]
    states, doing = tuple(codes[: k + 1] for k in range(steps)), tuple(f"{run}:" for run in whole)
    return Drawn("Encode", "String:\n" + "".join(whole), "", states, doing)


@procedure(12, "Join the sequences for N steps: a number, then a letter, starting over at an end.")
def rhythm(rng: random.Random, steps: int) -> Drawn:
    """Join two cyclic sequences, one of numbers and one of letters, element by element."""
    numbers = rng.choices("123456789", k=rng.randint(3, 6))
    letters = rng.choices("abcdefgh", k=rng.randint(3, 6))
    taken = [(numbers[k % len(numbers)], letters[k % len(letters)]) for k in range(steps)]
    pieces = ["".join(pair) for pair in taken]
    data = f"Sequence 1: {', '.join(numbers)}\nSequence 2: {', '.join(letters)}\nN: {steps}"
    states = tuple("".join(pieces[: k + 1]) for k in range(steps))
    return Drawn("Rhythm", data, "", states, tuple(f"{number}, {letter}:" for number, letter in taken))


@procedure(13, "Write what each candidate shares with the beginning of the target, until one is equal.")
def compare(rng: random.Random, steps: int) -> Drawn:
    """Compare a target with candidates one by one; each shares a beginning with it, until one is the same."""
    target = lowercase(rng, rng.randint(3, 6))
    shared = [target[: rng.randrange(1, len(target))] for _ in range(steps - 1)]
    candidates = [_unlike(rng, target, len(s)) for s in shared]
    after = [_unlike(rng, target, rng.randrange(1, len(target))) for _ in range(rng.randrange(3))]
    data = f"Target: {target}\nCandidate: {', '.join([*candidates, target, *after])}"
    doing = tuple(f"{candidate}:" for candidate in [*candidates, target])
    return Drawn("Compare", data, [""], (*shared, [*shared, target]), doing)


def _unlike(rng: random.Random, target: str, same: int) -> str:
    """A word as long as `target` that begins like it for exactly `same` letters."""
    other = rng.choice(string.ascii_lowercase.replace(target[same], ""))
    return target[:same] + other + lowercase(rng, len(target) - same - 1)


@procedure(15, "Write out the runs: AxB is B times A.")
def decode(rng: random.Random, steps: int) -> Drawn:
    """Write out runs of zeros and ones that are given as 1x4. Runs are of 1 to 9."""
    bit = rng.randrange(2)
    runs = [(str((bit + k) % 2), rng.randint(1, 9)) for k in range(steps)]
    whole = [c * n for c, n in runs]
    named = [f"{c}x{n}" for c, n in runs]
    states, doing = tuple("".join(whole[: k + 1]) for k in range(steps)), tuple(f"{run}:" for run in named)
    return Drawn("Decode", f"Sentence: {' '.join(named)}\n", "", states, doing)


@procedure(16, "Apply the actions to the string.")
def push_pop(rng: random.Random, steps: int) -> Drawn:
    """Remove and add letters at both ends of a string, which never gets empty."""
    text = start = lowercase(rng, steps + rng.randrange(3))
    actions, states = [], []
    for _ in range(steps):
        action = rng.choice(("pop_left", "pop_right", "push_left", "push_right")[0 if len(text) > 1 else 2 :])
        letter = rng.choice(string.ascii_lowercase)
        text = {"pop_left": text[1:], "pop_right": text[:-1], "push_left": letter + text, "push_right": text + letter}[action]
        actions.append(f"{action}({letter})" if action.startswith("push") else action)
        states.append(text)
    data = f"Initial string: {start}\nActions: {', '.join(actions)}"
    return Drawn("PushPop", data, start, tuple(states), tuple(f"{action}:" for action in actions))


@procedure(19, "Remove the letters from the string, each where it comes first.")
def delete_char(rng: random.Random, steps: int) -> Drawn:
    """Remove the first of a given letter from a string, letter by letter."""
    text = start = lowercase(rng, steps + rng.randint(3, 7))
    letters, states = [], []
    for _ in range(steps):
        letters.append(rng.choice(text))
        text = text.replace(letters[-1], "", 1)
        states.append(text)
    shown = "\n".join(f"{k}. {letter}" for k, letter in enumerate(letters, 1))
    doing = tuple(f"{letter}:" for letter in letters)
    return Drawn("DeleteChar", f"String: {start}\nSteps: \n{shown}", start, tuple(states), doing)


@procedure(21, "Apply the operations to N.")
def cumulate(rng: random.Random, steps: int) -> Drawn:
    """Add to and multiply a number. While there is room the two are equally likely; values stay below 10,000."""
    value = start = rng.randint(1, 9)
    operations, doing, states = [], [], []
    for _ in range(steps):
        number = rng.randint(2, 7)
        multiplies = value * number <= _LARGEST and rng.random() < 0.5
        doing.append(f"{value} {'*' if multiplies else '+'} {number} =")
        value = value * number if multiplies else value + number
        operations.append(f"{'Multiply' if multiplies else 'Add'} {number}")
        states.append(value)
    return Drawn("Cumulate", f"N = {start}\nOperations: [{', '.join(operations)}]\n", start, tuple(states), tuple(doing))


@procedure(22, "Move x, around the ends.")
def move_cyclic(rng: random.Random, steps: int) -> Drawn:
    """Move the x in an array of dashes left and right, around its ends."""
    size = rng.randint(4, 9)
    place = rng.randrange(size)
    start = _array(place, size)
    operations, doing, states = [], [], []
    for _ in range(steps):
        direction, distance = rng.choice(("left", "right")), rng.randint(1, 5)
        place = (place + (distance if direction == "right" else -distance)) % size
        operations.append(f" ({direction}, {distance})")
        doing.append(f"({direction}, {distance}):")
        states.append(_array(place, size))
    shown = ",\n".join(operations)
    return Drawn("MoveCyclic", f"Initial array:\n{start}\nOperations: [\n{shown}\n]\n", start, tuple(states), tuple(doing))


def _array(place: int, size: int) -> str:
    return "-" * place + "x" + "-" * (size - place - 1)


@procedure(23, "Go right from the letter, around the end, counting down to zero.")
def find_cyclic(rng: random.Random, steps: int) -> Drawn:
    """Walk to the right through a string of different characters, around its end, counting down to zero."""
    text = "".join(rng.sample(string.ascii_lowercase + string.digits, rng.randint(5, 10)))
    place = rng.randrange(len(text))
    walked = [text[(place + k) % len(text)] for k in range(steps + 1)]
    states = tuple([walked[k], str(steps - k)] for k in range(1, steps))
    data = f"String: {text}\nCommand: ['{walked[0]}', '{steps}']\n"
    return Drawn("FindCyclic", data, [walked[0], str(steps)], (*states, walked[steps]))
