"""Budgets: what a run has spent so far in dollars, joules and seconds, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from energy.meters import Meter
from harness.cell import Deployment
from harness.context import Made
from harness.events import Options, Status
from harness.windows import WindowRecorder
from perpass.errors import BudgetReached, UserError
from results.prices import PriceBook

REFRESH_S = 0.1  # between two readings for --max-joules


class Spending:
    """Keeps `status.usd` and `status.joules` and raises BudgetReached when a stated limit is passed.

    Dollars are the price book's for the tokens of each call, as in reports; calls of models without a token price add none, so `check`
    refuses --max-usd for those. Each engine call counts once, however many strategies use its sample.
    """

    def __init__(self, options: Options, status: Status):
        self.options, self.status = options, status
        self.recorder: WindowRecorder | None = None
        self._book = PriceBook.load()
        self._joules: float | None = None
        self._refreshed = float("-inf")

    def check(self, places: Sequence[Deployment], meter: Meter) -> None:
        """Refuse a budget that could not be kept to. Raises UserError before anything is spent."""
        self.status.energy_source = str(meter.source)
        if self.options.max_joules is not None and str(meter.source) == "none":
            raise UserError("--max-joules: no energy meter here, so joules cannot be counted; see `bench doctor`")
        if self.options.max_usd is not None:
            for place in places:
                name = place.model.name
                if self._book.token_price(name) is None:
                    raise UserError(f"--max-usd: no token price of {name} is known, so dollars cannot be counted; use --max-seconds")

    def add(self, made: Made) -> None:
        """Count the dollars of one engine call."""
        usage = made.sample.usage
        tokens = {"prompt": usage.prompt, "cached": usage.cached, "output": usage.output, "scored": usage.scored}
        cost = self._book.call_cost(made.place.model.name, **tokens)
        if cost is not None:
            self.status.usd = (self.status.usd or 0.0) + cost

    def close(self, recorder: WindowRecorder) -> None:
        """A group of cells is finished: keep what its windows saw."""
        self._joules, self.recorder = self._total(), None
        self.status.joules = self._joules

    def stop_if_reached(self) -> None:
        """Raise BudgetReached, naming the budget, when one is used up."""
        limits = self.options
        if limits.max_joules is not None and time.monotonic() - self._refreshed >= REFRESH_S:
            self.refresh()
        for name, limit, spent, unit in (
            ("--max-usd", limits.max_usd, self.status.usd, "USD"),
            ("--max-joules", limits.max_joules, self.status.joules, "J"),
            ("--max-seconds", limits.max_seconds, time.time() - self.status.started, "s"),
        ):
            if limit is not None and spent is not None and spent >= limit:
                raise BudgetReached(f"{name} {limit:g} reached: {spent:.4g} {unit} spent")

    def refresh(self) -> None:
        """Bring `status.joules` up to date; a meter reading takes milliseconds, so not for every attempt."""
        self.status.joules, self._refreshed = self._total(), time.monotonic()

    def _total(self) -> float | None:
        now = self.recorder.joules() if self.recorder else None
        return self._joules if now is None else now + (self._joules or 0.0)
