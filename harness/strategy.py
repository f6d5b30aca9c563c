"""What a strategy is: a function on a Context, its declaration, and its binding to parameters and sampling."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from harness.types import Answer, Observe, Sampling
from perpass.errors import UserError, unknown
from perpass.registry import Registry
from tasks.types import Prescribes, Task

if TYPE_CHECKING:
    from harness.cell import Cell

PoolUse = Literal["full", "first stage", "no"]
Prompting = Literal["question", "own"]
GENERATE = frozenset({"generate"})
ROLES = ("judge", "reward", "helper", "draft")
"""Further models that a strategy may need beside the policy. `judge` is the policy itself unless an experiment says otherwise."""

Count = Annotated[int, Field(ge=1, le=100_000)]
"""A number of samples."""

Tokens = Annotated[int, Field(ge=1, le=10_000_000)]
"""A number of tokens."""


@dataclass(frozen=True)
class Strategy:
    """An inference strategy as registered.

    needs   capability names (logprobs, prefix, …) and role names (judge, reward, …)
    budget  the parameter that says how many policy samples one attempt draws from its pool, or that number, or None when it is not known
    pool    what a pool can answer: everything (full), its first stage, or nothing (no)
    fixes   the sampling that the definition fixes (direct is greedy)
    prompt  question: it samples the question's prompt and writes no other, so that the exact prompt of a protocol can stand in for it;
            own: it cannot do without prompts of its own, and is skipped on tasks that fix theirs
    requests  the kinds of problems that it can answer (`Problem.request`)
    obstacle  for what the fields above cannot say: why it cannot run a cell, in a sentence, or None
    memory  it carries a memory from problem to problem: they run one after another, in an order that its parameter `order` may shuffle
    """

    name: str
    version: int
    family: str
    paper: str
    needs: frozenset[str]
    budget: str | int | None
    pool: PoolUse
    fixes: Mapping[str, Any]
    function: Callable[..., Awaitable[Answer]]
    prompt: Prompting = "own"
    requests: frozenset[str] = GENERATE
    obstacle: Callable[[Cell], str | None] | None = None
    memory: bool = False

    @property
    def doc(self) -> str:
        return inspect.getdoc(self.function) or ""

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(r for r in ROLES if r in self.needs)

    @cached_property
    def observe(self) -> Observe:
        return Observe("logprobs" in self.needs, "confidence" in self.needs, hidden="hidden_states" in self.needs)

    @cached_property
    def parameters(self) -> type[BaseModel]:
        """The parameters after `ctx`, as a strict model made from the signature's annotations and defaults."""
        hints = get_type_hints(self.function, include_extras=True)
        given = list(inspect.signature(self.function).parameters.values())[1:]
        made: dict[str, Any] = {p.name: (hints[p.name], p.default if p.default is not p.empty else ...) for p in given}
        return create_model(self.name, __config__=ConfigDict(extra="forbid", strict=True), **made)

    def bind(self, parameters: Mapping[str, Any], sampling: Sampling, own: Mapping[str, Any], where: str = "") -> Bound:
        """Fix parameters and resolve the sampling: `own` (keys of the entry), then what the definition fixes, then `sampling`.

        Raises UserError for an unknown or bad parameter.
        """
        where = where or f"strategy {self.name}"
        try:
            params = self.parameters(**parameters).model_dump()
        except ValidationError as error:
            raise self._explain(error, where) from None
        bound = Bound(self, params, sampling.but(where, **{**self.fixes, **own}), frozenset({*self.fixes, *own}))
        if bound.repetitive:
            raise UserError(f"{where}: {bound.repetitive}; raise the temperature or use n=1")
        return bound

    def _explain(self, error: ValidationError, where: str) -> UserError:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return unknown("parameter", name, list(self.parameters.model_fields), where)
        message = first["msg"][0].lower() + first["msg"][1:]
        return UserError(f"{where}: {name}={first['input']!r}: {message}")

    def draws(self, params: Mapping[str, Any]) -> int:
        """How many samples one attempt draws from its pool at most; 0 when the pool is not used."""
        if isinstance(self.budget, str):
            return int(params[self.budget])
        return self.budget or 0


@dataclass(frozen=True)
class Bound:
    """A strategy with all its parameters and its resolved sampling. `firm`: the keys of it that the entry or the definition settled."""

    strategy: Strategy
    params: Mapping[str, Any] = field(hash=False)
    sampling: Sampling = field(hash=False)
    firm: frozenset[str] = frozenset()

    def on(self, task: Task) -> Bound:
        """The same with the sampling that the task's protocol prescribes, if it does: over the experiment's, under what is firm."""
        if not isinstance(task, Prescribes):
            return self
        prescribed = {k: v for k, v in task.sampling.items() if k not in self.firm}
        return replace(self, sampling=self.sampling.but(f"task {task.name}", **prescribed))

    @property
    def repetitive(self) -> str:
        """Why it would draw equal samples, in words; empty where it would not."""
        if not self.sampling.greedy or self.draws < 2:
            return ""
        return f"temperature 0 with {self.strategy.budget}={self.draws} would draw {self.draws} equal samples"

    @property
    def name(self) -> str:
        return self.strategy.name

    @property
    def draws(self) -> int:
        return self.strategy.draws(self.params)

    @property
    def label(self) -> str:
        """`name(n=4)`: the budget and every parameter that is not the default."""
        fields = self.strategy.parameters.model_fields
        given = {k: v for k, v in self.params.items() if k == self.strategy.budget or v != fields[k].default}
        shown = [f"{k}={v if str(v).isprintable() else repr(v)}" for k, v in given.items()]
        return f"{self.name}({', '.join(shown)})" if shown else self.name

    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.strategy.version, "params": dict(self.params), "sampling": self.sampling}


FILES = (
    *("prompting", "voting", "selection", "adaptive", "confidence", "synthesis"),
    *("thinking_budget", "convergence", "refinement", "peers", "prescribed", "interruption"),
    *("search", "tree", "guided", "decomposition", "several", "memory", "inside"),
)
BUILTIN = tuple(f"harness.strategies.{file}" for file in FILES)
strategies: Registry[Strategy] = Registry("strategy", "perpass.strategies", BUILTIN)


def strategy(
    *,
    name: str,
    version: int,
    family: str,
    paper: str = "",
    needs: set[str] | frozenset[str] = frozenset(),
    budget: str | int | None = None,
    pool: PoolUse = "no",
    fixes: Mapping[str, Any] | None = None,
    prompt: Prompting = "own",
    requests: set[str] | frozenset[str] = GENERATE,
    obstacle: Callable[[Cell], str | None] | None = None,
    memory: bool = False,
) -> Callable[[Callable[..., Awaitable[Answer]]], Callable[..., Awaitable[Answer]]]:
    """Register a coroutine `async def f(ctx, …) -> Answer` as a strategy. See `Strategy` for the fields."""

    def register(function: Callable[..., Awaitable[Answer]]) -> Callable[..., Awaitable[Answer]]:
        fixed, needed = fixes or {}, frozenset(needs)
        made = Strategy(name, version, family, paper, needed, budget, pool, fixed, function, prompt, frozenset(requests), obstacle, memory)
        strategies.add(name, made)
        function.__perpass__ = made  # type: ignore[attr-defined]  # lets `module:function` find the declaration
        return function

    return register
