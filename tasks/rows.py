"""Rows of a table in a local file, each with its place, for messages: JSON lines, JSON, CSV, TSV, Parquet.

Read as they are written: `datasets` makes numbers of texts such as 007, nothing of NA, and names no line where a file is malformed. Its
own format, Parquet, is read by pyarrow, which it brings along.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perpass.errors import UserError
from tasks import data

FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
LONGEST_CELL = 10_000_000


def read(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Every row of a file, by its suffix one of FORMATS, behind its place. Raises UserError with file and line."""
    if path.suffix.lower() == ".parquet":
        return _parquet(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    if path.suffix.lower() in (".csv", ".tsv"):
        return _separated(path, text, "\t" if path.suffix.lower() == ".tsv" else ",")
    found = data.json_lines(path, text) if path.suffix.lower() == ".jsonl" else data.json_document(path, text)
    for place, row in found:
        if not isinstance(row, Mapping):
            raise UserError(f"{place}: expected an object, got {type(row).__name__}")
    return found


def _separated(path: Path, text: str, delimiter: str) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    before = csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        for name in header:
            if header.count(name) > 1:
                raise UserError(f"{path}:1: two columns are called {name!r}")
        for cells in reader:
            if cells and len(cells) != len(header):
                raise UserError(f"{path}:{reader.line_num}: {len(cells)} cells, expected {len(header)}: {', '.join(header)}")
            if cells:
                found.append((f"{path}:{reader.line_num}", dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)
    return found


def _parquet(path: Path) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"reading {path} needs pyarrow: pip install 'perpass[tasks]'") from error
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except Exception as error:  # pyarrow raises kinds of its own and OSError
        raise UserError(f"{path}: cannot be read: {' '.join(str(error).split())[:200]}") from error
    return [(f"{path}: row {index}", row) for index, row in enumerate(rows)]


def as_text(value: Any) -> str | None:
    """A cell as text: what is written, numbers as they print, `true` and `false`; None where there is nothing, or no single value."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value != value or isinstance(value, (bytes, list, tuple, Mapping)):
        return None
    return str(value)
