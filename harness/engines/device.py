"""Which kind of device torch would run on, found without importing torch: plans need it, and importing torch takes seconds."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import re
from pathlib import Path


@functools.cache
def accelerator() -> str:
    """`cuda` when the installed torch is built for NVIDIA GPUs and one is visible, else `cpu`."""
    return "cuda" if _built_for_cuda() and _visible_gpus() else "cpu"


def _built_for_cuda() -> bool:
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    version = Path(found.origin).with_name("version.py")
    text = version.read_text() if version.exists() else ""
    return re.search(r"^cuda\b[^=\n]*=\s*['\"]", text, re.MULTILINE) is not None


def _visible_gpus() -> bool:
    """Asks NVML rather than CUDA: a process that has started CUDA can no longer fork."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in {"", "-1"}:
        return False
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    if nvml.nvmlInit_v2() != 0:
        return False
    count = ctypes.c_uint(0)
    failed = nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    nvml.nvmlShutdown()
    return not failed and count.value > 0
