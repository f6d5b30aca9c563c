"""Reasons why a number about energy is missing or not to be trusted. Stored in columns, shown beside the number, explained by `bench
doctor`.
"""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """One reason. Its value is what the database stores; `.explanation` is what a person reads."""

    WINDOW_TOO_SHORT = "window_too_short"
    ESTIMATED = "estimated"
    NO_METER = "no_meter"
    COUNTER_RESET = "counter_reset"
    DEVICE_IDENTITY_MISSING = "device_identity_missing"
    DEVICE_COUNT_MISMATCH = "device_count_mismatch"
    CLOCK_STEPPED = "clock_stepped"
    WINDOW_LOST = "window_lost"
    UNKNOWN_ARCHITECTURE = "unknown_architecture"

    @property
    def explanation(self) -> str:
        """One line for a person."""
        return EXPLANATIONS[self]


EXPLANATIONS: dict[Code, str] = {
    Code.WINDOW_TOO_SHORT: "the window is shorter than 5 s; energy counters step about every 100 ms, so its joules are coarse",
    Code.ESTIMATED: "no meter could be read; joules are CPU time × watts per CPU from a table of design powers",
    Code.NO_METER: "nothing was measured and nothing could be estimated; joules are null",
    Code.COUNTER_RESET: "an energy counter went backwards inside the window (driver reload or device reset); its joules are null",
    Code.DEVICE_IDENTITY_MISSING: "a device gave no UUID, so its readings cannot be tied to the device that did the work",
    Code.DEVICE_COUNT_MISMATCH: "a device was readable at only one end of the window; its joules are null",
    Code.CLOCK_STEPPED: "the system clock was set back inside the window; its seconds mean nothing and calls cannot be matched to it",
    Code.WINDOW_LOST: "part of a call's time is covered by no window (the run was killed before the window closed); its joules are null",
    Code.UNKNOWN_ARCHITECTURE: "FLOPs of a model at work in the window are not known, so its energy cannot be shared out",
}
