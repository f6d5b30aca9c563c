"""Bytes that calls move between memory and the device's arithmetic, from a model's `config.json` alone: for the model-bandwidth utilisation
(MBU = bytes ÷ seconds ÷ peak bandwidth) and for rooflines. The formulas and what is not covered: docs/flops.md.

These are the bytes that have to move: in every pass each weight that it needs once, however many sequences share it; each sequence's keys
and values that it attends to once, its new ones once; the state of state-space layers out and in. Activations, rows of the input
embedding, second reads of keys and values by blocks of queries, and what caches on the chip save are not in it. Weights shared out over
several devices are read once in all; what devices send each other is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from energy.architectures import Shape
from energy.flops import Speculation, rounds, shape
from perpass.errors import UserError

BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "fp8": 8, "float8_e4m3fn": 8, "fp8_e4m3": 8, "fp8_e5m2": 8, "int8": 8}


class UnknownPrecision(UserError):
    """Bytes cannot be counted for weights stored in this way. Stored as null with the code `unknown_precision`, never as 0."""

    code = "unknown_precision"


@dataclass(frozen=True)
class Bytes:
    """Bytes by what they are."""

    weights: float = 0
    """Of mixtures of experts an expectation: which experts tokens go to is not known."""
    cache_read: float = 0
    """Keys and values, or latents, of tokens attended to."""
    cache_written: float = 0
    state: float = 0
    """State and convolution of state-space layers, read and written."""

    @property
    def total(self) -> float:
        return self.weights + self.cache_read + self.cache_written + self.state

    def __add__(self, other: Bytes) -> Bytes:
        return Bytes(
            self.weights + other.weights,
            self.cache_read + other.cache_read,
            self.cache_written + other.cache_written,
            self.state + other.state,
        )


@dataclass(frozen=True)
class Traffic:
    """Bytes of some calls, by phase."""

    prefill: Bytes
    decode: Bytes

    @property
    def total(self) -> float:
        return self.prefill.total + self.decode.total


@dataclass(frozen=True)
class Precision:
    """Bits of one number as it is stored, scales and zero points included. `linear` and `experts`: the layers' matrices; `plain`: all other
    weights, the head among them; `cache` and `state`: what is kept of tokens and of sequences."""

    plain: float
    linear: float
    experts: float
    cache: float
    state: float


def count(
    config: Mapping[str, Any],
    *,
    prompt: int,
    output: int,
    cached: int = 0,
    scored: int = 0,
    batch: int = 1,
    dtype: str | None = None,
    cache_dtype: str | None = None,
    quantization: str | None = None,
    speculative: Speculation | Mapping[str, Any] | None = None,
    **settings: Any,
) -> Traffic:
    """Bytes of `batch` equal calls that run in step: one pass for all prompts, then one pass for each token of all of them.

    prompt, output, cached, scored, speculative, settings: as for `flops.count`, of one call.
    dtype: of weights that are not quantized; None is the config's own.  cache_dtype: of keys and values; None or `auto` is `dtype`.
    quantization: None is what `quantization_config` says, `none` is none.

    The share of experts that a pass reads supposes that each token picks at random, independently of others: n·(1 − (1 − k/n)^tokens) of n.
    Raises UnknownArchitecture and ValueError as `flops.count`, UnknownPrecision for a dtype or quantization that is not known.
    """
    if min(prompt, output, cached, scored) < 0 or cached > prompt or batch < 1:
        raise ValueError(f"impossible token counts: prompt={prompt}, cached={cached}, scored={scored}, output={output}, batch={batch}")
    model, held = shape(config, **settings), precision(config, dtype, cache_dtype, quantization)
    block, before, steps = prompt - cached + scored, prompt + scored, max(output - 1, 0)
    prefill = _pass(model, held, cached, block, batch, logits=output + scored > 0)
    if speculative is None:
        return Traffic(prefill, _steps(model, held, before, steps, batch))
    if not isinstance(speculative, Speculation):
        speculative = Speculation(**speculative)
    decode, draft = Bytes(), speculative.draft
    small = None if draft is None else (shape(draft), precision(draft, _own(draft) or dtype, cache_dtype, None))
    if small is not None:
        prefill += _pass(*small, cached, block, batch, logits=False)
    for at, proposed in rounds(steps, speculative):
        decode += _pass(model, held, before + at, 1 + proposed, batch, logits=True)
        if small is not None:
            decode += _steps(*small, before + at, proposed, batch)
    return Traffic(prefill, decode)


def precision(config: Mapping[str, Any], dtype: str | None, cache_dtype: str | None, quantization: str | None) -> Precision:
    """How a model's numbers are stored; arguments as for `count`. Raises UnknownPrecision."""
    plain = _bits(dtype or _own(config), "of the weights")
    cache = plain if cache_dtype in (None, "auto") else _bits(cache_dtype, "of the cache")
    state = config.get("mamba_ssm_cache_dtype")
    said = config.get("quantization_config") or {}
    method = quantization or said.get("quant_method")
    linear = experts = float(plain)
    if method and method != "none":
        experts = _quantized(_name(method), said if _name(said.get("quant_method")) == _name(method) else {}, plain)
        linear = plain if _name(method) == "mxfp4" else experts  # of gpt-oss, only experts are stored in MXFP4
    return Precision(plain, linear, experts, cache, cache if state in (None, "auto") else _bits(state, "of the state"))


def _pass(model: Shape, held: Precision, before: int, fresh: int, batch: int, *, logits: bool) -> Bytes:
    """One pass over `fresh` tokens of each sequence after `before` ones."""
    if not fresh:
        return Bytes()
    read = sum(mixer.cache * mixer.read(before, fresh) * times for mixer, times in model.mixers)
    return Bytes(
        _weights(model, held, batch * fresh, logits),
        batch * read * held.cache / 8,
        batch * fresh * model.cache * held.cache / 8,
        batch * (2 if before else 1) * _state(model, held),
    )


def _steps(model: Shape, held: Precision, before: int, steps: int, batch: int) -> Bytes:
    """`steps` passes over one token of each sequence."""
    read = sum(mixer.cache * mixer.read_by_steps(before, steps) * times for mixer, times in model.mixers)
    return Bytes(
        steps * _weights(model, held, batch, True),
        batch * read * held.cache / 8,
        batch * steps * model.cache * held.cache / 8,
        batch * steps * 2 * _state(model, held),
    )


def _weights(model: Shape, held: Precision, tokens: int, logits: bool) -> float:
    """Bytes of the weights that one pass over so many tokens reads."""
    bits = held.plain * (model.other + (model.head if logits else 0))
    for layer, times in model.groups:
        bits += times * (layer.linear * held.linear + layer.other * held.plain)
        if experts := layer.experts:
            hit = experts.number * (1 - (1 - experts.active / experts.number) ** tokens)
            bits += times * hit * (experts.linear * held.experts + experts.other * held.plain)
    return bits / 8


def _state(model: Shape, held: Precision) -> float:
    """Bytes that the state-space layers keep of one sequence."""
    scans = ((mixer.state * held.state + mixer.convolution * held.cache) * times for mixer, times in model.mixers)
    return sum(scans) / 8


def _quantized(method: str, said: Mapping[str, Any], plain: float) -> float:
    """Bits of one quantized weight, scales and zero points included. said: the `quantization_config` that describes it."""
    groups: list[Mapping[str, Any]] = list((said.get("config_groups") or {}).values())
    weights = (groups[0].get("weights") if groups else None) or {}
    bits = said.get("bits") or said.get("w_bit") or weights.get("num_bits")
    size = said.get("group_size") or said.get("q_group_size") or weights.get("group_size")
    scale = 16 / size if size and size > 0 else 0.0
    tile = said.get("weight_block_size")
    double = said.get("bnb_4bit_use_double_quant")
    match method:
        case "fp8" | "fbgemm_fp8":
            return 8 + (32 / (tile[0] * tile[1]) if tile else 0)
        case "int8":
            return 8
        case "mxfp4":  # blocks of 32 with a scale of 8 bits: OCP Microscaling Formats (MX) Specification 1.0
            return 4 + 8 / 32
        case "nvfp4":  # blocks of 16 with a scale of 8 bits
            return 4 + 8 / 16
        case "gptq" | "awq":  # a scale of 16 bits and a zero point per group, 128 unless said
            bits = bits or 4
            return bits + (16 + bits) / 128 if size is None else bits + scale * (16 + bits) / 16
        case "bitsandbytes":  # NF4: blocks of 64 with a scale of 32 bits, or of 8 bits and one of 32 per 256 blocks (arXiv:2305.14314)
            return 8 if said.get("load_in_8bit") else 4 + (8 / 64 + 32 / (64 * 256) if double else 32 / 64)
        case "bitnet":  # ternary, four to a byte; `online` keeps the weights and makes them ternary in every pass
            return plain if said.get("quantization_mode") == "online" else 2
        case "compressed-tensors" if bits:
            return bits + scale
    raise UnknownPrecision(f"how {method!r} stores weights is not known (unknown_precision)")


def _name(method: str | None) -> str:
    """A method's name without the kernel that runs it."""
    return (method or "").removesuffix("_marlin").replace("compressed_tensors", "compressed-tensors")


def _own(config: Mapping[str, Any]) -> str | None:
    """The dtype that a config itself names."""
    return config.get("dtype") or config.get("torch_dtype") or (config.get("text_config") or {}).get("torch_dtype")


def _bits(dtype: str | None, what: str) -> int:
    name = str(dtype).removeprefix("torch.")
    if name not in BITS:
        raise UnknownPrecision(f"the dtype {what} is {dtype!r}, not one of {', '.join(BITS)} (unknown_precision)")
    return BITS[name]
