"""The reference models' tokenizer: bytes and whole words of generated documents, every digit a token of its own."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from harness.reference.data import Document, documents

VOCABULARY = 720
RARE = 50  # a word met less often among the documents learned from is spelled
# Words of two letters or more, and signs behind a space; "Ġ" is a space, "Ċ" a new line. Single letters are what procedures work on.
WORD = re.compile(r"Ġ?[A-Za-z]{2,}|Ġ[^\w\s]{1,2}|[.,?]Ċ")
CONTEXT = 2048
PAD, END = "<|pad|>", "<|end|>"
OPEN = {role: f"<|{role}|>" for role in ("system", "user", "assistant")}
SPECIALS = (PAD, END, *OPEN.values())

CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


@cache
def learn(count: int = 20_000, seed: str = "tokenizer") -> Tokenizer:
    """The 256 bytes and the most frequent whole words of `count` generated documents; any Unicode text round-trips.

    Only whole words are tokens, never pieces of them: the strings that procedures work on would else be cut in another place at every step.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    texts = (turn.content for document in islice(documents(seed), count) for turn in document.turns)
    found = Counter(word for text in texts for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text) if WORD.fullmatch(word))
    alphabet = [*SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    # Ties by spelling, so that the vocabulary does not depend on the order of the documents.
    words = sorted((w for w in found if found[w] >= RARE), key=lambda word: (-found[word], word))[: VOCABULARY - len(alphabet)]
    # With `ignore_merges` a word that is in the vocabulary is one token; without merges any other is its bytes.
    tokenizer.model = models.BPE({token: i for i, token in enumerate([*alphabet, *words])}, [], ignore_merges=True)
    tokenizer.add_special_tokens(list(SPECIALS))
    return tokenizer


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json and tokenizer_config.json (with the chat template) so that AutoTokenizer loads them offline."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "pad_token": PAD,
        "eos_token": END,
        "additional_special_tokens": list(OPEN.values()),
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")


def encode(tokenizer: Tokenizer, batch: Iterable[Document]) -> list[tuple[list[int], list[float]]]:
    """Token ids and per-token loss weights of documents, laid out as by the chat template. The opening marker of a turn has weight 0."""
    batch = list(batch)
    texts = [turn.content for document in batch for turn in document.turns]
    contents = iter(tokenizer.encode_batch(texts, add_special_tokens=False))
    end = SPECIALS.index(END)
    openers = {role: SPECIALS.index(marker) for role, marker in OPEN.items()}
    rows = []
    for document in batch:
        ids: list[int] = []
        weights: list[float] = []
        for turn, weight in zip(document.turns, document.weights, strict=True):
            content = next(contents)
            learned = _in_results(turn.content, content.offsets) if document.results_only else [True] * (len(content.ids) + 1)
            ids += [openers[turn.role], *content.ids, end]
            weights += [0.0, *(weight * is_learned for is_learned in learned)]
        rows.append((ids, weights))
    return rows


def _in_results(content: str, offsets: Sequence[tuple[int, int]]) -> list[bool]:
    """For each token of `content`, and for the end marker after it, whether it lies in a result: after "= ", the line's end included."""
    spans = [match.span(1) for match in re.finditer(r"= (.*(?:\n|$))", content)]
    return [*(any(a <= start < b for a, b in spans) for start, _ in offsets), True]
