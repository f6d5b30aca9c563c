"""`bench grade`: judge answers that were made elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.commands.options import Data


def grade(
    task: Annotated[str, typer.Argument(help="Task: a name, or name(split=train).")],
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help='A line per answer: {"id" or "question", "output"}.')],
    grader: Annotated[str | None, typer.Option(help="Another grader than the task's own.")] = None,
    data: Data = None,
) -> None:
    """Judge answers made elsewhere: one JSON object per line to stdout, in input order; the summary to stderr."""
    import asyncio
    import json
    import sys

    import tasks
    from bench.commands import options
    from bench.entries import entry
    from results.table import plain
    from tasks import grade as grading

    options.use_data(data)
    loaded = tasks.load(entry(task, "TASK"))
    rows = grading.read(loaded, file)

    async def judged() -> tuple[int, int]:
        items = correct = 0
        async for one in grading.grade(loaded, rows, grader):
            print(json.dumps(plain(one.json()), ensure_ascii=False), flush=True)
            verdicts = one.correct if isinstance(one.correct, list) else [one.correct]
            items, correct = items + len(verdicts), correct + sum(verdicts)
        return items, correct

    items, correct = asyncio.run(judged())
    share = f" ({correct / items:.1%})" if items else ""
    print(f"{loaded.name}: {correct} of {items} correct{share}", file=sys.stderr)
