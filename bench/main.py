"""The command line: `bench COMMAND`. Each command is a file under `bench.commands`, which imports what it needs only when it runs.

Exit codes: 0 done · 1 failed, or attempts with errors remain · 2 anything wrong in what was written or named · 3 stopped by a budget ·
4 regression · 130 interrupted, state saved. An expected error is one sentence; `--debug` or PERPASS_DEBUG=1 shows the traceback of any.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bench.commands import (
    calibrate,
    compare,
    curves,
    database,
    doctor,
    export,
    external,
    grade,
    importing,
    leaderboard,
    listing,
    nightly,
    plan,
    project,
    rejudge,
    report,
    run,
    show,
    train_router,
)


class Group(TyperGroup):
    """The command group, with errors mapped to sentences and exit codes. Tests that call it see the same codes as a shell."""

    def main(  # type: ignore[override]  # the parameters not named here are only passed on
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        alone = extra.pop("standalone_mode", True)
        given = list(sys.argv[1:] if args is None else args)
        if "--debug" in given:  # anywhere, not only before the command
            given = [a for a in given if a != "--debug"]
            os.environ["PERPASS_DEBUG"] = "1"
        try:
            code = super().main(given, prog_name, standalone_mode=False, obj=given, **extra)
        except BaseException as error:
            _exit(error)
        if alone:
            sys.exit(code if isinstance(code, int) else 0)
        return code


def _exit(error: BaseException) -> NoReturn:
    """Say what went wrong, in a sentence, and leave with its exit code."""
    from perpass.errors import PerPassError

    if isinstance(error, SystemExit):
        raise error
    if os.environ.get("PERPASS_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        _say("interrupted")
        sys.exit(130)
    if isinstance(error, PerPassError):
        _say(f"error: {' '.join(str(error).split())}")
        sys.exit(error.exit_code)
    if type(error).__name__ == "NoArgsIsHelpError":
        _say(str(error))
        sys.exit(2)
    if hasattr(error, "format_message"):  # what typer says about flags and arguments
        close = getattr(error, "possibilities", None)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        said = getattr(error, "message", "") if close else error.format_message()
        _say(f"error: {' '.join(said.split())}{hint}")
        sys.exit(2)
    _say(f"error: {type(error).__name__}: {' '.join(str(error).split()) or 'no further words'} (unexpected; --debug shows where)")
    sys.exit(1)


def _say(text: str) -> None:
    with suppress(OSError):
        print(text, file=sys.stderr)


app = typer.Typer(
    name="bench",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from perpass import __version__

        print(f"perpass {__version__}")
        raise typer.Exit()


@app.callback()
def bench(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_version)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error (also PERPASS_DEBUG=1).")] = False,
) -> None:
    """What does a correct answer cost, in tokens, FLOPs, joules, seconds and dollars?

    `bench run demo` runs a small benchmark on any machine; `bench doctor` says what would be measured here.
    """


running = (run.run, plan.plan, nightly.nightly, grade.grade, rejudge.rejudge, calibrate.calibrate)
reading = (report.report, curves.curves, compare.compare, show.show, leaderboard.leaderboard, export.export, doctor.doctor)
elsewhere = (external.external, project.project)
for command in (*running, *reading, *elsewhere):
    app.command()(command)
app.command()(train_router.train_router)
app.command(name="list")(listing.listing)
app.command(name="import")(importing.importing)
app.add_typer(database.app, name="db")


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
