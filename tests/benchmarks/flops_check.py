"""FLOPs from configs against `torch.utils.flop_counter.FlopCounterMode`: `python -m tests.benchmarks.flops_check [NAME …] [--prompt 27]`.

Small random-weight instances of every architecture run a prompt and some decode steps with eager attention and experts, under the counter
and under a dispatch mode that sorts its products into linear (one factor is a parameter), head and attention (no factor is). The table has,
per architecture, phase and part, what was counted, what `energy.flops.count(…, causal=False)` says, and the difference; beside it the count
that is stored (`causal=True`). Exits 1 when a difference is above 1 % or a number of parameters differs.
"""

from __future__ import annotations

import argparse
import sys

import transformers
from rich.console import Console
from rich.table import Table

from energy.flops import Flops, count, parameters
from tests.energy.flops_cases import CASES, Observed

PARTS = ("linear", "attention", "head")


def main() -> int:
    arguments = argparse.ArgumentParser(description="FLOPs from configs against FlopCounterMode")
    arguments.add_argument("names", nargs="*", help="model types; all unless given")
    arguments.add_argument("--prompt", type=int, default=27)
    arguments.add_argument("--steps", type=int, default=4)
    asked = arguments.parse_args()
    transformers.logging.set_verbosity_error()
    table = Table("architecture", "phase", "part")
    for header in ("counted", "ours", "difference %", "stored"):
        table.add_column(header, justify="right")
    worst, wrong = 0.0, []
    for name, case in CASES.items():
        if asked.names and name.split()[0] not in asked.names:
            continue
        model = Observed(*case)
        if parameters(model.config).total != model.parameters:
            wrong.append(name)
        worst = max(worst, compare(table, name, model, asked.prompt, asked.steps))
    Console(width=120).print(table)
    print(f"transformers {transformers.__version__}; largest difference {worst:.4f} %; parameters differ: {', '.join(wrong) or 'nowhere'}")
    return int(worst > 1 or bool(wrong))


def compare(table: Table, name: str, model: Observed, prompt: int, steps: int) -> float:
    """Adds the rows of one architecture; returns the largest difference in percent."""
    seen = {"prefill": model.forward(prompt), "decode": sum((model.forward(1) for _ in range(steps)), Flops())}
    worst = 0.0
    for phase, part in [(phase, part) for phase in seen for part in PARTS]:
        counted = getattr(seen[phase], part)
        ours, stored = (_part(model, phase, part, prompt, steps, causal) for causal in (False, True))
        off = 100 * (ours - counted) / counted if counted else (0.0 if not ours else float("inf"))
        worst = max(worst, abs(off))
        first = (phase, part) == ("prefill", PARTS[0])
        table.add_row(name if first else "", phase, part, f"{counted:,}", f"{ours:,}", f"{off:.3f}", f"{stored:,}")
    table.add_section()
    return worst


def _part(model: Observed, phase: str, part: str, prompt: int, steps: int, causal: bool) -> int:
    first, whole = (count(model.config, prompt=prompt, output=n, causal=causal) for n in (1, 1 + steps))
    return int(getattr(first, part) if phase == "prefill" else getattr(whole, part) - getattr(first, part))


if __name__ == "__main__":
    sys.exit(main())
