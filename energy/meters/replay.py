"""Windows recorded by a real `ZeusMonitor` (its `log_file` CSV), played back through Zeus's own `ReplayZeusMonitor`: for tests and
demonstrations.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from energy.meters import meters
from energy.windows import Device, Domain, Reading, Source, now
from perpass.errors import UserError

if TYPE_CHECKING:
    from zeus.utils.testing import ReplayZeusMonitor


@meters.register("replay")
class ReplayMeter:
    """The first reading is zero; every further one adds the log's next line, its elapsed seconds included.

    When the log has ended, readings have no devices any more: the window gets `device_count_mismatch`, never zero joules.
    """

    name = "replay"
    version = 1
    source = Source.REPLAY

    def __init__(self, log: str | Path) -> None:
        """log: CSV `start_time,window_name,elapsed_time,gpu0_energy,…` (seconds, joules)."""
        self._log = Path(log)
        self._monitor: ReplayZeusMonitor | None = None
        self._started = False
        self._at_s = 0.0
        self._joules: dict[Device, float] = {}

    def unavailable(self) -> str | None:
        """No log file, or no Zeus to play it."""
        try:
            import zeus  # noqa: F401
        except ImportError as error:
            return f"zeus is not installed ({error})"
        return None if self._log.is_file() else f"{self._log} is not a file"

    def open(self) -> None:
        """Starts at the beginning of the log."""
        if reason := self.unavailable():
            raise UserError(f"the replay meter cannot be used: {reason}")
        from zeus.utils.testing import ReplayZeusMonitor

        self.close()
        self._monitor = ReplayZeusMonitor(log_file=self._log, ignore_sync_execution=True, match_window_name=False)
        self._started = False
        self._at_s = now()
        self._joules = {Device(Domain.GPU, f"index {i}"): 0.0 for i in self._monitor.gpu_indices}

    def read(self) -> Reading:
        """Everything replayed so far. The time is the opening's plus the log's elapsed seconds."""
        if self._monitor is None:
            raise RuntimeError("read before open")
        if self._started and self._joules:
            self._advance(self._monitor)
        self._started = True
        return Reading(self._at_s, dict(self._joules), self.name, self.version, self.source)

    def _advance(self, monitor: ReplayZeusMonitor) -> None:
        monitor.begin_window("replay", sync_execution=False)
        try:
            measured = monitor.end_window("replay", sync_execution=False)
        except RuntimeError as error:  # what ReplayZeusMonitor raises both at the end of its log and for a line it cannot read
            if "No more lines" not in str(error):
                raise UserError(f"{self._log}: {error}") from error
            self._joules = {}
            return
        self._at_s += measured.time
        for index, joules in measured.gpu_energy.items():
            self._joules[Device(Domain.GPU, f"index {index}")] += joules

    def close(self) -> None:
        """Closes the log."""
        if self._monitor is not None:
            self._monitor.log_file.close()
            self._monitor = None
