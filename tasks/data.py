"""Where the problems come from: a folder with local copies, or else the hub at a pinned revision.

The folder is `PERPASS_DATA`, or what `set_data_dir` was given (`--data`); it is laid out as `gsm8k/test.jsonl`, `math/math500.json`, …
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from perpass.errors import UserError
from perpass.identity import content_hash


@dataclass(frozen=True)
class Source:
    """One table of problems, the same from the hub and from a local copy.

    `rows` is checked after every load from the hub; `fingerprint` is the content hash of the columns `keys` (numbers as text), by which a
    local copy is recognised as the pinned revision; empty where it is not known, and a copy then always counts as local. `file`: the
    JSON lines to download, for a data set whose columns have no single type; such columns are kept as JSON text. `other`: what a column
    is called in some copies, by the name it has here.
    """

    local: str
    hub: str
    config: str | None
    split: str
    revision: str
    keys: tuple[str, ...]
    rows: int
    fingerprint: str
    file: str | None = None
    other: Mapping[str, str] = field(default_factory=dict, hash=False)


# The commits were taken from public references to these data sets; a download at a commit that does not exist fails, and its row count
# is checked.
_GSM8K = "e53f048856ff4f594e959d75785d2c2d37b678ee"
_MATH500 = "ff5b20257d8185524591543f8ff5993951537bb8"
_MATH_KEYS = ("problem", "answer", "subject", "level", "unique_id")
_GSM8K_KEYS = ("question", "answer")
_GSM8K_TEST_HASH = "e8b1621d13707c235595e576b4ab4188ed60ab5d842ece3938a170a83b7d5943"
_GSM8K_TRAIN_HASH = "60e889f6e8e3b7094230aa751521f3e768de4657f550b309499b73309a203c9f"
_MATH500_HASH = "2caf191d7f5a5924a858ca90cdc27c1f18e74bc786205119317a76007555ad9f"
_PROCBENCH = "182e5139c73a6a31a2ea42e7b7d16398e3453d4a"
_PROCBENCH_KEYS = ("prompt", "label", "task_name", "problem_name")
_HENDRYCKS = "21a5633873b6a120296cce3e2df9d5550074f4a3"
_HENDRYCKS_KEYS = ("problem", "level", "type", "solution")
_AIME24 = "2fe88a2f1091d5048c0f36abc874fb997b3dd99a"
_AIME25 = "563bb8404243c5f09de6ec262f2db674fe5bce9b"
_AMC23 = "80815d37005feb82cd7f8fbc6901d5d3eff43057"
MATH_ROWS: Mapping[str, Mapping[str, int]] = {  # Hendrycks et al. 2021: 5,000 test and 7,500 training problems
    "algebra": {"test": 1187, "train": 1744},
    "counting_and_probability": {"test": 474, "train": 771},
    "geometry": {"test": 479, "train": 870},
    "intermediate_algebra": {"test": 903, "train": 1295},
    "number_theory": {"test": 540, "train": 869},
    "prealgebra": {"test": 871, "train": 1205},
    "precalculus": {"test": 546, "train": 746},
}


def _hendrycks(subject: str, split: str) -> Source:
    local = f"hendrycks_math/{subject}/{split}.jsonl"
    return Source(local, "EleutherAI/hendrycks_math", subject, split, _HENDRYCKS, _HENDRYCKS_KEYS, MATH_ROWS[subject][split], "")


def _answers(local: str, hub: str, split: str, revision: str, rows: int, **other: str) -> Source:
    return Source(local, hub, None, split, revision, ("question", "answer"), rows, "", other=other)


SOURCES: Mapping[str, Source] = {
    "gsm8k/test": Source("gsm8k/test.jsonl", "openai/gsm8k", "main", "test", _GSM8K, _GSM8K_KEYS, 1319, _GSM8K_TEST_HASH),
    "gsm8k/train": Source("gsm8k/train.jsonl", "openai/gsm8k", "main", "train", _GSM8K, _GSM8K_KEYS, 7473, _GSM8K_TRAIN_HASH),
    "math500/test": Source("math/math500.json", "HuggingFaceH4/MATH-500", None, "test", _MATH500, _MATH_KEYS, 500, _MATH500_HASH),
    "procbench": Source(
        "procbench/sample.jsonl", "ifujisawa/procbench", None, "train", _PROCBENCH, _PROCBENCH_KEYS, 5520, "", "combined_dataset.jsonl"
    ),
    "math500/solutions": Source("math/math500.json", "HuggingFaceH4/MATH-500", None, "test", _MATH500, (*_MATH_KEYS, "solution"), 500, ""),
    "aime24": _answers(
        "aime/2024.jsonl", "HuggingFaceH4/aime_2024", "train", _AIME24, 30, question="origin_prompt|problem", answer="gold_answer"
    ),
    "aime25": _answers("aime/2025.jsonl", "math-ai/aime25", "test", _AIME25, 30, question="problem"),
    "amc23": _answers("amc/amc23.jsonl", "math-ai/amc23", "test", _AMC23, 40),
    **{f"math/{split}/{subject}": _hendrycks(subject, split) for subject in MATH_ROWS for split in ("test", "train")},
}


@dataclass(frozen=True)
class Table:
    """Rows in the source's own order, and their revision: the pinned commit, or `local-<hash>` for a copy with other content."""

    rows: Sequence[Mapping[str, str]]
    revision: str


_chosen: Path | None = None


def set_data_dir(folder: str | os.PathLike[str] | None) -> None:
    """Use `folder` instead of `PERPASS_DATA` in this process; None goes back to it. Raises UserError if there is no such folder."""
    global _chosen
    if folder is not None and not Path(folder).is_dir():
        raise UserError(f"--data {folder}: no such folder")
    _chosen = None if folder is None else Path(folder)


def data_dir() -> Path | None:
    """The folder with local copies, or None if the hub is to be used. Raises UserError if `PERPASS_DATA` names no folder."""
    if _chosen is not None:
        return _chosen
    named = os.environ.get("PERPASS_DATA")
    if not named:
        return None
    if not Path(named).is_dir():
        raise UserError(f"PERPASS_DATA={named}: no such folder; point it at one that holds gsm8k/, math/, … or unset it to use the hub")
    return Path(named)


def check(name: str) -> None:
    """Fail early and cheaply: raises UserError if a data folder is set that lacks this source. Does not touch the network."""
    _local_path(SOURCES[name])


def load(name: str) -> Table:
    """The table called `name` (see SOURCES). Raises UserError with one sentence: what is missing or malformed, where, and what to do."""
    source = SOURCES[name]
    path = _local_path(source)
    if path is None:
        return _from_hub(name, source)
    stat = path.stat()
    return _from_file(path, name, stat.st_mtime_ns, stat.st_size)


def _local_path(source: Source) -> Path | None:
    folder = data_dir()
    if folder is None:
        return None
    path = folder / source.local
    if not path.is_file():
        otherwise = f"unset PERPASS_DATA to load {source.hub} from the hub"
        raise UserError(f"{path}: no such file; the data folder {folder} must hold {source.local}, or {otherwise}")
    return path


@lru_cache(maxsize=16)
def _from_file(path: Path, name: str, mtime_ns: int, size: int) -> Table:
    source = SOURCES[name]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    places = json_lines(path, text) if path.suffix == ".jsonl" else json_document(path, text)
    rows = [_checked(row, source, place) for place, row in places]
    if not rows:
        raise UserError(f"{path}: holds no rows, expected {source.rows}")
    return Table(rows, source.revision if fingerprint(rows) == source.fingerprint else "local-" + fingerprint(rows)[:12])


def json_lines(path: Path, text: str) -> list[tuple[str, Any]]:
    """The values of a file of JSON lines with their places; blank lines are passed over. Raises UserError with the line."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append((f"{path}:{number}", json.loads(line)))
        except (json.JSONDecodeError, RecursionError) as error:
            raise UserError(f"{path}:{number}: not a JSON object: {error}") from error
    return found


def json_document(path: Path, text: str) -> list[tuple[str, Any]]:
    """A list of rows, or an object of rows by index, in the file's order, with their places. Raises UserError."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if isinstance(document, dict):
        return [(f"{path}: row {key!r}", row) for key, row in document.items()]
    if isinstance(document, list):
        return [(f"{path}: row {index}", row) for index, row in enumerate(document)]
    raise UserError(f"{path}: expected a list or an object of rows, got {type(document).__name__}")


def _checked(row: Any, source: Source, place: str) -> dict[str, str]:
    if not isinstance(row, Mapping):
        raise UserError(f"{place}: expected an object with the keys {', '.join(source.keys)}, got {type(row).__name__}")
    kinds = (str, int, float, dict, list) if source.file else (str, int, float)
    for name, others in source.other.items():
        found = next((other for other in others.split("|") if name not in row and other in row), name)
        row = {**row, name: row.get(found)}
    missing = [key for key in source.keys if not isinstance(row.get(key), kinds)]
    if missing:
        raise UserError(f"{place}: {', '.join(missing)} missing or no text; expected the keys {', '.join(source.keys)}")
    return {key: json.dumps(row[key]) if isinstance(row[key], (dict, list)) else str(row[key]) for key in source.keys}


def fingerprint(rows: Sequence[Mapping[str, str]]) -> str:
    """The content hash of a table's rows."""
    return content_hash("table", [dict(row) for row in rows])


@lru_cache(maxsize=16)
def _from_hub(name: str, source: Source) -> Table:
    instead = f"set PERPASS_DATA to a folder that holds {source.local}"
    table = from_hub(source, instead)
    rows = [_checked(row, source, place) for place, row in table]
    if len(rows) != source.rows:
        raise UserError(f"{source.hub} at revision {source.revision[:12]} has {len(rows)} rows, expected {source.rows}; {instead}")
    return Table(rows, source.revision)


def from_hub(source: Source, instead: str) -> list[tuple[str, Any]]:
    """The rows of a source on the hub, unchecked, with their places. Raises UserError: why they cannot be had, and what else to do."""
    try:
        return _downloaded(source)
    except ImportError as error:
        raise UserError(f"loading {source.hub} needs datasets: pip install 'perpass[tasks]', or {instead}") from error
    except UserError:
        raise
    except Exception as error:  # the hub's client raises many kinds: no network, no such revision, gated, disk full
        why = " ".join(str(error).split())[:200]
        raise UserError(f"cannot load {source.hub} at revision {source.revision[:12]} from the hub ({why}); {instead}") from error


def _downloaded(source: Source) -> list[tuple[str, Any]]:
    if source.file is not None:
        from huggingface_hub import hf_hub_download

        path = Path(hf_hub_download(source.hub, source.file, repo_type="dataset", revision=source.revision))
        return json_lines(path, path.read_text(encoding="utf-8"))
    import datasets

    table = datasets.load_dataset(source.hub, source.config, split=source.split, revision=source.revision)
    return [(f"{source.hub}: row {index}", row) for index, row in enumerate(table)]
