"""The room as a whole: cheap to import, and importing no other room."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import energy

ROOM = Path(energy.__file__).parent
HEAVY = ("torch", "transformers", "zeus", "pynvml", "psutil", "yaml", "numpy")


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOM.parent, env={"PYTHONPATH": str(ROOM.parent)}
    ).stdout


def test_heavy_libraries_wait_until_they_are_used():
    code = "import sys, energy, energy.flops, energy.hardware, energy.meters, energy.attribution, energy.doctor, energy.profiles\n"
    assert run(code + f"print([m for m in {HEAVY!r} if m in sys.modules])").strip() == "[]"


def test_counting_flops_needs_no_heavy_library():
    code = (
        "import sys, energy; energy.flops.count({'model_type': 'gpt2', 'n_embd': 8, 'n_layer': 1, 'vocab_size': 9}, prompt=1, output=1)\n"
    )
    assert run(code + f"print([m for m in {HEAVY!r} if m in sys.modules])").strip() == "[]"


def test_every_public_name_is_there():
    assert all(getattr(energy, name) is not None for name in energy.__all__)


def test_the_room_imports_no_other_room():
    others = {"bench", "tasks", "harness", "results", "leaderboard"}
    for file in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = (
                [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not {name.split(".")[0] for name in names} & others, file
