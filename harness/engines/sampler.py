"""Drawing the next token of every row of a batch at once: each row with its own temperature, top_p, top_k, min_p and random stream.

A row's randomness is a function of (seed, token index) alone, so it does not depend on who else is in the batch. Its uniform number
picks from the cumulative distribution in vocabulary order, where small differences of logits move a boundary by as little; in order of
probability they could swap whole tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
LIKELIEST = 20  # tokens that confidence averages over (DeepConf, arXiv:2508.15260)
PLAUSIBLE = 0.1  # of the likeliest token's probability: what DoLa leaves to choose from (arXiv:2309.03883)
BASE = 0.8  # N of the entropy-based temperature (arXiv:2403.14541)
COLDEST = 1e-4  # temperature, where the entropy is next to nothing: as good as greedy, and far from dividing by 0


@dataclass(frozen=True)
class Knobs:
    """Sampling parameters of n rows, each an array of shape (n,). temperature 0 is greedy; top_p 1, top_k 0 and min_p 0 are off.

    entropy  θ of each row's entropy-based temperature, 0 where there is none; None: nowhere
    """

    temperature: NDArray[np.float32]
    top_p: NDArray[np.float32]
    top_k: NDArray[np.int64]
    min_p: NDArray[np.float32]
    entropy: NDArray[np.float32] | None = None


def uniforms(seeds: NDArray[np.uint64], steps: NDArray[np.uint64]) -> NDArray[np.float32]:
    """One number in [0, 1) per row, a hash of (seed, step): splitmix64 keyed by a splitmix64 of the seed. Multiples of 2⁻²⁴."""
    with np.errstate(over="ignore"):
        mixed = _mix(_mix(seeds + GOLDEN) + steps * GOLDEN)
    fraction: NDArray[np.float32] = (mixed >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return fraction


def _mix(x: Any) -> Any:
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * MIX_1
    x = (x ^ (x >> np.uint64(27))) * MIX_2
    return x ^ (x >> np.uint64(31))


def draw(logits: Tensor, knobs: Knobs, uniform: NDArray[np.float32]) -> Tensor:
    """The next token of every row: (n,) int64. `logits`: (n, vocabulary) float32; `uniform`: (n,) in [0, 1).

    Probabilities are softmax(logits / temperature), cut to the top_k, then to the smallest set reaching top_p of what is left, then to
    those of at least min_p times the largest. Tokens exactly as likely as the last one kept are kept too. A row whose logits are not
    numbers gets the token `vocabulary`, which does not exist.
    """
    greedy = knobs.temperature == 0
    if greedy.all():
        return _likeliest(logits)
    device = logits.device
    temperature = torch.from_numpy(np.where(greedy, np.float32(1), knobs.temperature)).to(device)
    if knobs.entropy is not None:
        temperature = _by_entropy(logits, temperature, torch.from_numpy(knobs.entropy).to(device))
    probabilities = torch.softmax(logits / temperature[:, None], dim=-1)
    floor = _floor(probabilities, knobs)
    if floor is not None:
        probabilities = probabilities * (probabilities >= floor[:, None])
    # A GPU sums in parallel, whose rounding in float32 could make a token of probability 0 look possible.
    cumulative = probabilities.cumsum(dim=-1, dtype=torch.float32 if device.type == "cpu" else torch.float64)
    total = cumulative[:, -1:]
    target = torch.from_numpy(uniform).to(device)[:, None] * total
    target = torch.minimum(target, torch.nextafter(total, torch.zeros_like(total)))  # u·total may round up to total
    drawn = torch.searchsorted(cumulative, target, right=True)[:, 0]
    if not greedy.any():
        return drawn
    return torch.where(torch.from_numpy(greedy).to(device), _likeliest(logits), drawn)


def _by_entropy(logits: Tensor, temperature: Tensor, theta: Tensor) -> Tensor:
    """T₀ · 0.8^(θ / H), H being the entropy (nats) of a row's distribution at temperature 1 (EDT, arXiv:2403.14541). θ 0 leaves T₀."""
    entropy = torch.special.entr(torch.softmax(logits, dim=-1)).sum(dim=-1)
    scaled = temperature * BASE ** (theta / entropy.clamp(min=1e-9))
    return torch.where(theta > 0, scaled.clamp(min=COLDEST), temperature)


def contrast(logits: Tensor, early: Tensor) -> Tensor:
    """DoLa (arXiv:2309.03883): log-probabilities of the last layer minus those of an early one, both (n, vocabulary) logits; −∞ for tokens
    of less than a tenth of the likeliest one's probability. An end token held back in `logits` stays held back."""
    final = torch.log_softmax(logits, dim=-1)
    implausible = final < final.amax(dim=-1, keepdim=True) + math.log(PLAUSIBLE)  # what is not a number stays so
    return (final - torch.log_softmax(early, dim=-1)).masked_fill_(implausible, float("-inf"))


def _likeliest(logits: Tensor) -> Tensor:
    top, index = logits.max(dim=-1)
    return torch.where(top.isnan(), logits.shape[-1], index)


def _floor(probabilities: Tensor, knobs: Knobs) -> Tensor | None:
    """The smallest probability kept in each row, (n,), or None when nothing is cut anywhere."""
    some_k, some_p, some_min = bool((knobs.top_k > 0).any()), bool((knobs.top_p < 1).any()), bool((knobs.min_p > 0).any())
    if not (some_k or some_p or some_min):
        return None
    device, size = probabilities.device, probabilities.shape[-1]
    floor = torch.zeros(probabilities.shape[0], device=device)
    if some_k or some_p:
        ascending = _sorted(probabilities)
        kept = np.where((knobs.top_k > 0) & (knobs.top_k < size), knobs.top_k, size)
        first = torch.from_numpy(size - kept).to(device)[:, None]  # where the top k begin
        if some_k:
            floor = ascending.gather(1, first)[:, 0]
        if some_p:
            cumulative = ascending.cumsum(dim=-1)
            before = torch.where(first > 0, cumulative.gather(1, (first - 1).clamp_(min=0)), 0.0)
            top_p = torch.from_numpy(knobs.top_p).to(device)[:, None]
            dropped = torch.where(top_p < 1, before + (1 - top_p) * (cumulative[:, -1:] - before), 0.0)
            place = torch.searchsorted(cumulative, dropped, right=True).clamp_(max=size - 1)
            floor = torch.maximum(floor, ascending.gather(1, place)[:, 0])
    if some_min:
        floor = torch.maximum(floor, torch.from_numpy(knobs.min_p).to(device) * probabilities.amax(dim=-1))
    return floor


def _sorted(probabilities: Tensor) -> Tensor:
    """Each row in ascending order. numpy's vectorised sort is some 60 times faster than torch's on a CPU, since no indices are kept."""
    if probabilities.device.type == "cpu":
        return torch.from_numpy(np.sort(probabilities.numpy(), axis=-1))
    return torch.sort(probabilities, dim=-1).values


def observed(logits: Tensor, tokens: Tensor, confidence: bool) -> tuple[list[float], list[float] | None]:
    """Of raw logits (n, vocabulary): log-probabilities (nats, temperature 1) of `tokens` (n,), and −mean of the 20 largest."""
    logprobs = torch.log_softmax(logits, dim=-1)
    chosen = logprobs.gather(1, tokens.clamp(max=logits.shape[-1] - 1)[:, None])[:, 0].tolist()
    if not confidence:
        return chosen, None
    likeliest = logprobs.topk(min(LIKELIEST, logits.shape[-1]), dim=-1).values
    return chosen, (-likeliest.mean(dim=-1)).tolist()
