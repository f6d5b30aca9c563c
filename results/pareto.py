"""Pareto dominance: no worse on all axes, better on at least one; ties are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

Direction = Literal["min", "max"]


def frontier(points: pd.DataFrame, axes: Mapping[str, Direction]) -> pd.Series:
    """Boolean mask (index of `points`): True where no other row dominates.

    axes: column → "min" or "max". Rows that are equal on all axes do not dominate each other, so ties all stay. A row with NaN on an axis
    cannot be compared: it is never on the frontier and dominates nothing. Infinity is an ordinary, worst or best, value.
    Raises ValueError without axes, for another direction or an unknown column.
    """
    import numpy as np
    import pandas as pd

    if not axes:
        raise ValueError("a frontier needs at least one axis")
    for column, direction in axes.items():
        if direction not in ("min", "max"):
            raise ValueError(f"axis {column!r}: expected 'min' or 'max', not {direction!r}")
        if column not in points:
            raise ValueError(f"no column {column!r}; columns: {', '.join(map(str, points.columns))}")
    values = np.column_stack([points[c].to_numpy(dtype=float, na_value=np.nan) * (1 if d == "min" else -1) for c, d in axes.items()])
    known = ~np.isnan(values).any(axis=1)
    mask = np.zeros(len(points), dtype=bool)
    comparable = values[known]
    kept = [not ((comparable <= row).all(axis=1) & (comparable < row).any(axis=1)).any() for row in comparable]
    mask[known] = kept
    return pd.Series(mask, index=points.index)
