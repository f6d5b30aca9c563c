"""Tree search by ask and tell: a pure rule names the open answer to continue, the caller continues it and tells what came of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Literal

from harness import prompts
from harness.context import Context, Score
from harness.strategies.search import GUIDED, WHOLE, Fan, Step, grow, rewarded, search, settle, whole
from harness.strategies.search_rules import Path, Paths, ranked, survivors
from harness.strategies.voting import Positive
from harness.strategy import Count, strategy
from harness.types import Answer

TREE: dict[str, Any] = {**GUIDED, "family": "tree search", "budget": "k"}
HOPE = {"sure": 20.0, "likely": 1.0, "impossible": 0.001}  # words and values of the paper's program
VALUE = f"Can these steps lead to a correct answer? Judge them in a sentence, then end with one word: {', '.join(HOPE)}."


@dataclass(eq=False)
class Node:
    """A path in a tree, how often it was visited and with which values in sum. `prior`: its share of its parent's continuations."""

    path: Path
    parent: Node | None = None
    prior: float = 1.0
    visits: int = 0
    total: float = 0.0
    children: list[Node] = field(default_factory=list)


def visit(node: Node | None, value: float) -> None:
    """Tell a value to a node and to all above it."""
    while node is not None:
        node.visits, node.total, node = node.visits + 1, node.total + max(value, 0.0), node.parent


def tell(node: Node, paths: Paths) -> None:
    """Continuations become children, equal ones one child; each is visited once with its value."""
    same = Counter(p.text for p in paths)
    for path in {p.text: p for p in paths}.values():
        node.children.append(Node(path, node, same[path.text] / len(paths)))
        visit(node.children[-1], path.value)


def puct(node: Node, base: float = 19_652.0, first: float = 1.25) -> Node:
    """Ask: from child to child of the highest mean + (ln((N + base + 1) / base) + first) · prior · √N / (1 + n), to one that has none."""
    while node.children:
        bonus = (math.log((node.visits + base + 1) / base) + first) * math.sqrt(node.visits)
        node = max(node.children, key=lambda n: n.total / n.visits + bonus * n.prior / (1 + n.visits))
    return node


def thompson(node: Node, rng: Random) -> Node:
    """Ask: at each node wider (another child here) or deeper, by a draw from each posterior Beta(½ + sum, ½ + count − sum).

    wider: the children's own values; deeper: all values below them; a child: its own and those below it. Source: AB-MCTS-A.
    """

    def draw(total: float, count: int) -> float:
        return rng.betavariate(0.5 + max(total, 0.0), 0.5 + max(count - total, 0.0))

    while node.children:
        count, own = len(node.children), sum(max(n.path.value, 0.0) for n in node.children)
        if draw(own, count) >= draw(sum(n.total for n in node.children) - own, sum(n.visits for n in node.children) - count):
            return node
        node = max(node.children, key=lambda n: draw(n.total, n.visits))
    return node


async def best_first(ctx: Context, cost: Callable[[Path], float], n: int, k: int, step: str, max_steps: int) -> Answer:
    """The first finished path that is the cheapest of all, equal ones being one; after `n` expansions the cheapest finished, else any."""
    reward, ends = rewarded(ctx, step), [Path()]
    for _ in range(n):
        cheapest = min(ends, key=cost)
        if cheapest.done:
            return cheapest.answer
        made = await grow(ctx, [cheapest] * k, reward, step, max_steps)
        ends = list({p.text: p for p in [*ends, *made] if p is not cheapest}.values())
    done = [p for p in ends if p.done] or await grow(ctx, [min(ends, key=cost)], reward, step, 0)
    return min(done, key=cost).answer


@strategy(name="a_star", version=1, paper="arXiv:2505.13672", **TREE)
async def a_star(ctx: Context, n: Count = 16, k: Count = 4, weight: Positive = 0.1, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """A* decoding: up to `n` times the path with the least weight · depth + (1 − reward) is continued `k` times; once it is a finished one,
    it is the answer. Ours: a number of expansions as the budget, and the weight.
    """
    return await best_first(ctx, lambda p: weight * len(p.samples) + 1 - p.value, n, k, step, max_steps)


@strategy(name="mindstar", version=1, paper="arXiv:2405.16265", **TREE)
async def mindstar(ctx: Context, n: Count = 16, k: Count = 4, step: Step = "\n\n", max_steps: Count = 40) -> Answer:
    """MindStar's Levin tree search: as `a_star`, by depth / product of the rewards of the path's steps. Ours: the numbers."""

    def levin(path: Path) -> float:
        likely = math.prod(v or 0.0 for v in path.values)
        return len(path.samples) / likely if likely else math.inf

    return await best_first(ctx, levin, n, k, step, max_steps)


@strategy(name="mcts", version=1, paper="arXiv:2410.09671", **TREE)
async def mcts(
    ctx: Context, n: Count = 10, k: Count = 4, value: Literal["reward", "rollout"] = "reward", step: Step = "\n\n", max_steps: Count = 40
) -> Answer:
    """Monte Carlo tree search over steps by PUCT (constants of openr): `n` times a leaf gets `k` children, and each is visited.

    reward: a child is worth its process reward; rollout: the reward of one whole answer from there on, which may be the answer.
    Ours: the prior is a child's share among the k samples, equal ones being one child.
    """
    root, reward, paths, ends = Node(Path()), rewarded(ctx, step), list[Path](), list[Path]()

    async def rollout(paths: Paths) -> list[Score]:
        ends.extend(found := await grow(ctx, paths, reward, step, 0))
        return [p.values[-1] for p in found]

    for _ in range(n):
        leaf = puct(root)
        if leaf.path.done:
            visit(leaf, leaf.path.value)
        else:
            tell(leaf, grown := await grow(ctx, [leaf.path] * k, rollout if value == "rollout" else reward, step, max_steps))
            paths += grown
    done = ends or [p for p in paths if p.done]
    return await settle(ctx, done or await grow(ctx, ranked(paths)[:1], reward, step, 0))


@strategy(name="ab_mcts", version=1, family="tree search", paper="arXiv:2503.04412", **WHOLE)
async def ab_mcts(ctx: Context, n: Count = 16, step: Step = "\n\n") -> Answer:
    """Adaptive branching: `n` whole answers, each a new one (wider) or an improvement on an earlier one (deeper), by Thompson sampling.

    AB-MCTS-A with the Beta posterior of rewards in [0, 1]. Ours: the wording.
    """
    root, reward, paths = Node(Path()), rewarded(ctx, step), list[Path]()
    for _ in range(n):
        node = thompson(root, ctx.rng)
        tell(node, made := await whole(ctx, 1, reward, better=node.path if node.parent else None))
        paths += made
    return await settle(ctx, paths)


@strategy(name="tree_of_thought", version=1, paper="arXiv:2305.10601", **{**TREE, "needs": {"prefix"}, "budget": "width", "prompt": "own"})
async def tree_of_thought(
    ctx: Context, width: Count = 20, fan: Fan = 4, evaluations: Count = 3, step: Step = "\n\n", max_steps: Count = 10
) -> Answer:
    """Breadth-first: of `width` candidates a step, the width / fan that the model values most get `fan` continuations each (b = 5).

    A value is the sum over `evaluations` of sure 20, likely 1, impossible 0.001, else 0; equal candidates are one.
    Ours: steps are sampled, as in the paper's writing task; the wording.
    """
    ask = ctx.compose(prompts.STEP_BY_STEP)

    async def hope(path: Path) -> Score:
        said = await ctx.sample(ask.then(path.text, VALUE), evaluations, max_tokens=64)
        return sum(HOPE[word] for s in said for word in re.findall(rf"\b(?:{'|'.join(HOPE)})\b", s.text.lower())[-1:])

    rule = partial(survivors, fan=fan, distinct=True)
    return await settle(ctx, await search(ctx, rule, [Path()] * width, lambda paths: ctx.gather(*map(hope, paths)), step, max_steps))
