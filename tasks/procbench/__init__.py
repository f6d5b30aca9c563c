"""ProcBench: following a given procedure step by step. Source: Fujisawa et al. 2024 (arXiv:2410.03117)."""

from tasks.procbench.scoring import score

__all__ = ["score"]
