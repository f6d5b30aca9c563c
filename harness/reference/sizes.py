"""The sizes of the reference models, as data."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import LlamaConfig

from harness.reference.tokenizer import CONTEXT, END, PAD, SPECIALS, VOCABULARY


@dataclass(frozen=True)
class Size:
    """One Llama shape with its training defaults. Heads are 32 wide or wider, since vLLM's attention kernels need that."""

    hidden: int
    heads: int
    layers: int
    intermediate: int
    learning_rate: float
    steps: int  # a horizon in steps, since one in minutes depends on the machine
    batch_tokens: int  # padded tokens per optimiser step
    head_width: int = 32


SIZES = {
    "nano": Size(hidden=96, heads=3, layers=3, intermediate=192, learning_rate=5e-3, steps=10_000, batch_tokens=4096),
    "micro": Size(hidden=160, heads=5, layers=4, intermediate=320, learning_rate=4e-3, steps=8_500, batch_tokens=4096),
    "mini": Size(hidden=256, heads=8, layers=4, intermediate=512, learning_rate=3e-3, steps=9_500, batch_tokens=4096),
}


def config(size: Size, attention: str = "sdpa") -> LlamaConfig:
    """The Hugging Face configuration of a size. `attention`: the implementation to compute with; it is not saved."""
    return LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=size.hidden,
        intermediate_size=size.intermediate,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        head_dim=size.head_width,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.04,
        bos_token_id=None,
        eos_token_id=SPECIALS.index(END),
        pad_token_id=SPECIALS.index(PAD),
        attn_implementation=attention,
    )
