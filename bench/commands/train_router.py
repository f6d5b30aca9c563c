"""`bench train-router`: when to ask the larger model, learned from stored attempts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.commands.options import Db, Format, Series


def train_router(
    experiment: Annotated[str | None, typer.Argument(metavar="[EXPERIMENT]", help="Only cells of this experiment.")] = None,
    policy: Annotated[str, typer.Option(metavar="M", help="The model that is asked first.")] = "",
    helper: Annotated[str, typer.Option(metavar="M", help="The larger model that is asked instead.")] = "",
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the router is written.")] = Path("router.json"),
    stage: Annotated[str, typer.Option(metavar="before|after", help="Decide before the policy's sample, or with it.")] = "before",
    strategy: Annotated[str, typer.Option(metavar="S", help="The strategy whose attempts are learned from.")] = "cot",
    task: Annotated[str | None, typer.Option(help="Only this task.")] = None,
    seed: Annotated[int, typer.Option(help="Deals problems into folds.")] = 0,
    db: Db = None,
    series: Series = None,
    format: Format = "table",
) -> None:
    """Learn from stored attempts of two models when the smaller one is enough, and show what that would come to.

    The curve is out of sample: every problem is foretold by a router that has not seen it. The strategy `router` reads the file.
    """
    from bench import router
    from bench.commands import options, output
    from perpass.errors import UserError
    from results import database
    from results.wording import number

    options.choose(format, ["table", "json"], "format")
    options.choose(stage, ["before", "after"], "stage")
    if lacking := [flag for flag, value in (("--policy", policy), ("--helper", helper)) if not value]:
        raise UserError(f"train-router: give {' and '.join(lacking)}: the models to route between")
    where = database.resolve(db)
    found = {"experiment": experiment, "series": series, "task": task, "strategy": strategy}
    rows = router.gather(where, policy, helper, after=stage == "after", **found)  # type: ignore[arg-type]
    trained = router.train(rows, stage == "after", seed)
    try:
        trained.write(out, policy=policy, helper=helper, stage=stage, seed=seed, **found)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from None
    if format == "json":
        return output.json_lines([point._asdict() for point in trained.curve])
    problems = len({row.problem for row in rows})
    print(f"{policy} or {helper}, decided {stage} {policy} answers: {len(rows):,} attempts at {problems:,} problems, out of sample\n")
    output.table(
        [
            {
                "threshold": f"{p.threshold:.3f}",
                "stay, %": f"{100 * p.policy_share:.1f}",
                "accuracy, %": f"{100 * p.accuracy:.1f}",
                "by chance, %": f"{100 * p.at_random:.1f}",
                "output tokens": number(p.output_tokens),
                "MFLOP": number(None if p.flop is None else p.flop / 1e6),
            }
            for p in trained.curve
        ]
    )
    print(f"\nstay: answered by {policy} alone; by chance: as many, chosen without looking. Means per attempt.")
    print(f"AUROC of the chances: {'–' if trained.auroc is None else f'{trained.auroc:.3f}'} (0.5: they say nothing)")
    print(f"wrote {out}; run it with --strategy 'router(file={out}, threshold=0.5)' and {helper} as role helper")
