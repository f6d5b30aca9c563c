"""`bench nightly`: one night of an experiment, compared with the last good one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench.commands import options
from bench.commands.options import Data

if TYPE_CHECKING:
    from bench.plan import Plan
    from results.gate import Gate


def nightly(
    context: typer.Context,
    experiment: Annotated[str, typer.Argument(metavar="EXPERIMENT", help="A YAML file, or a shipped name such as demo or gsm8k.")],
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="The night; its series is nightly-DATE.")],
    gate: Annotated[str | None, typer.Option(metavar="FILE", help="What is too much worse; without it, any significant fall.")] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the nights of this experiment are kept.")] = Path("nightly"),
    accept: Annotated[bool, typer.Option("--accept", help="Take this night as good, whatever the gate says.")] = False,
    data: Data = None,
) -> None:
    """Run an experiment as series nightly-DATE and compare it with the newest earlier night that was good.

    DIR holds the database, nights.jsonl (what became of each night), summary.md and junit.xml. Exits 4 when a cell alarms.
    """
    from bench import experiment as files
    from bench import gate_file
    from bench import nightly as record
    from bench import plan as plans
    from perpass.errors import UserError
    from results.gate import Gate

    series = record.series(date)
    rules = gate_file.load(gate) if gate is not None else Gate()
    options.use_data(data)
    plan = plans.build(files.load(experiment, files.Overrides(series=series)))
    known = record.nights(folder, plan.experiment.name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--folder {folder}: cannot be made: {error.strerror}") from None
    base = record.last_good(known, date)
    code = _run(plan, str(folder / record.DATABASE), context.obj)
    verdict, cells = _compared(plan, rules, folder, base, code, accept)
    record.record(folder, known, record.Night(date, series, plan.experiment.name, base, verdict, cells))
    print(f"\n{series}: {verdict}" + (f", compared with {base}" if base and not code else ""))
    raise typer.Exit(code or {"regression": 4, "unpaired": 1}.get(verdict, 0))


def _run(plan: Plan, db: str, words: list[str]) -> int:
    """Run what is missing of the night, as `bench run` does; its exit code."""
    from bench import execute, progress
    from bench.commands import closing
    from bench.commands.run import finish, without_database
    from harness.events import Options

    closing.say_skipped(plan)
    with progress.show() as draw:
        summary = execute.run(plan, db, argv=["bench", *without_database(words)], options=Options(progress=draw))
    return finish(plan, summary, None, db)


def _compared(plan: Plan, rules: Gate, folder: Path, base: str | None, code: int, accept: bool) -> tuple[str, list[str]]:
    """The night's verdict and the cells that alarmed. Writes summary and test results, prints the comparison."""
    from dataclasses import replace

    from bench import nightly as record
    from bench import stored
    from results import compare, compare_text, gate, junit, table
    from results.files import write_whole

    db, found = str(folder / record.DATABASE), compare.Comparison(base or "nothing", plan.series, [], [])
    if base is not None and not code:
        found = replace(compare.pairs(db, f"series:{base}", f"series:{plan.series}"), base=base, head=plan.series)
    checks = gate.judge(found, rules)
    alarmed = list(dict.fromkeys(check.pair.row["base_cell"] for check in gate.alarms(checks)))
    judged = "regression" if alarmed else "passed" if found.pairs else "unpaired"
    verdict = "failed" if code else "first" if base is None else "accepted" if accept else judged
    told = [f"# {plan.series}: {verdict}", table.render(stored.rows(plan, db), "markdown")]
    if base is not None and not code:
        told.insert(1, compare_text.render(found, "markdown", gate=rules, checks=checks))
        print("\n" + compare_text.render(found, gate=rules, checks=checks))
    junit.write(folder / record.JUNIT, found, checks)
    write_whole(folder / record.SUMMARY, "\n\n".join(told) + "\n")
    return verdict, alarmed
