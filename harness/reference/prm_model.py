"""The shape of `perpass/prm`, and how its weights begin: those of a language model, with room above them to compare.

What a verdict needs, the base model has: how the solver goes on. But it says so in its last layer, where nothing can compare it with what
was written next. Two layers more do that: in one a token meets its prediction, in the next a line end meets all its tokens. To keep the
file small, the base gives up the units of its MLPs that do least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaForTokenClassification

from harness.reference.sizes import SIZES, config
from harness.reference.train import HERE

BASE = "micro"
MORE = 2  # layers above the base's
INTERMEDIATE = 224  # of the base's 320 units in each MLP
SHAPE = replace(SIZES[BASE], layers=SIZES[BASE].layers + MORE, intermediate=INTERMEDIATE)


def untrained(sample: Tensor, attention: str = "sdpa") -> tuple[LlamaForTokenClassification, torch.nn.Module]:
    """The model before training, and the base's output norm, which stands beside it while it trains.

    `sample` (rows, length): token ids by which the MLP units of the base are ranked. The new layers begin by passing on what they get, the
    head by saying one half.
    """
    shape = config(SHAPE, attention)
    shape.num_labels = 1
    made = LlamaForTokenClassification(shape)
    base: Any = AutoModelForCausalLM.from_pretrained(HERE / BASE, local_files_only=True, dtype=torch.float32)
    with torch.no_grad():
        made.model.embed_tokens.load_state_dict(base.model.embed_tokens.state_dict())
        for new, old, kept in zip(made.model.layers, base.model.layers, _most_active(base, sample), strict=False):
            new.self_attn.load_state_dict(old.self_attn.state_dict())
            new.input_layernorm.load_state_dict(old.input_layernorm.state_dict())
            new.post_attention_layernorm.load_state_dict(old.post_attention_layernorm.state_dict())
            new.mlp.gate_proj.weight.copy_(old.mlp.gate_proj.weight[kept])
            new.mlp.up_proj.weight.copy_(old.mlp.up_proj.weight[kept])
            new.mlp.down_proj.weight.copy_(old.mlp.down_proj.weight[:, kept])
        for layer in made.model.layers[-MORE:]:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        made.score.weight.zero_()
        made.score.bias.zero_()
    return made, base.model.norm


@torch.no_grad()
def _most_active(base: Any, sample: Tensor) -> list[Tensor]:
    """Of each layer of `base`, the indices of the MLP units that write most: mean activity times the size of what they write."""
    seen: list[Tensor] = []

    def watch(module: torch.nn.Linear, inputs: Sequence[Tensor]) -> None:
        seen.append(inputs[0].abs().mean(dim=(0, 1)) * module.weight.norm(dim=0))

    hooks = [layer.mlp.down_proj.register_forward_pre_hook(watch) for layer in base.model.layers]
    base.model(input_ids=sample)
    for hook in hooks:
        hook.remove()
    return [activity.topk(INTERMEDIATE).indices.sort().values for activity in seen]
