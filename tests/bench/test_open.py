"""The shipped experiments for open models: planned anywhere, run only where the models and the GPU are."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest

import tasks
from bench import execute, experiment, plan, resolve
from bench.entries import entry
from energy import flops, hardware
from harness import known, models
from harness.engines import hub
from harness.events import Options
from perpass.errors import UserError
from tests.bench.conftest import Bench

OPEN = [name for name in experiment.shipped() if name.endswith("-open")]
H100 = hardware.Gpu("NVIDIA H100 80GB HBM3", "GPU-1", 79.6)


@pytest.fixture
def data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a few problems of each suite."""
    made = folder / "data"
    gsm8k = [{"question": f"{n} apples and {n} more?", "answer": f"{n} + {n}\n#### {2 * n}"} for n in range(1, 21)]
    math500 = {
        str(n): {"problem": f"${n}+1$?", "solution": "", "answer": f"{n + 1}", "subject": "Algebra", "level": 1, "unique_id": f"test/{n}"}
        for n in range(20)
    }
    label = json.dumps({"init": "ba", "intermediate": ["ba"], "final": "ab"})
    procbench = [{"prompt": "Sort ba", "label": label, "task_name": "task01", "problem_name": f"task01_{n}"} for n in range(20)]
    for file, text in (
        ("gsm8k/test.jsonl", "\n".join(map(json.dumps, gsm8k))),
        ("math/math500.json", json.dumps(math500)),
        ("procbench/sample.jsonl", "\n".join(map(json.dumps, procbench))),
    ):
        (made / file).parent.mkdir(parents=True, exist_ok=True)
        (made / file).write_text(text)
    monkeypatch.setenv("PERPASS_DATA", str(made))
    return made


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a network, a model in its cache, or a GPU."""

    def unreachable(*_: Any, **__: Any) -> NoReturn:
        raise OSError("no network here")

    def nothing(name: str, revision: str | None) -> NoReturn:
        raise hub.Unavailable(f"model {name!r}: the Hugging Face hub cannot be reached and the local cache has no copy")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(hub, "snapshot", nothing)
    gpus(monkeypatch)


def gpus(monkeypatch: pytest.MonkeyPatch, *found: hardware.Gpu) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: list(found))
    monkeypatch.setattr(resolve, "accelerator", lambda: "cuda" if found else "cpu")


@pytest.mark.parametrize("name", OPEN)
def test_every_shipped_experiment_is_planned_anywhere(bench: Bench, alone: None, data: Path, name: str) -> None:
    said = bench("plan", name, "--format", "json")
    assert said.code == 0, said
    told = json.loads(said.out)
    content = experiment.load(name).content
    asked = [spec for value in content.tasks for spec in tasks.unfold(entry(value, name))]
    assert len(told["cells"]) == len(content.models) * len(asked) * len(content.strategies) and not told["skipped"]
    for cell in told["cells"]:
        assert (cell["engine"], cell["hardware"], cell["cell"]) == ("vllm", "H100x1", None)
        assert len(cell["assumed"]) == 2 and "shipped table" in cell["assumed"][0] and "H100x1 as declared" in cell["assumed"][1]
    for quantity in ("calls", "prompt_tokens", "output_tokens", "flop", "seconds", "usd", "joules"):
        low, high = told["estimate"][quantity]["low"], told["estimate"][quantity]["high"]
        assert 0 < low <= high, quantity
    assert "peak rates of H100" in told["estimate"]["basis"]
    assert len({(c["model"], c["task"], c["strategy"]) for c in told["cells"]}) == len(told["cells"])


@pytest.mark.parametrize("name", OPEN)
def test_every_anchor_has_its_cell(alone: None, data: Path, name: str) -> None:
    from bench import published

    made = plan.build(experiment.load(name), planning=True)
    keys = {published.of_cell(cell) for cell in made.cells}
    for one in published.published(made.experiment):
        assert set(one.keys) <= keys
        assert one.anchor.source and one.anchor.note


@pytest.mark.parametrize("name", OPEN)
def test_models_are_pinned_and_in_the_table(name: str) -> None:
    for model in experiment.load(name).content.models:
        assert known.find(model["id"], model["revision"]) is not None and len(model["revision"]) == 40


def test_a_plan_says_what_it_stands_on_and_what_is_published(bench: Bench, alone: None, data: Path) -> None:
    said = bench("plan", "gsm8k-open")
    assert said.code == 0
    assert "Qwen/Qwen3-1.7B from the shipped table, revision 70d244c" in said.out
    assert "hardware H100x1 as declared: this machine has" in said.out
    row = next(line for line in said.out.splitlines() if line.startswith("Qwen/Qwen3-1.7B") and "0.6" in line)
    assert row.endswith("90.22 [3]") and "[3] REST (arXiv:2507.10541)" in said.out


def test_flops_of_a_plan_are_those_of_the_architecture(alone: None, data: Path) -> None:
    from bench import estimate, history

    made = plan.build(experiment.load("gsm8k-open"), planning=True)
    take = estimate.estimate(made.cells, history.History())[0]
    row = known.find("Qwen/Qwen2.5-1.5B-Instruct")
    assert row is not None and take.flop is not None and take.output_tokens is not None
    tokens = take.output_tokens.high / len(made.cells[0].problems)
    least = flops.count(row.config, prompt=1, output=round(tokens)).total
    assert take.flop.high > least * len(made.cells[0].problems)


def test_parameters_of_the_table_are_those_of_the_cards() -> None:
    """Non-embedding parameters as the model cards round them, in billions; the tables of Qwen2.5, Qwen3 and Llama 3.2."""
    cards = {
        "Qwen/Qwen2.5-1.5B-Instruct": 1.31,
        "Qwen/Qwen2.5-Math-1.5B-Instruct": 1.31,
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.31,
        "Qwen/Qwen3-1.7B": 1.4,
        "meta-llama/Llama-3.2-1B-Instruct": 0.97,
    }
    assert sorted(cards) == known.names()
    for name, billions in cards.items():
        row = known.find(name)
        assert row is not None
        assert flops.shape(row.config).linear / 1e9 == pytest.approx(billions, abs=0.012)


def test_a_run_needs_the_gpu_that_is_declared(bench: Bench, folder: Path, alone: None, data: Path) -> None:
    said = bench("run", "gsm8k-open")
    assert said.code == 2 and said.err.count("\n") == 1
    assert "engine vllm is to run on H100x1, but this machine has" in said.err and "--engine vllm runs on what is here" in said.err
    assert not list(folder.glob("*.db*"))


def test_a_run_needs_the_models_own_files(bench: Bench, folder: Path, alone: None, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, H100)
    said = bench("run", "gsm8k-open")
    assert said.code == 2 and said.err.count("\n") == 1 and "the local cache has no copy" in said.err
    assert not list(folder.glob("*.db*"))


def test_a_run_needs_vllm(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "vllm" else spec(name, *rest))
    said = bench("run", "--model", "perpass/nano", "--engine", "vllm", "--task", "arithmetic", "--strategy", "cot")
    assert said.code == 2 and said.err.startswith("error: engine vllm needs vLLM: pip install 'perpass[vllm]'")
    assert not list(folder.glob("*.db*"))


def test_a_plan_that_assumed_something_is_never_run(alone: None, data: Path) -> None:
    made = plan.build(experiment.load("gsm8k-open"), planning=True)
    with pytest.raises(UserError, match="a run cannot stand on .*shipped table"):
        execute.check(made, Options())


def declared(monkeypatch: pytest.MonkeyPatch, *found: hardware.Gpu, name: str = "H100x1", planning: bool = False) -> plan.Plan:
    gpus(monkeypatch, *found)
    engine = {"kind": "transformers", "hardware": name}
    content = {"models": ["perpass/nano"], "engines": [engine], "tasks": ["arithmetic"], "strategies": ["cot"], "limit": 1}
    return plan.build(experiment.load(content), planning)


def test_declared_hardware_that_is_here_is_metered(monkeypatch: pytest.MonkeyPatch) -> None:
    made = declared(monkeypatch, H100)
    assert made.cells[0].policy.hardware.found and made.cells[0].policy.hardware.uuids == ("GPU-1",)
    assert not made.assumed


@pytest.mark.parametrize(
    ("found", "name"),
    [((), "H100x1"), ((H100,), "H100x2"), ((H100, H100), "H100x1"), ((hardware.Gpu("NVIDIA L4", "GPU-2", 23.0),), "H100x1")],
)
def test_declared_hardware_that_is_not_here(monkeypatch: pytest.MonkeyPatch, found: tuple[hardware.Gpu, ...], name: str) -> None:
    with pytest.raises(UserError, match=f"is to run on {name}, but this machine has"):
        declared(monkeypatch, *found, name=name)
    made = declared(monkeypatch, *found, name=name, planning=True)
    assert made.cells[0].policy.hardware.label == name and made.assumptions(made.cells[0])


def test_a_gpu_that_no_table_knows_is_what_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    made = declared(monkeypatch, hardware.Gpu("NVIDIA H100 NVL", "GPU-3", 94.0))
    assert made.cells[0].policy.hardware.label == "H100x1" and not made.cells[0].policy.hardware.found


def test_the_table_is_for_planning_and_its_own_revision(alone: None) -> None:
    spec = {"id": "Qwen/Qwen3-1.7B", "revision": "70d244cc86ccca08cf5af4e1e306ecf908b1ad5e", "dtype": "bfloat16"}
    model = models.resolve(spec, planning=True)
    assert (model.dtype, model.context, model.path) == ("bfloat16", 40960, None)
    assert model.think == ("<think>", "</think>") and model.facts == "the shipped table, revision 70d244c"
    assert models.resolve(spec | {"think": False}, planning=True).think is None
    for bad, planning in ((spec, False), (spec | {"revision": "0" * 40}, True), ({"id": "Qwen/Qwen3-0.6B"}, True)):
        with pytest.raises(hub.Unavailable):
            models.resolve(bad, planning=planning)
