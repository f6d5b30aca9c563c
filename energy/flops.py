"""FLOPs of one call, from a model's `config.json` alone.

What is counted (`shared/reference/measurement.md`, "FLOPs"): 2 per multiply-add of every matrix product, as
`torch.utils.flop_counter.FlopCounterMode` does.

- linear:    2 × the matmul parameters one token passes through (active experts only), for prompt − cached + scored +
             max(output − 1, 0) tokens; the last output token is never fed back.
- attention: 4 · heads · d_head · Σ context lengths per layer (2 for QKᵀ, 2 for AV).
- head:      2 × the output head's parameters, output + scored times: once per sampled or scored token, never for a whole prompt.

Embedding look-ups, norms, activations, biases and rotary products are not counted (below 1 % on any real model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energy.architectures import ARCHITECTURES, Shape, UnknownArchitecture

__all__ = ["SETTINGS", "Flops", "UnknownArchitecture", "count", "shape"]

SETTINGS = ("num_experts_per_tok",)
"""The engine settings that change a count and that `count` knows. Pass these and no others."""


@dataclass(frozen=True)
class Flops:
    """Floating-point operations by part, exact integers. `Flops()` is zero, so `sum(parts, Flops())` works."""

    linear: int = 0
    attention: int = 0
    head: int = 0

    @property
    def total(self) -> int:
        """All parts together."""
        return self.linear + self.attention + self.head

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.linear + other.linear, self.attention + other.attention, self.head + other.head)


def count(
    config: Mapping[str, Any], *, prompt: int, output: int, cached: int = 0, scored: int = 0, causal: bool = True, **settings: Any
) -> Flops:
    """FLOPs of one call to the model that `config` (a parsed `config.json`, or `PretrainedConfig.to_dict()`) describes.

    prompt: tokens in the prompt, cached ones included.  cached: prompt tokens whose keys and values were already there; they cost nothing.
    scored: tokens after the prompt that are only scored (teacher forcing).  output: tokens sampled after those.
    causal: True counts Σ context as causal kernels do, T(T+1)/2; this is the number to store. False counts the full square of the prefill,
        as eager attention computes and FlopCounterMode sees it; this is the number to compare with.
    settings: engine settings that change the count, see `SETTINGS`; None is not set. Any other name raises TypeError: ignoring one
        would be a wrong number.

    Raises UnknownArchitecture (a UserError) where the architecture, or a size it needs, is not known; the caller stores null with the code
    `unknown_architecture`. Raises ValueError for token counts that cannot be.
    """
    if min(prompt, output, cached, scored) < 0 or cached > prompt:
        raise ValueError(f"impossible token counts: prompt={prompt}, cached={cached}, scored={scored}, output={output}")
    if strange := sorted(set(settings) - set(SETTINGS)):
        raise TypeError(f"flops.count knows the settings {', '.join(SETTINGS)}, not {', '.join(strange)}")
    model = shape({**config, **{key: value for key, value in settings.items() if value is not None}})
    steps = max(output - 1, 0)
    block = prompt - cached + scored  # one forward pass: the fresh prompt, and whatever is scored after it
    contexts = sum(
        layers * (_prefill(cached, block, window, causal) + _decode(prompt + scored, steps, window)) for window, layers in model.windows
    )
    return Flops(
        linear=2 * model.linear * (block + steps),
        attention=4 * model.attention * contexts,
        head=2 * model.head * (output + scored),
    )


def shape(config: Mapping[str, Any]) -> Shape:
    """What one token passes through, by the row of `ARCHITECTURES` that `model_type` names. Raises UnknownArchitecture."""
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UnknownArchitecture(f"FLOPs of model_type {kind!r} are not known (unknown_architecture); known: {known}")
    return ARCHITECTURES[kind](config)


def _prefill(cached: int, fresh: int, window: int | None, causal: bool) -> int:
    """Σ context lengths of `fresh` tokens in one pass after `cached` ones. A token attends itself and what is before it."""
    if causal:
        return _triangle(cached + fresh, window) - _triangle(cached, window)
    kept = cached if window is None else min(cached, window - 1)  # a sliding cache holds no more than the window still sees
    return fresh * (kept + fresh)


def _decode(before: int, steps: int, window: int | None) -> int:
    """Σ context lengths of `steps` single-token passes after `before` tokens."""
    return _triangle(before + steps, window) - _triangle(before, window)


def _triangle(length: int, window: int | None) -> int:
    """Σ over positions 1…length of min(position, window)."""
    if window is None or length <= window:
        return length * (length + 1) // 2
    return window * (window + 1) // 2 + (length - window) * window
