"""The clock that stamps calls."""

from __future__ import annotations

import time

_EPOCH = time.time() - time.perf_counter()


def now() -> float:
    """Seconds since the epoch, advancing with the monotonic clock: differences are true durations."""
    return _EPOCH + time.perf_counter()
