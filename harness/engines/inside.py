"""What can be changed inside a model of transformers: how many layers run, how many experts, and what a request asks of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from energy import flops
from harness.types import INSIDE, Sampling
from perpass.errors import PerPassError, UserError, unknown

if TYPE_CHECKING:
    from harness.cell import Cell


@dataclass(frozen=True)
class Inside:
    """What one request asks for, from `sampling.extra`.

    dola     contrast the last layer with this one (arXiv:2309.03883), counted from 1; None: do not
    entropy  θ of the entropy-based temperature (arXiv:2403.14541); 0: the temperature stands
    experts  active experts per token; None: as many as the engine runs
    """

    dola: int | None = None
    entropy: float = 0.0
    experts: int | None = None


NOTHING = Inside()


def settings(config: Mapping[str, Any] | None, **asked: int | None) -> dict[str, int]:
    """The engine settings that are set. Raises UserError for those that the model cannot have, or whose FLOPs could not be counted."""
    made = {name: _whole(f"engine transformers: {name}", value) for name, value in asked.items() if value is not None}
    if made:
        _countable(config, **made)
    if made.get("early_exit_layer") and _text(config or {}).get("num_kv_shared_layers"):
        raise UserError("engine transformers: early_exit_layer: this model's last layers share the keys of earlier ones")
    return made


def routed(config: Mapping[str, Any] | None) -> bool:
    """Whether the model has experts whose number can be set and counted."""
    try:
        _countable(config, experts=1)
    except UserError:
        return False
    return True


def layers(config: Mapping[str, Any] | None) -> int:
    """How many layers the model has; more than any where its config does not say."""
    text = _text(config or {})
    return int(text.get("num_hidden_layers") or text.get("n_layer") or 2**31)


def no_such_experts(cell: Cell) -> str | None:
    """Why the model cannot run with `low` … `high` active experts, the strategy's parameters; None when it can, or when nobody knows it."""
    low, high, config = cell.strategy.params["low"], cell.strategy.params["high"], cell.policy.model.config
    if low > high:
        return f"low={low} active experts exceed high={high}"
    try:
        _countable(config, experts=high)
    except UserError as error:
        return str(error) if config is not None else None
    return None


def asked(sampling: Sampling, config: Mapping[str, Any] | None, layers: int) -> Inside:
    """What a request asks of a model that runs `layers` layers. Raises UserError for what it cannot have."""
    extra = sampling.extra
    if not extra:
        return NOTHING
    for name in extra:
        if name not in INSIDE:
            raise unknown("sampling parameter", name, INSIDE, "engine transformers: extra")
    dola, entropy, experts = (extra.get(name) for name in INSIDE)
    if dola is not None and not 1 <= _whole("extra: dola", dola) < layers:
        raise UserError(f"extra: dola: {dola} is not a layer before the last; the model runs {layers}")
    if entropy is not None:
        if isinstance(entropy, bool) or not isinstance(entropy, (int, float)) or not 0 < entropy <= 100:
            raise UserError(f"extra: entropy must be a number above 0 and at most 100, such as 0.1, not {entropy!r}")
        if sampling.greedy:
            raise UserError("extra: entropy scales the temperature, which is 0; give one above 0")
    if experts is not None:
        _countable(config, experts=_whole("extra: experts", experts))
    return Inside(dola, float(entropy or 0.0), experts)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name} must be a whole number, not {value!r}")
    return value


def _text(config: Mapping[str, Any]) -> Mapping[str, Any]:
    return config.get("text_config") or config


def _countable(config: Mapping[str, Any] | None, **changes: Any) -> None:
    if config is None:
        raise UserError(f"engine transformers: {next(iter(changes))}: the model's architecture is not known")
    flops.shape(config, **changes)


def shorten(model: Any, layers: int) -> None:
    """Keep the first `layers` layers only: early exit. Final norm and output head stay."""
    config = model.config.get_text_config()
    stack = stack_of(model)
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is stack:
                setattr(parent, name, stack[:layers])
                config.num_hidden_layers = layers
                if getattr(config, "layer_types", None):
                    config.layer_types = config.layer_types[:layers]
                return


def stack_of(model: Any) -> Any:
    """The model's list of layers. Raises PerPassError where there is none, or where it is not plain which."""
    from torch.nn import ModuleList  # torch takes seconds to import, and what stands above needs none of it

    count = int(model.config.get_text_config().num_hidden_layers)
    found = [m for m in model.modules() if isinstance(m, ModuleList) and len(m) == count]
    if not found:
        raise PerPassError(f"engine transformers finds no list of {count} layers in {model.config.model_type} models")
    return found[0]


class Routers:
    """The routers of a mixture of experts, which choose the `active` likeliest experts of each token; none in other models."""

    def __init__(self, model: Any, active: int | None = None):
        usual = getattr(model.config.get_text_config(), "num_experts_per_tok", None)
        self._found = [] if usual is None else [m for m in model.modules() if getattr(m, "top_k", None) == usual]
        self._usual = self._now = usual
        if active is not None:
            self.use(active)
            self._usual = active

    def use(self, active: int | None) -> None:
        """From the next pass on `active` experts for each token; None: as many as at first."""
        active = self._usual if active is None else active
        if active == self._now:
            return
        if not self._found:
            raise PerPassError("engine transformers finds no router in this model, so the number of experts cannot be set")
        for router in self._found:
            router.top_k = active
        self._now = active
