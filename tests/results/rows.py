"""Rows of a report without a database behind them, with the frontier that the report would give them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from results import report

STRATEGIES = {
    "direct": (0.4, 0.05),
    "cot": (1, 0.72),
    "self_consistency(n=2)": (2, 0.72),
    "self_consistency(n=4)": (4, 0.78),
    "self_consistency(n=8)": (8, 0.81),
    "self_consistency(n=16)": (16, 0.83),
    "best_of_n(n=4)": (4, 0.79),
    "best_of_n(n=8)": (8, 0.82),
    "best_of_n_judge(n=4)": (14, 0.75),
}  # samples, accuracy of the smallest model
MODELS = {"perpass/nano": (1e8, 0.0), "perpass/micro": (3.1e8, 0.08), "perpass/mini": (9.4e8, 0.15)}  # FLOPs of a sample, accuracy gained


def row(strategy: str, accuracy: float | None = 0.5, flop: float | None = 1e8, wide: float = 0.05, **changes: Any) -> report.Row:
    """A complete cell of 100 problems; dollars and estimated joules follow its FLOPs. `wide`: half of its interval."""
    known = accuracy is not None
    fields: dict[str, Any] = dict.fromkeys(report.FIELDS) | {
        "cell": f"{strategy}:{changes.get('model', '')}:{changes.get('task', '')}",
        "series": "main",
        "model": "perpass/nano",
        "engine": "transformers",
        "hardware": "AMD EPYC (2 cores)",
        "strategy": strategy,
        "task": "sums",
        "mode": "pooled",
        "problems": 100,
        "attempts": 100,
        "items": 100,
        "partial": False,
        "accuracy": accuracy,
        "accuracy_low": max(0.0, accuracy - wide) if known else None,
        "accuracy_high": min(1.0, accuracy + wide) if known else None,
        "flop": flop,
        "energy_j": None if flop is None else flop * 4e-10,
        "energy_source": "estimated",
        "energy_valid": False,
        "latency_p50_s": 0.5,
        "cost_basis": "hardware",
        "cost_usd": None if flop is None else flop * 2.5e-15,
        "cost_per_correct_usd": None if flop is None or not accuracy else flop * 2.5e-15 / accuracy,
        "codes": [],
        "reasons": {"energy_valid": "estimated", "latency_p50_s": "shared_load"},
    }
    return fields | changes


def compared(rows: Sequence[report.Row], *axes: str) -> list[report.Row]:
    """The rows with their frontier on these axes."""
    chosen = list(axes or report.AXES)
    made = [r | {"frontier_axes": chosen} for r in rows]
    report._frontier(made, chosen)
    return made


def crowd(task: str, *axes: str, seed: int = 1) -> list[report.Row]:
    """Three models × nine strategies, a little scattered."""
    rng = random.Random(seed)
    made = []
    for model, (flop, gained) in MODELS.items():
        for strategy, (samples, accuracy) in STRATEGIES.items():
            reached = min(0.99, accuracy + gained + rng.uniform(-0.02, 0.02))
            made.append(row(strategy, reached, flop * samples * rng.uniform(0.95, 1.05), model=model, task=task))
    return compared(made, *axes)
