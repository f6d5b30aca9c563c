"""Reward models with random weights and the real formats' tokens, templates and architectures, written as model folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    LlamaForSequenceClassification,
    MistralForCausalLM,
    Qwen2Model,
)
from transformers import LlamaForCausalLM as Llama

from harness import models as found_models
from harness.types import Model

CHATML = (
    "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)
LLAMA3 = (
    "{{- '<|begin_of_text|>' -}}{%- for m in messages -%}"
    "{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + m['content'] | trim + '<|eot_id|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' -}}{%- endif -%}"
)
TEXT = "\n" + "".join(map(chr, range(32, 127)))
SMALL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "initializer_range": 0.35,
}


def byte_level(specials: Sequence[str]) -> Tokenizer:
    """Special tokens, then one token per byte of printable text."""
    alphabet = sorted({c for piece, _ in pre_tokenizers.ByteLevel(False, use_regex=False).pre_tokenize_str(TEXT) for c in piece})
    made = Tokenizer(models.BPE({c: i for i, c in enumerate(["<pad>", *specials, *alphabet])}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<pad>", *specials])
    return made


def mistral() -> Tokenizer:
    """Words begin with ▁ as in sentencepiece, a beginning token comes first; the tag and the two verdicts are merged from their letters."""
    merges = [("▁", "+"), ("▁", "-"), ("к", "и"), ("▁", "ки")]
    letters = sorted({*TEXT.replace(" ", "▁"), *"ки"})
    vocabulary = ["<pad>", "<s>", "<unk>", *letters, *("".join(pair) for pair in merges)]
    made = Tokenizer(models.BPE({c: i for i, c in enumerate(vocabulary)}, merges, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace(prepend_scheme="first")
    made.add_special_tokens(["<pad>", "<s>"])
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def qwen(folder: Path, context: int = 512) -> Model:
    """As Qwen2.5-Math-PRM: its own architecture, named in config.json, and its mark as a token."""
    words = byte_level(("<|im_start|>", "<|im_end|>", "<extra_0>"))
    config = _config("qwen2", words, context)
    torch.manual_seed(1)
    trunk = Qwen2Model(config)
    width = config.hidden_size
    first, second = torch.nn.Linear(width, width), torch.nn.Linear(width, 2)
    weights = {f"model.{name}": value for name, value in trunk.state_dict().items()}
    weights |= {"score.0.weight": first.weight, "score.0.bias": first.bias, "score.2.weight": second.weight, "score.2.bias": second.bias}
    _words(folder, words, CHATML)
    save_file({k: v.detach().contiguous() for k, v in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
    remote = {"AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig", "AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel"}
    given = config.to_dict() | {"architectures": ["Qwen2ForProcessRewardModel"], "auto_map": remote}
    (folder / "config.json").write_text(json.dumps(given))
    return _model(folder)


def rlhflow(folder: Path) -> Model:
    """As RLHFlow's process reward models: a Llama with Llama 3's template."""
    words = byte_level(("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"))
    return _saved(folder, Llama(_config("llama", words)), words, LLAMA3)


def shepherd(folder: Path) -> Model:
    """As Math-Shepherd's: a Mistral whose vocabulary has the tag and the two verdicts."""
    words = mistral()
    return _saved(folder, MistralForCausalLM(_config("mistral", words)), words, None)


def outcome(folder: Path) -> Model:
    """A Llama with one label for a whole conversation."""
    words = byte_level(("<|im_start|>", "<|im_end|>"))
    return _saved(folder, LlamaForSequenceClassification(_config("llama", words, num_labels=1)), words, CHATML)


def lines(folder: Path, context: int = 512) -> Model:
    """As perpass/prm: a Llama with the scale and shift of its verdicts in config.json."""
    words = byte_level(("<|im_start|>", "<|im_end|>"))
    config = _config("llama", words, context)
    config.reward = {"scale": 0.5, "shift": 2.0}
    return _saved(folder, Llama(config), words, CHATML)


def _config(architecture: str, words: Tokenizer, context: int = 512, **more: Any) -> Any:
    torch.manual_seed(0)
    size = {"vocab_size": words.get_vocab_size(), "max_position_embeddings": context, "pad_token_id": 0, "bos_token_id": None}
    return AutoConfig.for_model(architecture, **SMALL, **size, **more)


def _saved(folder: Path, network: Any, words: Tokenizer, template: str | None) -> Model:
    network.save_pretrained(folder)
    _words(folder, words, template)
    return _model(folder)


def _words(folder: Path, words: Tokenizer, template: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "<pad>"}
    if words.token_to_id("<|im_end|>"):
        settings["eos_token"] = "<|im_end|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | ({"chat_template": template} if template else {})))


def _model(folder: Path) -> Model:
    return found_models.resolve(str(folder), device="cpu")
