"""What one token passes through in each model architecture, read from its `config.json`.

To add one, write a function from config to `Shape` with the decorator `@architecture("<model_type>")` in the file of its family, and a case
in `tests/energy/flops_cases.py`: tests compare it with `torch.utils.flop_counter.FlopCounterMode` and with the real model's parameters.
"""

from __future__ import annotations

from energy.architectures import dense, sparse, statespace
from energy.architectures.parts import Attention, Experts, Latent, Layer, Scan, Shape
from energy.architectures.registry import ARCHITECTURES, Config, UnknownArchitecture, architecture, find

__all__ = [
    "ARCHITECTURES",
    "Attention",
    "Config",
    "Experts",
    "Latent",
    "Layer",
    "Scan",
    "Shape",
    "UnknownArchitecture",
    "architecture",
    "dense",
    "find",
    "sparse",
    "statespace",
]
