"""Tiny models with random weights, a byte-level tokenizer and a chat template, written as model folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM

SPECIALS = ("<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<think>", "</think>")
TEMPLATE = (
    "{%- for m in messages -%}{{- '<|' + m['role'] + '|>' + m['content'] + '<|end|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}"
    "{%- if enable_thinking is defined and not enable_thinking -%}{{- '<think></think>' -}}{%- endif -%}{%- endif -%}"
)
TEXT = "\n" + "".join(map(chr, range(32, 127))) + "é漢"


def tokenizer() -> Tokenizer:
    """Special tokens, then one token per byte of `TEXT`; any other byte is lost."""
    alphabet = sorted({c for piece, _ in pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(TEXT) for c in piece})
    made = Tokenizer(models.BPE({c: i for i, c in enumerate([*SPECIALS, *alphabet])}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(SPECIALS[:5]))
    made.add_tokens(list(SPECIALS[5:]))
    return made


def write(folder: Path, *, architecture: str = "llama", context: int = 256, spread: float = 0.35, chat: bool = True, **config: Any) -> Path:
    """Write the model. `spread` is the weights' standard deviation: larger makes its distributions sharper."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer()
    words.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<|pad|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | ({"chat_template": TEMPLATE} if chat else {})))
    shape = {
        "vocab_size": words.get_vocab_size(),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": context,
        "initializer_range": spread,
        "bos_token_id": None,
        "eos_token_id": SPECIALS.index("<|end|>"),
        "pad_token_id": SPECIALS.index("<|pad|>"),
        "tie_word_embeddings": False,
    }
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(architecture, **(shape | config))).save_pretrained(folder)
    return folder
