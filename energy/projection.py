"""What a measured call would have taken on other hardware: modelled, never measured.

The model, per step of continuous batching in which each of B sequences gets one token, on n devices:

    GPU time = (w · bytes of dense weights + e · bytes of experts + k · bytes of caches) ÷ (n · bandwidth)
             + (f · FLOPs + g · FLOPs of experts) ÷ (n · dense peak)
    time     = GPU time + layers · (l + p where n > 1) + B · s
    power    = n · TDP · min(1, static + busy · min(1, GPU time ÷ time) + arithmetic · FLOPs at the peak ÷ time)

Bytes and FLOPs are those of `energy.traffic` and `energy.flops`; a prompt's FLOPs are spread over its output's steps (chunked prefill: its
tokens share their pass's weights). The eleven constants say how far from the peaks kernels stay, what launching costs, and how power
splits; they are the same for every device, so that what differs is only the data sheet. They are fitted on published rows, and kept with
their error on the rows of another table (`energy/data/projection.yaml`, made by `tests/benchmarks/projection.py`). Singly they mean
little: in those rows launching and moving bytes go together, and each can stand for part of the other.

A projection is the measured number × modelled there ÷ modelled here: what the model has wrong on both sides cancels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from importlib.resources import files
from math import exp, sqrt
from typing import TYPE_CHECKING, Any

from energy import flops, traffic
from energy.profiles import Profile
from perpass.errors import UserError

if TYPE_CHECKING:
    import numpy as np

RATES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
ACTIVATIONS = {"fp8": "fp8", "fbgemm_fp8": "fp8", "int8": "int8", "nvfp4": "fp4"}
"""Quantizations in which activations are small too; others widen weights before the product (MXFP4 as vLLM runs it on the H100)."""
MICRO = 1e-6


class CannotProject(UserError):
    """What the model needs to know is not known."""


@dataclass(frozen=True)
class Work:
    """One step of all sequences together, whatever the hardware. Bytes and FLOPs."""

    weights: float
    experts: float
    cache: float
    flop: float
    expert_flop: float
    layers: int
    batch: float
    rate: str
    """Which of a device's peaks counts: `bf16`, `fp8`, …"""
    resident: float
    """Bytes of all weights, which have to fit into the devices' memory."""


@dataclass(frozen=True)
class Place:
    """Devices that do the work."""

    name: str
    count: int
    peak: float
    """Operations per second of one device, dense, at the work's rate."""
    bandwidth: float
    """Bytes per second of one device."""
    tdp_w: float
    memory: float | None
    """Bytes of one device; None where it is not known."""


@dataclass(frozen=True)
class Constants:
    """Fitted; all positive, the first five at least 1: nothing beats the peaks. The defaults are what fitting starts from and is weakly
    drawn to."""

    weights: float = 1.4
    experts: float = 2.0
    cache: float = 1.5
    flop: float = 2.0
    expert_flop: float = 4.0
    layer_us: float = 30.0
    parallel_us: float = 20.0
    """More per layer where several devices share it."""
    sequence_us: float = 30.0
    static: float = 0.2
    """Share of the TDP without work."""
    busy: float = 0.6
    arithmetic: float = 0.5


@dataclass(frozen=True)
class Step:
    """Modelled: seconds of a step, watts of all devices."""

    seconds: float
    watts: float

    @property
    def joules(self) -> float:
        return self.seconds * self.watts


@dataclass(frozen=True)
class Point:
    """A measured step, to fit on: seconds of it, watts of all devices."""

    work: Work
    place: Place
    seconds: float
    watts: float


def work(
    config: Mapping[str, Any], *, batch: float, prompt: float, output: float, dtype: str | None = None, quantization: str | None = None
) -> Work:
    """The mean step of `batch` sequences of a mean `prompt` and `output` tokens. config: a parsed `config.json`.

    prompt: tokens that are computed; 0 where it is not known, and then its FLOPs are not in the step.  dtype: None is the config's own.
    Raises UnknownArchitecture, UnknownPrecision, CannotProject.
    """
    together, middle = max(1, round(batch)), max(1, round(prompt + output / 2))
    model, held = flops.shape(config), traffic.precision(config, dtype, None, quantization)
    moved = traffic.count(config, prompt=middle, output=2, batch=together, dtype=dtype, quantization=quantization).decode
    routed = [(layer.experts, times) for layer, times in model.groups if layer.experts]
    read = sum(n * e.number * (1 - (1 - e.active / e.number) ** together) * e.linear * held.experts / 8 for e, n in routed)
    token = flops.count(config, prompt=middle, output=2).total - flops.count(config, prompt=middle, output=1).total
    share = flops.count(config, prompt=round(prompt), output=0).total / output if round(prompt) else 0.0
    expert_token = sum(2 * n * e.active * e.linear for e, n in routed) * (1 + (prompt / output if prompt else 0))
    own = str(dtype or config.get("dtype") or config.get("torch_dtype")).removeprefix("torch.")
    rate = ACTIVATIONS.get(quantization or "", RATES.get(own, ""))
    if not rate:
        raise CannotProject(f"at which rate {own!r} is computed is not known")
    return Work(
        weights=moved.weights - read,
        experts=read,
        cache=moved.total - moved.weights,
        flop=together * (token + share - expert_token),
        expert_flop=together * expert_token,
        layers=len(model.layers),
        batch=batch,
        rate=rate,
        resident=moved.weights
        - read
        + sum(n * e.number * e.linear * held.experts / 8 for e, n in routed)
        + (0 if model.tied else model.embedding * held.plain / 8),
    )


def place(profile: Profile, count: int, rate: str) -> Place:
    """Devices by their profile. Raises CannotProject, naming what the table of hardware does not know."""
    values = {f"peak at {rate}": profile.peak_flops.get(rate), "bandwidth": profile.bandwidth, "TDP": profile.tdp_w}
    if missing := [name for name, value in values.items() if value is None]:
        raise CannotProject(f"{profile.name}: the {' and the '.join(missing)} of this hardware is not known, so nothing can be projected")
    peak, bandwidth, tdp = (value.value for value in values.values() if value is not None)
    return Place(profile.name, count, peak, bandwidth, tdp, profile.memory_gb.value * 1e9 if profile.memory_gb else None)


def step(work: Work, place: Place, constants: Constants) -> Step:
    """The modelled step."""
    seconds, watts = _model(_terms([(work, place)]), [getattr(constants, f.name) for f in fields(Constants)])
    return Step(float(seconds[0]), float(watts[0]))


@dataclass(frozen=True)
class Ratio:
    """Modelled there ÷ modelled here."""

    seconds: float
    joules: float


def ratio(work: Work, here: Place, there: Place, constants: Constants) -> Ratio:
    """What a measured time and energy are multiplied with. Between equal hardware it is 1."""
    before, after = step(work, here, constants), step(work, there, constants)
    return Ratio(after.seconds / before.seconds, after.joules / before.joules)


AT_LEAST_ONE = 5
PULL = 0.15
"""How strongly a constant is drawn to its start: a factor of e counts as much as a residual of 0.15, once per hundred points."""


def fit(points: Sequence[Point]) -> Constants:
    """Constants by least squares of log(time) and log(power), tails damped (soft L1 beyond 10 %). Deterministic.

    Raises ValueError for fewer points than twice the constants.
    """
    import numpy as np
    from scipy.optimize import least_squares

    names = [f.name for f in fields(Constants)]
    if len(points) < 2 * len(names):
        raise ValueError(f"{len(points)} points are too few for {len(names)} constants")
    terms = _terms([(p.work, p.place) for p in points])
    seconds, watts = np.log([p.seconds for p in points]), np.log([p.watts for p in points])
    start = np.log([getattr(Constants(), name) for name in names])
    weight = PULL * sqrt(len(points) / 100)
    least = [0.0] * AT_LEAST_ONE + [-np.inf] * (len(names) - AT_LEAST_ONE)

    def residuals(logs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        modelled = _model(terms, np.exp(logs))
        return np.concatenate([np.log(modelled[0]) - seconds, np.log(modelled[1]) - watts, weight * (logs - start)])

    found = least_squares(residuals, start, bounds=(least, np.inf), loss="soft_l1", f_scale=0.1)
    return Constants(**{name: float(exp(value)) for name, value in zip(names, found.x, strict=True)})


def _terms(pairs: Sequence[tuple[Work, Place]]) -> Any:
    """Seconds at the peaks, and what costs are counted in, one column each."""
    import numpy as np

    rows = [
        (
            w.weights / (p.count * p.bandwidth),
            w.experts / (p.count * p.bandwidth),
            w.cache / (p.count * p.bandwidth),
            w.flop / (p.count * p.peak),
            w.expert_flop / (p.count * p.peak),
            w.layers * MICRO,
            w.layers * MICRO * (p.count > 1),
            w.batch * MICRO,
            p.count * p.tdp_w,
        )
        for w, p in pairs
    ]
    return np.array(rows, dtype=float).T


def _model(terms: Any, c: Sequence[float]) -> tuple[Any, Any]:
    """(seconds, watts) of steps; c: constants in the order of their class."""
    import numpy as np

    weights, experts, cache, flop, expert_flop, layers, parallel, batch, tdp = terms
    gpu = c[0] * weights + c[1] * experts + c[2] * cache + c[3] * flop + c[4] * expert_flop
    seconds = gpu + c[5] * layers + c[6] * parallel + c[7] * batch
    busy = np.minimum(1, gpu / seconds)
    return seconds, tdp * np.minimum(1, c[8] + c[9] * busy + c[10] * (flop + expert_flop) / seconds)


# --- what is shipped --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Error:
    """Relative errors |projected ÷ measured − 1| of pairs of rows of a table that was not fitted on."""

    pairs: int
    energy_median: float
    energy_p90: float
    time_median: float
    time_p90: float


@dataclass(frozen=True)
class Fitted:
    """Constants, the table (task) they were fitted on, and their errors on another: by (from, to) device names."""

    table: str
    tested_on: str
    constants: Constants
    errors: Mapping[tuple[str, str], Error]


@lru_cache(maxsize=1)
def shipped() -> tuple[Fitted, ...]:
    """The constants that come with PerPass, one for each table of ML.ENERGY."""
    import yaml

    raw = yaml.safe_load((files("energy") / "data" / "projection.yaml").read_text(encoding="utf-8"))
    return tuple(
        Fitted(
            row["table"],
            row["tested_on"],
            Constants(**row["constants"]),
            {(e["from"], e["to"]): Error(**{f.name: e[f.name] for f in fields(Error)}) for e in row["errors"]},
        )
        for row in raw["fits"]
    )


def shipped_as(fits: Sequence[Fitted]) -> list[dict[str, Any]]:
    """`fits` as the rows of the data file, four digits each."""
    return [
        {
            "table": fit.table,
            "tested_on": fit.tested_on,
            "constants": _rounded(asdict(fit.constants)),
            "errors": [{"from": a, "to": b, **_rounded(asdict(error))} for (a, b), error in fit.errors.items()],
        }
        for fit in fits
    ]


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(f"{value:.4g}") for name, value in values.items()}


@lru_cache(maxsize=1)
def _published() -> tuple[dict[str, Any], dict[str, str]]:
    import yaml

    raw = yaml.safe_load((files("energy") / "data" / "ml_energy_models.yaml").read_text(encoding="utf-8"))
    return raw["configs"], raw["models"]


def published_config(model: str) -> Mapping[str, Any] | None:
    """The config of a model that ML.ENERGY measured; None where it is not in our table."""
    configs, models = _published()
    return configs[models[model]]["config"] if model in models else None
