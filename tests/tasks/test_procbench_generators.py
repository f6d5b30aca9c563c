"""ProcBench's generators: balanced, different, held out, and for the reference models' ten the same for ever."""

from __future__ import annotations

import hashlib
import json
import random
from itertools import islice
from pathlib import Path

import pytest
import yaml

import tasks
from perpass.errors import UserError
from tasks.procbench.kinds import Kind, kinds
from tasks.procbench.procedures import PROCEDURES, REFERENCE, problems
from tasks.procbench.task import asked
from tasks.procbench.templates import templates

GENERATED = {"kind": "procbench", "source": "generated"}
# Digests of what a random state draws. The reference models hold problems out by their text: these must not change.
DRAWN = {
    "Substitute": "78eda6dd3f639487",
    "Rhythm": "ec5fdba1be59a5fe",
    "Compare": "857b105147c00e51",
    "Decode": "933790a81ff8eb83",
    "PushPop": "d794676d60bb58ac",
    "FillWord": "5877580f9a6e7d93",
    "DeleteChar": "92e6128f66b96e47",
    "DeleteWord": "92e686660a106abe",
    "Cumulate": "74bd80ecc00df132",
    "FindCyclic": "fedf779a3aecaa50",
}


def test_the_procedures_are_the_official_ones_in_their_order():
    assert list(PROCEDURES) == list(templates()) and [p.number for p in PROCEDURES.values()] == list(range(1, 24))
    assert list(DRAWN) == list(REFERENCE)


@pytest.mark.parametrize("name", REFERENCE)
def test_what_the_reference_models_are_trained_on_stays_the_same(name):
    rng, digest = random.Random(f"golden {name}"), hashlib.sha256()
    for steps in range(2, 26):
        for _ in range(5):
            drawn = PROCEDURES[name].draw(rng, steps)
            digest.update(json.dumps([drawn.procedure, drawn.data, drawn.label]).encode())
    assert digest.hexdigest()[:16] == DRAWN[name]


@pytest.mark.parametrize("name", PROCEDURES)
def test_states_are_of_the_official_kinds(name, published):
    """The same kinds as in the official labels, which are checked here too."""
    official = tasks.load({"kind": "procbench", "procedures": [name]}).problems()
    labels = [json.loads(p.meta["label"]) for p in official] + [PROCEDURES[name].draw(random.Random(s), 2 + s).label for s in range(24)]
    for told in labels:
        for state, kind in [*((s, kinds(name)[0]) for s in told["intermediate"]), (told["final"], kinds(name)[1])]:
            element = {Kind.NUMBER: int, Kind.NUMBERS: int}.get(kind, str)
            assert isinstance(state, list) == kind.listed
            assert all(type(e) is element for e in (state if kind.listed else [state]))


def test_generated_problems_are_balanced_different_and_held_out():
    task = tasks.load(GENERATED | {"steps": [2, 4], "size": 345})
    found = task.problems()
    assert len({p.question for p in found}) == 345
    counts = {(name, str(n)): 0 for name in PROCEDURES for n in range(2, 5)}
    for p in found:
        counts[p.meta["procedure"], p.meta["steps"]] += 1
    assert set(counts.values()) == {5}
    assert all(p.question.startswith(templates()[p.meta["procedure"]] + "\n[Question]\n") for p in found)
    larger = {p.key: p.question for p in tasks.load(GENERATED | {"steps": [2, 4], "size": 414}).problems()}
    assert all(larger[p.key] == p.question for p in found)
    assert tasks.load(task.spec).problems() == found
    trained = {asked(d, "official") for name in PROCEDURES for d in islice(problems(random.Random(1), name, 2, held_out=False), 200)}
    assert not trained & {p.question for p in found}


def test_the_reference_models_procedures_by_one_name():
    task = tasks.load(GENERATED | {"procedures": "reference", "instructions": "brief", "steps": [2, 8], "size": 700, "seed": 3})
    assert task.spec["procedures"] == list(REFERENCE) and task.version == 1
    digest = hashlib.sha256(json.dumps([(p.key, p.question, p.meta) for p in task.problems()]).encode()).hexdigest()
    assert digest == "71bac5d6ca0bce6803d568725aeb3ba15174dd4e5611041b8fce5a2739b4488a"


def test_a_size_that_different_problems_cannot_fill():
    task = tasks.load(GENERATED | {"procedures": ["Encode"], "steps": [2, 2], "size": 500})
    with pytest.raises(UserError, match="only 1[0-9] different problems of Encode with 2 steps"):
        task.problems()


def test_reference_models_are_asked_only_what_they_are_trained_on():
    shipped = [yaml.safe_load(path.read_text()) for path in (Path(tasks.__file__).parents[1] / "bench/experiments").glob("*.yaml")]
    ours = [one for one in shipped if any(str(model).startswith("perpass/") for model in one["models"])]
    asked = [task for one in ours for task in one["tasks"] if isinstance(task, dict) and task["kind"] == "procbench"]
    assert ours and all(tasks.load(task).spec["procedures"] == list(REFERENCE) for task in asked)
