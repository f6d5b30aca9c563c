"""Which room may import which, and that no shipped name collides with another distribution's."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as files_of
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"bench", "tasks", "harness", "energy", "results", "leaderboard"}
SHIPPED = ROOMS | {"perpass"}
MAY: dict[str, set[str]] = {
    "perpass": set(),
    "tasks": set(),
    "energy": set(),
    "results": {"tasks", "energy"},
    "harness": {"tasks", "energy", "results"},
    "leaderboard": {"results", "energy"},
    "bench": ROOMS,
}
LM_EVAL_AND_VLLM = {"lm_eval", "vllm"}


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every import in a file, inside functions too, and of literal `import_module("…")` calls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.split(".")[0]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"import_module", "__import__"}:
                yield node.lineno, node.args[0].value.split(".")[0]


@pytest.mark.parametrize("room", sorted(SHIPPED))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = MAY[room] | {room, "perpass"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in files(room)
        for line, name in imported(path)
        if name in SHIPPED | {"tests"} and name not in allowed
    ]
    assert not wrong


def test_the_check_sees_lazy_and_dynamic_imports(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from bench import plan\n    import_module('harness.runner')\n")
    assert list(imported(path)) == [(2, "bench"), (3, "harness")]


def test_the_wheel_ships_the_rooms_and_nothing_else() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {name.rstrip("*") for name in settings["include"]} == SHIPPED
    assert "results.published*" in settings["exclude"] and "tests*" in settings["exclude"]


def test_shipped_names_collide_with_neither_lm_eval_nor_vllm() -> None:
    taken = set(LM_EVAL_AND_VLLM)
    for name in LM_EVAL_AND_VLLM:
        try:
            taken |= {Path(file.parts[0]).stem for file in files_of(name) or () if file.suffix == ".py"}
        except PackageNotFoundError:
            continue
    assert not SHIPPED & taken
