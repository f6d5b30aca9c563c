"""How long a call takes at best and at worst on a device at its peak rates: the range of a plan that no measurement supports.

At best, the device computes without a pause at its peak rate and reads the weights once for all the calls that run together; at worst, it
makes every token of every call alone and reads all weights for each. Either way every token reads its own keys and values. Real batching
lies between, real engines reach less than the peaks: a range to plan with, never a measurement (Williams et al. 2009, "Roofline").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from energy import flops, traffic
from energy.hardware import Hardware

RATES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def seconds(
    config: Mapping[str, Any], hardware: Hardware, dtype: str, *, prompt: int, output: int, together: int = 1
) -> tuple[float, float] | None:
    """(at best, at worst) seconds of all of `hardware`'s devices for one call; None where a peak rate, or how weights are kept, is unknown.

    dtype: of weights that the config does not quantize, keys and values and arithmetic.  together: calls that run together at best.
    Raises UnknownArchitecture as `flops.count`, ValueError for token counts that cannot be.
    """
    profile = hardware.profile
    peak = profile.peak_flops.get(RATES.get(dtype, "")) if profile else None
    if profile is None or peak is None or profile.bandwidth is None:
        return None
    call, prefill = flops.count(config, prompt=prompt, output=output), flops.count(config, prompt=prompt, output=min(output, 1))
    rate, width = peak.value * hardware.count, profile.bandwidth.value * hardware.count
    try:
        alone = traffic.count(config, prompt=prompt, output=output, dtype=dtype)
        shared = traffic.count(config, prompt=prompt, output=output, dtype=dtype, batch=together)
    except traffic.UnknownPrecision:
        return None
    cache = alone.decode.cache_read + alone.decode.state
    best = max(call.total / rate, ((shared.prefill.weights + shared.decode.weights) / together + cache) / width)
    worst = max(prefill.total / rate, alone.prefill.weights / width) + (alone.decode.weights + cache) / width
    return best, max(best, worst)


def joules(hardware: Hardware, seconds: float) -> float | None:
    """Joules of all devices at their design power for so long; None where that is not known."""
    power = hardware.profile.tdp_w if hardware.profile else None
    return None if power is None else power.value * hardware.count * seconds
