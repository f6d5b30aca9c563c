"""A cell: what is run, resumed and compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from energy.hardware import Hardware
from harness.memory import ordered
from harness.strategy import Bound
from harness.types import INSIDE, Engine, Model, Observe
from perpass.identity import Frozen, content_hash
from results.records import CellKey
from tasks.types import Problem, Task

Mode = Literal["pooled", "live"]


@dataclass(frozen=True, eq=False)
class Deployment:
    """A model on an engine on hardware. The engine is made but not opened; cells of one deployment share the instance."""

    engine: Engine
    hardware: Hardware

    @property
    def model(self) -> Model:
        return self.engine.model

    def identity(self) -> dict[str, Any]:
        engine = {"kind": self.engine.kind, "settings": self.engine.settings}
        return {"model": self.model.identity(), "engine": engine, "hardware": self.hardware.identity()}

    @cached_property
    def hash(self) -> str:
        return content_hash(self.identity())

    @cached_property
    def model_identity(self) -> Frozen:
        """For the seeds of calls."""
        return Frozen(self.model.identity())


@dataclass(frozen=True, eq=False)
class Cell:
    """model × engine × hardware × strategy × task (× concurrency or rate when live), with its roles, and how much of it this plan asks for.

    `rate`: problems that arrive per second, whatever is still under way (an open loop), in place of a fixed `concurrency` (a closed one).
    `roles` holds only the deployments that the strategy needs beside the policy. `limit` and `trials` are the plan's, not identity.
    """

    policy: Deployment
    strategy: Bound
    task: Task
    roles: Mapping[str, Deployment] = field(default_factory=dict)
    seed: int = 0
    mode: Mode = "pooled"
    concurrency: int | None = None
    limit: int | None = None
    trials: int = 1
    rate: float | None = None
    observe: Observe = field(default_factory=Observe)  # what the plan's strategies together want recorded on this deployment

    @property
    def problems(self) -> Sequence[Problem]:
        return self.task.problems()[: self.limit]

    @property
    def sequence(self) -> list[Problem]:
        """The problems in the order in which they run: a strategy with memory may shuffle them by its parameter `order`."""
        return ordered(self.problems, int(self.strategy.params.get("order", 0)) if self.strategy.strategy.memory else 0)

    @property
    def runs(self) -> int:
        """Trials to run: one when the strategy is greedy, whatever the plan says."""
        return 1 if self.strategy.sampling.greedy else self.trials

    @property
    def key(self) -> CellKey:
        place = self.policy.identity()
        task = {"name": self.task.name, "version": self.task.version, "revision": self.task.revision, "spec": dict(self.task.spec)}
        return CellKey(
            model=place["model"],
            engine=place["engine"],
            hardware=place["hardware"],
            strategy=self.strategy.identity(),
            task=task,
            roles={name: role.identity() for name, role in self.roles.items()},
            seed=self.seed,
            mode=self.mode if self.rate is None else f"{self.mode}@{self.rate:g}/s",
            concurrency=self.concurrency,
        )

    @cached_property
    def identity(self) -> str:
        """Hash of everything that identifies the cell; series is not part of it."""
        return content_hash(self.key)

    @cached_property
    def recorded(self) -> Observe:
        """What is recorded of each of its calls."""
        return self.observe | self.strategy.strategy.observe | Observe(chunks=self.mode == "live")

    @cached_property
    def strategy_identity(self) -> Frozen:
        """For the seeds of calls."""
        return Frozen(self.strategy.identity())

    @property
    def lacking(self) -> list[str]:
        """Capabilities that the strategy and its sampling need and the engines do not offer. Who judges is who must score given texts."""
        scorer = self.roles.get("judge", self.policy)
        return [
            need
            for need in sorted({*self.strategy.strategy.needs, *(key for key in INSIDE if key in self.strategy.sampling.extra)})
            if (scorer if need == "prompt_logprobs" else self.policy).engine.capabilities.missing([need])
        ]

    @cached_property
    def label(self) -> str:
        return f"{self.policy.model.name} · {self.policy.engine.kind} · {self.strategy.label} · {self.task.name}"


@dataclass(frozen=True)
class Skipped:
    """A cell of the plan that cannot run, and why, in a sentence."""

    label: str
    reason: str
