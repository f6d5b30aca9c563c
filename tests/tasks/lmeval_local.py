"""Small tasks of lm-eval over local files, of every kind that the bridge takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

PARTS = ((2, 3), (500, 600), (7, 35), (1, 4), (0, 5), (40, 2), (21, 21), (5, 0))
SUMS = [{"question": f"What is {a} + {b}?", "answer": f"Add {b} to {a}: {a + b}.\n#### {a + b:,}"} for a, b in PARTS]
PICKS = [
    {"query": "The sky is", "choices": ["blue", "green as grass in the spring"], "label": 0},
    {"query": "Grass is", "choices": ["a very blue thing indeed", "green"], "label": 1},
    {"query": "Snow is", "choices": ["white", "black", "hot"], "label": 0},
]
ENDINGS = [{"text": "One two three", "last": "four"}, {"text": "Salt and ", "last": "pepper"}, {"text": "Day and", "last": "night"}]
REGEX = {"function": "regex", "regex_pattern": r"#### (\-?[0-9\.\,]+)"}
LAST = {"function": "regex", "group_select": -1, "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)"}
EXACT = {"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}
MEANS = [{"metric": m, "aggregation": "mean", "higher_is_better": True} for m in ("acc", "acc_norm")]


def tasks() -> dict[str, tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Rows and configuration by name; the rows serve as test and as few-shot split."""
    asked = {"doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "{{answer}}", "output_type": "generate_until"}
    until = {"until": ["Question:", "</s>"], "do_sample": False}
    compared = {**EXACT, "ignore_case": True, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]}
    filters = [
        {"name": "strict-match", "filter": [REGEX, {"function": "take_first"}]},
        {"name": "flexible-extract", "filter": [LAST, {"function": "take_first"}]},
    ]
    votes = [
        {"name": "score-first", "filter": [REGEX, {"function": "take_first"}]},
        {"name": "maj@4", "filter": [REGEX, {"function": "majority_vote"}, {"function": "take_first"}]},
        {
            "name": "maj@2",
            "filter": [{"function": "take_first_k", "k": 2}, REGEX, {"function": "majority_vote"}, {"function": "take_first"}],
        },
    ]
    sampled = {"until": ["Question:"], "do_sample": True, "temperature": 0.2, "max_gen_toks": 64}
    choice = {"output_type": "multiple_choice", "doc_to_text": "{{query}}", "doc_to_target": "label", "doc_to_choice": "choices"}
    return {
        "sums": (SUMS, {**asked, "generation_kwargs": until, "metric_list": [compared], "filter_list": filters, "num_fewshot": 1}),
        "plain": (SUMS, {**asked, "doc_to_target": "{{answer.split('#### ')[1]}}", "metric_list": [EXACT]}),
        "votes": (SUMS, {**asked, "generation_kwargs": sampled, "repeats": 4, "metric_list": [compared], "filter_list": votes}),
        "picks": (PICKS, {**choice, "metric_list": MEANS, "num_fewshot": 1}),
        "mutual": (
            PICKS,
            {**choice, "metric_list": [*MEANS, {"metric": "acc_mutual_info", "aggregation": "mean", "higher_is_better": True}]},
        ),
        "endings": (
            ENDINGS,
            {
                "output_type": "loglikelihood",
                "doc_to_text": "{{text}}",
                "doc_to_target": " {{last}}",
                "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}, MEANS[0]],
            },
        ),
    }


def write(folder: Path, name: str, **changes: Any) -> Path:
    """The task `name` as a YAML file beside its data."""
    rows, config = tasks()[name]
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")}
    whole = {"task": f"local_{name}", "dataset_path": "json", "dataset_kwargs": files, "test_split": "test", "fewshot_split": "test"}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**whole, **config, **changes}, sort_keys=False))
    return path
