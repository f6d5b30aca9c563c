"""Comparisons against numbers worked out by hand: which cells and attempts pair, and what is not compared."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from perpass.errors import DatabaseError, UserError
from results import compare, compare_text, energy, junit, sides
from results.compare import Comparison, Row
from results.gate import Gate, judge
from results.prices import PriceBook
from tests.results.builders import World, cell_key
from tests.results.test_report import BOOK

Outcomes = Mapping[str, Sequence[str]]
RIGHT, WRONG = "correct", "wrong"
HARDWARE = {"name": "Box", "count": 1}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "perpass.db", series="old")


@pytest.fixture
def book(tmp_path: Path) -> PriceBook:
    path = tmp_path / "book.yaml"
    path.write_text(BOOK)
    return PriceBook.load(path)


def put(world: World, series: str, outcomes: Outcomes, key: Any = None, experiment: str = "demo", **changes: Any) -> str:
    """A cell of one series with these outcomes by problem and trial; its name."""
    key = key or cell_key(hardware=HARDWARE)
    row = world.cell(key, len(outcomes), series=series, experiment=experiment)
    world.solve(row, key, outcomes, **changes)
    return row.name


def one(world: World, base: str = "old", head: str = "new", **options: Any) -> Row:
    (row,) = compare.pairs(world.engine, base, head, **options).rows
    return row


def several(rights: int, wrongs: int) -> Outcomes:
    return {f"p{n}": [RIGHT if n < rights else WRONG] for n in range(rights + wrongs)}


def test_a_pair_worked_out_by_hand(world: World, book: PriceBook) -> None:
    name = put(world, "old", {"p0": [RIGHT], "p1": [RIGHT], "p2": [WRONG], "p3": [RIGHT]})
    put(world, "new", {"p0": [RIGHT], "p1": [WRONG], "p2": [WRONG], "p3": [WRONG]}, output_tokens=30)
    row = one(world, book=book, cost_basis="token")
    assert tuple(row) == compare.FIELDS
    assert (row["base_cell"], row["head_cell"], row["base_series"], row["head_series"]) == (name, name, "old", "new")
    assert (row["model"], row["strategy"], row["task"], row["mode"], row["concurrency"]) == ("perpass/nano", "cot", "sums", "pooled", None)
    assert (row["problems"], row["attempts"], row["items"], row["left_out"], row["differs"]) == (4, 4, 4, {}, [])
    assert (row["base_accuracy"], row["head_accuracy"], row["difference"]) == (0.75, 0.25, -0.5)
    assert row["difference_low"] <= -0.5 <= row["difference_high"] and (row["lost"], row["gained"]) == (2, 0)
    assert (row["p_worse"], row["p_two_sided"], row["mcnemar_p"]) == pytest.approx((0.25, 0.5, 0.5))
    assert (row["output_tokens_base"], row["output_tokens_head"], row["output_tokens_ratio"]) == (20, 30, 1.5)
    assert (row["flop_ratio"], row["flop_ratio_low"], row["flop_ratio_high"]) == (1.0, 1.0, 1.0)
    assert row["latency_s_ratio"] == pytest.approx(1.0) and row["reasons"]["latency_s"] == "shared_load"
    assert (row["energy_j_ratio"], row["reasons"]["energy_j"]) == (None, "unsettled")
    assert (row["cost_basis"], row["cost_usd_ratio"], row["reasons"]["cost_usd"]) == ("token", None, "no_price")


def test_energy_and_dollars_of_both(world: World, book: PriceBook) -> None:
    put(world, "old", several(2, 2))
    first = world.clock
    put(world, "new", several(2, 2))
    world.store.write(windows=[world.window(0, first, 8.0), world.window(first, world.clock + 1, 12.0)])
    energy.settle(world.engine, world.run_id)
    row = one(world, book=book, cost_basis="energy")
    assert (row["energy_j_base"], row["energy_j_head"], row["energy_j_ratio"]) == pytest.approx((2.0, 3.0, 1.5))
    assert row["energy_source"] == "rapl_counter" and "energy_j" not in row["reasons"]
    assert row["cost_usd_head"] == pytest.approx(3 * 0.36 / 3.6e6) and row["cost_usd_ratio"] == pytest.approx(1.5)
    assert one(world, book=book)["cost_basis"] == "hardware"


def test_other_hardware_compares_accuracy_tokens_and_flops_only(world: World) -> None:
    put(world, "old", several(3, 1))
    put(world, "new", several(3, 1), cell_key(hardware={"name": "Other", "count": 1}))
    row = one(world)
    assert row["difference"] == 0.0 and row["output_tokens_ratio"] == row["flop_ratio"] == 1.0
    for metric in compare.ON_EQUAL_HARDWARE:
        assert row[f"{metric}_ratio"] is row[f"{metric}_base"] is None and row["reasons"][metric] == "hardware_differs"
    assert row["differs"] == ["hardware.name: Box → Other"] and row["base_cell"] != row["head_cell"]


def test_hardware_of_a_role_counts_too(world: World) -> None:
    def key(place: str) -> Any:
        role = {"model": {"name": "prm"}, "engine": {"kind": "transformers", "settings": {}}, "hardware": {"name": place, "count": 1}}
        return cell_key(hardware=HARDWARE, roles={"reward": role})

    put(world, "old", several(3, 1), key("Box"))
    put(world, "new", several(3, 1), key("Other"))
    assert one(world)["reasons"]["energy_j"] == "hardware_differs"


@pytest.mark.parametrize(
    ("change", "pairs"),
    [
        ({"model": {"name": "perpass/nano", "revision": "r2", "dtype": "float32"}}, True),
        ({"hardware": {"name": "Other", "count": 1}}, True),
        ({"seed": 7}, True),
        ({"model": {"name": "perpass/micro", "revision": "r1", "dtype": "float32"}}, False),
        ({"engine": {"kind": "transformers", "settings": {"batch": 16}}}, False),
        ({"engine": {"kind": "vllm", "settings": {"batch": 8}}}, False),
        ({"strategy": {"name": "cot", "version": 1, "params": {"n": 2}, "sampling": {}}}, False),
        ({"strategy": {"name": "cot", "version": 2, "params": {}, "sampling": {}}}, False),
        ({"task": {"name": "sums", "version": 2, "revision": "generated", "spec": {}}}, False),
        ({"mode": "live", "concurrency": 8}, False),
    ],
    ids=str,
)
def test_what_cells_must_share(world: World, change: dict[str, Any], pairs: bool) -> None:
    put(world, "old", several(3, 1))
    put(world, "new", several(3, 1), replace(cell_key(hardware=HARDWARE), **change))
    found = compare.pairs(world.engine, "old", "new")
    assert len(found.pairs) == pairs
    assert [(r["side"], r["reason"]) for r in found.unpaired] == ([] if pairs else [("base", "no_counterpart"), ("head", "no_counterpart")])


def test_live_cells_pair_by_concurrency(world: World) -> None:
    for series, loads in (("old", (8, 32)), ("new", (32, 8))):
        for load in loads:
            put(world, series, several(3, 1), cell_key(hardware=HARDWARE, mode="live", concurrency=load))
    rows = compare.pairs(world.engine, "old", "new").rows
    assert [r["concurrency"] for r in rows] == [8, 32] and all(r["base_cell"] == r["head_cell"] for r in rows)
    assert "latency_s" not in rows[0]["reasons"] and rows[0]["latency_s_ratio"] == 1.0


def test_an_unpaired_cell_says_what_keeps_it_apart(world: World) -> None:
    put(world, "old", several(3, 1))
    put(world, "new", several(3, 1), cell_key(hardware=HARDWARE, engine={"kind": "transformers", "settings": {"batch": 16}}))
    base, head = compare.pairs(world.engine, "old", "new").unpaired
    assert base["detail"] == "the closest differs in engine.settings.batch: 8 → 16" and base["strategy"] == "cot"
    assert head["detail"] == "the closest differs in engine.settings.batch: 16 → 8"


def test_the_same_cell_pairs_first_and_what_is_left_may_be_ambiguous(world: World) -> None:
    def at(place: str) -> Any:
        return cell_key(hardware={"name": place, "count": 1})

    for place in ("A", "B"):
        put(world, "old", several(3, 1), at(place))
    for place in ("A", "C"):
        put(world, "new", several(3, 1), at(place))
    rows = compare.pairs(world.engine, "old", "new").rows
    assert [(r["base_hardware"], r["head_hardware"]) for r in rows] == [("Ax1", "Ax1"), ("Bx1", "Cx1")]
    put(world, "new", several(3, 1), at("D"))
    found = compare.pairs(world.engine, "old", "new")
    assert len(found.pairs) == 1
    assert [(r["side"], r["reason"], r["detail"]) for r in found.unpaired] == [
        (side, "ambiguous", "1 of base and 2 of head could be meant") for side in ("base", "head", "head")
    ]


def test_attempts_pair_by_problem_and_trial(world: World) -> None:
    put(world, "old", {"p0": [RIGHT, RIGHT], "p1": [RIGHT, WRONG], "p2": [RIGHT]})
    put(world, "new", {"p0": [WRONG, RIGHT], "p1": [RIGHT]})
    row = one(world)
    assert (row["problems"], row["attempts"], row["items"]) == (2, 3, 3)
    assert row["left_out"] == {"only_in_base": 2}
    assert (row["base_accuracy"], row["head_accuracy"]) == (1.0, pytest.approx(2 / 3))
    assert row["mcnemar_p"] is None and row["reasons"]["mcnemar_p"] == "several_trials"
    assert row["p_worse"] == 0.5


def test_an_infrastructure_error_is_left_out_with_its_partner(world: World) -> None:
    put(world, "old", {"p0": [RIGHT], "p1": [RIGHT], "p2": ["error"]})
    put(world, "new", {"p0": [RIGHT], "p1": ["error"], "p2": [RIGHT]})
    row = one(world)
    assert (row["attempts"], row["base_accuracy"], row["head_accuracy"], row["left_out"]) == (1, 1.0, 1.0, {"infrastructure_errors": 2})


def test_nothing_in_common(world: World) -> None:
    put(world, "old", {"p0": [RIGHT]})
    put(world, "new", {"p0": ["error"]})
    found = compare.pairs(world.engine, "old", "new")
    assert not found.pairs and [(r["side"], r["reason"]) for r in found.unpaired] == [("base", "all_errors"), ("head", "all_errors")]
    world.cell(cell_key(strategy="direct", hardware=HARDWARE), 2, series="old")
    put(world, "new", {"p0": [RIGHT]}, cell_key(strategy="direct", hardware=HARDWARE))
    assert {r["reason"] for r in compare.pairs(world.engine, "old", "new").unpaired} == {"all_errors", "no_attempts"}


def test_several_items(world: World) -> None:
    key = cell_key(hardware=HARDWARE)
    for series, outcomes in (("old", (RIGHT, RIGHT, WRONG)), ("new", (RIGHT, WRONG, WRONG))):
        row = world.cell(key, 1, items=3, series=series)
        sample = world.sample(key, f"{series}:s", world.ids[row.name]["p0"])
        world.store.write([sample], [world.attempt(row, key, "p0", outcomes, [sample])])
    row = one(world)
    assert (row["items"], row["difference"], row["reasons"]["mcnemar_p"]) == (3, pytest.approx(-1 / 3), "several_items")


def test_another_source_of_energy_is_not_compared(world: World) -> None:
    put(world, "old", several(1, 1))
    first = world.clock
    put(world, "new", several(1, 1))
    windows = [world.window(0, first, 8.0), world.window(first, world.clock + 1, 8.0, source="estimated", codes=("estimated",))]
    world.store.write(windows=windows)
    energy.settle(world.engine, world.run_id)
    row = one(world)
    assert row["energy_j_ratio"] is row["energy_source"] is None and row["reasons"]["energy_j"] == "energy_source_differs"


def test_every_null_has_its_reason(world: World) -> None:
    put(world, "old", several(1, 1), flop_linear=None)
    put(world, "new", several(1, 1), flop_linear=None)
    row = one(world)
    nulls = {f for f in compare.FIELDS if row[f] is None} - {"concurrency"}
    assert {next((m for m in compare.AMOUNTS if f.startswith(m)), f) for f in nulls} <= set(row["reasons"])


# --- sides ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("main", (None, None, "main")),
        ("nightly-2026-11-21", (None, None, "nightly-2026-11-21")),
        ("old.db", ("old.db", None, None)),
        ("results/old", ("results/old", None, None)),
        ("./main", ("./main", None, None)),
        ("postgresql://user@host/perpass", ("postgresql://user@host/perpass", None, None)),
        ("old.db#main", ("old.db", None, "main")),
        ("postgresql://host/x#experiment:demo", ("postgresql://host/x", "experiment", "demo")),
        ("#main", (None, None, "main")),
        ("series:a/b", (None, "series", "a/b")),
        ("experiment:x.db", (None, "experiment", "x.db")),
        ("v1.2", (None, None, "v1.2")),
    ],
)
def test_how_sides_are_told_apart(text: str, parts: tuple[str | None, str | None, str | None]) -> None:
    assert sides.parse(text) == parts


@pytest.mark.parametrize("text", ["", "old.db#", "series:", "old.db#experiment:"])
def test_sides_that_name_nothing(text: str) -> None:
    with pytest.raises(UserError, match="expected a series, an experiment, a database, or DATABASE#NAME"):
        sides.parse(text)


def test_two_databases(world: World, tmp_path: Path) -> None:
    put(world, "old", several(3, 1))
    other = World.make(tmp_path / "other.db", series="new")
    other.cell(cell_key("shift/ids"), 2, series="new")  # so that ids differ
    put(other, "new", several(2, 2))
    found = compare.pairs(tmp_path / "perpass.db", "old", f"{tmp_path}/other.db#new")
    assert [(r["difference"], r["left_out"]) for r in found.rows] == [(-0.25, {})] and len(found.unpaired) == 1
    assert compare.pairs(tmp_path / "x.db", str(tmp_path / "perpass.db"), str(tmp_path / "other.db")).rows  # main, or the newest series


def test_a_problem_that_changed_is_left_out(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.types import Problem
    from tests.results import builders

    put(world, "old", several(2, 0))
    changed = [Problem(key=f"p{n}", question=f"{n} + {n} = ?{'!' * n}", answer_format="a number", gold=(str(2 * n),)) for n in range(2)]
    monkeypatch.setattr(builders, "problems", lambda count, items=1: changed)
    other = World.make(tmp_path / "other.db", series="new")
    put(other, "new", several(1, 1))
    (row,) = compare.pairs(world.engine, "old", f"{tmp_path}/other.db#new").rows
    assert (row["problems"], row["left_out"], row["difference"]) == (1, {"problem_changed": 1}, 0.0)


def test_an_experiment_is_its_cells_on_its_problems(world: World) -> None:
    key = cell_key(hardware=HARDWARE)
    row = world.cell(key, 4, series="main", experiment="all")
    world.cell(key, 4, series="main", experiment="half", limit=2)
    world.solve(row, key, several(3, 1))
    put(world, "new", several(4, 0), key, experiment="later")
    assert one(world, "half", "later")["problems"] == 2 and one(world, "all", "later")["problems"] == 4


def test_a_name_that_is_both(world: World) -> None:
    put(world, "demo", several(1, 1))
    with pytest.raises(UserError, match="'demo' is both a series and an experiment; write series:demo or experiment:demo"):
        compare.pairs(world.engine, "demo", "demo")
    assert one(world, "series:demo", "experiment:demo")["difference"] == 0.0


def test_unknown_names(world: World, tmp_path: Path) -> None:
    put(world, "nightly-2026-11-21", several(1, 1), experiment="gsm8k-here")
    with pytest.raises(UserError, match="unknown series or experiment 'nightly-2026-11-12'; did you mean 'nightly-2026-11-21'"):
        compare.pairs(world.engine, "nightly-2026-11-12", "nightly-2026-11-21")
    with pytest.raises(UserError, match="unknown experiment 'gsm8k'; did you mean 'gsm8k-here'"):
        compare.pairs(world.engine, "experiment:gsm8k", "nightly-2026-11-21")
    with pytest.raises(UserError, match=r"perpass.db: unknown series 'x'; known: nightly-2026-11-21"):
        compare.pairs(world.engine, f"{tmp_path}/perpass.db#series:x", "nightly-2026-11-21")
    with pytest.raises(DatabaseError, match="no database at"):
        compare.pairs(world.engine, f"{tmp_path}/no.db", "nightly-2026-11-21")
    with pytest.raises(UserError, match="unknown cost basis 'tokens'; did you mean 'token'"):
        compare.pairs(world.engine, "nightly-2026-11-21", "nightly-2026-11-21", cost_basis="tokens")


def test_an_empty_database_pairs_nothing(world: World) -> None:
    assert not compare.pairs(world.engine, str(world.engine.url.database), str(world.engine.url.database)).pairs


# --- as text ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def worse(world: World) -> Comparison:
    """A cell that fell from 30 to 10 of 40, one that did not change, and one that only head has."""
    for series, rights in (("old", 30), ("new", 10)):
        put(world, series, several(rights, 40 - rights))
        put(world, series, several(20, 20), cell_key(strategy="a|b*", hardware=HARDWARE))
    put(world, "new", several(1, 1), cell_key(strategy="<direct> & \x00", hardware=HARDWARE))
    return compare.pairs(world.engine, "old", "new")


def test_a_table(worse: Comparison) -> None:
    gate = Gate(margins={"accuracy": 1, "energy_j": 0.1})
    text = compare_text.render(worse, gate=gate, checks=judge(worse, gate), width=110)
    assert "Gate at level 0.05: 1 of 2 cells is worse." in text
    assert "! sums · cot · perpass/nano · transformers: accuracy fell by 50.0 points (75.0 % → 25.0 %; margin 1), p = 1.91e-06" in text
    line = next(line for line in text.splitlines() if line.lstrip().startswith("!  cot"))
    assert "−50.0 (−65.0 to −" in line and "<0.001" in line
    assert all(len(line) <= 110 for line in text.splitlines() if not line.startswith("! sums"))
    assert "energy_j is not judged for 2 cells: " in text and "unpaired, only in head: sums · <direct>" in text
    assert "what moves a whole run (temperature, clocks, neighbours) is not in them" in " ".join(text.split())
    plain = compare_text.render(worse, width=110)
    assert "Gate" not in plain and "−50.0" in plain


def test_markdown_is_a_table_with_its_signs_escaped(worse: Comparison) -> None:
    gate = Gate()
    text = compare_text.render(worse, "markdown", gate=gate, checks=judge(worse, gate))
    assert text.startswith("## old → new\n\n**Gate at level 0.05: 1 of 2 cells is worse.**\n\n- sums · cot")
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 4 and len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "a\\|b\\*" in text


def test_json_and_csv(worse: Comparison) -> None:
    gate = Gate()
    told = json.loads(compare_text.render(worse, "json", gate=gate, checks=judge(worse, gate)), parse_constant=pytest.fail)
    assert (told["base"], told["head"], told["gate"]) == ("old", "new", {"level": 0.05, "margins": {"accuracy": 0.0}, "alarms": 1})
    assert [pair["checks"][0]["alarm"] for pair in told["pairs"]] == [True, False] and len(told["unpaired"]) == 1
    assert set(told["pairs"][0]) == {*compare.FIELDS, "checks"}
    assert json.loads(compare_text.render(worse, "json"))["gate"] is None
    lines = compare_text.render(worse, "csv", gate=gate, checks=judge(worse, gate)).splitlines()
    assert len(lines) == 3 and lines[0].endswith(",alarms") and lines[1].endswith(",accuracy")
    with pytest.raises(UserError, match="unknown format 'jsn'; did you mean 'json'"):
        compare_text.render(worse, "jsn")


MADE = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)


def test_junit_has_a_case_per_cell(worse: Comparison) -> None:
    """By the rules of Ant's schema, the strictest that readers use: which attributes, which children, in which order."""
    root = ElementTree.fromstring(junit.document(worse, judge(worse, Gate()), MADE))
    (suite,) = root
    assert root.tag == "testsuites" and not root.attrib
    counted = {"tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    named = {"name": "perpass", "package": "perpass", "id": "0", "hostname": "localhost", "time": "0", "timestamp": "2026-11-21T03:04:05"}
    assert suite.attrib == named | counted
    assert [child.tag for child in suite] == ["properties", "testcase", "testcase", "testcase", "system-out", "system-err"]
    assert [prop.attrib for prop in suite[0]] == [{"name": "base", "value": "old"}, {"name": "head", "value": "new"}]
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [["failure"], [], ["skipped"]]
    assert all(set(case.attrib) == {"name", "classname", "time"} and case.get("classname") == "perpass.sums" for case in cases)
    assert len({case.get("name") for case in cases}) == 3 and "<direct> & \ufffd" in cases[2].get("name", "")
    assert cases[0][0].get("type") == "regression" and "fell by 50.0 points" in (cases[0][0].text or "")
    assert len((suite.findtext("system-out") or "").splitlines()) == 2


def test_junit_without_a_gate_passes_and_with_nothing_judged_skips(worse: Comparison) -> None:
    (suite,) = ElementTree.fromstring(junit.document(worse, [], MADE))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "0", "1")
    gate = Gate(margins={"energy_j": 0})
    (suite,) = ElementTree.fromstring(junit.document(worse, [c for c in judge(worse, gate) if c.metric == "energy_j"], MADE))
    assert suite.get("skipped") == "3"


def test_junit_is_written_whole(worse: Comparison, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text("old")
    junit.write(path, worse, [])
    assert ElementTree.parse(path).getroot().tag == "testsuites" and path.stat().st_mode & 0o777 == 0o644
    assert [p.name for p in tmp_path.iterdir() if "junit" in p.name] == ["junit.xml"]


def test_junit_where_it_cannot_be_written(worse: Comparison, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--junit .*x.xml: cannot be written: no such file or directory"):
        junit.write(tmp_path / "no" / "x.xml", worse, [])
