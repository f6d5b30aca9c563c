"""Word problems as data: chains of whole-number operations, and the short stories that tell them."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

LARGEST = 999
OPERAND = 50
FACTORS = range(2, 10)
TEST_SHARE = 10  # one expression in ten is kept for testing
PATIENCE = 500  # draws of new numbers before one number more is changed

APPLY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a // b,
}


@dataclass(frozen=True)
class Chain:
    """A start and the operations applied to it in turn, e.g. 12, (("+", 5), ("*", 3)). Divisions are exact; values stay in [0, 999]."""

    start: int
    steps: tuple[tuple[str, int], ...]

    @property
    def values(self) -> tuple[int, ...]:
        """The running value: the start, then the result of every operation."""
        found = [self.start]
        for sign, operand in self.steps:
            found.append(APPLY[sign](found[-1], operand))
        return tuple(found)

    @property
    def answer(self) -> int:
        """The last running value."""
        return self.values[-1]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The start and the operands, in the order in which a story tells them."""
        return (self.start, *(operand for _, operand in self.steps))

    @property
    def expression(self) -> str:
        """The canonical text of the chain, free of wording: what the train/test split hashes."""
        return str(self.start) + "".join(f" {sign} {operand}" for sign, operand in self.steps)

    @property
    def held_out(self) -> bool:
        """True for the tenth of all expressions that only the task asks; training sees the others only."""
        return int(hashlib.sha256(self.expression.encode()).hexdigest(), 16) % TEST_SHARE == 0


def operands(value: int, sign: str) -> range | list[int]:
    """The operands with which `sign` may be applied to a running value; empty where none keeps it whole and in range."""
    if sign == "+":
        return range(2, min(OPERAND, LARGEST - value) + 1)
    if sign == "-":
        return range(2, min(OPERAND, value) + 1)
    if sign == "*":
        return [k for k in FACTORS if 0 < value * k <= LARGEST]
    return [k for k in FACTORS if value and value % k == 0]


def draw_chain(rng: random.Random, operations: int) -> Chain:
    """A random chain: at every step first a feasible operation, then its operand, both uniformly. Equal for equal `rng` states."""
    start = value = rng.randint(2, OPERAND)
    steps = []
    for _ in range(operations):
        sign, choices = rng.choice([(s, c) for s in APPLY if (c := operands(value, s))])
        steps.append((sign, rng.choice(choices)))
        value = APPLY[sign](value, steps[-1][1])
    return Chain(start, tuple(steps))


def continued(rng: random.Random, chain: Chain) -> Chain:
    """The chain with one operation more; on the same side of the split, unless no operation leads there. Equal for equal `rng` states."""
    found = [Chain(chain.start, (*chain.steps, (sign, operand))) for sign in APPLY for operand in operands(chain.answer, sign)]
    return rng.choice([made for made in found if made.held_out == chain.held_out] or found)


def renumbered(rng: random.Random, chain: Chain, share: float) -> Chain:
    """The same operations with a share of the numbers, at least one, replaced by others: feasible, and on the same side of the split.

    Where so few new numbers are never feasible, one more is changed. Equal for equal `rng` states.
    """
    count = max(1, round(share * len(chain.numbers)))
    for tries in itertools.count(1):
        made = _redrawn(rng, chain, set(rng.sample(range(len(chain.numbers)), count)))
        if made is not None and made.held_out == chain.held_out:
            return made
        if tries % PATIENCE == 0:
            count = min(count + 1, len(chain.numbers))
    raise AssertionError("unreachable")


def _redrawn(rng: random.Random, chain: Chain, places: set[int]) -> Chain | None:
    """The chain with another number at each of `places` (0: the start); None where the others do not fit any more."""
    start = value = rng.choice([n for n in range(2, OPERAND + 1) if n != chain.start]) if 0 in places else chain.start
    steps = []
    for place, (sign, operand) in enumerate(chain.steps, 1):
        fit = operands(value, sign)
        choices = [k for k in fit if k != operand] if place in places else [k for k in (operand,) if k in fit]
        if not choices:
            return None
        steps.append((sign, rng.choice(choices)))
        value = APPLY[sign](value, steps[-1][1])
    return Chain(start, tuple(steps))


def solution(chain: Chain) -> str:
    """The step-by-step text: one line per operation, then the answer in a box."""
    values = chain.values
    lines = [f"{a} {sign} {b} = {c}" for (sign, b), a, c in zip(chain.steps, values, values[1:], strict=False)]
    return "\n".join([*lines, boxed(chain.answer)])


def boxed(value: int | str) -> str:
    """The final answer as the answer format asks for it."""
    return f"\\boxed{{{value}}}"


LATER: Mapping[str, str] = {
    "+": "after that, the number went up by {n}.",
    "-": "after that, the number went down by {n}.",
    "*": "after that, the number was multiplied by {n}.",
    "/": "after that, the number was divided by {n}.",
}
"""One operation more, whatever the story is about."""


@dataclass(frozen=True)
class Frame:
    """One kind of story. Templates may name {who}, {other}, {thing}, {n}; `compare` opens a story with two people."""

    start: tuple[str, ...]
    tell: Mapping[str, tuple[str, ...]]
    ask: tuple[str, ...]
    things: tuple[str, ...] = ("",)
    compare: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


NAMES = ("Ana", "Ben", "Cara", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jack", "Kim", "Leo", "Mia", "Noah", "Olga", "Paul")

COMPARE = {
    "+": ("{who} has {n} more {thing} than {other}.",),
    "-": ("{who} has {n} fewer {thing} than {other}.",),
    "*": ("{who} has {n} times as many {thing} as {other}.",),
}

FRAMES: dict[str, Frame] = {
    "things": Frame(
        start=("{who} has {n} {thing}.", "{who} starts with {n} {thing}."),
        tell={
            "+": ("{who} finds {n} more {thing}.", "{who} buys {n} more {thing}.", "A friend gives {who} {n} {thing}."),
            "-": ("{who} gives away {n} {thing}.", "{who} loses {n} {thing}.", "{who} sells {n} {thing}."),
            "*": ("{who} collects until there are {n} times as many {thing}.", "Then {who} has {n} times as many {thing}."),
            "/": (
                "{who} shares the {thing} equally among {n} people and keeps one share.",
                "{who} makes {n} equal piles and keeps one pile.",
            ),
        },
        ask=("How many {thing} does {who} have now?", "How many {thing} does {who} have in the end?"),
        things=("apples", "coins", "cards", "stamps", "shells", "marbles"),
        compare=COMPARE,
    ),
    "shop": Frame(
        start=("A shop has {n} {thing}.", "There are {n} {thing} in a shop."),
        tell={
            "+": ("The shop buys {n} more {thing}.", "A truck brings {n} more {thing}."),
            "-": ("The shop sells {n} {thing}.", "People buy {n} {thing}."),
            "*": ("The shop orders until there are {n} times as many {thing}.", "Soon the shop has {n} times as many {thing}."),
            "/": (
                "The {thing} are shared equally among {n} shops, and we stay with one shop.",
                "The shop keeps only one in every {n} {thing}.",
            ),
        },
        ask=("How many {thing} does the shop have now?", "How many {thing} are in the shop in the end?"),
        things=("apples", "cards", "lamps", "pens", "cups"),
    ),
    "garden": Frame(
        start=("{who} has {n} {thing} in the garden.", "There are {n} {thing} in the garden."),
        tell={
            "+": ("{who} plants {n} more {thing}.", "Then {n} more {thing} grow."),
            "-": ("{who} cuts {n} {thing}.", "Rabbits eat {n} {thing}."),
            "*": ("Soon there are {n} times as many {thing}.", "By summer the garden has {n} times as many {thing}."),
            "/": ("After the frost only one in every {n} {thing} is left.", "{who} keeps only one in every {n} {thing}."),
        },
        ask=("How many {thing} are in the garden now?", "How many {thing} are there in the end?"),
        things=("roses", "plants", "tulips"),
    ),
    "bus": Frame(
        start=("A bus starts with {n} people.", "There are {n} people on a bus."),
        tell={
            "+": ("At the next stop {n} more people get on.", "Then {n} more people get on the bus."),
            "-": ("At the next stop {n} people get off.", "Then {n} people get off the bus."),
            "*": ("At the station the bus fills up to {n} times as many people.", "Soon there are {n} times as many people."),
            "/": (
                "The people are shared equally among {n} buses, and we stay with one bus.",
                "At the station only one in every {n} people stays on.",
            ),
        },
        ask=("How many people are on the bus now?", "How many people are on the bus in the end?"),
    ),
    "library": Frame(
        start=("A library has {n} books on a shelf.", "There are {n} books in a library."),
        tell={
            "+": ("The library buys {n} more books.", "People bring back {n} books."),
            "-": ("People borrow {n} books.", "The library gives away {n} books."),
            "*": ("The library orders until there are {n} times as many books.", "Soon there are {n} times as many books."),
            "/": (
                "The books are shared equally among {n} rooms, and we stay in one room.",
                "The library keeps only one in every {n} books.",
            ),
        },
        ask=("How many books are there now?", "How many books are there in the end?"),
    ),
    "game": Frame(
        start=("{who} starts a game with {n} points.", "{who} has {n} points in a game."),
        tell={
            "+": ("{who} wins {n} points.", "{who} gets {n} more points."),
            "-": ("{who} loses {n} points.", "A bad card costs {who} {n} points."),
            "*": ("A good card multiplies the points by {n}.", "Then {who} has {n} times as many points."),
            "/": ("A bad card divides the points by {n}.", "{who} must divide the points by {n}."),
        },
        ask=("How many points does {who} have now?", "How many points does {who} have in the end?"),
        things=("points",),
        compare=COMPARE,
    ),
    "savings": Frame(
        start=("{who} has {n} dollars.", "{who} starts with {n} dollars."),
        tell={
            "+": ("{who} earns {n} dollars.", "{who} saves {n} more dollars."),
            "-": ("{who} spends {n} dollars.", "A game costs {who} {n} dollars."),
            "*": ("{who} saves until there are {n} times as many dollars.", "Soon {who} has {n} times as many dollars."),
            "/": ("{who} shares the money equally among {n} people and keeps one share.", "{who} keeps only one in every {n} dollars."),
        },
        ask=("How many dollars does {who} have now?", "How many dollars does {who} have in the end?"),
        things=("dollars",),
        compare=COMPARE,
    ),
}


def tell(rng: random.Random, chain: Chain) -> str:
    """A story for `chain`: a sentence for the start and one per operation, then the question. Equal for equal `rng` states."""
    frame = FRAMES[rng.choice(list(FRAMES))]
    who, other = rng.sample(NAMES, 2)
    thing = rng.choice(frame.things)

    def say(templates: tuple[str, ...], n: int = 0, actor: str = who) -> str:
        return rng.choice(templates).format(who=actor, other=other, thing=thing, n=n)

    two_people = chain.steps[0][0] in frame.compare and rng.random() < 0.3
    sentences = [say(frame.start, chain.start, other if two_people else who)]
    for position, (sign, operand) in enumerate(chain.steps):
        sentences.append(say((frame.compare if two_people and position == 0 else frame.tell)[sign], operand))
    return " ".join([*sentences, say(frame.ask)])


def stories(rng: random.Random, operations: int, *, held_out: bool) -> Iterator[tuple[Chain, str]]:
    """Endless (chain, question) pairs with `operations` operations from one side of the train/test split."""
    while True:
        chain = draw_chain(rng, operations)
        if chain.held_out == held_out:
            yield chain, tell(rng, chain)
