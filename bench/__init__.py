"""What to run: the command line, the experiment file, and `bench.run` for Python and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd


def run(experiment: str | Path | Mapping[str, Any], db: str | None = None, **overrides: Any) -> pd.DataFrame:
    """Run what is missing of an experiment (path, shipped name or mapping) and return its cells, a row each, as `bench report` has them.

    overrides: models, tasks, strategies, engines (lists), limit, series, and `sets` (`["sampling.max_tokens=64"]`), as the flags of
    `bench run`; `options` takes a `harness.events.Options`. Works inside a running event loop too. Raises PerPassError, one sentence,
    for whatever goes wrong, attempts that ended in errors excepted: those are counted in the frame.
    """
    from bench.python import run as run_here

    return run_here(experiment, db, **overrides)
