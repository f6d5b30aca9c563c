r"""How fast and how right the estimators are: `python -m tests.benchmarks.estimators [--problems 1319] [--replays 4000]`.

First seconds for every k ≤ 64 at once over 1,319 problems (the size of GSM8K's test set), on made pools whose answers are few or many;
the bar for maj@k is 2 s. Then the largest error against the rational numbers on pools of 64. Then replays: random orders of pools of 64 are
given to the strategies' own rules of choice, and each difference is divided by its standard error; about 0.3 % of such z are beyond ±3.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from harness.strategies.selection import best
from harness.strategies.voting import plurality
from harness.types import Sample, Timing, Usage
from results import estimators, votes
from results.votes import maj_curves, profile, weighted_curve
from tasks import answers

N = 64
KS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 64)
KINDS = {"a few answers": 0.3, "some": 1.0, "many": 8.0}  # concentration of the answers' frequencies


class Pool:
    """A made pool: the right answer is 0, the last answer is none at all."""

    def __init__(self, rng: np.random.Generator, concentration: float):
        different = int(rng.integers(2, 30))
        drawn = rng.choice(different, N, p=rng.dirichlet(np.full(different, concentration)))
        self.classes = [None if c == different - 1 else int(c) for c in drawn]
        self.right = [c == 0 for c in self.classes]
        self.scores = (rng.normal(-0.7, 0.3, N).clip(max=-0.01) + 0.2 * np.array(self.right).clip(max=1)).clip(max=-0.001)
        self.weights = [math.exp(math.exp(s) - 1) for s in self.scores]


def speeds(problems: int, rounds: int) -> None:
    print(f"\nseconds for {problems:,} problems × all k ≤ {N} (best of {rounds}), and of the processor")
    for kind, concentration in KINDS.items():
        rng = np.random.default_rng(0)
        pools = [Pool(rng, concentration) for _ in range(problems)]
        profiles = [profile(p.classes, p.right) for p in pools]
        correct = [sum(p.right) for p in pools]
        rules: dict[str, Callable[[], Any]] = {
            "maj@k": lambda pools=pools: maj_curves(N, [profile(p.classes, p.right) for p in pools]),
            "pass@k": lambda correct=correct: estimators.pass_curve(N, correct),
            "pass^k": lambda correct=correct: estimators.all_pass_curve(N, correct),
            "G-Pass@k": lambda correct=correct: estimators.g_pass_curve(N, correct, 0.5),
            "mG-Pass@k": lambda correct=correct: estimators.mg_pass_curve(N, correct),
            "best-of-k": lambda pools=pools: [estimators.best_curve(p.scores.tolist(), p.right) for p in pools],
            "weighted vote, 200 orders": lambda pools=pools: [weighted_curve(p.classes, p.right, p.weights, 200) for p in pools],
        }
        took = {name: min(_seconds(rule) for _ in range(rounds if name == "maj@k" else 1)) for name, rule in rules.items()}
        words = ", ".join(f"{name} {wall:.3f} ({cpu:.3f})" for name, (wall, cpu) in took.items())
        print(f"  {kind}, {len(set(profiles)):,} different profiles: {words}")


def _seconds(rule: Callable[[], Any]) -> tuple[float, float]:
    began, busy = time.perf_counter(), time.process_time()
    rule()
    return time.perf_counter() - began, time.process_time() - busy


def errors(pools: int) -> None:
    """Against the one-k functions, which compute with rational numbers."""
    worst = dict.fromkeys(("maj@k", "pass@k", "best-of-k"), 0.0)
    for kind in KINDS.values():
        rng = np.random.default_rng(1)
        for _ in range(pools):
            p = Pool(rng, kind)
            fast = {"maj@k": maj_curves(N, [profile(p.classes, p.right)])[0], "pass@k": estimators.pass_curve(N, [sum(p.right)])[0]}
            fast["best-of-k"] = estimators.best_curve(p.scores.tolist(), p.right)
            for k in KS:
                exact = {"maj@k": estimators.maj_at_k(p.classes, p.right, k), "pass@k": estimators.pass_at_k(N, sum(p.right), k)}
                exact["best-of-k"] = estimators.best_of_k(p.scores.tolist(), p.right, k)
                worst = {name: max(worst[name], abs(fast[name][k - 1] - exact[name])) for name in worst}
    print(f"\nlargest error against rational numbers, {3 * pools} pools of {N}: " + ", ".join(f"{n} {e:.1e}" for n, e in worst.items()))


async def replays(times: int) -> None:
    """The rules of self_consistency, weighted_vote and best_of_n on the first k samples of random orders."""
    context: Any = SimpleNamespace(extract=lambda text: (text or None,), classes=answers.classes)
    found: dict[str, list[float]] = {}
    began = time.perf_counter()
    for number, kind in enumerate(KINDS.values()):
        p = Pool(np.random.default_rng(number + 7), kind)
        samples = [
            Sample("" if c is None else str(c), (), "eos", Usage(), Timing(0, 0, 0), logprob=(s,))
            for c, s in zip(p.classes, p.scores.tolist(), strict=True)
        ]
        weighted, error = weighted_curve(p.classes, p.right, p.weights, times)
        expected = {"self_consistency": (maj_curves(N, [profile(p.classes, p.right)])[0], np.zeros(N))}
        expected |= {"weighted_vote": (weighted, error), "best_of_n": (estimators.best_curve(p.scores.tolist(), p.right), np.zeros(N))}
        won = await _replayed(context, samples, p.weights, times, number)
        for name, (curve, own) in expected.items():
            for at, k in enumerate(KS):
                rate = won[name][at] / times
                spread = math.sqrt(max(rate * (1 - rate), 1 / times) / times + own[k - 1] ** 2)
                found.setdefault(name, []).append((rate - curve[k - 1]) / spread)
    print(f"\n{times:,} replays of {len(KINDS)} pools of {N} at k = {', '.join(map(str, KS))} in {time.perf_counter() - began:.0f} s")
    for name, z in found.items():
        print(f"  {name}: {len(z)} differences, largest |z| {max(map(abs, z)):.2f}, root mean square {np.sqrt(np.mean(np.square(z))):.2f}")


async def _replayed(context: Any, samples: Sequence[Sample], weights: Sequence[float], times: int, seed: int) -> dict[str, list[int]]:
    rng, order = random.Random(seed), list(range(N))
    won = {name: [0] * len(KS) for name in ("self_consistency", "weighted_vote", "best_of_n")}
    for _ in range(times):
        rng.shuffle(order)
        for at, k in enumerate(KS):
            own, heavy = [samples[i] for i in order[:k]], [weights[i] for i in order[:k]]
            won["self_consistency"][at] += (await plurality(context, own)).items == ("0",)
            won["weighted_vote"][at] += (await plurality(context, own, heavy)).items == ("0",)
            won["best_of_n"][at] += best(own, [s.mean_logprob for s in own]).text == "0"
    return won


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1319)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--replays", type=int, default=1000)
    given = parser.parse_args()
    votes._binomials(N)
    speeds(given.problems, given.rounds)
    errors(10)
    asyncio.run(replays(given.replays))


if __name__ == "__main__":
    main()
