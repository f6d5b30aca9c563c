"""MATH-500: competition problems, asked without examples, the answer in a box.

Source: Hendrycks et al. 2021 (arXiv:2103.03874, MIT); the 500 are the test problems of Lightman et al. 2023 (arXiv:2305.20050).
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks import data
from tasks.boxed import ANSWER_FORMAT, BoxedTask
from tasks.registry import task
from tasks.types import Problem

VERSION = 1
SOURCE = "math500/test"


@task("math500")
def math500() -> BoxedTask:
    """500 problems. Keys are the source's `unique_id`, categories its subjects.

    Raises UserError for a missing data folder or package.
    """
    data.check(SOURCE)
    return BoxedTask(name="math500", version=VERSION, spec={"kind": "math500"}, load=_load, numeric=False)


def _load() -> tuple[Sequence[Problem], str]:
    table = data.load(SOURCE)
    return [
        Problem(
            key=row["unique_id"],
            question=row["problem"].strip(),
            answer_format=ANSWER_FORMAT,
            gold=(row["answer"].strip(),),
            meta={"category": row["subject"], "level": row["level"]},
        )
        for row in table.rows
    ], table.revision
