"""FLOPs and parameters of a model, from its `config.json` alone. The formulas and what is not covered: docs/flops.md.

What is counted (`shared/reference/measurement.md`, "FLOPs"): 2 per multiply-add of every matrix product, as
`torch.utils.flop_counter.FlopCounterMode` does.

- linear:    2 × the matmul parameters one token passes through (active experts only), for prompt − cached + scored +
             max(output − 1, 0) tokens; the last output token is never fed back.
- attention: 2 · heads · (d_key + d_value) · Σ context lengths per layer, so 4 · heads · d_head · Σ where they are equal; the scan of
             state-space layers.
- head:      2 × the output head's parameters, output + scored times: once per sampled or scored token, never for a whole prompt. An engine
             that puts every position of a block through the head, as vLLM's reward models do, gives all of them as scored.

Embedding look-ups, norms, activations, biases and rotary products are not counted (below 1 % on any real model).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from energy.architectures import Shape, UnknownArchitecture, find
from perpass.errors import UserError

__all__ = ["SETTINGS", "Flops", "Parameters", "Speculation", "UnknownArchitecture", "count", "parameters", "rounds", "shape"]

SETTINGS = ("experts", "num_experts_per_tok", "early_exit_layer", "mla")
"""The engine settings that change a count and that `shape` and `count` know; see `shape`. Pass these and no others."""


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


@dataclass(frozen=True)
class Parameters:
    """How many numbers a model has learnt, exact; the head's are counted once where it is the input embedding.

    Publishers count differently: DeepSeek, Mixtral and Qwen count embedding and head among the active ones, OpenAI the head only.
    """

    total: int
    active: int
    """Without the experts that a token does not go to."""
    embedding: int
    """Of the input embedding, in both."""


@dataclass(frozen=True)
class Speculation:
    """What speculative decoding did in one call, as engines count it: tokens over all rounds. A round is one pass of the model over the
    last token and what was proposed after it; it yields what it accepted and one token more.

    draft: config of the model that proposed; None where proposals cost no FLOPs (n-gram look-up).
    """

    proposed: int
    accepted: int
    draft: Mapping[str, Any] | None = None


def count(
    config: Mapping[str, Any] | Shape,
    *,
    prompt: int,
    output: int,
    cached: int = 0,
    scored: int = 0,
    causal: bool = True,
    speculative: Speculation | Mapping[str, Any] | None = None,
    **settings: Any,
) -> Flops:
    """FLOPs of one call to the model that `config` (a parsed `config.json`, or `PretrainedConfig.to_dict()`) describes. For many calls to
    one model, give what `shape` made of it, settings included.

    prompt: tokens in the prompt, cached ones included.  cached: prompt tokens whose keys and values were already there; they cost nothing.
    scored: tokens after the prompt that are only scored (teacher forcing).  output: tokens sampled after those.
    causal: True counts the work as the model defines it: Σ context as causal kernels do, T(T+1)/2, each token's latent expanded once, scans
        token by token; this is the number to store. False counts what transformers' eager code executes and FlopCounterMode sees (the full
        square of the prefill, …); this is the number to compare with.
    speculative: what speculative decoding did, a `Speculation` or its fields. Rejected tokens cost the model as much as kept ones, and the
        draft's FLOPs are part of the result; for the model's alone pass no draft. How rounds differed is not known: they are spread evenly.
    settings: engine settings that change the count, see `shape`. Quantization is none of them: it changes bytes (`energy.traffic`).

    Raises UnknownArchitecture (a UserError) where the architecture, or a size it needs, is not known; the caller stores null with the code
    `unknown_architecture`. Raises ValueError for token counts that cannot be.
    """
    if min(prompt, output, cached, scored) < 0 or cached > prompt:
        raise ValueError(f"impossible token counts: prompt={prompt}, cached={cached}, scored={scored}, output={output}")
    if isinstance(config, Shape) and settings:
        raise TypeError("a shape has its settings already")
    model = config if isinstance(config, Shape) else shape(config, **settings)
    block = prompt - cached + scored  # one forward pass: the fresh prompt, and whatever is scored after it
    before, steps = prompt + scored, max(output - 1, 0)
    if speculative is None:
        done = _flops(model, block + steps, output + scored)
        return done + _mixed(model, [(cached, block)], (before, steps), not causal)
    if not isinstance(speculative, Speculation):
        speculative = Speculation(**speculative)
    passes = [(before + at, 1 + k) for at, k in rounds(steps, speculative)]
    rejected = speculative.proposed - speculative.accepted
    done = _flops(model, block + steps + rejected, output + scored + rejected)
    done += _mixed(model, [(cached, block), *passes], (0, 0), not causal)
    if speculative.draft is not None:
        draft = shape(speculative.draft)
        done += _flops(draft, block + speculative.proposed, speculative.proposed) + _mixed(draft, [(cached, block)], (0, 0), not causal)
        for start, tokens in passes:
            done += _mixed(draft, [], (start, tokens - 1), not causal)
    return done


def rounds(steps: int, speculation: Speculation) -> Iterator[tuple[int, int]]:
    """(tokens decoded before it, tokens proposed) of each round of speculative decoding, spread evenly. steps: tokens that decoding yields
    after the first output token. Raises ValueError for numbers that cannot be."""
    proposed, accepted = speculation.proposed, speculation.accepted
    number = steps - accepted
    if not 0 <= accepted <= proposed or number < 0 or (proposed and not number):
        raise ValueError(f"impossible speculation: proposed={proposed}, accepted={accepted} in {steps} decoded tokens")
    for i in range(number):
        yield i + i * accepted // number, (i + 1) * proposed // number - i * proposed // number


def shape(
    config: Mapping[str, Any],
    *,
    experts: int | None = None,
    num_experts_per_tok: int | None = None,
    early_exit_layer: int | None = None,
    mla: str | None = None,
) -> Shape:
    """What one token passes through, by the row of `ARCHITECTURES` that `model_type` names; None is what the config says.

    experts, or num_experts_per_tok: active experts per token.  early_exit_layer: only so many layers run, then norm and head.
    mla: `expanded`, as latent attention is defined, or `absorbed`, as vLLM and SGLang decode with it.

    Raises UnknownArchitecture, UserError for a setting that the model cannot have; any other setting raises TypeError, because ignoring one
    would be a wrong number.
    """
    model = find(config)
    if experts is not None and num_experts_per_tok not in (None, experts):
        raise UserError(f"experts: {experts} and num_experts_per_tok: {num_experts_per_tok} differ")
    active = num_experts_per_tok if experts is None else experts
    if active is not None:
        most = max((layer.experts.number for layer, _ in model.groups if layer.experts), default=0)
        if not 1 <= active <= most:
            raise UserError(f"{active} active experts: the model has " + (f"{most} in a layer" if most else "no routed experts"))
        model = model.routing(active)
    if early_exit_layer is not None:
        if not 1 <= early_exit_layer <= len(model.layers):
            raise UserError(f"early_exit_layer: {early_exit_layer} is not one of the model's {len(model.layers)} layers")
        model = model.cut(early_exit_layer)
    if mla not in (None, "expanded", "absorbed"):
        raise UserError(f"mla: {mla!r} is not expanded or absorbed")
    return model.absorbed() if mla == "absorbed" else model


def parameters(config: Mapping[str, Any], **settings: Any) -> Parameters:
    """Parameters of the model that `config` describes, with `settings` as for `shape`. Raises as `shape`."""
    model = shape(config, **settings)
    total = active = model.embedding + (0 if model.tied else model.head) + model.other
    for layer, times in model.groups:
        experts = layer.experts
        each = experts.linear + experts.other if experts else 0
        total += times * (layer.linear + layer.other + each * (experts.number if experts else 0))
        active += times * (layer.linear + layer.other + each * (experts.active if experts else 0))
    return Parameters(total, active, model.embedding)


def _flops(model: Shape, tokens: int, logits: int) -> Flops:
    """Products with the model's parameters."""
    return Flops(linear=2 * model.linear * tokens, head=2 * model.head * logits)


def _mixed(model: Shape, blocks: list[tuple[int, int]], decoding: tuple[int, int], eager: bool) -> Flops:
    """Products between tokens. blocks: (tokens before, fresh tokens) of passes.  decoding: (tokens before, passes of one token)."""
    linear = attention = 0
    for mixer, times in model.mixers:
        work = [mixer.block(*block, eager) for block in blocks] + [mixer.steps(*decoding, eager)]
        linear += times * sum(part for part, _ in work)
        attention += times * sum(part for _, part in work)
    return Flops(linear=linear, attention=attention)
