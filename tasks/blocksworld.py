"""Blocksworld: a plan of actions from one arrangement of blocks to another. Any plan that gets there is right.

The domain is the classic one of four actions (Valmeekam et al. 2023, PlanBench, arXiv:2206.10498); texts and problems are ours.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from perpass.errors import UserError
from tasks.checks import bounds, whole
from tasks.registry import task
from tasks.types import Problem
from tasks.verified import TRIES, VerifiedTask, spread

VERSION = 1
VERIFIER = 1
FEWEST_BLOCKS, MOST_BLOCKS = 4, 6
RULES = """Blocks stand on a table or on one another. A hand moves them by these actions, one at a time:
pick up X: take block X from the table. The hand must be empty and nothing may be on X.
put down X: put block X, which the hand holds, on the table.
unstack X from Y: take block X from block Y. The hand must be empty, X on Y, and nothing on X.
stack X on Y: put block X, which the hand holds, on block Y. Nothing may be on Y."""
ANSWER_FORMAT = r"Put the plan within \boxed{}, its actions in order and separated by semicolons."

State = tuple[tuple[str, ...], ...]
"""The stacks, each from bottom to top, in alphabetical order."""
Action = tuple[str, str, str]
"""What is done, the block, and the block below it (empty for the table)."""

_NOISE = re.compile(r"\\text\s*\{([^{}]*)\}|\\(?:quad|left|right)(?![A-Za-z])|(?<!\\)\\[,:! ]|[$`*]")
_BETWEEN = re.compile(r"\\\\|\\;|[;,.\n]|->|→|\b(?:and\s+)?then\b")
_NUMBER = re.compile(r"\s*(?:[0-9]{1,3}\s*[:)]|[0-9]{1,3}(?=\s|$)|and\b|-)?\s*")
_BLOCK = r"(?:the\s+)?(?:block\s+)?([a-z])"
_ACTION = re.compile(
    rf"\(?\s*(?:(pick)[ -]?up\s+{_BLOCK}(?:\s+from\s+(?:the\s+)?table)?|(put)[ -]?down\s+{_BLOCK}(?:\s+on(?:to)?\s+(?:the\s+)?table)?"
    rf"|(stack)\s+{_BLOCK}\s+(?:(?:on|onto|on\s+top\s+of)\s+)?{_BLOCK}|(unstack)\s+{_BLOCK}\s+(?:(?:from|off|from\s+(?:on\s+)?top\s+of)\s+)?{_BLOCK})\s*\)?",
    re.IGNORECASE,
)


@task("blocksworld")
class Blocksworld(VerifiedTask):
    """`size` problems spread evenly over how many blocks must be moved, `moves[0]` to `moves[1]` times, each by two actions.

    Correct is every plan whose actions can all be done and that ends in the goal. Scores: `valid`, whether they can be done; `optimality`,
    for a correct plan the fewest actions over its own. Raises UserError for a bad value, and for moves that so few blocks never need.
    """

    scored = ("valid", "optimality")
    literal = True  # the question says how actions are written: see tasks.stress

    def __init__(self, blocks: int = 5, moves: Sequence[int] = (1, 6), size: int = 600, seed: int = 0):
        whole("blocksworld", "blocks", blocks, FEWEST_BLOCKS, MOST_BLOCKS)
        low, high = bounds("blocksworld", "moves", moves, 1, 2 * blocks - 2)
        whole("blocksworld", "size", size, 1)
        whole("blocksworld", "seed", seed, 0)
        spec = {"kind": "blocksworld", "blocks": blocks, "moves": [low, high], "size": size, "seed": seed}

        def load() -> tuple[Sequence[Problem], str]:
            def draw(rng: Random, level: int, position: int) -> tuple[Hashable, Problem]:
                return _draw(rng, blocks, level, position)

            return spread("blocksworld", seed, size, range(low, high + 1), draw), "generated"

        super().__init__(name="blocksworld", version=VERSION, verifier=VERIFIER, spec=spec, load=load)

    def read(self, answer: str) -> Hashable | None:
        """The actions in order. They stand behind semicolons, commas or on lines of their own, numbered or not."""
        return plan(answer)

    def check(self, problem: Problem, answer: Any) -> tuple[bool, Mapping[str, float]]:
        """Whether the plan, done action by action, ends in the goal with an empty hand."""
        end = after(_state(problem.meta["start"]), answer)
        right = end == _state(problem.meta["goal"])
        return right, {"valid": float(end is not None), "optimality": 2 * int(problem.meta["moves"]) / len(answer) if right else 0.0}


def plan(text: str) -> tuple[Action, ...] | None:
    """The actions that all of `text` is, or None."""
    pieces = _BETWEEN.split(_NOISE.sub(lambda match: f" {match[1] or ''} ", text))
    found: list[Action] = []
    for piece in pieces:
        rest = piece[_match_end(piece) :].strip()
        if not rest:
            continue
        match = _ACTION.fullmatch(rest)
        if match is None:
            return None
        done, block, *below = (part for part in match.groups() if part)
        found.append((done.lower(), block.upper(), below[0].upper() if below else ""))
    return tuple(found) or None


def _match_end(piece: str) -> int:
    match = _NUMBER.match(piece)
    return match.end() if match else 0


def after(start: State, actions: Sequence[Action]) -> State | None:
    """The state when all actions are done; None where one cannot be done, or the hand still holds a block at the end."""
    stacks, held = [list(stack) for stack in start], ""
    for done, block, below in actions:
        top = next((stack for stack in stacks if stack and stack[-1] == (below if done == "stack" else block)), None)
        if done in ("pick", "unstack"):
            under = "" if top is None or len(top) == 1 else top[-2]
            if held or top is None or under != below:
                return None
            held = top.pop()
        elif held != block or (done == "stack" and top is None):
            return None
        else:
            held = ""
            if done == "stack" and top is not None:
                top.append(block)
            else:
                stacks.append([block])
    return None if held else tuple(sorted(tuple(stack) for stack in stacks if stack))


@lru_cache(maxsize=1 << 13)
def _moves(state: State) -> tuple[tuple[State, str], ...]:
    """What moving one block can make of a state, with the two actions in words."""
    found = []
    for stack in state:
        block, rest = stack[-1], stack[:-1]
        others = [s for s in state if s is not stack] + ([rest] if rest else [])
        take = f"unstack {block} from {rest[-1]}" if rest else f"pick up {block}"
        if rest:
            found.append((tuple(sorted([*others, (block,)])), f"{take}; put down {block}"))
        for other in others:
            if other is not rest:
                moved = [s for s in others if s is not other] + [(*other, block)]
                found.append((tuple(sorted(moved)), f"{take}; stack {block} on {other[-1]}"))
    return tuple(found)


def shortest(start: State, most: int) -> list[dict[State, tuple[str, ...]]]:
    """For 0, 1, … `most` moves of a block the states that need so many, each with a shortest plan. Breadth first.

    A shortest plan of actions is one of moves: a block that is taken is put somewhere else before the next is taken.
    """
    layers: list[dict[State, tuple[str, ...]]] = [{start: ()}]
    seen = {start}
    for _ in range(most):
        layer: dict[State, tuple[str, ...]] = {}
        for state, way in layers[-1].items():
            for other, words in _moves(state):
                if other not in seen:
                    seen.add(other)
                    layer[other] = (*way, words)
        layers.append(layer)
    return layers


def _draw(rng: Random, blocks: int, moves: int, position: int) -> tuple[Hashable, Problem]:
    for _ in range(TRIES):
        start = _arrangement(rng, blocks)
        goals = shortest(start, moves)[moves]
        if goals:
            break
    else:
        raise UserError(f"blocksworld: no arrangement of {blocks} blocks was found that needs {moves} moves; ask for fewer")
    goal = rng.choice(sorted(goals))
    question = f"{RULES}\nStart: {_told(start, rng)}. The hand is empty.\nGoal: {_told(goal, rng)}. The hand is empty.\nWrite a plan."
    return (start, goal), Problem(
        key=f"moves{moves:02d}/{position:06d}",
        question=question,
        answer_format=ANSWER_FORMAT,
        gold=("; ".join(goals[goal]),),
        meta={
            "category": f"{moves} move{'s' if moves > 1 else ''}",
            "moves": str(moves),
            "start": _text(start),
            "goal": _text(goal),
        },
    )


def _arrangement(rng: Random, blocks: int) -> State:
    """Blocks in random order, each on the table or on one of the stacks so far, all equally likely."""
    stacks: list[list[str]] = []
    for block in rng.sample("ABCDEF"[:blocks], blocks):
        at = rng.randrange(len(stacks) + 1)
        if at == len(stacks):
            stacks.append([block])
        else:
            stacks[at].append(block)
    return tuple(sorted(map(tuple, stacks)))


def _told(state: State, rng: Random) -> str:
    """A state in words, its facts in random order."""
    facts = [f"{block} is on {below}" for stack in state for below, block in zip(("the table", *stack), stack, strict=False)]
    return ", ".join(rng.sample(facts, len(facts)))


def _text(state: State) -> str:
    """A state as kept with a problem: `AB C`, stacks from bottom to top."""
    return " ".join("".join(stack) for stack in state)


def _state(text: str) -> State:
    return tuple(tuple(stack) for stack in text.split())
