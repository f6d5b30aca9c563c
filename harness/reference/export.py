"""Writing checkpoints and shipped model folders so that no reader ever sees half of one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from harness.reference import card, tokenizer

FACTS = "training.json"
ACCURACY = "accuracy.json"


def save_state(state: Mapping[str, Any], path: Path) -> None:
    """Write a training checkpoint: to a file beside it, then renamed over it. Its folder tells git to ignore it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / ".gitignore").write_text("*\n")
    beside = path.with_suffix(".tmp")
    torch.save(dict(state), beside)
    os.replace(beside, path)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training checkpoint onto the CPU. Raises FileNotFoundError when there is none."""
    return torch.load(path, map_location="cpu", weights_only=True)


def export(model: LlamaForCausalLM, learned: Tokenizer, facts: Mapping[str, Any], folder: Path) -> None:
    """Write the model as a folder that Auto classes load offline: float32 weights, tokenizer, generation settings, facts and card.

    Files are written to a folder beside it and renamed over the old ones one by one, the weights last.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        fresh = Path(name)
        _config(model, fresh)
        tokenizer.save(learned, fresh)
        (fresh / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        if (folder / ACCURACY).exists():  # measured on other weights
            (folder / ACCURACY).unlink()
        (fresh / "README.md").write_text(card.text(facts, None))
        weights = {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
        save_file(weights, fresh / "model.safetensors", metadata={"format": "pt"})
        for path in sorted(fresh.iterdir(), key=lambda p: p.suffix == ".safetensors"):
            path.chmod(0o644)
            os.replace(path, folder / path.name)


def _config(model: LlamaForCausalLM, folder: Path) -> None:
    config = model.config.to_dict()
    config |= {"architectures": ["LlamaForCausalLM"], "dtype": "float32", "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    end, pad = model.config.eos_token_id, model.config.pad_token_id
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": end, "pad_token_id": pad}, indent=2) + "\n")


def write_accuracy(folder: Path, accuracy: Mapping[str, Any]) -> None:
    """Put measured accuracy beside the weights and on the card."""
    facts = json.loads((folder / FACTS).read_text())
    (folder / ACCURACY).write_text(json.dumps(accuracy, indent=2) + "\n")
    (folder / "README.md").write_text(card.text(facts, accuracy))
