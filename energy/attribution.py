"""Shares of windows for the calls that ran in them. Pure functions: attribution is a column that can be computed again from windows and
calls.

The rule: a call takes its share of each window that it spans by the FLOPs it executed there, flop × overlap / (end − start), as if it
worked evenly from send to last token. Give output tokens as `flop` for ML.ENERGY's rule instead. The law: what the calls in a window
take adds up to the window (to 1e-9), for every domain and for device-seconds. Only a call whose own number is null (it was partly
lost, or FLOPs in its window are not known) takes its share with it: nobody else is charged for it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import fsum

from energy.codes import Code
from energy.windows import Domain, Window

TOLERANCE_S = 1e-3
"""Seconds of a call that may lie outside all windows, or of two windows that may overlap: clocks are read one after the other."""


@dataclass(frozen=True)
class Call:
    """One call to a model: policy, reward, scoring and judging alike."""

    id: Hashable
    start_s: float
    end_s: float
    """Unix seconds, from send to last token, by the clock of the windows."""
    flop: float | None
    """Work done; None where it is not known."""


@dataclass(frozen=True)
class Share:
    """What one call took."""

    energy_j: Mapping[Domain, float | None]
    """Joules by every domain that the windows know; None with a code where they are not known. Empty without a meter."""
    device_s: float | None
    """Device-seconds; known without a meter too."""
    codes: tuple[Code, ...]
    """The codes of the windows it spans, and its own."""


@dataclass(frozen=True)
class Attribution:
    """Every call's share, and what no call has."""

    calls: Mapping[Hashable, Share]
    unattributed_j: Mapping[Domain, float]
    """Joules of windows that no call touches: idle time."""
    unattributed_s: float
    """Device-seconds of those windows."""


def attribute(windows: Sequence[Window], calls: Sequence[Call], devices: int = 1, tolerance_s: float = TOLERANCE_S) -> Attribution:
    """Each call's joules and device-seconds. devices: how many work in every window (`Hardware.count`).

    The order of windows and calls does not matter. n calls over m windows take O(m log m + n log m + overlaps).
    Raises ValueError when windows overlap (those of one meter never do), a call ends before it starts, or two calls share an id.
    """
    # A window without length (the clock was set back in it) can cover no call; its joules are unattributed.
    windows = sorted(windows, key=lambda w: (w.end_s > w.start_s, w.start_s, w.end_s))
    first = next((i for i, w in enumerate(windows) if w.end_s > w.start_s), len(windows))
    spans = _Spans(windows[first:], tolerance_s)
    if len({call.id for call in calls}) < len(calls):
        raise ValueError("two calls share an id")

    domains = sorted({row.domain for w in windows for row in w.domains})
    joules = {d: [w.energy_j(d) for w in windows] for d in domains}
    seconds = [max(w.duration_s, 0.0) * devices for w in windows]
    works = [_Work(call, [(first + w, s) for w, s in spans.overlaps(call)]) for call in calls]
    totals = _totals(len(windows), works)

    shares = {}
    for call, work in zip(calls, works, strict=True):
        codes = {code for w, _ in work.parts for code in windows[w].codes}
        codes |= {Code.WINDOW_LOST} if spans.lost(call, work.parts) else set()
        codes |= {Code.UNKNOWN_ARCHITECTURE} if any(totals[w] is None for w, _ in work.parts) else set()
        fractions = None if codes & {Code.WINDOW_LOST, Code.UNKNOWN_ARCHITECTURE} else work.fractions(totals)
        shares[call.id] = Share(
            energy_j={d: _sum(fractions, joules[d]) for d in domains},
            device_s=_sum(fractions, seconds),
            codes=_in_order(frozenset(codes)),
        )
    idle = set(range(len(windows))) - {w for work in works for w, _ in work.parts}
    return Attribution(
        calls=shares,
        unattributed_j={d: fsum(joules[d][w] or 0.0 for w in idle) for d in domains},
        unattributed_s=fsum(seconds[w] for w in idle),
    )


@lru_cache(maxsize=256)  # of the few sets of codes that there are
def _in_order(codes: frozenset[Code]) -> tuple[Code, ...]:
    return tuple(code for code in Code if code in codes)


class _Spans:
    """Windows in order, to be asked which of them a call spans."""

    def __init__(self, windows: Sequence[Window], tolerance_s: float) -> None:
        if any(after.start_s < before.end_s - tolerance_s for before, after in pairwise(windows)):
            raise ValueError("windows overlap; attribute the windows of one meter and one kind at a time")
        self.windows, self.tolerance_s = windows, tolerance_s
        self.ends = [w.end_s for w in windows]

    def overlaps(self, call: Call) -> list[tuple[int, float]]:
        """(window, seconds of the call in it), …. A call without length is in one window, with 0 seconds."""
        if call.end_s < call.start_s:
            raise ValueError(f"call {call.id!r} ends before it starts")
        found = []
        w = bisect_right(self.ends, call.start_s)
        if call.start_s == call.end_s:
            w -= w == len(self.ends) and w > 0 and self.ends[-1] == call.start_s  # windows are closed, at the end of the last
            return [(w, 0.0)] if w < len(self.ends) and self.windows[w].start_s <= call.start_s else []
        while w < len(self.windows) and self.windows[w].start_s < call.end_s:
            found.append((w, min(call.end_s, self.ends[w]) - max(call.start_s, self.windows[w].start_s)))
            w += 1
        return found

    def lost(self, call: Call, parts: Sequence[tuple[int, float]]) -> bool:
        """Whether part of the call lies in no window."""
        return not parts or call.end_s - call.start_s - fsum(s for _, s in parts) > self.tolerance_s


class _Work:
    """One call's work, by window."""

    def __init__(self, call: Call, parts: list[tuple[int, float]]) -> None:
        self.parts = parts
        length = call.end_s - call.start_s
        self.flops = [None if call.flop is None else call.flop * (s / length if length else 1.0) for _, s in parts]

    def fractions(self, totals: Sequence[_Total | None]) -> list[tuple[int, float]]:
        """(window, the call's fraction of it), …. By FLOPs; where nobody did any, by time; where nobody took any, evenly."""
        found = []
        for (w, seconds), flop in zip(self.parts, self.flops, strict=True):
            total = totals[w]
            assert total is not None and flop is not None
            found.append((w, flop / total.flop if total.flop else seconds / total.seconds if total.seconds else 1 / total.calls))
        return found


@dataclass(frozen=True)
class _Total:
    """What all calls did in one window."""

    flop: float
    seconds: float
    calls: int


def _totals(count: int, works: Sequence[_Work]) -> list[_Total | None]:
    """By window; None where the FLOPs of a call in it are not known. Exact sums (fsum), so that order does not matter."""
    flops: list[list[float | None]] = [[] for _ in range(count)]
    seconds: list[list[float]] = [[] for _ in range(count)]
    for work in works:
        for (w, s), flop in zip(work.parts, work.flops, strict=True):
            flops[w].append(flop)
            seconds[w].append(s)
    return [
        None if any(f is None for f in fs) else _Total(fsum(f for f in fs if f is not None), fsum(ss), len(fs))
        for fs, ss in zip(flops, seconds, strict=True)
    ]


def _sum(fractions: Sequence[tuple[int, float]] | None, amounts: Sequence[float | None]) -> float | None:
    """Σ fraction × amount; None where a part is not known."""
    if fractions is None:
        return None
    parts = [None if (amount := amounts[w]) is None else fraction * amount for w, fraction in fractions]
    return None if None in parts else fsum(p for p in parts if p is not None)
