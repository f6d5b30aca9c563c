"""How long a call takes at best and at worst on a device at its peak rates: the range of a plan that no measurement supports.

At best, the device computes without a pause at its peak rate and reads the weights once for all the calls that run together; at worst, it
makes every token of every call alone and reads all weights for each. Either way every token reads its own keys and values. Real batching
lies between, real engines reach less than the peaks: a range to plan with, never a measurement (Williams et al. 2009, "Roofline").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy import flops
from energy.hardware import Hardware

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
RATES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def seconds(
    config: Mapping[str, Any], hardware: Hardware, dtype: str, *, prompt: int, output: int, together: int = 1
) -> tuple[float, float] | None:
    """(at best, at worst) seconds of all of `hardware`'s devices for one call; None where a peak rate is not known.

    dtype: of weights, keys and values and arithmetic.  together: calls that run together at best.
    Raises UnknownArchitecture as `flops.count`, ValueError for token counts that cannot be.
    """
    profile = hardware.profile
    peak = profile.peak_flops.get(RATES.get(dtype, "")) if profile else None
    if profile is None or peak is None or profile.bandwidth is None:
        return None
    shape, call = flops.shape(config), flops.count(config, prompt=prompt, output=output)
    prefill = flops.count(config, prompt=prompt, output=min(output, 1))
    rate, width = peak.value * hardware.count, profile.bandwidth.value * hardware.count
    weights = (shape.linear + shape.head) * BYTES[dtype] / width  # to read them once
    contexts = (call.attention - prefill.attention) / (4 * shape.attention)  # Σ tokens attended to while decoding, over layers
    cache = contexts * shape.cache * BYTES[dtype] / width
    best = max(call.total / rate, output * weights / together + cache)
    worst = max(prefill.total / rate, weights) + max(output - 1, 0) * weights + cache
    return best, max(best, worst)


def joules(hardware: Hardware, seconds: float) -> float | None:
    """Joules of all devices at their design power for so long; None where that is not known."""
    power = hardware.profile.tdp_w if hardware.profile else None
    return None if power is None else power.value * hardware.count * seconds
