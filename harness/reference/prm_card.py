"""The model card of `perpass/prm`, written from the facts of its training and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: token-classification
---

# perpass/prm

A tiny process reward model: of each step of an answer, the probability that the answer is right so far. It judges what the reference
models write, word problems and ten procedures of ProcBench, so that every reward-guided strategy runs for real on any machine.

| | |
| --- | --- |
| architecture | LlamaForTokenClassification with one label, stored in float16 |
| parameters | {parameters:,} |
| shape | {layers} layers, hidden {hidden}, {heads} heads of width {head_width}, MLP {intermediate} |
| context | {context} positions (RoPE); trained on at most {longest} tokens |
| licence | Apache-2.0 (weights and training data, both made by this repository) |

## Input

`<|user|>question<|end|><|assistant|>`, then every step followed by a line end. A step is a line, as the reference models write
them. The sigmoid of the score at a step's line end is the verdict on everything up to there; what comes later cannot change it. The step
itself and its line end are tokenised apart from what is around them.

## Training

| | |
| --- | --- |
| command | `{command}` |
| begins with | the weights of `perpass/{base}`: its next-token knowledge is what a verdict is made from |
| data | {solutions:,} solutions sampled from {policies}; a third each at {samplings}; \
{stories:.0%} word problems of 1 to 6 operations, the rest procedures of 2 to 8 steps |
| labels | by the solver: a step is right while it and all before it are the solver's lines. \
{right_solutions:.0%} of the solutions and {right_verdicts:.0%} of the {verdicts:,} steps are right |
| losses | cross-entropy of the verdict at ends of steps, half as much on tokens within steps, half as much on the solver's next token |
| seed | {seed} |
| steps | {steps:,} of about 4,096 tokens, {epochs} epochs, {tokens:,} tokens |
| optimiser | AdamW, peak learning rate {learning_rate}, warm-up then cosine |
| wall time | {minutes:.1f} minutes in {parts} part(s), {threads} thread(s) of a machine shared with other work |
| hardware | {hardware} |
| software | {software} |
| loss | {losses[0]:.4f} at ends of steps, {losses[1]:.4f} within, {losses[2]:.4f} next token: nats, mean of the last 200 steps |

Its {questions:,} training questions come from the training side of the split that the reference models' cards describe; none is among the
{test_questions:,} test questions.

## Measured

"""

USE = """
## Use

`roles: {reward: {model: perpass/prm, engine: transformers}}` in an experiment. It knows the lines of the reference models and nothing
else: of other models' answers its scores say nothing.
"""


def text(facts: Mapping[str, Any], accuracy: Mapping[str, Any] | None) -> str:
    """The card in Markdown. `accuracy` as written by `prm_evaluate`; None before it was measured."""
    return HEAD.format(**facts) + (measured(accuracy) if accuracy else "Not measured yet.\n") + USE


def measured(accuracy: Mapping[str, Any]) -> str:
    """The tables of what was measured, in Markdown."""
    return "\n\n".join(map(table, accuracy["tables"])) + f"\n\n{accuracy['note']}\n"


def table(made: Mapping[str, Any]) -> str:
    """One table: a title, columns and rows of text."""
    lines = [f"{made['title']}:", "", "| " + " | ".join(made["columns"]) + " |", "| --- |" + " ---: |" * (len(made["columns"]) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in made["rows"])])
