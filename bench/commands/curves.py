"""`bench curves`: what fewer samples would have come to, from the pools that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.commands.options import Data, Db, Series

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS = ["table", "markdown", "json", "csv"]


def curves(
    experiment: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="Only what this experiment draws from.")] = None,
    db: Db = None,
    data: Data = None,
    series: Series = None,
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    by: Annotated[str, typer.Option("--by", metavar="k|tokens|flop|energy|cost", help="What the picture has across.")] = "k",
    estimators: Annotated[
        str | None, typer.Option("--estimators", metavar="A,B", help="Only these, self-consistency beside them; all unless given.")
    ] = None,
    matched: Annotated[
        bool, typer.Option("--matched", help="Instead: every strategy against a vote of equal tokens, FLOPs and joules.")
    ] = False,
    format: Annotated[str, typer.Option("--format", metavar="table|markdown|json|csv", help="How to print it.")] = "table",
) -> None:
    """Show accuracy against the number of samples, with what they take: pass@k, self-consistency, best-of-k, weighted votes and more.

    Every k up to the depth of the stored pools, at once. Judges pooled samples that are not judged yet, generates nothing, and stores what
    it computed for the leaderboard; safe to interrupt and to repeat.
    """
    import asyncio
    import sys

    import tasks
    from bench.commands import following, options
    from bench.commands.report import experiment_file
    from perpass.errors import PerPassError
    from results import curves as computing
    from results import curves_text, database, report
    from results import matched as matching

    options.choose(format, FORMATS, "format")
    across = curves_text.field(by)
    names = curves_text.chosen(None if estimators is None else [name.strip() for name in estimators.split(",")])
    options.use_data(data)
    asked = None if experiment is None else experiment_file(experiment)
    name = asked.name if asked else experiment
    engine = database.open_database(db)

    def judging(label: str, done: int, of: int) -> None:
        print(f"{label}: judging the samples of {of - done:,} problems", file=sys.stderr)

    try:
        found, notes = asyncio.run(computing.refresh(engine, tasks.load, experiment=name, series=series, task=task, progress=judging))
        reported = report.rows(engine, experiment=name, series=series, task=task) if matched else []
        beside = matching.rows(engine, found, reported) if matched else []
    finally:
        engine.dispose()
    for note in notes:
        print(note, file=sys.stderr)
    if matched:
        return _print_matched(beside, format)
    rows = computing.told(found)
    if not rows:
        more = "" if notes else ": a pool is what strategies such as cot and self_consistency draw from; run one with several samples"
        raise PerPassError(f"no pools of samples to draw curves from{more}")
    _print(rows, names, across, format)
    if format == "table":
        following.after_curves(experiment, [("--series", series), ("--task", task)], db)


def _print_matched(rows: Sequence[dict[str, Any]], format: str) -> None:
    import shutil

    from bench.commands import output
    from perpass.errors import PerPassError
    from results import matched, table

    if not rows:
        raise PerPassError("nothing to match: no strategy but cot and self_consistency has its samples' curve beside it; run one more")
    if format == "json":
        return output.json_lines(rows)
    if format == "csv":
        return print(table.as_csv(rows, [name for name in rows[0] if name != "reasons"]))
    blocks: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        blocks.setdefault((row["task"], row["model"]), []).append(row)
    for (task, model), own in blocks.items():
        title = f"against self-consistency at equal cost · {task} · {model}"
        if format == "markdown":
            print("\n".join([f"### {title}", "", *output.markdown(matched.lines(own)), "", *(f"- {n}" for n in matched.notes(own)), ""]))
        else:
            width = shutil.get_terminal_size((120, 40)).columns
            print("\n".join([title, "", *output.lines(matched.lines(own)), "", *output.notes(matched.notes(own), width), ""]))


def _print(rows: Sequence[dict[str, Any]], names: Sequence[str], across: str, format: str) -> None:
    import shutil

    from bench.commands import output
    from results import curves, curves_text, table

    if format == "json":
        return output.json_lines([row | {"estimates": {n: own for n, own in row["estimates"].items() if n in names}} for row in rows])
    if format == "csv":
        flat = [row for row in curves.flat(rows) if row["estimator"] in names]
        return print(table.as_csv(flat, list(flat[0])))
    width = shutil.get_terminal_size((120, 40)).columns
    said = [curves_text.notes(row, names) for row in rows]
    shared = [note for note in said[0] if len(rows) > 1 and all(note in own for own in said)]
    blocks = []
    for row, notes in zip(rows, said, strict=True):
        own = [note for note in notes if note not in shared]
        lines = curves_text.table(row, names, width if format == "table" else None, format == "markdown")
        if format == "markdown":
            blocks.append([f"### {curves_text.title(row)}", "", *lines, "", *(f"- {note}" for note in own)])
            continue
        drawn = curves_text.picture(row, [n for n in names if n in curves_text.DRAWN], across, width, output.colour())
        blocks.append([curves_text.title(row), "", *lines, "", *drawn, *([""] if drawn else []), *output.notes(own, width)])
    blocks += [[f"- {note}" for note in shared] if format == "markdown" else output.notes(shared, width)] if shared else []
    print("\n\n".join("\n".join(block).rstrip("\n") for block in blocks))
