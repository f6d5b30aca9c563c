"""No meter: windows keep their times (device-seconds still count) and say that joules are not known."""

from __future__ import annotations

from energy.codes import Code
from energy.meters import meters
from energy.windows import Reading, Source, now


@meters.register("none")
class NoMeter:
    """For hardware elsewhere, or where nothing can be read or estimated."""

    name = "none"
    version = 1
    source = Source.NONE

    def unavailable(self) -> str | None:
        """Always usable."""
        return None

    def open(self) -> None:
        """Nothing to open."""

    def read(self) -> Reading:
        """The time, and no joules."""
        return Reading(now(), {}, self.name, self.version, self.source, codes=(Code.NO_METER,))

    def close(self) -> None:
        """Nothing to close."""
