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
    UNKNOWN_PRECISION = "unknown_precision"
    WINDOW_NOT_BRACKETED = "window_not_bracketed"
    SAMPLING_GAP = "sampling_gap"
    COUNTER_INTEGRAL_MISMATCH = "counter_integral_mismatch"
    BATCH_UNDERFILLED = "batch_underfilled"
    THERMAL_DRIFT = "thermal_drift"
    POWER_CAPPED = "power_capped"
    FOREIGN_PROCESS = "foreign_process"
    MIG_SHARED = "mig_shared"
    SMALLER_BATCH_UNSTABLE = "smaller_batch_unstable"

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
    Code.UNKNOWN_PRECISION: "how the model's weights are stored is not known, so the bytes that its calls move cannot be counted",
    Code.WINDOW_NOT_BRACKETED: "the power readings do not reach from before the window to after it, so they cannot check it",
    Code.SAMPLING_GAP: "more than 3 s without a power reading inside the window",
    Code.COUNTER_INTEGRAL_MISMATCH: "the energy counter and the integral of the power readings are more than 5 % apart",
    Code.BATCH_UNDERFILLED: "fewer than 85 % of the requests that could be in flight were, so a token cost more energy than it could",
    Code.THERMAL_DRIFT: "the device's temperature moved by more than 10 °C inside the window",
    Code.POWER_CAPPED: "the device held its clocks back inside the window, for power or heat",
    Code.FOREIGN_PROCESS: "processes of others were at work on the device",
    Code.MIG_SHARED: "the GPU is cut into MIG slices, whose energy the counter does not tell apart",
    Code.SMALLER_BATCH_UNSTABLE: "a smaller number of requests in flight had no valid steady state on this hardware already",
}
