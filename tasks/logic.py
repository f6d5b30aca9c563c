"""Deduction over made-up concepts: a chain of rules to follow among rules that lead elsewhere, and a statement that is true or false.

In the manner of PrOntoQA (Saparov and He 2023, arXiv:2210.01240); texts, concepts and generator are ours.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Any

from tasks.checks import bounds, whole
from tasks.normal import canonical
from tasks.registry import task
from tasks.stories import NAMES
from tasks.types import Problem
from tasks.verified import VerifiedTask, spread

VERSION = 1
VERIFIER = 1
MOST_HOPS = 12
MOST_DISTRACTORS = 3
ANSWER_FORMAT = r"Put your final answer, True or False, within \boxed{}."
# No English word begins and ends like this, so that nothing is known about a concept but what is told.
BEGINNINGS = ("dw", "gn", "gw", "kw", "ml", "pf", "shl", "thr", "vl", "vr", "zl", "zw")
MIDDLES = "aeiou"
ENDINGS = ("ft", "lk", "lm", "mf", "nk", "nz", "pt", "rb", "rg", "rv", "sk", "zt")
CONCEPTS = tuple(b + m + e for b in BEGINNINGS for m in MIDDLES for e in ENDINGS if b + m + e != "thrift")
PROPERTIES = (
    "bitter", "bright", "brown", "clean", "cold", "cruel", "dry", "fast", "fragile", "funny", "furry", "gentle", "happy", "heavy",
    "kind", "loud", "metallic", "nervous", "orange", "proud", "quiet", "rough", "round", "rude", "shy", "sour", "spicy", "striped",
    "tall", "wooden",
)  # fmt: skip
RULES = ("Every {} is {}.", "Each {} is {}.", "Anything that is a {} is {}.")


@task("logic")
class Logic(VerifiedTask):
    """`size` problems spread evenly over the numbers of rules to apply, from `hops[0]` to `hops[1]`; half the answers are True.

    Two individuals each begin a chain of as many rules; one chain says of its last concept that it has the property asked about, the other
    that it has not, and one of the two is asked about. So neither how often, where or how the property is named tells the answer, only the
    chain does. `distractors` rules per concept lead from either chain to what is never asked. Raises UserError for a bad value.
    """

    literal = True  # a typo in a made-up concept makes another: see tasks.stress

    def __init__(self, hops: Sequence[int] = (1, 6), distractors: int = 1, size: int = 600, seed: int = 0):
        low, high = bounds("logic", "hops", hops, 1, MOST_HOPS)
        several = whole("logic", "distractors", distractors, 0, MOST_DISTRACTORS)
        whole("logic", "size", size, 1)
        whole("logic", "seed", seed, 0)
        spec = {"kind": "logic", "hops": [low, high], "distractors": several, "size": size, "seed": seed}

        def load() -> tuple[Sequence[Problem], str]:
            def draw(rng: Random, level: int, position: int) -> tuple[Hashable, Problem]:
                return _draw(rng, level, position, several)

            return spread("logic", seed, size, range(low, high + 1), draw), "generated"

        super().__init__(name="logic", version=VERSION, verifier=VERIFIER, spec=spec, load=load)

    def read(self, answer: str) -> Hashable | None:
        """`true` or `false`, however it is set."""
        key = canonical(answer).lower()
        return key if key in ("true", "false") else None

    def check(self, problem: Problem, answer: Any) -> tuple[bool, Mapping[str, float]]:
        """Whether it is the gold answer."""
        return answer == str(problem.gold[0]).lower(), {}


def _draw(rng: Random, hops: int, position: int, distractors: int) -> tuple[Hashable, Problem]:
    """A problem; of two neighbouring positions, one is true and one false."""
    words = rng.sample(CONCEPTS, 2 * hops * (1 + distractors))
    asked, *others = rng.sample(PROPERTIES, len(PROPERTIES))
    true, has = position % 2 == 0, rng.random() < 0.5  # has: whether the asked individual has the property
    who = rng.sample(NAMES, 2)
    sentences = []
    for name, property_ in zip(who, (_said(asked, has), _said(asked, not has)), strict=True):
        chain = [words.pop() for _ in range(hops)]
        sentences.append(f"{name} is a {chain[0]}.")
        sentences += [_rule(rng, a, f"a {b}") for a, b in pairwise(chain)]
        sentences.append(_rule(rng, chain[-1], property_))
        for concept in chain:
            for _ in range(distractors):
                other = _said(others.pop(), rng.random() < 0.5) if others and rng.random() < 0.5 else f"a {words.pop()}"
                sentences.append(_rule(rng, concept, other))
    rng.shuffle(sentences)
    text = f"{' '.join(sentences)}\nTrue or false: {who[0]} is {_said(asked, has == true)}."
    return text, Problem(
        key=f"hops{hops:02d}/{position:06d}",
        question=text,
        answer_format=ANSWER_FORMAT,
        gold=(str(true),),
        meta={"category": f"{hops} hop{'s' if hops > 1 else ''}", "hops": str(hops)},
    )


def _said(property_: str, has: bool) -> str:
    return property_ if has else f"not {property_}"


def _rule(rng: Random, concept: str, what: str) -> str:
    return rng.choice(RULES).format(concept, what)
