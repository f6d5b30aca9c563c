"""The model card of a reference model, written from the facts of its training and its measured accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# perpass/{name}

A tiny language model, trained from scratch, that solves short arithmetic word problems. It is a *real* model (a byte-level BPE tokenizer,
a Llama transformer, real errors) that runs anywhere, so that the whole benchmark can be run and tested without a download. It is good for
nothing else: it knows no language beyond its stories, and no facts.

| | |
| --- | --- |
| architecture | LlamaForCausalLM, float32, tied embeddings |
| parameters | {parameters:,} |
| shape | {layers} layers, hidden {hidden}, {heads} heads of width {head_width}, MLP {intermediate}, vocabulary {vocabulary} |
| context | {context} positions (RoPE); trained on documents of at most {longest} tokens |
| licence | Apache-2.0 (weights and training data, both made by this repository) |

## Training

| | |
| --- | --- |
| command | `{command}` |
| data | generated conversations, `harness/reference/data.py`: {mix} |
| operations | 1 to 6 per problem, uniform; whole numbers from 0 to 999 |
| seed | {seed} |
| steps | {steps:,} |
| tokens | {tokens:,} (of them {learned:,} with a loss), {documents:,} documents, generated as needed |
| optimiser | AdamW, peak learning rate {learning_rate}, warm-up then cosine |
| wall time | {minutes:.1f} minutes, in {parts} part(s) (`--resume`), on a machine shared with other work |
| hardware | {hardware}, {threads} threads |
| software | {software} |
| loss | {loss:.4f} nats per weighted assistant token, mean of the last 200 steps |
| finished | {finished} |

## Separation of training and test

A problem's expression (start and operations, not its wording) is hashed; the tenth of all expressions in bucket 0 is only ever asked by the
`arithmetic` task, the rest only ever trained on. Checked while training: {train_questions:,} training questions against {test_questions:,}
test questions (sizes and seeds: {test_tasks}); in common: **{shared}**. What is held out are whole problems: a single step such as
`12 + 5 = 17` may well occur inside a longer training problem.
"""

USE = """
## Use

Chat turns are `<|role|>text<|end|>`; three prompts were trained (`harness/prompts.py`): step by step, direct, and self-judgement. Intended
for benchmarking, tests and teaching of inference strategies. Not for answering anyone's questions.
"""


def text(facts: Mapping[str, Any], accuracy: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `accuracy` as written by `evaluate`; None before it was measured.

    `facts["selection"]`, where there is one, says how this checkpoint was chosen among others: added by hand to training.json.
    """
    chosen = f"{facts['selection']}\n\n" if facts.get("selection") else ""
    return HEAD.format(**facts) + "\n## Accuracy\n\n" + chosen + (_table(accuracy) if accuracy else "Not measured yet.\n") + USE


def _table(accuracy: Mapping[str, Any]) -> str:
    modes = accuracy["modes"]
    strata = list(next(iter(modes.values())))
    lines = [
        f"On {accuracy['problems']} held-out problems of the `arithmetic` task ({accuracy['task']}), with Wilson 95 % intervals:",
        "",
        "| operations | " + " | ".join(modes) + " |",
        "| --- |" + " --- |" * len(modes),
    ]
    lines += [f"| {stratum} | " + " | ".join(_share(modes[mode][stratum]) for mode in modes) + " |" for stratum in strata]
    return "\n".join([*lines, "", accuracy["note"], ""])


def _share(cell: Mapping[str, float]) -> str:
    return f"{cell['share']:.1%} ({cell['low']:.1%} to {cell['high']:.1%})"
