"""The fixed order of a task: a seeded shuffle, stratified so that the first k problems are balanced, whatever k is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from perpass.identity import content_hash

T = TypeVar("T")


def stratified(items: Iterable[T], *, key: Callable[[T], str], category: Callable[[T], str], seed: str | int) -> list[T]:
    """`items` shuffled within each category by a hash of (seed, key), then interleaved in proportion to the categories' sizes.

    Each prefix of length k holds close to k·n/N items of a category with n of N. The result depends on the set of items and the seed, not
    on the order in which they come, nor on the Python version. Keys must be unique.
    """
    strata: dict[str, list[T]] = defaultdict(list)
    for item in items:
        strata[category(item)].append(item)
    for members in strata.values():
        members.sort(key=lambda item: content_hash("order", seed, key(item)))
    names = sorted(strata, key=lambda name: content_hash("order", seed, name))
    total = sum(map(len, strata.values()))
    taken = dict.fromkeys(names, 0)
    ordered = []
    for k in range(1, total + 1):
        # The category furthest behind its quota; whole numbers only, so that no rounding decides.
        behind = max((n for n in names if taken[n] < len(strata[n])), key=lambda n: k * len(strata[n]) - taken[n] * total)
        ordered.append(strata[behind][taken[behind]])
        taken[behind] += 1
    return ordered
