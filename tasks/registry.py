"""The names of tasks, and how a name or spec becomes a Task.

A factory is a function or class registered with `@task("name")`; its keyword parameters are the task's parameters, its annotations and
defaults say what is valid. The spec that identifies a task is `{"kind": name, **parameters}`, complete with defaults.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, TypeVar

from perpass.errors import UserError, nearest
from perpass.registry import Registry
from tasks.types import Task

Factory = Callable[..., Task]
F = TypeVar("F", bound=Factory)

BUILTIN = tuple(
    f"tasks.{file}"
    for file in (
        "abstention",
        "arithmetic",
        "bin_packing",
        "blocksworld",
        "competitions",
        "countdown",
        "custom",
        "gsm8k",
        "gsm8k_lmeval",
        "hendrycks",
        "lmeval",
        "logic",
        "math500",
        "minerva",
        "procbench.task",
        "rest",
        "stress",
        "updated",
    )
)
CUSTOM = "custom"
BRIDGE = "lm-eval"
"""`lm-eval:NAME` is short for `{kind: lm-eval, name: NAME}`."""
tasks: Registry[Factory] = Registry("task", "perpass.tasks", builtin=BUILTIN)


def task(name: str) -> Callable[[F], F]:
    """Register a factory under `name`: a function of keyword parameters, all JSON-like, that returns a Task."""

    def mark(factory: F) -> F:
        tasks.add(name, factory)
        return factory

    return mark


def complete(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` checked against the factory of `kind` and filled up with its defaults.

    Raises UserError naming the task, the parameter, what was expected and the nearest valid parameter.
    """
    for name, value in given.items():
        check(kind, name, value)
    factory = tasks.get(kind)
    known, hints = inspect.signature(factory).parameters, _hints(factory)
    full = {}
    for name, parameter in known.items():
        if name not in given and parameter.default is inspect.Parameter.empty:
            raise UserError(f"task {kind!r} needs the parameter {name!r} ({describe(hints.get(name, Any))})")
        full[name] = given.get(name, parameter.default)
    return full


def check(kind: str, name: str, value: Any) -> None:
    """Whether the factory of `kind` takes `value` as its parameter `name`. Raises UserError as `complete` does."""
    factory = tasks.get(kind)
    known = inspect.signature(factory).parameters
    if name not in known:
        raise UserError(f"task {kind!r} has no parameter {name!r}; " + _suggest(name, list(known)))
    expected = _hints(factory).get(name, Any)
    if not _fits(value, expected):
        raise UserError(f"task {kind!r}: {name} is {value!r}, expected {describe(expected)}")


def load(spec: str | Mapping[str, Any]) -> Task:
    """The task named by `spec`: a name, or a mapping `{kind: name, **parameters}`. A name that ends in .yaml is a file: see tasks.custom.

    Raises UserError for an unknown name, an unknown, missing or ill-typed parameter, missing local data, or a missing package.
    """
    if isinstance(spec, str):
        bridge, _, name = spec.partition(":")
        kind: Any = bridge if bridge == BRIDGE and name else spec
        given: dict[str, Any] = {"name": name} if kind != spec else {}
    elif isinstance(spec, Mapping):
        given = {str(key): value for key, value in spec.items()}
        kind = given.pop("kind", None)
        if not isinstance(kind, str):
            raise UserError(f"a task is a name or a mapping with the key 'kind', got {dict(spec)!r}")
    else:
        raise UserError(f"a task is a name or a mapping with the key 'kind', got {spec!r}")
    if _is_file(kind):
        made: Task = importlib.import_module("tasks.custom").from_file(kind, given)
        return made
    factory = tasks.get(kind)
    return factory(**complete(kind, given))


def unfold(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The specs of the tasks that an experiment's entry stands for, mostly one: `{kind: rest, base: gsm8k, s: [1, 3]}` is two.

    A list as the value of a parameter that takes a single one makes a grid; a factory's own `unfold` reads its shorthands first. Values
    that are wrong are left as they are, for `load` to say so. Raises UserError for an unknown name.
    """
    if len(spec) == 1:
        return [dict(spec)]
    factory = tasks.get(CUSTOM if _is_file(str(spec["kind"])) else str(spec["kind"]))
    own = getattr(factory, "unfold", None)
    made = own(spec) if own is not None else [dict(spec)]
    hints = _hints(factory)
    axes = {name for name, expected in hints.items() if not _fits([], expected)}
    return [one for given in made for one in _grid(given, axes)]


def _is_file(kind: str) -> bool:
    return kind.endswith((".yaml", ".yml"))


def _grid(given: Mapping[str, Any], axes: Collection[str]) -> Iterator[dict[str, Any]]:
    values = [value if name in axes and isinstance(value, list) and value else [value] for name, value in given.items()]
    for chosen in itertools.product(*values):
        yield dict(zip(given, chosen, strict=True))


def _suggest(name: str, known: list[str]) -> str:
    close = nearest(name, known)
    if close:
        return f"did you mean {close!r}?"
    return "it takes " + (", ".join(sorted(known)) if known else "none")


def _hints(factory: Factory) -> dict[str, Any]:
    try:
        return typing.get_type_hints(getattr(factory, "__init__") if isinstance(factory, type) else factory)  # noqa: B009
    except (NameError, TypeError):  # a plugin whose annotations do not resolve is taken at its word
        return {}


def _fits(value: Any, expected: Any) -> bool:
    """Whether `value` is of the annotated type, as far as it is one that a spec can hold; other annotations accept anything."""
    origin = typing.get_origin(expected)
    if origin is Literal:
        return any(value == option and type(value) is type(option) for option in typing.get_args(expected))
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in typing.get_args(expected))
    if expected is type(None) or expected is None:
        return value is None
    if expected is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if expected is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if expected in (str, bool):
        return isinstance(value, expected)
    return True


def describe(expected: Any) -> str:
    """An annotation in words, for messages: `'test' or 'train'`, `a whole number`."""
    origin = typing.get_origin(expected)
    if origin is Literal:
        return " or ".join(repr(option) for option in typing.get_args(expected))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(option) for option in typing.get_args(expected))
    words = {Mapping: "a mapping", int: "a whole number", float: "a number", str: "a string", bool: "true or false", type(None): "nothing"}
    return words.get(origin or expected, str(getattr(expected, "__name__", expected)))
