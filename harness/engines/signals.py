"""How a model's hidden state moves while it writes: Latent-Trajectory signals (arXiv:2510.10494), computed on the way."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

SEGMENT = 32  # tokens


@dataclass
class Trajectory:
    """Means of the hidden state over segments of a trace; nothing else of the states is kept.

    The paper's three signals of the segments' means h₁ … h_N:
    net         ‖h_N − h₁‖, from start to end; higher where answers are right
    cumulative  Σ ‖h_t − h_{t−1}‖, over all steps; lower where answers are right
    aligned     mean of cos(h_t − h_{t−1}, h_N − h₁), how far steps advance towards the end; higher where answers are right

    Ours: the state that each token is drawn from, after the last layer and the final norm (the paper averages over layers); segments of 32
    tokens, the last one as long as it is (the paper's 500 would leave most traces here with one).
    """

    means: list[Tensor] = field(default_factory=list)  # of whole segments, each (width,) float32
    _sum: Tensor | None = None
    _tokens: int = 0

    def add(self, state: Tensor) -> None:
        """The state (width,) that the next token is drawn from."""
        state = state.float()
        self._sum = state.clone() if self._sum is None else self._sum + state
        self._tokens += 1
        if self._tokens == SEGMENT:
            self.means.append(self._sum / SEGMENT)
            self._sum, self._tokens = None, 0

    def signals(self) -> tuple[float, ...]:
        """(net, cumulative, aligned), or () for a trace of one segment, which has no steps."""
        means = self.means if self._sum is None else [*self.means, self._sum / self._tokens]
        if len(means) < 2:
            return ()
        states = torch.stack(means)
        steps, whole = states.diff(dim=0), states[-1] - states[0]
        aligned = torch.cosine_similarity(steps, whole[None], dim=1).mean()
        return float(whole.norm()), float(steps.norm(dim=1).sum()), float(aligned)
