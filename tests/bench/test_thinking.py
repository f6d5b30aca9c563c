"""A thinking model from the experiment file to the report: its markers, its switch, its budgets, and what went above them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import models
from tests.bench.conftest import Bench

TEMPLATE = (
    "{%- for message in messages -%}{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}"
    "{%- if enable_thinking is not defined or enable_thinking -%}{{- '<think>\\n' -}}{%- else -%}{{- '<think>\\n\\n</think>\\n\\n' -}}"
    "{%- endif -%}{%- endif -%}"
)
EXPERIMENT = """\
name: thinkers
models: [{model}]
tasks: [{{kind: arithmetic, size: 4}}]
strategies:
  - cot
  - {{kind: cot, thinking: false}}
  - {{kind: budget_forcing, max_thinking: [8, 400]}}
  - {{kind: thinking_tokens, max_thinking: 60, most: 2}}
  - {{kind: token_budget, max_output: 20}}
  - {{kind: thinking_off_vote, n: 2}}
  - joint_thinking
sampling: {{max_tokens: 96}}
"""


@pytest.fixture
def thinkers(folder: Path) -> Path:
    """perpass/nano, whose chat template opens a thought unless it is told not to. It ends a thought as it ends an answer."""
    if "perpass/nano" not in models.shipped():
        pytest.skip("the reference model is not there")
    model = folder / "thinker"
    shutil.copytree(models.SHIPPED / "nano", model)
    settings = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}))
    path = folder / "thinkers.yaml"
    path.write_text(EXPERIMENT.format(model=model))
    return path


def test_thinking_is_switched_counted_apart_and_held_to_its_budget(bench: Bench, thinkers: Path) -> None:
    said = bench("run", "thinkers.yaml")
    assert said.code == 0, said
    rows = json.loads(bench("report", "thinkers.yaml", "--format", "json").out)
    assert len(rows) == 8 and not any(row["outcomes"].get("error") for row in rows)
    by = {(row["strategy"], str(row["sampling"]["thinking"])): row for row in rows}
    assert {thinking for name, thinking in by if name.startswith("cot")} == {"None", "False"}
    budgets = {row["strategy"]: row["budget"] for row in rows if "budget" in row}
    assert len(budgets) == 4 and all(b["attempts"] == 4 and not b["reasons"] for b in budgets.values())
    forced = [b for name, b in budgets.items() if "max_thinking" in name]
    assert len(forced) == 3 and all(b["overshoot_tokens"] == 0 < b["used_tokens"] <= b["budget"] for b in forced)
    told = next(b for b in budgets.values() if b["counted"] == "output")
    assert told["over_share"] > 0 and told["most_over_tokens"] >= told["overshoot_tokens"] > 0  # it does not know what it is told
    table = bench("report", "thinkers.yaml").out
    assert "token budgets" in table and "20 output" in table and "8 reasoning" in table


def reasoning(bench: Bench, cell: str) -> list[tuple[int, int]]:
    told = json.loads(bench("show", cell, "--format", "json").out)
    numbers = [number for some in told["attempts"].values() for number in some]
    ledgers = [json.loads(bench("show", str(number), "--format", "json").out)["ledger"] for number in numbers]
    return [(sum(entry["reasoning"] for entry in ledger), sum(entry["output"] for entry in ledger)) for ledger in ledgers]


def test_what_a_switch_and_a_filled_in_thought_leave_to_think(bench: Bench, thinkers: Path) -> None:
    assert bench("run", "thinkers.yaml").code == 0
    rows = json.loads(bench("report", "thinkers.yaml", "--format", "json").out)
    for row in rows:
        spent = reasoning(bench, row["cell"])
        if row["strategy"].startswith("cot"):
            assert all((0 if row["sampling"]["thinking"] is False else output) == thought for thought, output in spent)
        if row["strategy"].startswith("thinking_off_vote"):
            assert all(thought == 0 < output for thought, output in spent)
        if "max_thinking=8" in row["strategy"]:
            number = next(iter(json.loads(bench("show", row["cell"], "--format", "json").out)["attempts"].values()))[0]
            page = bench("show", str(number)).out
            assert "budget of 8 reasoning tokens: 8 used, none above it" in page
