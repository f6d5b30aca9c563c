"""The store: what is written once, what a kill leaves, what comes back."""

from __future__ import annotations

import dataclasses
import math
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perpass.errors import PerPassError
from perpass.identity import content_hash
from results import database, writing
from results.records import Use
from results.store import Store
from results.writing import Written
from tests.results.builders import World, cell_key, problems


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def rows(world: World, table: str) -> list[dict[str, Any]]:
    with world.engine.connect() as connection:
        return [dict(r) for r in connection.execute(sa.text(f'SELECT * FROM "{table}"')).mappings()]


def counters(world: World) -> dict[str, int]:
    (cell,) = rows(world, "cell")
    return {name: cell[name] for name in writing.COUNTERS}


# --- identities and cells


def test_an_identity_has_one_row_whatever_the_order_of_its_keys(world: World) -> None:
    first = world.store.model_id({"name": "m", "revision": "r"})
    assert world.store.model_id({"revision": "r", "name": "m"}) == first
    assert Store(world.engine).model_id({"name": "m", "revision": "r"}) == first
    assert world.store.model_id({"name": "m", "revision": "other"}) != first
    assert [(r["name"], r["revision"]) for r in rows(world, "model")] == [("m", "r"), ("m", "other")]


def test_a_cell_is_one_row_per_series_under_one_public_name(world: World) -> None:
    key = cell_key()
    main = world.store.cell(key, "main", "demo", None, 1)
    assert world.store.cell(key, "main", "demo", None, 1) == main
    nightly = world.store.cell(key, "nightly", "demo", None, 1)
    assert nightly.id != main.id and nightly.name == main.name == content_hash(key)[:10]
    assert world.store.cell(cell_key(seed=1), "main", "demo", None, 1).name != main.name


def test_a_cell_knows_every_experiment_that_contains_it(world: World) -> None:
    key = cell_key()
    world.store.cell(key, "main", "demo", 20, 1)
    world.store.cell(key, "main", "full", None, 4)
    world.store.cell(key, "main", "demo", 30, 2)
    with world.engine.connect() as connection:
        found = connection.execute(sa.select(sa.column("experiments", sa.JSON)).select_from(sa.table("cell"))).scalar_one()
    assert found == {"demo": {"limit": 30, "trials": 2}, "full": {"limit": None, "trials": 4}}


def test_a_code_is_kept_once(world: World) -> None:
    row = world.cell(cell_key())
    for code in ("resumed", "mixed_environment", "resumed"):
        world.store.add_code(row.id, code)
    assert rows(world, "cell")[0]["codes"] == '["resumed", "mixed_environment"]'


# --- problems


def test_problems_keep_their_ids_and_order(world: World) -> None:
    task = world.store.task_id(cell_key().task)
    some = world.store.problem_ids(task, problems(3))
    more = world.store.problem_ids(task, problems(5))
    assert {k: more[k] for k in some} == some
    assert [r["ordinal"] for r in rows(world, "problem")] == [0, 1, 2, 3, 4]


def test_a_problem_that_changed_under_its_key_is_an_error_that_says_what_to_do(world: World) -> None:
    task = world.store.task_id(cell_key().task)
    world.store.problem_ids(task, problems(2))
    changed = [problems(1)[0], dataclasses.replace(problems(2)[1], gold=("9",))]
    with pytest.raises(PerPassError, match="problem 'p1' of task 'sums'.*raise the task's version"):
        world.store.problem_ids(task, changed)
    other = world.store.task_id({**cell_key().task, "version": 2})
    assert set(world.store.problem_ids(other, changed)) == {"p0", "p1"}


def test_meta_is_no_part_of_what_a_problem_asks(world: World) -> None:
    task = world.store.task_id(cell_key().task)
    ids = world.store.problem_ids(task, problems(1))
    assert world.store.problem_ids(task, [dataclasses.replace(problems(1)[0], meta={"level": "3"})]) == ids


def test_two_problems_under_one_key_are_refused(world: World) -> None:
    with pytest.raises(PerPassError, match="keys must be unique"):
        world.store.problem_ids(world.store.task_id(cell_key().task), [*problems(1), *problems(1)])


# --- samples


def whole(world: World) -> Any:
    key = cell_key()
    row = world.cell(key)
    return world.sample(
        key,
        "pool:0:0",
        world.ids[row.name]["p0"],
        pool="f" * 64,
        position=0,
        text="naïve “quotes” \ud800 ∑",
        token_ids=(0, 5, 2**31 - 1),
        logprobs=(0.0, -1.5, -math.inf),
        confidence=(0.25, 4.0, 8.5),
    )


def test_a_sample_comes_back_whole(world: World) -> None:
    sample = whole(world)
    world.store.write([sample])
    assert world.store.pool("f" * 64, 0) == [sample]
    assert world.store.samples(["pool:0:0", "nowhere"]) == {"pool:0:0": sample}


def test_token_ids_that_equal_log_probabilities_stay_integers(world: World) -> None:
    sample = dataclasses.replace(whole(world), token_ids=(0, 1), logprobs=(0.0, 1.0), confidence=(0.0, 1.0))
    world.store.write([sample])
    (back,) = world.store.pool("f" * 64)
    assert back.token_ids is not None and all(type(t) is int for t in back.token_ids)
    assert back.logprobs is not None and all(type(p) is float for p in back.logprobs)


def test_what_was_not_observed_comes_back_as_none(world: World) -> None:
    sample = dataclasses.replace(whole(world), token_ids=None, logprobs=None, confidence=None, first=None, flop_linear=None)
    world.store.write([sample])
    assert world.store.pool("f" * 64) == [sample]


def test_reward_scores_come_back_with_their_gaps(world: World) -> None:
    sample = dataclasses.replace(whole(world), key="r", kind="reward", pool=None, position=None, scores=(0.5, None, 1.0))
    world.store.write([sample])
    world.store.write([sample])
    assert world.store.samples(["r"])["r"].scores == (0.5, None, 1.0)


def test_a_pool_is_read_by_trial_and_position(world: World) -> None:
    sample = whole(world)
    made = [dataclasses.replace(sample, key=f"{t}:{p}", trial=t, position=p) for t in (1, 0) for p in (2, 0, 1)]
    world.store.write(made)
    assert [s.key for s in world.store.pool("f" * 64, 1)] == ["1:0", "1:1", "1:2"]
    assert [s.key for s in world.store.pool("f" * 64)] == ["0:0", "0:1", "0:2", "1:0", "1:1", "1:2"]
    assert world.store.pool("another") == []


def test_each_text_is_stored_once_compressed(world: World) -> None:
    sample = dataclasses.replace(whole(world), text="same " * 1000)
    world.store.write([dataclasses.replace(sample, key=str(n)) for n in range(50)])
    world.store.write([dataclasses.replace(sample, key=str(n)) for n in range(50, 60)])
    texts = [r for r in rows(world, "text") if r["size"] == 5000]
    assert len(texts) == 1 and len(texts[0]["data"]) < 100


# --- writing twice, resuming


def test_writing_the_same_batch_again_changes_nothing(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    sample = world.sample(key, "s", world.ids[row.name]["p0"])
    batch = ([sample], [world.attempt(row, key, "p0", ["correct"], [sample])], [world.window(0, 30, 5.0)])
    assert world.store.write(*batch) == Written(1, 1, 1)
    before = {t: rows(world, t) for t in ("sample", "attempt", "judgement", "ledger", "attempt_sample", "window", "cell", "text")}
    assert world.store.write(*batch) == Written(0, 0, 0)
    assert {t: rows(world, t) for t in before} == before


def test_the_first_sample_under_a_key_stays(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    first = world.sample(key, "s", world.ids[row.name]["p0"], text="first")
    world.store.write([first, dataclasses.replace(first, text="second")])
    world.store.write([dataclasses.replace(first, text="third")])
    assert world.store.samples(["s"])["s"].text == "first"


def test_an_error_is_tried_again_and_replaced_a_result_is_not(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    p0 = world.ids[row.name]["p0"]
    failed, worked, late = (world.sample(key, name, p0) for name in ("a", "b", "c"))
    world.store.write([failed], [world.attempt(row, key, "p0", ["error"], [failed], error="TransportFault: refused")])
    assert world.store.finished(row.id) == set()
    assert counters(world) == {"problems": 1, "attempts": 1, "items": 1, "correct": 0, "errors": 1}
    world.store.write([worked], [world.attempt(row, key, "p0", ["correct"], [worked])])
    assert world.store.finished(row.id) == {(p0, 0)}
    assert counters(world) == {"problems": 1, "attempts": 1, "items": 1, "correct": 1, "errors": 0}
    world.store.write([late], [world.attempt(row, key, "p0", ["wrong"], [late])])
    world.store.write([], [world.attempt(row, key, "p0", ["error"], [], error="again")])
    assert counters(world)["correct"] == 1
    assert len(rows(world, "judgement")) == len(rows(world, "ledger")) == len(rows(world, "attempt_sample")) == 1
    assert len(rows(world, "sample")) == 3  # what the failed try and the late one made was spent, and is kept


def test_two_records_of_one_attempt_in_a_batch_leave_the_good_one(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    sample = world.sample(key, "s", world.ids[row.name]["p0"])
    bad = world.attempt(row, key, "p0", ["error"], [], error="refused")
    good = world.attempt(row, key, "p0", ["correct"], [sample])
    assert world.store.write([sample], [bad, good, bad]).attempts == 1
    assert counters(world)["correct"] == 1


def test_an_attempt_may_use_samples_written_before(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    pooled = [world.sample(key, f"pool:0:{n}", world.ids[row.name]["p0"], pool="p", position=n) for n in range(3)]
    world.store.write(pooled)
    world.store.write([], [world.attempt(row, key, "p0", ["correct"], pooled)])
    ((attempt_id,),) = [(r["id"],) for r in rows(world, "attempt")]
    used = world.store.attempt_samples(attempt_id)
    assert [u for u, _ in used] == [Use(f"pool:0:{n}", n, "policy", 20, 0, 1.0, n == 2) for n in range(3)]
    assert [s for _, s in used] == pooled


def test_a_sample_that_is_nowhere_stops_the_whole_batch(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    there, missing = (world.sample(key, n, world.ids[row.name]["p0"]) for n in ("there", "missing"))
    with pytest.raises(PerPassError, match="'missing', which is neither stored nor in the batch"):
        world.store.write([there], [world.attempt(row, key, "p0", ["correct"], [there, missing])])
    assert rows(world, "sample") == rows(world, "attempt") == []


def test_an_outcome_that_does_not_exist_is_refused(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    with pytest.raises(PerPassError, match="outcome 'right'"):
        world.store.write([], [world.attempt(row, key, "p0", ["right"], [])])


def test_windows_of_one_reading_are_one_row_per_device(world: World) -> None:
    windows = [world.window(0, 30, 1.0), world.window(0, 30, 2.0, device="package-1"), world.window(0, 30, 9.0, domain="dram")]
    assert world.store.write(windows=[*windows, windows[0]]).windows == 3


def test_writers_in_two_threads_lose_and_double_nothing(world: World) -> None:
    key = cell_key()
    row = world.cell(key, 40)
    samples = {p: world.sample(key, p, n) for p, n in world.ids[row.name].items()}
    attempts = {p: world.attempt(row, key, p, ["correct"], [s]) for p, s in samples.items()}

    def write(names: list[str]) -> None:
        for name in names:
            world.store.write([samples[name]], [attempts[name]])

    threads = [threading.Thread(target=write, args=(names,)) for names in (list(samples), list(reversed(samples)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters(world) == {"problems": 40, "attempts": 40, "items": 40, "correct": 40, "errors": 0}
    assert len(rows(world, "ledger")) == len(rows(world, "sample")) == 40


OUTCOME = st.sampled_from(["correct", "wrong", "error"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), OUTCOME), max_size=8), max_size=6),
)
def test_whatever_is_written_in_whatever_batches_the_counters_are_true(tmp_path_factory: pytest.TempPathFactory, batches: Any) -> None:
    world = World.make(tmp_path_factory.mktemp("db") / "perpass.db")
    key = cell_key()
    row = world.cell(key)
    for batch in batches:
        attempts = [
            world.attempt(row, key, f"p{problem}", [outcome], [], trial, error="refused" if outcome == "error" else None)
            for problem, trial, outcome in batch
        ]
        world.store.write([], attempts)
    advanced = counters(world)
    with database.transaction(world.engine) as connection:
        writing.count(connection, [row.id])
    assert advanced == counters(world)
    first: dict[tuple[int, int], str] = {}
    for problem, trial, outcome in (a for batch in batches for a in batch):
        if first.get((problem, trial), "error") == "error":
            first[problem, trial] = outcome
    assert advanced["correct"] == sum(o == "correct" for o in first.values())
    assert advanced["errors"] == sum(o == "error" for o in first.values())
    assert len(world.store.finished(row.id)) == sum(o != "error" for o in first.values())
    world.engine.dispose()


def test_a_run_keeps_its_environment_and_ends(world: World) -> None:
    key = cell_key()
    row = world.cell(key)
    world.solve(row, key, {"p0": ["correct"]})
    assert world.store.environments(row.id) == [{"python": "3.11"}]
    assert world.store.judges(row.id) == {"exact-1": 1}
    world.store.end_run(world.run_id, "done")
    (run,) = rows(world, "run")
    assert run["status"] == "done" and run["ended"] >= run["started"] and not run["settled"]
