"""ProcBench: following a given procedure step by step. Source: Fujisawa et al. 2024 (arXiv:2410.03117)."""

from tasks.procbench.scoring import score
from tasks.procbench.solver import solve

__all__ = ["score", "solve"]
