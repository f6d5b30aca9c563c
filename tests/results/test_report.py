"""The report against numbers worked out by hand."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from perpass.errors import PerPassError, UserError
from results import energy, report, table
from results.prices import PriceBook
from tests.results.builders import World, cell_key

BOOK = """
token: [{subject: shop/small, input: 10, cached: 5, output: 20, date: 2026-01-01, source: the shop's list}]
hardware: [{subject: Box, usd_per_device_hour: 3.6, date: 2026-01-01, source: the shop's list}]
energy: [{subject: US, usd_per_kwh: 0.36, date: 2026-01-01, source: the shop's list}]
"""
CALL_USD = (100 * 10 + 20 * 20) / 1e6  # 100 prompt and 20 output tokens


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "book.yaml"
    path.write_text(BOOK)
    return PriceBook.load(path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db")


def key(strategy: str = "cot", **changes: Any) -> Any:
    return cell_key("shop/small", strategy, **{"hardware": {"name": "Box", "count": 1}, **changes})


def settle(world: World, joules: float) -> None:
    """One window over everything so far: every call has the same FLOPs, so each takes the same."""
    world.store.write(windows=[world.window(0, world.clock + 1, joules)])
    energy.settle(world.engine, world.run_id)


def one(world: World, book: PriceBook, **options: Any) -> report.Row:
    (row,) = report.rows(world.engine, book=book, **options)
    return row


def by_strategy(world: World, book: PriceBook, **options: Any) -> dict[str, report.Row]:
    return {row["strategy"]: row for row in report.rows(world.engine, book=book, **options)}


def test_a_cell_worked_out_by_hand(world: World, book: PriceBook) -> None:
    cell = world.cell(key(), 2)
    world.solve(cell, key(), {"p0": ["correct", "wrong"], "p1": ["correct", "correct"]})
    settle(world, 8.0)
    row = one(world, book)
    assert {f: row[f] for f in ("cell", "series", "experiment", "model", "engine", "hardware", "strategy", "task", "mode")} == {
        "cell": cell.name,
        "series": "main",
        "experiment": "demo",
        "model": "shop/small",
        "engine": "transformers",
        "hardware": "Boxx1",
        "strategy": "cot",
        "task": "sums",
        "mode": "pooled",
    }
    assert (row["problems"], row["attempts"], row["items"], row["partial"]) == (2, 4, 4, False)
    assert row["outcomes"] == {"correct": 3, "wrong": 1}
    assert row["accuracy"] == 0.75 and row["accuracy_low"] <= 0.75 <= row["accuracy_high"]
    assert (row["prompt_tokens"], row["cached_tokens"], row["output_tokens"], row["serial_tokens"], row["flop"]) == (100, 0, 20, 20, 1000)
    assert (row["energy_j"], row["energy_source"], row["energy_valid"]) == (2.0, "rapl_counter", True)
    assert (row["latency_p50_s"], row["latency_p90_s"], row["ttft_p50_s"]) == (1.0, 1.0, 0.25)
    seconds = (world.clock + 1) / 4  # of the window, per attempt
    assert row["token_cost_usd"] == pytest.approx(CALL_USD)
    assert row["hardware_cost_usd"] == pytest.approx(seconds * 3.6 / 3600)
    assert row["energy_cost_usd"] == pytest.approx(2 * 0.36 / 3.6e6)
    assert (row["cost_basis"], row["cost_usd"]) == ("hardware", row["hardware_cost_usd"])
    assert row["cost_per_correct_usd"] == pytest.approx(4 * row["cost_usd"] / 3)
    assert row["cost_of_pass_usd"] == pytest.approx((row["cost_usd"] / 0.5 + row["cost_usd"]) / 2)
    assert row["energy_of_pass_j"] == pytest.approx((2 / 0.5 + 2) / 2)
    assert row["flop_of_pass"] == pytest.approx(1500) and row["tokens_of_pass"] == pytest.approx(180)
    assert row["latency_of_pass_s"] == pytest.approx(1.5) and row["unsolved_share"] == 0.0
    assert row["frontier"] and row["frontier_axes"] == ["accuracy", "flop"]
    assert row["reasons"]["latency_p50_s"] == "shared_load" and row["reasons"]["cost_of_pass_with_human_usd"] == "no_human_price"
    assert set(report.FIELDS) == set(row)


def test_an_unsolved_problem_makes_of_pass_infinite_and_json_says_inf(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 2), key(), {"p0": ["correct"], "p1": ["wrong"]})
    row = one(world, book, cost_basis="token")
    assert row["cost_of_pass_usd"] == row["flop_of_pass"] == math.inf and row["unsolved_share"] == 0.5
    assert row["cost_per_correct_usd"] == pytest.approx(2 * CALL_USD)
    (shown,) = json.loads(table.render([row], "json"), parse_constant=pytest.fail)
    assert shown["cost_of_pass_usd"] == "inf" and shown["energy_j"] is None


def test_the_human_bounds_cost_of_pass_where_the_paper_has_a_price(world: World, book: PriceBook) -> None:
    gsm8k = key(task="gsm8k")
    world.solve(world.cell(gsm8k, 2), gsm8k, {"p0": ["correct"], "p1": ["wrong"]})
    row = one(world, book, cost_basis="token")
    assert row["cost_of_pass_with_human_usd"] == pytest.approx((CALL_USD + 3.5) / 2)
    assert "cost_of_pass_with_human_usd" not in row["reasons"]


def test_errors_are_counted_shown_and_never_wrong(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 2), key(), {"p0": ["correct", "error"], "p1": ["wrong", "correct"]})
    row = one(world, book, cost_basis="token")
    assert row["accuracy"] == pytest.approx(2 / 3) and row["outcomes"]["error"] == 1 and row["attempts"] == 4
    assert row["cost_usd"] == pytest.approx(CALL_USD) and row["cost_per_correct_usd"] == pytest.approx(3 * CALL_USD / 2)
    assert row["partial"] and row["reasons"]["partial"] == "errors" and not row["frontier"]


def test_one_error_in_a_hundred_is_not_partial(world: World, book: PriceBook) -> None:
    outcomes = {f"p{n}": ["correct"] for n in range(99)} | {"p99": ["error"]}
    world.solve(world.cell(key(), 100), key(), outcomes)
    assert not one(world, book)["partial"]


def test_nothing_but_errors_has_no_accuracy(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 1), key(), {"p0": ["error"]})
    row = one(world, book)
    assert row["accuracy"] is None and row["reasons"]["accuracy"] == "all_errors" and row["partial"]


def test_a_cell_that_was_never_run_is_a_row_of_nothing(world: World, book: PriceBook) -> None:
    world.cell(key(), 2)
    row = one(world, book)
    assert row["attempts"] == 0 and row["partial"] and row["reasons"]["partial"] == "no_attempts"
    unknown = {f for f in report.NUMBERS if row[f] is None}
    assert unknown <= set(row["reasons"]) and "flop" in unknown
    assert json.loads(table.render([row], "json"))


def test_every_null_has_its_reason(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 2), key(), {"p0": ["correct"], "p1": ["wrong"]}, flop_linear=None)
    settle(world, 8.0)
    row = one(world, book)
    assert {f for f in report.FIELDS if row[f] is None} <= set(row["reasons"])
    assert row["reasons"]["flop"] == row["reasons"]["energy_j"] == row["reasons"]["hardware_cost_usd"] == "unknown_architecture"
    assert row["reasons"]["frontier"] == "flop: unknown_architecture"


def test_the_problems_cost_is_split_evenly_over_its_items(world: World, book: PriceBook) -> None:
    cell = world.cell(key(), 2, items=2)
    ids = world.ids[cell.name]
    samples = {p: world.sample(key(), p, ids[p]) for p in ("p0", "p1")}
    attempts = [
        world.attempt(cell, key(), "p0", ["correct", "wrong"], [samples["p0"]]),
        world.attempt(cell, key(), "p1", ["correct", "correct"], [samples["p1"]]),
    ]
    world.store.write(list(samples.values()), attempts)
    row = one(world, book, cost_basis="token")
    assert (row["items"], row["accuracy"]) == (4, 0.75)
    assert row["cost_usd"] == pytest.approx(CALL_USD / 2) and row["output_tokens"] == 10 and row["flop"] == 500
    assert row["cost_of_pass_usd"] == pytest.approx((CALL_USD / 2 / 0.5 + CALL_USD / 2) / 2)


def test_every_role_is_charged_at_its_own_price_but_the_grader(world: World, book: PriceBook) -> None:
    cell = world.cell(key("judged"), 1)
    p0 = world.ids[cell.name]["p0"]
    policy = world.sample(key(), "policy", p0)
    judge = world.sample(key(), "judge", p0, role="judge", kind="score", output_tokens=0, scored_tokens=50)
    grader = world.sample(key(), "grader", p0, role="grader")
    world.store.write([policy, judge, grader], [world.attempt(cell, key(), "p0", ["correct"], [policy, judge, grader])])
    row = one(world, book, cost_basis="token")
    assert row["token_cost_usd"] == pytest.approx(CALL_USD + 150 * 10 / 1e6)
    assert (row["prompt_tokens"], row["output_tokens"]) == (200, 20)


def test_a_role_without_a_price_leaves_the_whole_unknown(world: World, book: PriceBook) -> None:
    cell = world.cell(key("judged"), 1)
    p0 = world.ids[cell.name]["p0"]
    policy = world.sample(key(), "policy", p0)
    judge = world.sample(cell_key("free/judge"), "judge", p0, role="judge")
    world.store.write([policy, judge], [world.attempt(cell, key(), "p0", ["correct"], [policy, judge])])
    row = one(world, book, cost_basis="token")
    assert row["token_cost_usd"] is None and row["reasons"]["cost_usd"] == "no_price"


def test_a_lost_window_leaves_the_mean_and_marks_the_cell(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 2), key(), {"p0": ["correct"], "p1": ["correct"]})
    world.store.write(windows=[world.window(999, 1001, 6.0)])
    energy.settle(world.engine, world.run_id)
    row = one(world, book)
    assert row["energy_j"] == 6.0 and not row["energy_valid"] and row["reasons"]["energy_valid"] == "window_lost"


def test_an_estimate_is_shown_as_one(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 1), key(), {"p0": ["correct"]})
    world.store.write(windows=[world.window(0, 2000, 6.0, source="estimated", valid=False, codes=("estimated",))])
    energy.settle(world.engine, world.run_id)
    row = one(world, book)
    assert (row["energy_j"], row["energy_source"], row["energy_valid"]) == (6.0, "estimated", False)


# --- cells beside each other


def two(world: World) -> None:
    """cot is right more often and cheaper; sc uses two samples."""
    cot, sc = world.cell(key(), 2), world.cell(key("sc"), 2)
    world.solve(cot, key(), {"p0": ["correct"], "p1": ["correct"]})
    for p in ("p0", "p1"):
        samples = [world.sample(key("sc"), f"sc:{p}:{n}", world.ids[sc.name][p]) for n in range(2)]
        world.store.write(samples, [world.attempt(sc, key("sc"), p, ["wrong" if p == "p1" else "correct"], samples)])


def test_the_frontier_is_within_a_task_and_series(world: World, book: PriceBook) -> None:
    two(world)
    rows = by_strategy(world, book)
    assert rows["cot"]["frontier"] and not rows["sc"]["frontier"]
    other = key("sc", task="other")
    world.solve(world.cell(other, 2), other, {"p0": ["wrong"], "p1": ["wrong"]})
    assert [r["frontier"] for r in report.rows(world.engine, book=book, task="other")] == [True]


def test_other_axes(world: World, book: PriceBook) -> None:
    two(world)
    rows = by_strategy(world, book, axes=["tokens", "accuracy"])
    assert rows["sc"]["frontier_axes"] == ["output_tokens", "accuracy"] and not rows["sc"]["frontier"]
    with pytest.raises(UserError, match="unknown axis 'accuracyy'; did you mean 'accuracy'"):
        report.rows(world.engine, axes=["accuracyy"])


def test_live_and_pooled_times_never_share_an_axis(world: World, book: PriceBook) -> None:
    live = key(mode="live", concurrency=1)
    world.solve(world.cell(key(), 1), key(), {"p0": ["correct"]})
    slow = world.cell(live, 1)
    sample = world.sample(live, "live", world.ids[slow.name]["p0"], sent=10.0, last=60.0)
    world.store.write([sample], [world.attempt(slow, live, "p0", ["wrong"], [sample])])
    rows = report.rows(world.engine, axes=["accuracy", "latency"], book=book)
    assert [(r["mode"], r["concurrency"], r["frontier"]) for r in rows if r["mode"] == "live"] == [("live", 1, True)]
    assert all(r["frontier"] for r in rows)


def test_a_row_that_lacks_problems_is_partial_unless_only_common_ones_count(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 4), key(), {f"p{n}": ["correct"] for n in range(4)})
    world.solve(world.cell(key("sc"), 4, limit=2), key("sc"), {"p0": ["correct"], "p1": ["wrong"]})
    rows = by_strategy(world, book)
    assert rows["sc"]["partial"] and rows["sc"]["reasons"]["partial"] == "fewer_problems" and not rows["sc"]["frontier"]
    assert not rows["cot"]["partial"]
    common = by_strategy(world, book, common=True)
    assert [(r["problems"], r["partial"]) for r in common.values()] == [(2, False), (2, False)]


def test_an_experiment_restricts_to_its_cells_and_problems(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 4), key(), {f"p{n}": ["correct" if n < 2 else "wrong"] for n in range(4)})
    world.cell(key(), 4, experiment="first-two", limit=2)
    world.solve(world.cell(key("sc"), 4, experiment="first-two", limit=2), key("sc"), {"p0": ["correct"], "p1": ["wrong"]})
    rows = by_strategy(world, book, experiment="first-two")
    assert {s: (r["problems"], r["accuracy"], r["partial"]) for s, r in rows.items()} == {"cot": (2, 1.0, False), "sc": (2, 0.5, False)}
    assert rows["cot"]["experiment"] == "demo,first-two"
    assert [r["strategy"] for r in report.rows(world.engine, experiment="demo", book=book)] == ["cot"]


def test_an_interrupted_cell_is_unfinished(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 4), key(), {"p0": ["correct"], "p1": ["correct"]})
    row = one(world, book)
    assert row["partial"] and row["reasons"]["partial"] == "unfinished"


def test_the_series_is_main_or_else_the_newest(world: World, book: PriceBook) -> None:
    for series in ("nightly-1", "nightly-2"):
        cell = world.cell(key(), 1, series=series)
        sample = world.sample(key(), series, world.ids[cell.name]["p0"])
        world.store.write([sample], [world.attempt(cell, key(), "p0", ["correct"], [sample])])
    assert one(world, book)["series"] == "nightly-2"
    assert one(world, book, series="nightly-1")["series"] == "nightly-1"
    assert len(report.rows(world.engine, series="all", book=book)) == 2
    world.solve(world.cell(key(), 1), key(), {"p0": ["wrong"]})
    assert one(world, book)["series"] == "main"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"experiment": "dmeo"}, "no results of experiment 'dmeo'; did you mean 'demo'"),
        ({"series": "mian"}, "no results of series 'mian'; did you mean 'main'"),
        ({"task": "summs"}, "no results of task 'summs'; did you mean 'sums'"),
    ],
)
def test_what_the_database_does_not_hold_is_said_with_the_nearest_name(world: World, options: dict[str, str], message: str) -> None:
    world.cell(key(), 1)
    with pytest.raises(PerPassError, match=message):
        report.rows(world.engine, **options)  # type: ignore[arg-type]


def test_an_empty_database_has_no_rows(world: World) -> None:
    assert report.rows(world.engine) == []


def test_the_cost_basis_is_the_first_that_every_complete_cell_has(world: World, book: PriceBook) -> None:
    two(world)
    assert {r["cost_basis"] for r in report.rows(world.engine, book=book)} == {"token"}  # nothing is settled yet
    settle(world, 8.0)
    assert {r["cost_basis"] for r in report.rows(world.engine, book=book)} == {"hardware"}
    unpriced = key("direct", hardware={"name": "Unheard of", "count": 1})
    world.solve(world.cell(unpriced, 2), unpriced, {"p0": ["wrong"], "p1": ["correct"]})
    rows = by_strategy(world, book)
    assert {r["cost_basis"] for r in rows.values()} == {"token"}


def test_without_a_common_basis_dollars_are_unknown(world: World, book: PriceBook) -> None:
    unsold = cell_key("free/model", "direct", hardware={"name": "Unheard of", "count": 1})
    world.solve(world.cell(key(), 1), key(), {"p0": ["correct"]})
    world.solve(world.cell(unsold, 1), unsold, {"p0": ["correct"]})
    rows = by_strategy(world, book)
    assert all(r["cost_usd"] is None and r["reasons"]["cost_usd"] == "no_common_basis" for r in rows.values())
    asked = by_strategy(world, book, cost_basis="token")
    assert asked["cot"]["cost_usd"] == pytest.approx(CALL_USD) and asked["direct"]["reasons"]["cost_usd"] == "no_price"
    with pytest.raises(UserError, match="unknown cost basis 'tokens'; did you mean 'token'"):
        report.rows(world.engine, cost_basis="tokens")


def test_another_book_changes_dollars_and_no_measurement(world: World, book: PriceBook, tmp_path: Path) -> None:
    two(world)
    dear = tmp_path / "dear.yaml"
    dear.write_text(BOOK.replace("output: 20", "output: 2000"))
    before, after = report.rows(world.engine, book=book), report.rows(world.engine, book=PriceBook.load(dear))
    for old, new in zip(before, after, strict=True):
        assert new["cost_usd"] > old["cost_usd"]
        assert {k: v for k, v in old.items() if "usd" not in k} == {k: v for k, v in new.items() if "usd" not in k}


def test_rows_are_sorted_by_task_then_cost(world: World, book: PriceBook) -> None:
    two(world)
    first = key("sc", task="a")
    world.solve(world.cell(first, 1), first, {"p0": ["correct"]})
    assert [(r["task"], r["strategy"]) for r in report.rows(world.engine, book=book)] == [("a", "sc"), ("sums", "cot"), ("sums", "sc")]


def test_settings_are_named_only_where_labels_would_be_alike(world: World, book: PriceBook) -> None:
    for batch in (8, 16):
        changed = key(engine={"kind": "transformers", "settings": {"batch": batch, "dtype": "float32"}})
        world.solve(world.cell(changed, 1), changed, {"p0": ["correct"]})
    rows = report.rows(world.engine, book=book)
    assert sorted(r["engine"] for r in rows) == ["transformers (batch=16)", "transformers (batch=8)"]
    assert {r["model"] for r in rows} == {"shop/small"}


def test_cells_that_differ_by_seed_or_role_can_be_told_apart(world: World, book: PriceBook) -> None:
    reward = {"reward": {"model": {"name": "perpass/prm"}, "engine": {}, "hardware": {}}}
    for changed in (key("bon"), key("bon", seed=1), key("bon", roles=reward)):
        world.solve(world.cell(changed, 1), changed, {"p0": ["correct"]})
    found = {r["strategy"] for r in report.rows(world.engine, book=book)}
    assert found == {"bon (reward=null, seed=0)", "bon (reward=null, seed=1)", "bon (reward=perpass/prm, seed=0)"}


def test_a_report_from_a_path_leaves_no_files(world: World, book: PriceBook) -> None:
    world.solve(world.cell(key(), 1), key(), {"p0": ["correct"]})
    path = Path(world.engine.url.database or "")
    world.engine.dispose()
    assert len(report.rows(path, book=book)) == 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["book.yaml", "perpass.db"]


def test_an_attempt_whose_prompt_did_not_fit_cost_nothing(world: World, book: PriceBook) -> None:
    cell = world.cell(key(), 2)
    world.solve(cell, key(), {"p0": ["correct"]})
    world.store.write([], [world.attempt(cell, key(), "p1", ["too_long"], [], latency_s=0.0, ttft_s=None)])
    row = one(world, book, cost_basis="token")
    assert row["outcomes"] == {"correct": 1, "too_long": 1} and row["cost_usd"] == pytest.approx(CALL_USD / 2) and row["flop"] == 500


def test_a_replayed_attempt_keeps_its_code(world: World, book: PriceBook) -> None:
    cell = world.cell(key(), 1)
    sample = world.sample(key(), "s", world.ids[cell.name]["p0"])
    made = world.attempt(cell, key(), "p0", ["correct"], [sample])
    away = dataclasses.replace(made, latency_s=None, ttft_s=None, codes={"latency_s": "other_engine", "energy_j": "other_engine"})
    world.store.write([sample], [away])
    settle(world, 5.0)
    row = one(world, book)
    assert row["energy_j"] is None and row["latency_p50_s"] is None
    assert row["reasons"]["energy_j"] == row["reasons"]["latency_p50_s"] == "other_engine"
