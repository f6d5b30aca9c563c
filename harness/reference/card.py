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

A tiny language model, trained from scratch, that solves short arithmetic word problems and follows ten procedures of ProcBench, one
question or up to three at a time. It is a *real* model (a tokenizer of words and bytes, a Llama transformer, real errors) that runs
anywhere, so that the whole benchmark can be run and tested without a download. It is good for nothing else: it knows no language beyond
its stories, and no facts.

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
| word problems | 1 to 6 operations, uniform; whole numbers from 0 to 999 |
| procedures | {procedures}; 2 to 8 steps, uniform; brief instructions |
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

A word problem's expression (start and operations, not its wording) is hashed, and so are a procedure's data; the tenth in bucket 0 is only
ever asked by the `arithmetic` and `procbench` tasks, the rest only ever trained on. Checked while training: {train_questions:,} training
questions against {test_questions:,} test questions ({test_tasks}); in common: **{shared}**. What is held out are whole problems: a single
step such as `12 + 5 = 17` may well occur inside a longer training problem.
"""

USE = """
## Use

Chat turns are `<|role|>text<|end|>`; three prompts were trained (`harness/prompts.py`): step by step, direct, and self-judgement, the first
two also on REST's several questions. Intended for benchmarking, tests and teaching of inference strategies. Not for answering anyone's
questions.
"""


def text(facts: Mapping[str, Any], accuracy: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `accuracy` as written by `evaluate`; None before it was measured.

    `facts["selection"]`, where there is one, says how this checkpoint was chosen among others: added by hand to training.json.
    """
    chosen = f"{facts['selection']}\n\n" if facts.get("selection") else ""
    return HEAD.format(**facts) + "\n## Accuracy\n\n" + chosen + (_accuracy(accuracy) if accuracy else "Not measured yet.\n") + USE


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    tables = "\n\n".join(map(table, accuracy["tables"]))
    return f"On problems kept from training, with Wilson 95 % intervals.\n\n{tables}\n\n{accuracy['note']}\n"


def table(measured: Mapping[str, Any]) -> str:
    """One table of measured accuracy in Markdown: a row per stratum, a column per mode."""
    modes = measured["modes"]
    strata = list(next(iter(modes.values())))
    lines = [
        f"{measured['title']}:",
        "",
        f"| {measured['strata']} | " + " | ".join(modes) + " |",
        "| --- |" + " --- |" * len(modes),
    ]
    lines += [f"| {stratum} | " + " | ".join(_share(modes[mode][stratum]) for mode in modes) + " |" for stratum in strata]
    return "\n".join(lines)


def _share(cell: Mapping[str, float]) -> str:
    return f"{cell['share']:.1%} ({cell['low']:.1%} to {cell['high']:.1%})"
