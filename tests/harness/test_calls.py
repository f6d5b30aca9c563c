"""FLOPs of calls as an engine executes them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from energy import flops
from energy.hardware import Hardware
from harness.calls import counting, executed
from harness.cell import Deployment
from harness.types import Capabilities, Model, Usage

MIXTRAL = {
    "model_type": "mixtral",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 500,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
USAGE = Usage(prompt=30, output=10)


def place(kind: str = "transformers", config: dict[str, Any] | None = MIXTRAL, **settings: Any) -> Deployment:
    engine: Any = SimpleNamespace(
        kind=kind, settings=settings, capabilities=Capabilities(), model=Model("m", "r", "float32", config=config)
    )
    return Deployment(engine, Hardware("H100", "gpu", "H100", 1))


def test_settings_that_change_the_work_change_the_count() -> None:
    whole = executed(place(max_batch=8), USAGE)
    assert whole == flops.count(MIXTRAL, prompt=30, output=10) and whole is not None
    one = executed(place(experts=1), USAGE)
    early = executed(place(early_exit_layer=2, experts=None), USAGE)
    assert one == flops.count(MIXTRAL, prompt=30, output=10, experts=1) and one.total < whole.total
    assert early == flops.count(MIXTRAL, prompt=30, output=10, early_exit_layer=2) and early.total < whole.total


def test_vllm_decodes_on_the_latents() -> None:
    assert counting(place("vllm", max_num_seqs=4)) == {"mla": "absorbed"} and counting(place("transformers")) == {}
    assert counting(place("vllm", mla="expanded", experts=4)) == {"mla": "expanded", "experts": 4}
    assert executed(place("vllm"), USAGE) == executed(place(), USAGE)  # a model without latent attention does the same work


def test_what_is_not_known_is_none() -> None:
    assert executed(place(config=None), USAGE) is None and executed(place(config={"model_type": "abacus"}), USAGE) is None
