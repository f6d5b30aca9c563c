"""Writing `perpass/prm` as a folder that Auto classes load offline, and its card."""

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

from harness.reference import prm_card, tokenizer
from harness.reference.export import ACCURACY, FACTS


def export(model: Any, learned: Tokenizer, facts: Mapping[str, Any], reward: Mapping[str, float], folder: Path) -> None:
    """Write weights (float16, half the size), tokenizer, facts and card; the weights last, each file renamed over the old one.

    `reward`: scale and shift of its verdicts, kept in config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as name:
        fresh = Path(name)
        config = model.config.to_dict() | {"architectures": ["LlamaForCausalLM"], "dtype": "float16", "torch_dtype": "float16"}
        config["reward"] = dict(reward)
        (fresh / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        tokenizer.save(learned, fresh)
        (fresh / FACTS).write_text(json.dumps(facts, indent=2) + "\n")
        if (folder / ACCURACY).exists():  # measured on other weights
            (folder / ACCURACY).unlink()
        (fresh / "README.md").write_text(prm_card.text(facts, None))
        weights = {k: v.detach().to("cpu", torch.float16).contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}
        save_file(weights, fresh / "model.safetensors", metadata={"format": "pt"})
        for path in sorted(fresh.iterdir(), key=lambda p: p.suffix == ".safetensors"):
            path.chmod(0o644)
            os.replace(path, folder / path.name)


def write_accuracy(folder: Path, accuracy: Mapping[str, Any]) -> None:
    """Put what was measured beside the weights and on the card."""
    facts = json.loads((folder / FACTS).read_text())
    (folder / ACCURACY).write_text(json.dumps(accuracy, indent=2) + "\n")
    (folder / "README.md").write_text(prm_card.text(facts, accuracy))
