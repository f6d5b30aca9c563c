"""`bench rejudge`: apply current judges to stored attempts."""

from __future__ import annotations

from bench.commands.options import Data, Db


def rejudge(db: Db = None, data: Data = None) -> None:
    """Judge stored attempts again whose task has a newer judge. Generates nothing; safe to interrupt and to repeat."""
    import asyncio
    import sys

    import tasks
    from bench.commands import options
    from results import database
    from results import rejudge as judging

    options.use_data(data)
    engine = database.open_database(db)
    try:
        done = asyncio.run(
            judging.rejudge(engine, tasks.load, progress=lambda s: print(f"{s.judged} judged, {s.changed} changed", file=sys.stderr))
        )
    finally:
        engine.dispose()
    print(f"{done.judged} attempts judged again, {done.changed} with another outcome, {done.failed} that their judge failed on")
    if done.stale_cells:
        print(f"votes counted with the old extractor stand (stale_extractor): {', '.join(sorted(done.stale_cells))}")
    for note in done.notes:
        print(note)
