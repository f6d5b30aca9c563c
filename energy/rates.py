"""What a device reaches, measured with torch: bytes copied per second and dense matrix products per second, by precision."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

REPEATS = 7
SPAN_S = 0.25
"""Least seconds of one repetition: many times what a clock or a launch costs."""
COPY_BYTES = {"cpu": 2**28, "cuda": 2**31}
"""Of one copied array: more than caches hold."""
SIZES = {"cpu": (2048, 1024, 512, 256), "cuda": (8192, 4096)}
"""Rows and columns of the matrices; where a device has no unit for a precision, a smaller size has to do."""
LONGEST_S = 0.5
"""Of one product."""
PRECISIONS = {"cpu": ("fp32", "bf16", "fp16", "int8"), "cuda": ("fp32", "tf32", "bf16", "fp16", "fp8", "int8")}


@dataclass(frozen=True)
class Rate:
    """Of several repetitions: bytes or operations per second. The best is what was shown to be possible; the median's distance from it
    tells how busy the machine was."""

    best: float
    median: float
    repeats: int


def bandwidth(device: str, size: int | None = None, repeats: int = REPEATS, span_s: float = SPAN_S) -> Rate:
    """Bytes per second of a copy from one array to another, read and written bytes both counted (STREAM's rule). size: bytes of one."""
    import torch

    count = (size or COPY_BYTES[device]) // 4
    source = torch.ones(count, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    return _rate(lambda: target.copy_(source), 2 * 4 * count, device, repeats, span_s)


def products(device: str, precision: str, sizes: tuple[int, ...] | None = None, repeats: int = REPEATS, span_s: float = SPAN_S) -> Rate:
    """Operations per second of dense products of square matrices, 2 per multiply-add. sizes: the largest that is fast enough is taken.

    Raises RuntimeError, NotImplementedError where torch has no such product here.
    """
    import torch

    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    try:
        wanted = sizes or SIZES[device]
        smallest = _product(device, precision, wanted[-1])
        once = _seconds(smallest, 1, device, warm=True)
        size = next((n for n in wanted if once * (n / wanted[-1]) ** 3 <= LONGEST_S), wanted[-1])
        return _rate(_product(device, precision, size), 2.0 * size**3, device, repeats, span_s)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def _product(device: str, precision: str, size: int) -> Callable[[], Any]:
    """One product of two matrices of so many rows and columns."""
    import torch

    random = torch.Generator(device).manual_seed(0)
    if precision == "int8":
        whole = [torch.randint(-127, 128, (size, size), dtype=torch.int8, device=device, generator=random) for _ in range(2)]
        return lambda: torch._int_mm(whole[0], whole[1])
    a, b = (torch.randn((size, size), device=device, generator=random) for _ in range(2))
    if precision == "fp8":  # the second by columns, as cuBLASLt wants it
        one = torch.ones((), device=device)
        small, turned = a.to(torch.float8_e4m3fn), b.to(torch.float8_e4m3fn).t()
        return lambda: torch._scaled_mm(small, turned, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    kind: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
    a, b = (x.to(kind.get(precision, torch.float32)) for x in (a, b))
    out = torch.empty_like(a)
    return lambda: torch.mm(a, b, out=out)


def _rate(work: Callable[[], Any], amount: float, device: str, repeats: int, span_s: float) -> Rate:
    """`amount` per second of `work`, each repetition as many calls as take `span_s`."""
    calls, took = 1, _seconds(work, 1, device, warm=True)
    while took < span_s / 2 and calls < 2**20:
        calls *= 2
        took = _seconds(work, calls, device)
    calls = max(1, round(calls * span_s / took)) if took > 0 else calls
    found = [calls * amount / _seconds(work, calls, device) for _ in range(repeats)]
    return Rate(max(found), median(found), repeats)


def _seconds(work: Callable[[], Any], calls: int, device: str, warm: bool = False) -> float:
    import torch

    if warm:
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(calls):
        work()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start
