"""Countdown and the game of 24: reach a target from given numbers with + − × ÷. Any expression that does is right.

As in Tree of Thoughts (Yao et al. 2023, arXiv:2305.10601) and Stream of Search (Gandhi et al. 2024, arXiv:2404.03683); problems are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, combinations_with_replacement, islice
from random import Random
from typing import Any

from perpass.errors import UserError
from tasks import expressions
from tasks.checks import bounds, whole
from tasks.registry import task
from tasks.types import Problem
from tasks.verified import VerifiedTask, spread

VERSION = 1
VERIFIER = 1
FEWEST, MOST = 3, 8
LARGEST_NUMBER = 99
TARGETS = range(10, 1000)
LARGEST_STEP = 9_999
CARDS = range(1, 14)
ANSWER_FORMAT = r"Put only the expression, without its value, within \boxed{}."
ALLOWED = "Use only +, -, *, / and parentheses; results on the way may be fractions or negative."


class _Reaching(VerifiedTask):
    """Judges expressions by their value and the numbers in them. `every`: whether each number must be used."""

    every = False

    def read(self, answer: str) -> Hashable | None:
        """Value and numbers of the expression: two that agree in both are the same answer."""
        return expressions.read(answer)

    def check(self, problem: Problem, answer: Any) -> tuple[bool, Mapping[str, float]]:
        """Whether it gives the target and uses none of the numbers more often than it is given (`every`: as often)."""
        given, used = Counter(map(int, problem.meta["numbers"].split())), Counter(answer.numbers)
        return answer.value == int(problem.meta["target"]) and (used == given if self.every else used <= given), {}


@task("countdown")
class Countdown(_Reaching):
    """`size` problems spread evenly over how many numbers are given, from `numbers[0]` to `numbers[1]`; each is used at most once.

    Numbers are 1 to 99, targets 10 to 999, reached by construction; at least three of the numbers are needed.
    Raises UserError for a bad value.
    """

    def __init__(self, numbers: Sequence[int] = (3, 6), size: int = 600, seed: int = 0):
        low, high = bounds("countdown", "numbers", numbers, FEWEST, MOST)
        whole("countdown", "size", size, 1)
        whole("countdown", "seed", seed, 0)
        spec = {"kind": "countdown", "numbers": [low, high], "size": size, "seed": seed}

        def load() -> tuple[Sequence[Problem], str]:
            return spread("countdown", seed, size, range(low, high + 1), _draw), "generated"

        super().__init__(name="countdown", version=VERSION, verifier=VERIFIER, spec=spec, load=load)


@task("game24")
class Game24(_Reaching):
    """`size` of the 1,362 games of 24 that can be won: four cards from 1 to 13, each used exactly once.

    Growing `size` keeps what was there. Raises UserError for a bad value, and for a size beyond 1,362.
    """

    every = True

    def __init__(self, size: int = 300, seed: int = 0):
        whole("game24", "size", size, 1)
        whole("game24", "seed", seed, 0)

        def load() -> tuple[Sequence[Problem], str]:
            hands = list(combinations_with_replacement(CARDS, 4))
            Random(f"game24/{seed}").shuffle(hands)
            won = ((hand, gold) for hand in hands if (gold := solve(hand, 24)) is not None)
            found = [_game(hand, gold) for hand, gold in islice(won, size)]
            if len(found) < size:
                raise UserError(f"game24: size {size} is too large: there are {len(found)} games that can be won")
            return found, "generated"

        spec = {"kind": "game24", "size": size, "seed": seed}
        super().__init__(name="game24", version=VERSION, verifier=VERIFIER, spec=spec, load=load)


def solve(numbers: Sequence[int], target: int) -> str | None:
    """An expression of all `numbers`, each once, that gives `target` (not 0), or None. Exhaustive: for few numbers."""
    whole_hand = tuple(sorted(numbers))
    for a, b in _splits(whole_hand):
        left, right = _reachable(a), _reachable(b)
        for x, text in left.items():
            for need, shown in _partners(x, Fraction(target)):
                if need in right:
                    return shown.format(text, right[need])
    return str(target) if whole_hand == (target,) else None


def _partners(x: Fraction, target: Fraction) -> Iterator[tuple[Fraction, str]]:
    """The values that one operation with `x` turns into `target`, and how the two are written, x first in the format's arguments."""
    yield from ((target - x, "{0} + {1}"), (x - target, "{0} - {1}"), (target + x, "{1} - {0}"))
    if x:
        yield from ((target / x, "{0} * {1}"), (target * x, "{1} / {0}"), (x / target, "{0} / {1}"))


@lru_cache(maxsize=1 << 12)
def _reachable(numbers: tuple[int, ...]) -> Mapping[Fraction, str]:
    """Every value of an expression of all `numbers` (ascending), with one such expression."""
    if len(numbers) == 1:
        return {Fraction(numbers[0]): str(numbers[0])}
    found: dict[Fraction, str] = {}
    for a, b in _splits(numbers):
        for x, left in _reachable(a).items():
            for y, right in _reachable(b).items():
                made = [(x + y, f"({left} + {right})"), (x - y, f"({left} - {right})"), (y - x, f"({right} - {left})")]
                made.append((x * y, f"({left} * {right})"))
                made += [(x / y, f"({left} / {right})")] if y else []
                made += [(y / x, f"({right} / {left})")] if x else []
                for value, text in made:
                    found.setdefault(value, text)
    return found


def _splits(numbers: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The ways to part `numbers` in two, each once."""
    seen = set()
    for k in range(1, len(numbers) // 2 + 1):
        for chosen in combinations(range(len(numbers)), k):
            a = tuple(numbers[i] for i in chosen)
            b = tuple(n for i, n in enumerate(numbers) if i not in chosen)
            if (a, b) not in seen and (b, a) not in seen:
                seen.add((a, b))
                yield a, b


def _game(hand: tuple[int, ...], gold: str) -> Problem:
    shown = ", ".join(map(str, hand))
    return Problem(
        key="-".join(map(str, hand)),
        question=f"Write an arithmetic expression that equals 24. Use each of the numbers {shown} exactly once and no others. {ALLOWED}",
        answer_format=ANSWER_FORMAT,
        gold=(gold,),
        meta={"numbers": " ".join(map(str, hand)), "target": "24"},
    )


def _draw(rng: Random, count: int, position: int) -> tuple[Hashable, Problem]:
    numbers, target, gold = _reached(rng, count)
    shown = ", ".join(map(str, numbers))
    question = (
        f"Write an arithmetic expression that equals {target}. Use some or all of the numbers {shown}, each at most once, and no others. "
        f"{ALLOWED}"
    )
    return (tuple(sorted(numbers)), target), Problem(
        key=f"numbers{count}/{position:06d}",
        question=question,
        answer_format=ANSWER_FORMAT,
        gold=(gold,),
        meta={"category": f"{count} numbers", "count": str(count), "numbers": " ".join(map(str, numbers)), "target": str(target)},
    )


def _reached(rng: Random, count: int) -> tuple[list[int], int, str]:
    """Numbers, a target that no two of them reach, and the expression of all of them by which it was made."""
    while True:
        numbers = [rng.randint(1, LARGEST_NUMBER) for _ in range(count)]
        terms = [(n, str(n)) for n in numbers]
        while len(terms) > 1:
            rng.shuffle(terms)
            terms.append(rng.choice(list(_steps(terms.pop(), terms.pop()))))
        target, text = terms[0]
        if target in TARGETS and not _near(numbers, target):
            return numbers, target, text[1:-1]


def _steps(a: tuple[int, str], b: tuple[int, str]) -> Iterator[tuple[int, str]]:
    """One operation on two positive numbers whose result is positive, whole and not too large."""
    (x, left), (y, right) = max(a, b), min(a, b)
    yield x + y, f"({left} + {right})"
    if x > y:
        yield x - y, f"({left} - {right})"
    if x * y <= LARGEST_STEP:
        yield x * y, f"({left} * {right})"
    if x % y == 0:
        yield x // y, f"({left} / {right})"


def _near(numbers: Sequence[int], target: int) -> bool:
    """Whether one or two of the numbers are enough."""
    pairs = [(max(pair), min(pair)) for pair in combinations(numbers, 2)]
    return target in numbers or any(target in (a + b, a - b, a * b) or target * b == a for a, b in pairs)
