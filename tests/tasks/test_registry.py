"""Names, parameters and specs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

import tasks
from perpass.errors import UserError
from perpass.identity import canonical
from tasks import registry
from tasks.boxed import BoxedTask
from tasks.types import Task

ROOT = Path(__file__).resolve().parents[2]


def sample(s: int, ratio: float = 0.5, mode: Literal["a", "b"] = "a", note: str | None = None) -> BoxedTask:
    spec = {"kind": "sample", "s": s, "ratio": ratio, "mode": mode, "note": note}
    return BoxedTask(name="sample", version=1, spec=spec, load=lambda: ([], "none"), numeric=True, grader="number")


@pytest.fixture
def sampled() -> Iterator[None]:
    registry.tasks.add("sample", sample)
    yield
    registry.tasks._found.pop("sample")


def test_the_built_in_tasks_have_names_and_load_by_them() -> None:
    assert {"arithmetic", "gsm8k", "math500"} <= set(tasks.names())
    assert isinstance(tasks.load("arithmetic"), Task)


@pytest.mark.usefixtures("sampled")
def test_the_spec_is_complete_with_defaults_and_loads_the_same_task() -> None:
    task = tasks.load({"kind": "sample", "s": 3})
    assert task.spec == {"kind": "sample", "s": 3, "ratio": 0.5, "mode": "a", "note": None}
    assert canonical(tasks.load(task.spec).spec) == canonical(task.spec)


@pytest.mark.usefixtures("sampled")
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("samples", "unknown task 'samples'; did you mean 'sample'?"),
        ({"kind": "sample", "s": 3, "ratoi": 1}, "task 'sample' has no parameter 'ratoi'; did you mean 'ratio'?"),
        ({"kind": "sample", "s": 3, "zzz": 1}, "task 'sample' has no parameter 'zzz'; it takes mode, note, ratio, s"),
        ({"kind": "sample"}, "task 'sample' needs the parameter 's' (a whole number)"),
        ({"kind": "sample", "s": "3"}, "task 'sample': s is '3', expected a whole number"),
        ({"kind": "sample", "s": True}, "task 'sample': s is True, expected a whole number"),
        ({"kind": "sample", "s": 3, "mode": "c"}, "task 'sample': mode is 'c', expected 'a' or 'b'"),
        ({"kind": "sample", "s": 3, "note": 4}, "task 'sample': note is 4, expected a string or nothing"),
        ({"s": 3}, "a task is a name or a mapping with the key 'kind', got {'s': 3}"),
        (["sample"], "a task is a name or a mapping with the key 'kind', got ['sample']"),
        ("tasks.gsm8k:nothing", "cannot load task 'tasks.gsm8k:nothing'"),
    ],
)
def test_a_bad_spec_gets_one_sentence(spec: object, message: str) -> None:
    with pytest.raises(UserError) as caught:
        tasks.load(spec)  # type: ignore[arg-type]
    assert message in str(caught.value)


@pytest.mark.usefixtures("sampled")
def test_whole_numbers_are_numbers() -> None:
    assert tasks.load({"kind": "sample", "s": 1, "ratio": 2}).spec["ratio"] == 2


def test_a_task_can_be_named_by_module_and_function() -> None:
    assert tasks.load("tasks.arithmetic:Arithmetic").name == "arithmetic"


def test_a_class_is_checked_by_its_constructor() -> None:
    with pytest.raises(UserError, match="seed is 'x', expected a whole number"):
        tasks.load({"kind": "arithmetic", "seed": "x"})


def test_importing_tasks_is_cheap_and_its_modules_are_attributes() -> None:
    heavy = "{'torch', 'sympy', 'math_verify', 'datasets', 'pandas', 'numpy'}"
    code = f"import sys, tasks; tasks.load; tasks.answers.equivalent('2', '2.0'); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tasks.nothing
