"""Qwen2 shapes with random weights and the tokenizer of perpass/mini, made on the device: `python random_models.py random-1.5b`."""

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

SMALL = {"hidden_size": 1536, "intermediate_size": 8960, "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": True}
LARGE = {"hidden_size": 3584, "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False}
SIZES = {"random-1.5b": SMALL, "random-7b": LARGE}

name = sys.argv[1]
out = Path("/tmp/models") / name
out.mkdir(parents=True, exist_ok=True)
mini = Path("harness/reference/mini")
known = json.loads((mini / "config.json").read_text())
ids = {key: known.get(key) for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
config = Qwen2Config(vocab_size=151936, max_position_embeddings=4096, num_hidden_layers=28, **SIZES[name], **ids)
torch.manual_seed(0)
torch.set_default_device("cuda")
torch.set_default_dtype(torch.bfloat16)
model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
torch.set_default_device("cpu")
model.to("cpu").save_pretrained(out)
for file in ("tokenizer.json", "tokenizer_config.json"):
    shutil.copy(mini / file, out / file)
