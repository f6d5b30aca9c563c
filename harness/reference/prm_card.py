"""The model card of `perpass/prm`, written from the facts of its training and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEAD = """---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# perpass/prm

A tiny process reward model: of each step of an answer, the probability that the answer is right so far. It judges what the reference
models write, word problems and ten procedures of ProcBench, so that every reward-guided strategy runs for real on any machine.

| | |
| --- | --- |
| architecture | LlamaForCausalLM, tied embeddings, stored in float16 |
| parameters | {parameters:,} |
| shape | {layers} layers, hidden {hidden}, {heads} heads of width {head_width}, MLP {intermediate} |
| context | {context} positions (RoPE); trained on at most {longest} tokens |
| licence | Apache-2.0 (weights and training data, both made by this repository) |

## Input and verdict

The user turn is the question with "Please reason step by step. Put your final answer within \\boxed{{}}.", the open answer the steps, each
followed by a line end and tokenised apart. A step is a line, as the reference models write them. The verdict on a step is
sigmoid({scale:.2f} × m + {shift:.2f}), where m is the log-probability of the least likely token up to the step's end; an end counts as the
line end or the end of the answer. So what comes later cannot change a verdict, and no verdict is above an earlier one.

## Training

| | |
| --- | --- |
| command | `{command}` |
| begins with | the weights of `perpass/{base}`, which know how the solver goes on |
| data | {solutions:,} solutions sampled from {policies}; a third each at {samplings}; \
{stories:.0%} word problems of 1 to 6 operations, the rest procedures of 2 to 8 steps |
| labels | by the solver: a step is right while it and all before it are the solver's lines. \
{right_solutions:.0%} of the solutions and {right_verdicts:.0%} of the {verdicts:,} steps are right |
| losses | cross-entropy of the solver's next token behind everything that is right so far, the place of the first error included; and, \
less, of verdicts at ends of steps |
| seed | {seed} |
| steps | {steps:,} of about 4,096 tokens, {epochs} epoch(s), {tokens:,} tokens |
| optimiser | AdamW, peak learning rate {learning_rate}, warm-up then cosine |
| wall time | {minutes:.1f} minutes in {parts} part(s), {threads} thread(s) of a machine shared with other work |
| hardware | {hardware} |
| software | {software} |
| loss | {loss} (nats, mean of the last 200 steps) |
| calibration | scale and shift by logistic regression on {calibrating:,} solutions that the weights were not trained on |

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
