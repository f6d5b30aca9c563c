"""Flags that several commands share, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bench.experiment import Overrides

ExperimentArg = Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="A YAML file, or a shipped name such as demo or gsm8k.")]
Db = Annotated[str | None, typer.Option("--db", metavar="URL", help="Database: a path or URL; else $PERPASS_DB, else ./perpass.db.")]
Data = Annotated[str | None, typer.Option("--data", metavar="DIR", help="Folder with local copies of data sets; else $PERPASS_DATA.")]
Models = Annotated[list[str] | None, typer.Option("--model", metavar="M", help="Model instead of the experiment's; repeatable.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", metavar="T", help="Task: name or name(split=test); repeatable.")]
Strategies = Annotated[list[str] | None, typer.Option("--strategy", metavar="S", help="Strategy: name or name(n=4); repeatable.")]
Engines = Annotated[list[str] | None, typer.Option("--engine", metavar="E", help="Engine: name or name(batch=8); repeatable.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Only the first N problems of each task.")]
Series = Annotated[str | None, typer.Option("--series", metavar="NAME", help="Name of this repetition of the cells.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other key, such as sampling.max_tokens=64; repeatable.")
]
Format = Annotated[str, typer.Option("--format", metavar="table|json", help="How to print it.")]


def use_data(folder: str | None) -> None:
    """Tell the tasks where local data is (`--data`)."""
    if folder is not None:
        from tasks import data

        data.set_data_dir(folder)


def overrides(
    experiment: str | None,
    models: list[str] | None,
    tasks: list[str] | None,
    strategies: list[str] | None,
    engines: list[str] | None,
    limit: int | None,
    series: str | None,
    sets: list[str] | None,
) -> Overrides:
    """The flags as overrides. Raises UserError when there is neither an experiment nor what an ad hoc one needs."""
    from bench.experiment import Overrides
    from perpass.errors import UserError

    if experiment is None:
        given = (("--model", models), ("--task", tasks), ("--strategy", strategies))
        lacking = [flag for flag, value in given if not value and not (flag == "--model" and engines)]
        if lacking:
            raise UserError(f"name an experiment (such as demo), or give {' and '.join(lacking)}")
    return Overrides(models or (), tasks or (), strategies or (), engines or (), limit, series, sets or ())


def targets(text: str | None) -> dict[str, float]:
    """`ttft=0.5,tpot=0.05` as seconds by `ttft_s`, `tpot_s`. Raises UserError for another name, and for what is no number above 0."""
    from perpass.errors import UserError

    found: dict[str, float] = {}
    for part in (text or "").split(",") if text is not None else []:
        name, equals, value = part.strip().partition("=")
        choose(name, ["ttft", "tpot", "e2e"], "goodput target")
        try:
            found[f"{name}_s"] = float(value)
        except ValueError:
            raise UserError(f"--goodput {text}: expected {name}=SECONDS, such as {name}=0.5") from None
        if not equals or not 0 < found[f"{name}_s"] < 1e9:
            raise UserError(f"--goodput {text}: {name} must be seconds above 0")
    return found


def choose(value: str, known: list[str], flag: str) -> str:
    """`value`, when it is one of `known`. Raises UserError with the nearest."""
    from perpass.errors import unknown

    if value not in known:
        raise unknown(flag, value, known)
    return value
