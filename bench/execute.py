"""Running a plan: checks before the database is opened, the event loop, Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from bench.plan import Plan
from harness import runner
from harness.events import Options, Status, Summary
from harness.spending import Spending
from harness.windows import meter_for
from perpass.errors import UserError
from results.database import open_database
from results.store import Store

T = TypeVar("T")


def run(plan: Plan, db: str | None = None, *, argv: Sequence[str] = (), options: Options = Options(), announce: Any = None) -> Summary:
    """Run what the database lacks of `plan`. Creates the database if there is none, and says so.

    Raises UserError (before the database is opened) when nothing can run or a budget could not be kept to, PerPassError when it fails.
    """
    check(plan, options)
    engine = open_database(db, create=True, announce=announce or _announce)
    try:
        experiment = plan.experiment
        return complete(
            runner.run(
                plan.cells, Store(engine), name=experiment.name, text=experiment.text, argv=argv, series=plan.series, options=options
            )
        )
    finally:
        engine.dispose()


def check(plan: Plan, options: Options) -> None:
    """What would stop the run, found before anything is opened or spent."""
    if plan.assumed:
        raise UserError(f"{plan.experiment.source.name}: a run cannot stand on {'; '.join(next(iter(plan.assumed.values())))}")
    if not plan.cells:
        reasons = "; ".join(dict.fromkeys(s.reason for s in plan.skipped)) or "the experiment has no cells"
        raise UserError(f"{plan.experiment.source.name}: nothing to run: {reasons}")
    places = {d.hash: d for c in plan.cells for d in (c.policy, *c.roles.values())}.values()
    for place in places:
        if reason := getattr(place.engine, "unavailable", lambda: None)():
            raise UserError(reason)
    spending = Spending(options, Status())
    spending.check(list(places), meter_for([p.hardware for p in places], options.require_energy))


def fresh_series(now: datetime | None = None) -> str:
    """The name that `--fresh` gives a series: `fresh-2026-11-22-1530`."""
    return f"fresh-{now or datetime.now():%Y-%m-%d-%H%M}"


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end from anywhere: in this thread, or in another where an event loop already runs here (notebooks).

    The first Ctrl-C or SIGTERM cancels it, which saves its state; a second one has its usual effect.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_stoppable(work))
    return _in_thread(work)


async def _stoppable(work: Coroutine[Any, Any, T]) -> T:
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    stops = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()

    def stop() -> None:
        for number in stops:
            loop.remove_signal_handler(number)
        task.cancel()

    try:
        for number in stops:
            loop.add_signal_handler(number, stop)
    except NotImplementedError:  # Windows has no such handlers; Ctrl-C raises KeyboardInterrupt there
        pass
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        for number in stops:
            loop.remove_signal_handler(number)


def _in_thread(work: Coroutine[Any, Any, T]) -> T:
    outcome: dict[str, Any] = {}

    def target() -> None:
        try:
            outcome["value"] = asyncio.run(work)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=target, name="perpass-run")
    thread.start()
    thread.join()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]  # type: ignore[no-any-return]


def _announce(text: str) -> None:
    import sys

    print(text, file=sys.stderr)
