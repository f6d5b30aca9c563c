"""Replaying texts that another engine or other hardware made. Only `--offline` may: such an attempt has neither times nor joules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.cell import Deployment
from perpass.identity import canonical

EXACT = frozenset({"transformers", "vllm", "scripted"})
"""Engines that draw from the model's own distribution. A server's model may be another than it says."""

OUTSIDE = frozenset(
    {
        *("device", "attention", "max_batch", "max_batch_tokens", "threads"),  # transformers
        *("max_model_len", "max_num_seqs", "max_num_batched_tokens", "gpu_memory_utilization", "enable_prefix_caching"),  # vLLM
        *("enable_chunked_prefill", "enforce_eager", "block_size", "swap_space", "speculative_config"),
        *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"),
    }
)
"""Settings that change speed or numerics, never the distribution that tokens are drawn from. All others (quantization, …) may."""


def borrowed(place: Deployment, engine: Mapping[str, Any], hardware: Mapping[str, Any]) -> str | None:
    """The code for a text made by `engine` on `hardware` (stored identities) instead of `place`: other_engine | other_hardware.

    None where its distribution might be another, so that it must not stand in.
    """
    own = canonical(place.identity())
    if engine == own["engine"]:
        return "other_hardware" if hardware != own["hardware"] else None
    kinds = {engine["kind"], own["engine"]["kind"]}
    inside = [{k: v for k, v in e["settings"].items() if k not in OUTSIDE} for e in (engine, own["engine"])]
    return "other_engine" if kinds <= EXACT and inside[0] == inside[1] else None
