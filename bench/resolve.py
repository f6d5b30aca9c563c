"""From the entries of an experiment to models, engines, tasks and strategies; every mistake is told with the place it was written at."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, get_origin
from urllib.parse import urlsplit

import tasks
from bench.entries import entry, grid
from bench.experiment import Experiment
from energy import hardware
from harness import models, rewards
from harness.cell import Deployment
from harness.engines import engines
from harness.engines.device import accelerator
from harness.strategy import ROLES, Bound, strategies
from harness.types import Engine, Model, Sampling
from perpass.errors import UserError, nearest, unknown
from perpass.yaml_lines import Loc
from tasks.types import Task

THIS_MACHINE = {"localhost", "127.0.0.1", "::1", "0.0.0.0"}
SAMPLING_KEYS = [f.name for f in fields(Sampling)]


@contextmanager
def at(where: str) -> Iterator[None]:
    """Put the place in front of any UserError raised inside, unless it is already there."""
    try:
        yield
    except UserError as error:
        text = " ".join(str(error).split())
        raise UserError(text if text.startswith(where) else f"{where}: {text}") from error


def sampling(experiment: Experiment) -> Sampling:
    """The experiment's `sampling`, over the defaults."""
    given, place = experiment.content.sampling, experiment.source
    for key in given:
        if key not in SAMPLING_KEYS:
            raise unknown("sampling parameter", key, SAMPLING_KEYS, place.where(("sampling", key)))
    try:
        return Sampling().but("sampling", **given)
    except UserError as error:
        named = [k for k in given if f" {k} " in f" {error} "]
        raise UserError(f"{place.where(('sampling', named[0]) if named else ('sampling',))}: {error}") from None


def bound_strategies(experiment: Experiment, shared: Sampling) -> list[Bound]:
    """Every strategy of the experiment, grids unfolded, each once."""
    found: list[Bound] = []
    for i, value in enumerate(experiment.content.strategies):
        where = experiment.where("strategies", i)
        made = entry(value, where)
        strategy = strategies.get(made.pop("kind"), where)
        known = strategy.parameters.model_fields
        whole = {"stop"} | {k for k, f in known.items() if get_origin(f.annotation) in (list, tuple)}
        for one in grid(made, whole, where):
            own = {k: v for k, v in one.items() if k in SAMPLING_KEYS and k not in known}
            rest = {k: v for k, v in one.items() if k not in own}
            place = experiment.where("strategies", i, *_first(rest, known))
            if odd := [k for k in rest if k not in known]:
                # Sampling keys are told only to whom they are nearest: the list of a strategy's own parameters is what helps others.
                close = nearest(odd[0], [*known, *SAMPLING_KEYS])
                raise unknown("parameter", odd[0], [close] if close else known, f"{place}: {strategy.name}")
            with at(place):
                found.append(strategy.bind(rest, shared, own, f"{place}: {strategy.name}"))
    return found


def _first(given: Mapping[str, Any], known: Mapping[str, Any]) -> Loc:
    """The key to point at: the first that the strategy does not know, or its only one."""
    odd = [k for k in given if k not in known]
    return (odd[0],) if odd else (next(iter(given)),) if len(given) == 1 else ()


def loaded_tasks(experiment: Experiment) -> list[Task]:
    """Every task of the experiment with its data read, entries that stand for several unfolded, each once."""
    found = []
    for i, value in enumerate(experiment.content.tasks):
        where = experiment.where("tasks", i)
        made = entry(value, where)
        with at(where):
            for spec in tasks.unfold(made):
                task = tasks.load(spec if len(spec) > 1 else spec["kind"])
                if not task.problems():
                    raise UserError(f"task {task.name!r} has no problems")
                found.append(task)
    return found


@dataclass
class Deployments:
    """Makes the deployments of an experiment: one engine instance for each that is distinct. Engines are made, not opened.

    planning: models and hardware may be elsewhere. What then had to be assumed is in `assumed`, by the deployment's hash.
    """

    experiment: Experiment
    planning: bool = False
    assumed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _by_hash: dict[str, Deployment] = field(default_factory=dict)
    _models: dict[str, Model] = field(default_factory=dict)

    def policies(self) -> list[Deployment]:
        """models × engines; an engine that names its model is not crossed."""
        experiment, made = self.experiment, []
        listed = [(value, experiment.where("models", i)) for i, value in enumerate(experiment.content.models)]
        for j, value in enumerate(experiment.content.engines):
            where = experiment.where("engines", j)
            given = entry(value, where)
            factory = engines.get(given["kind"], where)
            specs: list[tuple[Any, str]] = listed
            if "model" in given:
                specs = [(given["model"], experiment.where("engines", j, "model"))]
            elif not listed and _needs_model(factory):
                raise UserError(
                    f"{experiment.source.name}: missing key 'models'; engine {given['kind']!r} needs one, such as [perpass/nano]"
                )
            elif not listed:
                specs = [(None, where)]
            made += [(i, self._deploy(spec, place, given, factory, where)) for i, (spec, place) in enumerate(specs)]
        return list(dict.fromkeys(deployment for _, deployment in sorted(made, key=lambda m: m[0])))

    def roles(self) -> dict[str, Deployment]:
        """The deployments that the experiment gives to roles, by role."""
        return {name: self._role(name) for name in self.experiment.content.roles}

    def _role(self, name: str) -> Deployment:
        experiment, where = self.experiment, self.experiment.where("roles", name)
        if name not in ROLES:
            raise unknown("role", name, ROLES, where)
        given = experiment.content.roles[name]
        for key in given:
            if key not in {"model", "engine"}:
                raise unknown("key", key, ["model", "engine"], experiment.where("roles", name, key))
        place = experiment.where("roles", name, "engine")
        engine = entry(given.get("engine", "transformers"), place)
        factory = rewards.find(engine["kind"], place) if name == "reward" else engines.get(engine["kind"], place)
        if "model" in given:
            engine.setdefault("model", given["model"])
        spec = engine.get("model")
        if spec is None and _needs_model(factory):
            raise UserError(f"{where}: role {name!r} needs a model, such as {{model: perpass/nano, engine: transformers}}")
        return self._deploy(spec, experiment.where("roles", name, "model"), engine, factory, place)

    def _deploy(self, spec: Any, spec_place: str, given: Mapping[str, Any], factory: Callable[..., Engine], where: str) -> Deployment:
        """The deployment of a model (None: the engine's own) on an engine entry."""
        settings = {k: v for k, v in given.items() if k not in {"kind", "hardware", "model"}}
        parameters = inspect.signature(factory).parameters
        known = [n for n, p in parameters.items() if n != "model" and p.kind is not p.VAR_KEYWORD]
        open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for key in settings:
            if key not in known and not open_ended:
                raise unknown("setting", key, [*known, "hardware", "model"], f"{where}: engine {given['kind']}")
        if self.experiment.content.trust_remote_code and "trust_remote_code" in known:
            settings.setdefault("trust_remote_code", True)
        with at(where):
            place, away = _hardware(given, factory, self.planning)
        device = str(settings.get("device", "auto")) if away is None else "cuda"
        named = "model" in given and _takes_names(factory)
        model = spec if named or spec is None else self._model(spec, spec_place, device)
        with at(where):
            engine = factory(**settings) if model is None else factory(model, **settings)
            deployment = Deployment(engine, place)
        facts = engine.model.facts and f"{engine.model.name} from {engine.model.facts}"
        if assumed := tuple(note for note in (facts, away) if note):
            self.assumed[deployment.hash] = assumed
        return self._by_hash.setdefault(deployment.hash, deployment)

    def _model(self, spec: Any, where: str, device: str) -> Model:
        given = {"id": spec} if isinstance(spec, str) else entry(spec, where, key="id")
        key = json.dumps([given, device], sort_keys=True, default=str)
        if key not in self._models:
            with at(where):
                self._models[key] = models.resolve(
                    given, trust_remote_code=self.experiment.content.trust_remote_code, device=device, planning=self.planning
                )
        return self._models[key]


def _needs_model(factory: Callable[..., Engine]) -> bool:
    parameter = inspect.signature(factory).parameters.get("model")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _takes_names(factory: Callable[..., Engine]) -> bool:
    """Whether an engine takes the server's name of a model where others take a Model that is found here."""
    parameter = inspect.signature(factory).parameters.get("model")
    return parameter is not None and "str" in str(parameter.annotation)


def _hardware(given: Mapping[str, Any], factory: Callable[..., Engine], planning: bool) -> tuple[hardware.Hardware, str | None]:
    """What does the work: what is declared, else what is found, `unknown` for a server elsewhere. With a note when it is not here.

    An engine that runs the model itself can only run on what is here; a plan takes its word. Raises UserError where they differ in a run.
    """
    device = str(given.get("device", "auto"))
    device = accelerator() if device == "auto" else device
    if "hardware" not in given:
        if "base_url" not in given:
            return hardware.detect("gpu" if device.startswith("cuda") else "cpu"), None
        here = urlsplit(str(given["base_url"])).hostname in THIS_MACHINE
        return hardware.detect() if here else hardware.Hardware("unknown", "cpu", "unknown", 1), None
    declared = hardware.declared(str(given["hardware"]))
    if declared.kind == "cpu" or not _needs_model(factory):
        return declared, None
    found = hardware.detect("gpu" if device.startswith("cuda") else "cpu")
    if found.identity() == declared.identity():
        return found, None
    if found.kind == "gpu" and found.profile is None and found.count == declared.count:
        return declared, None  # a GPU that the table does not know is what it is said to be
    if planning:
        return declared, f"hardware {declared.label} as declared: this machine has {found.label}"
    choice = "CUDA_VISIBLE_DEVICES chooses among GPUs" if found.kind == "gpu" else "is a GPU visible, and torch built for it?"
    raise UserError(
        f"engine {given['kind']} is to run on {declared.label}, but this machine has {found.label} for it ({choice}); "
        f"--engine {given['kind']} runs on what is here"
    )
