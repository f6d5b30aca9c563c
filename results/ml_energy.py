"""Reads the tables of the ML.ENERGY leaderboard (Chung et al., arXiv:2505.06371; ml.energy/leaderboard): one JSON file per task with a
list of `configurations`, and `index.json`, which dates them.

Of the tables of language models; their joules are of the GPUs alone, over the steady state, prefill and idle charged to output tokens.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perpass.errors import UserError
from results.external import Row

SOURCE = "ml-energy"
TOLERANCE = 0.01
"""Relative difference that rounding may make. The tables seen so far agree to 1e-15."""
UNDERFILLED = 0.85
"""Mean share of the sequences in flight that ML.ENERGY's stability rule asks for."""

IDENTITY = ("gpu_model", "num_gpus", "tensor_parallel", "expert_parallel", "data_parallel", "max_num_seqs", "weight_precision")
NUMBERS = {
    "energy_per_token_joules": "energy_per_token_j",
    "energy_per_request_joules": "energy_per_request_j",
    "avg_power_watts": "power_w",
    "output_throughput_tokens_per_sec": "tokens_per_s",
    "avg_output_len": "output_tokens",
    "avg_batch_size": "mean_batch",
    "median_itl_ms": "itl_p50_ms",
    "p90_itl_ms": "itl_p90_ms",
    "p99_itl_ms": "itl_p99_ms",
}
"""What the tables call a number, and what we do."""
CHECKED = ("energy_per_token_j", "energy_per_request_j", "power_w", "tokens_per_s", "output_tokens", "mean_batch")


def read(path: str | Path) -> list[Row]:
    """The rows of a folder of such tables, or of one of them. Raises UserError: one sentence with the file and what is wrong in it."""
    path = Path(path).expanduser()
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder; expected the tables of ML.ENERGY, such as gpqa.json")
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    tables = {file: _json(file) for file in files if file.name != "index.json"}
    tables = {file: table for file, table in tables.items() if _is_table(table) or not path.is_dir()}
    if not tables:
        raise UserError(f"{path}: no table of ML.ENERGY in it; expected files such as gpqa.json with a list of configurations")
    updated = _updated((path if path.is_dir() else path.parent) / "index.json")
    return [row for file, table in tables.items() for row in _rows(file, table, updated)]


def _rows(file: Path, table: Any, updated: str | None) -> list[Row]:
    if not _is_table(table):
        raise UserError(f"{file}: expected an object with task and a list of configurations, the layout of ML.ENERGY's tables")
    seen: Counter[str] = Counter()
    rows = []
    for number, found in enumerate(table["configurations"], start=1):
        where = f"{file}: configuration {number}"
        if not isinstance(found, Mapping):
            raise UserError(f"{where}: expected an object")
        if missing := [key for key in ("model_id", *IDENTITY) if found.get(key) in (None, "")]:
            raise UserError(f"{where}: {missing[0]} is missing")
        if not isinstance(found["num_gpus"], int) or found["num_gpus"] < 1:
            raise UserError(f"{where}: num_gpus must be a number of GPUs, not {found['num_gpus']!r}")
        identity = {key: found[key] for key in ("model_id", *IDENTITY)}
        again = json.dumps(identity, sort_keys=True)
        seen[again] += 1  # some configurations stand twice, with other numbers: measured twice
        rows.append(_row(str(table["task"]), found, {**identity, "repeat": seen[again]}, {"file": file.name, "last_updated": updated}))
    return rows


def _row(task: str, found: Mapping[str, Any], identity: Mapping[str, Any], provenance: Mapping[str, Any]) -> Row:
    numbers = {ours: _number(found.get(theirs)) for theirs, ours in NUMBERS.items()}
    values: dict[str, Any] = {
        "precision": str(found["weight_precision"]),
        "device": str(found["gpu_model"]),
        "gpus": found["num_gpus"],
        **{key: found[key] for key in ("tensor_parallel", "expert_parallel", "data_parallel")},
        "batch": found["max_num_seqs"],
        **numbers,
        "codes": _codes(numbers, found["max_num_seqs"]),
    }
    return Row(
        source=SOURCE,
        identity={**identity, "task": task},
        task=task,
        model=str(found["model_id"]),
        hardware=f"{found['gpu_model']}x{found['num_gpus']}",
        values=values,
        provenance={"source": "ML.ENERGY leaderboard, https://ml.energy/leaderboard", **provenance},
    )


def _codes(numbers: Mapping[str, float | None], batch: Any) -> list[str]:
    """What is wrong with a row, by its own numbers: joules per token × length = joules per request; watts ÷ tokens/s = joules per token."""
    if any((value := numbers[name]) is None or value <= 0 for name in CHECKED):
        return ["incomplete"]
    token, request, watts, rate, length, mean = (numbers[name] or 0.0 for name in CHECKED)
    codes = [] if math.isclose(token * length, request, rel_tol=TOLERANCE) else ["request_energy_mismatch"]
    codes += [] if math.isclose(watts / rate, token, rel_tol=TOLERANCE) else ["power_mismatch"]
    return codes + (["batch_underfilled"] if isinstance(batch, (int, float)) and mean < UNDERFILLED * batch else [])


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) else None


def _is_table(table: Any) -> bool:
    return isinstance(table, Mapping) and isinstance(table.get("configurations"), Sequence) and isinstance(table.get("task"), str)


def _updated(index: Path) -> str | None:
    """When the tables were last updated, as their index says; None without one."""
    content = _json(index) if index.is_file() else {}
    return content.get("last_updated") if isinstance(content, Mapping) else None


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{file}, line {error.lineno}: not JSON ({error.msg})") from error
