"""From an experiment to the cells that it stands for, and to those that cannot run, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench import resolve
from bench.experiment import Experiment
from harness.cell import Cell, Deployment, Skipped
from harness.strategy import Bound
from harness.types import Observe, Reward
from tasks.types import Prescribes, Task


@dataclass(frozen=True)
class Plan:
    """What an experiment comes to. `cells` run in this order; duplicates are gone.

    `assumed`: by a deployment's hash, what a plan took for granted that a run would have to find. Its cells are not those of a run.
    """

    experiment: Experiment
    cells: list[Cell]
    skipped: list[Skipped]
    assumed: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def series(self) -> str:
        return self.experiment.content.series

    @property
    def attempts(self) -> int:
        """Attempts of the whole plan, stored or not."""
        return sum(len(c.problems) * c.runs for c in self.cells)

    def assumptions(self, cell: Cell) -> list[str]:
        """What was taken for granted about a cell's deployments."""
        return [note for place in (cell.policy, *cell.roles.values()) for note in self.assumed.get(place.hash, ())]


def build(experiment: Experiment, planning: bool = False) -> Plan:
    """Check every name in the experiment, make its engines (unopened) and cross models × engines × tasks × strategies (× concurrency).

    planning: the plan is only looked at, so that open models without their files and hardware elsewhere are no obstacle (`Plan.assumed`).
    Raises UserError, one sentence with the place it was written at. Touches no database and loads no weights.
    """
    shared = resolve.sampling(experiment)
    bound = resolve.bound_strategies(experiment, shared)
    deployments = resolve.Deployments(experiment, planning)
    policies, roles = deployments.policies(), deployments.roles()
    loaded = resolve.loaded_tasks(experiment)
    cells: dict[str, Cell] = {}
    skipped: dict[tuple[str, str], Skipped] = {}
    for policy in policies:
        for task in loaded:
            for strategy in bound:
                for cell in _cells(experiment, policy, task, strategy, roles):
                    reason = _obstacle(cell)
                    if reason is None:
                        cells.setdefault(cell.identity, cell)
                    else:
                        skipped.setdefault((cell.label, reason), Skipped(cell.label, reason))
    return Plan(experiment, _observed(list(cells.values())), list(skipped.values()), deployments.assumed)


def _cells(experiment: Experiment, policy: Deployment, task: Task, strategy: Bound, roles: dict[str, Deployment]) -> list[Cell]:
    content = experiment.content
    needed = {name: roles[name] for name in strategy.strategy.roles if name in roles}
    if "judge" in strategy.strategy.roles:
        needed.setdefault("judge", policy)
    cell = Cell(policy, strategy.on(task), task, needed, content.seed, content.mode, None, content.limit, content.trials)
    live = [replace(cell, concurrency=c) for c in content.concurrency] + [replace(cell, rate=r) for r in content.rate]
    return live or [cell]


def _obstacle(cell: Cell) -> str | None:
    """Why a cell cannot run, in a sentence; None when it can."""
    strategy, kind = cell.strategy.strategy, cell.policy.engine.kind
    for role in strategy.roles:
        if role not in cell.roles:
            return f"strategy {strategy.name} needs a model for the role {role!r}; give one under `roles`"
    if "reward" in cell.roles and not isinstance(cell.roles["reward"].engine, Reward):
        return f"the engine of role 'reward' ({cell.roles['reward'].engine.kind}) gives no rewards"
    if cell.lacking:
        return f"strategy {strategy.name} needs {' and '.join(cell.lacking)}, which engine {kind} does not offer"
    if strategy.memory and cell.rate is not None:
        return f"strategy {strategy.name} carries a memory from problem to problem, so they cannot arrive at a rate; use concurrency"
    if reason := _protocol(cell) or (strategy.obstacle and strategy.obstacle(cell)):
        return reason
    if cell.strategy.sampling.thinking is not None and cell.policy.engine.capabilities.missing(["thinking"]):
        return f"sampling asks for thinking={cell.strategy.sampling.thinking!r}, which engine {kind} cannot switch"
    asked = getattr(cell.policy.engine, "obstacle", None)  # of engines that know before they are open what they cannot draw
    return asked(cell.strategy.sampling) if asked else None


def _protocol(cell: Cell) -> str | None:
    """What in the task's protocol the strategy cannot follow."""
    strategy, name = cell.strategy.strategy, cell.task.name
    if strategy.prompt == "own" and any(p.fixed is not None for p in cell.problems):
        return f"strategy {strategy.name} writes its own prompt, but task {name} fixes the exact prompt of its protocol"
    replies = cell.task.replies if isinstance(cell.task, Prescribes) else 1
    for request in sorted({p.request for p in cell.problems} - strategy.requests):
        return f"strategy {strategy.name} does not do what task {name} asks for; {_instead(request, replies)} does"
    if "replies" in strategy.requests and cell.strategy.draws != replies:
        return f"task {name} judges {replies} replies together, not {cell.strategy.draws}; use replies(n={replies})"
    if cell.strategy.repetitive:
        return f"task {name} prescribes its sampling: {cell.strategy.repetitive}; give strategy {strategy.name} a temperature of its own"
    return None


def _instead(request: str, replies: int) -> str:
    return {"generate": "cot", "replies": f"replies(n={replies})", "update": "interruption(mode=update)"}.get(request, "loglikelihood")


def _observed(cells: Sequence[Cell]) -> list[Cell]:
    """Each cell told what all strategies on its deployment together want recorded, so that they can share samples."""
    wanted: dict[str, Observe] = {}
    for cell in cells:
        key = cell.policy.hash
        wanted[key] = wanted.get(key, Observe()) | cell.strategy.strategy.observe
    return [replace(c, observe=wanted[c.policy.hash]) for c in cells]
