"""Architectures by `model_type`, and how their rows read a `config.json`: strictly, so that a missing size is an error and no guess."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from energy.architectures.parts import Shape
from perpass.errors import UserError

Config: TypeAlias = Mapping[str, Any]
Row: TypeAlias = Callable[[Config], Shape]


class UnknownArchitecture(UserError):
    """FLOPs cannot be counted for this model. Stored as null with the code `unknown_architecture`, never as 0."""

    code = "unknown_architecture"


JUDGING = ("ForTokenClassification", "ForSequenceClassification", "ForProcessRewardModel")
ARCHITECTURES: dict[str, Row] = {}
"""model_type → its row."""


def architecture(*model_types: str) -> Callable[[Row], Row]:
    """Registers a row under each `model_type`."""

    def register(row: Row) -> Row:
        ARCHITECTURES.update(dict.fromkeys(model_types, row))
        return row

    return register


def find(config: Config) -> Shape:
    """The shape of the model that `config` describes, by the row that its `model_type` names. Raises UnknownArchitecture.

    Of a model of several modalities, what is read is its text part (`text_config`): prompts here are text.
    """
    kind = config.get("model_type")
    if isinstance(text := config.get("text_config"), Mapping) and kind in ("gemma3", "mistral3"):
        config = {**config, **text, "model_type": text.get("model_type") or {"gemma3": "gemma3_text", "mistral3": "mistral"}[kind]}
        kind = config["model_type"]
    if kind not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise UnknownArchitecture(f"FLOPs of model_type {kind!r} are not known (unknown_architecture); known: {known}")
    for name in config.get("architectures") or ():
        if "Eagle" in name or "Medusa" in name or "MTP" in name:  # heads that also read the target's hidden states
            raise UnknownArchitecture(f"FLOPs of {name} are not known (unknown_architecture)")
    return ARCHITECTURES[kind](config)


def size(c: Config, *keys: str, default: int | None = None) -> int:
    """A size under the first of several spellings that is there; `default` where the model's own configuration class has one and published
    configs rely on it. Raises UnknownArchitecture where there is neither, or no whole number."""
    key = next((key for key in keys if c.get(key) is not None), None)
    value = default if key is None else c[key]
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnknownArchitecture(f"the config of model_type {c.get('model_type')!r} has no {keys[0]} (unknown_architecture)")
    return value


def layers(c: Config) -> range:
    """The numbers of the layers, from 0."""
    return range(size(c, "num_hidden_layers"))


def kinds(c: Config, default: list[str], known: set[str]) -> list[str]:
    """`layer_types` of the config, or `default`. Raises UnknownArchitecture for types not in `known`, or not one per layer."""
    types = list(c.get("layer_types") or default)
    if strange := set(types) - known:
        raise UnknownArchitecture(f"layer types {', '.join(sorted(map(str, strange)))} are not known (unknown_architecture)")
    if len(types) != len(default):
        raise UnknownArchitecture(f"{len(types)} layer_types for {len(default)} layers (unknown_architecture)")
    return types


def ends(c: Config, *, tied: bool, norm: int, positions: int = 0, width: str = "hidden_size") -> dict[str, Any]:
    """Embedding and head of a `Shape`. tied: what a config that does not say means. norm: parameters of the last norm.

    The head is the vocabulary, or the labels of a reward model or classifier, which is never tied. That of Qwen2.5-Math-PRM
    (arXiv:2501.07301) has a layer of the model's width before its two labels.
    """
    wide, vocabulary = size(c, width), size(c, "vocab_size")
    names = "".join(name for name in c.get("architectures") or () if name.endswith(JUDGING))
    labels = 2 if names.endswith("ForProcessRewardModel") else len(c.get("id2label") or ()) or int(c.get("num_labels") or 2)
    outputs = labels if names else vocabulary
    between = wide if names.endswith("ForProcessRewardModel") else 0
    bias = between + outputs if names and not names.endswith("ForSequenceClassification") else 0
    said = c.get("tie_word_embeddings")
    return {
        "head": wide * (between + outputs),
        "embedding": wide * (vocabulary + positions),
        "tied": not names and (tied if said is None else bool(said)),
        "other": norm + bias,
    }
