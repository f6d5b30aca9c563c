"""The gate file: how much worse a head may be. Read with line numbers, as experiments are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perpass.errors import UserError, unknown
from perpass.yaml_lines import Source, read, said
from results.gate import LEVEL, METRICS, Gate

HIGHEST_LEVEL = 0.5
LARGEST = 1e9
EXAMPLE = "accuracy: {margin: 1}"


def load(path: str | Path) -> Gate:
    """The gate that a file describes: `level`, and per metric a mapping with its `margin`.

    Raises UserError, one sentence with the line, for everything that is wrong with it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    raw, places = read(text, str(path), f"a gate has at least a metric, such as `{EXAMPLE}`", EXAMPLE)
    for key in raw:
        if key != "level" and key not in METRICS:
            raise unknown("key", key, ["level", *METRICS], places.where((key,)))
    margins = {metric: _margin(metric, raw[metric], places) for metric in METRICS if metric in raw}
    return Gate(_level(raw, places), margins)


def _level(raw: Mapping[str, Any], places: Source) -> float:
    level = _number(raw["level"]) if "level" in raw else LEVEL
    if level is None or not 0 < level <= HIGHEST_LEVEL:
        raise UserError(f"{places.where(('level',))}: level: expected a number above 0 and up to {HIGHEST_LEVEL}, not {said(raw['level'])}")
    return level


def _margin(metric: str, value: Any, places: Source) -> float:
    if value is None:
        return 0.0
    if not isinstance(value, Mapping):
        raise UserError(f"{places.where((metric,))}: {metric}: expected a mapping, such as {metric}: {{margin: 1}}, not {said(value)}")
    for key in value:
        if key != "margin":
            raise unknown("key", key, ["margin"], places.where((metric, key)))
    if "margin" not in value:
        return 0.0
    margin = _number(value["margin"])
    if margin is None or margin < 0 or (metric == "accuracy" and margin > 100):
        expected = "points from 0 to 100" if metric == "accuracy" else "a relative rise from 0, such as 0.1 for 10 %"
        raise UserError(f"{places.where((metric, 'margin'))}: {metric}.margin: expected {expected}, not {said(value['margin'])}")
    return margin


def _number(value: Any) -> float | None:
    """A sensible number, or None for anything else."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and abs(value) < LARGEST else None
