"""One registry for tasks, strategies, engines, rewards, meters and metrics.

A name is found, in this order: registered in this process by the decorator; offered by an installed package through the entry point
group `perpass.<kind>`; or written as `module:attribute`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from perpass.errors import UserError, unknown

T = TypeVar("T")


class Registry(Generic[T]):
    """Names → things of one kind. `load` imports the modules that register the built-in ones, on first use, so that imports stay cheap."""

    def __init__(self, kind: str, group: str, builtin: tuple[str, ...] = ()):
        self.kind = kind
        self.group = group
        self._builtin = builtin
        self._found: dict[str, T] = {}
        self._loaded = False

    def add(self, name: str, thing: T) -> T:
        """Register `thing`. A second, different thing under one name is an error: two meanings of a name would share an identity."""
        if name in self._found and self._found[name] is not thing:
            raise UserError(f"{self.kind} {name!r} is registered twice")
        self._found[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator form of `add`."""
        return lambda thing: self.add(name, thing)

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        for module in self._builtin:
            importlib.import_module(module)

    def names(self) -> list[str]:
        """Every registered or installed name, sorted."""
        self._load()
        return sorted(set(self._found) | {e.name for e in entry_points(group=self.group)})

    def get(self, name: str, where: str = "") -> T:
        """The thing called `name`. Raises UserError naming the nearest known name."""
        self._load()
        if name in self._found:
            return self._found[name]
        for entry in entry_points(group=self.group):
            if entry.name == name:
                return self._adopt(name, entry.load())
        if ":" in name:
            return self._adopt(name, self._by_path(name, where))
        raise unknown(self.kind, name, self.names(), where)

    def _adopt(self, name: str, thing: T) -> T:
        # Loading may itself have run the decorator under the same name; that registration is the richer one.
        return self._found.setdefault(name, thing)

    def _by_path(self, name: str, where: str) -> T:
        module, _, attribute = name.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"{where + ': ' if where else ''}cannot load {self.kind} {name!r}: {error}") from error
        # A decorated function carries the thing that its decorator registered.
        thing: T = getattr(found, "__perpass__", found)
        return thing

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())
