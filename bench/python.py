"""`bench.run`: the whole thing from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import execute, stored
from bench import experiment as files
from bench import plan as plans
from bench.experiment import Overrides
from harness.events import Options
from perpass.errors import unknown

if TYPE_CHECKING:
    import pandas as pd


def run(experiment: str | Path | Mapping[str, Any], db: str | None = None, **overrides: Any) -> pd.DataFrame:
    """See `bench.run`."""
    options = overrides.pop("options", None) or Options()
    known = list(Overrides.__dataclass_fields__)
    for name in overrides:
        if name not in known:
            raise unknown("argument", name, [*known, "options"], "bench.run")
    plan = plans.build(files.load(experiment, Overrides(**overrides)))
    execute.run(plan, db, argv=["bench.run"], options=options)
    return frame(plan, db)


def frame(plan: plans.Plan, db: str | None = None) -> pd.DataFrame:
    """The plan's cells as stored: the rows of `bench report` on its own cells and problems."""
    import pandas as pd

    return pd.DataFrame(stored.rows(plan, db))
