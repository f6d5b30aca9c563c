"""Curves: what they say is what the estimators say of the stored samples, what they cost is what the strategies are charged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from perpass.errors import PerPassError, UserError
from results import analyses, curves, curves_pools, curves_text, curves_values, report, schema
from results.curves_values import Pool
from tests.results.builders import World, cell_key
from tests.results.pooled import DRAWN, Sums, drawn


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path / "curves.db")


def refreshed(world: World, task: Any = None, **more: Any) -> list[curves.Curve]:
    found, notes = asyncio.run(curves.refresh(world.engine, lambda spec: task or Sums(), **more))
    assert not notes, notes
    return found


def values(curve: curves.Curve, name: str) -> list[float]:
    assert curve.result is not None
    return list(curve.result["estimates"][name]["value"])


def enumerated(rule: Callable[[str, Sequence[str]], float], k: int) -> float:
    return mean(mean(rule(problem, subset) for subset in combinations(own, k)) for problem, own in DRAWN.items())


def right(problem: str) -> str:
    return str(2 * int(problem[1:]))


def majority(problem: str, subset: Sequence[str]) -> float:
    votes = [answer for answer in subset if answer != "-"]
    top = max((votes.count(v) for v in votes), default=0)
    winners = {v for v in votes if votes.count(v) == top}
    return (right(problem) in winners) / len(winners) if winners else 0.0


# --- what they say ------------------------------------------------------------------------------------------------------------------------


def test_values_are_those_of_all_subsets_of_the_stored_samples(world: World) -> None:
    drawn(world)
    (curve,) = refreshed(world)
    assert curve.result is not None and curve.result["depth"] == 4 and curve.result["problems"] == 4
    for k in range(1, 5):
        assert values(curve, "self_consistency")[k - 1] == pytest.approx(enumerated(majority, k), abs=1e-12)
        covered = enumerated(lambda problem, subset: right(problem) in subset, k)
        assert values(curve, "pass")[k - 1] == pytest.approx(covered, abs=1e-12)
        every = enumerated(lambda problem, subset: set(subset) == {right(problem)}, k)
        assert values(curve, "all_pass")[k - 1] == pytest.approx(every, abs=1e-12)
        half = enumerated(lambda problem, subset: 2 * subset.count(right(problem)) >= len(subset), k)
        assert values(curve, "g_pass_50")[k - 1] == pytest.approx(half, abs=1e-12)
    assert "best_logprob" not in curve.result["estimates"] and curve.result["reasons"]["best_logprob"] == "observation_missing"


def test_observed_log_probabilities_choose_and_weigh_as_the_strategies_do(world: World) -> None:
    logprobs = [(-0.1, -0.3), (-2.0, -1.0), (-0.05, -0.05), (-3.0, -3.0)]
    drawn(world, logprobs=lambda n: logprobs[n])
    (curve,) = refreshed(world)
    scores = [mean(own) for own in logprobs]

    def best(problem: str, subset: Sequence[int]) -> float:
        return DRAWN[problem][max(subset, key=lambda n: scores[n])] == right(problem)

    def weighted(problem: str, subset: Sequence[int]) -> float:
        totals: dict[str, float] = {}
        for n in subset:
            if (answer := DRAWN[problem][n]) != "-":
                totals[answer] = totals.get(answer, 0.0) + math.exp(math.exp(scores[n]) - 1)
        return float(bool(totals) and max(totals, key=lambda a: totals[a]) == right(problem))

    for k in range(1, 5):
        for name, rule in (("best_logprob", best), ("weighted_logprob", weighted)):
            expected = mean(mean(rule(problem, s) for s in combinations(range(4), k)) for problem in DRAWN)
            assert values(curve, name)[k - 1] == pytest.approx(expected, abs=1e-6), (name, k)  # stored as float32
    assert curve.result is not None and "error" not in curve.result["estimates"]["weighted_logprob"]


def test_costs_of_all_samples_are_those_of_the_row_that_drew_them(world: World) -> None:
    drawn(world, first=2, output_tokens=lambda n: 10 + n, flop_linear=lambda n: 1e6 + n)
    with world.engine.begin() as connection:
        sample: Any = schema.Sample.__table__
        connection.execute(sa.update(sample).values(energy_j=sample.c.output_tokens * 0.5, device_s=2.0, energy_source="estimated"))
        from results.energy import _charge

        _charge(connection, [world.run_id])
    (told,) = curves.told(refreshed(world))
    by_strategy = {row["strategy"]: row for row in report.rows(world.engine)}
    vote, one = by_strategy["self_consistency"], by_strategy["cot"]
    for name in ("prompt_tokens", "cached_tokens", "output_tokens", "flop", "energy_j", "hardware_cost_usd", "energy_cost_usd", "cost_usd"):
        assert told[name][3] == pytest.approx(vote[name]), name
    assert told["prompt_tokens"][0] == one["prompt_tokens"] and told["energy_j"][0] == pytest.approx(11.5 / 2)
    assert told["token_cost_usd"] is None and told["reasons"]["token_cost_usd"] == "no_price"
    assert told["strategy"] == "cot" and len(told["cells"]) == 2 and told["energy_source"] == "estimated"


def test_what_was_not_measured_is_none_with_a_reason(world: World) -> None:
    drawn(world, flop_linear=lambda n: None if n == 1 else 5.0)
    (told,) = curves.told(refreshed(world))
    assert told["flop"] is None and told["reasons"]["flop"] == "unknown_architecture"
    assert told["energy_j"] is None and told["reasons"]["energy_j"] == "unsettled" and told["energy_source"] == "none"
    assert told["cost_usd"] is None and told["output_tokens"] == [20.0, 40.0, 60.0, 80.0]


def test_later_samples_of_a_caching_engine_are_charged_without_their_prompt() -> None:
    from energy.flops import count

    sizes = {"hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = {"model_type": "llama", "vocab_size": 1000, **sizes}
    rows, expected = [], []
    for prompt, output, cached in ((100, 20, 0), (100, 20, 64), (57, 1, 13), (80, 300, 79)):
        made = count(config, prompt=prompt, output=output, cached=cached)
        parts = {"flop_linear": made.linear, "flop_attention": made.attention, "flop_head": made.head}
        rows.append({"prompt": prompt, "output": output, "cached": cached} | parts)
        expected.append([count(config, prompt=prompt, output=output, cached=c).total for c in (0, prompt - 1)])
    frame = pd.DataFrame(rows)
    first, later = curves_pools.charged(frame, 0), curves_pools.charged(frame, curves_pools.shared(frame["prompt"], True))
    np.testing.assert_allclose(np.array([first, later]).T, expected, rtol=1e-12)


def test_a_caching_engine_is_known_by_its_settings(world: World) -> None:
    key = cell_key(engine={"kind": "vllm", "settings": {"prefix_caching": True}})
    drawn(world, first=4, key=key)
    (told,) = curves.told(refreshed(world))
    assert told["cached_tokens"] == [0.0, 99.0, 198.0, 297.0] and told["prompt_tokens"][3] == 400.0
    assert told["flop"][1] < 2 * told["flop"][0]


def test_several_items_are_voted_on_each_for_itself_and_share_the_cost(world: World) -> None:
    task = Sums(items=2, count=1)
    drawn(world, {"p0": ("0 0", "0 1", "0 1")}, first=3, key=cell_key())
    (told,) = curves.told(refreshed(world, task))
    assert told["items"] == 2 and told["estimates"]["self_consistency"]["value"][2] == 0.5
    assert told["estimates"]["pass"]["value"] == pytest.approx([(1 + 1 / 3) / 2, (1 + 2 / 3) / 2, 1.0])
    assert told["output_tokens"][0] == 10.0


# --- which pools there are ----------------------------------------------------------------------------------------------------------------


def groups(world: World) -> list[curves_pools.Group]:
    return curves_pools.groups(world.engine, report.select(world.engine, series="all"))


def test_cells_that_draw_from_the_same_pools_are_one_group_named_by_the_cheapest(world: World) -> None:
    drawn(world)
    (group,) = groups(world)
    assert group.cell["strategy"] == "cot" and len(group.cells) == 2 and group.pools == {f"p{n}": n + 1 for n in range(4)}


def test_other_series_models_and_own_calls_are_no_part_of_a_group(world: World) -> None:
    drawn(world)
    before = {group.key for group in groups(world)}
    other = cell_key(model="perpass/micro")
    drawn(world, first=2, key=other, prefix="other:")
    live, own = cell_key(mode="live", concurrency=4), cell_key(strategy="refine")
    world.solve(world.cell(live), live, {"p0": ["correct"]})
    world.solve(world.cell(own), own, {"p0": ["correct"]})
    found = groups(world)
    assert [g.cell["model"] for g in found] == ["perpass/nano", "perpass/micro"] and before < {g.key for g in found}


def test_the_name_of_a_curve_stays_when_problems_and_strategies_are_added(world: World) -> None:
    drawn(world, {"p0": DRAWN["p0"]})
    (before,) = groups(world)
    drawn(world)
    (after,) = groups(world)
    assert before.key == after.key and len(after.pools) == 4


def test_a_curve_goes_as_deep_as_keeps_most_samples(world: World) -> None:
    drawn(world, {"p0": ("0",), "p1": ("2", "2", "2"), "p2": ("4", "4", "4", "4")}, first=1)
    (curve,) = refreshed(world, Sums(count=3))
    assert curve.result is not None and curve.result["depth"] == 3 and curve.result["left_out"] == {"fewer_samples": 1}
    assert curve.result["problems"] == 2
    assert (
        curves_values.depth([16] * 100 + [4] * 20) == 16
        and curves_values.depth([16] * 10 + [4] * 100) == 4
        and curves_values.depth([]) == 0
    )


def test_a_problem_whose_prompt_did_not_fit_is_wrong_at_every_k(world: World) -> None:
    key = cell_key()
    drawn(world, {"p3": DRAWN["p3"]}, first=4, key=key)
    row = world.cell(key, 4)
    world.store.write([], [world.attempt(row, key, "p0", ["too_long"], [])])
    (told,) = curves.told(refreshed(world))
    assert told["problems"] == 2 and told["too_long"] == 1 and told["estimates"]["pass"]["value"] == [0.5] * 4
    assert told["output_tokens"][0] == 10.0


# --- judging ------------------------------------------------------------------------------------------------------------------------------


def test_each_text_is_judged_once_and_attempts_that_are_judged_never_again(world: World) -> None:
    drawn(world, first=1)
    task = Sums()
    refreshed(world, task)
    # p0: 0 is cot's and known, 7 and - are asked; p1: 2 known; p2 and p3: one text each, known
    assert sorted(task.asked) == ["p0:-", "p0:7", "p1:3", "p1:9"]
    again = refreshed(world, task)
    assert len(task.asked) == 4 and not again[0].stale


def test_later_samples_are_judged_alone_and_another_judge_judges_all_again(world: World) -> None:
    drawn(world)
    task = Sums()
    refreshed(world, task)
    task.asked.clear()
    drawn(world, {problem: (*own, "8") for problem, own in DRAWN.items()})
    (stale,) = curves.stored(world.engine)
    assert stale.stale and stale.result is not None and stale.result["depth"] == 4
    (fresh,) = refreshed(world, task)
    assert task.asked == [f"p{n}:8" for n in range(4)] and not fresh.stale
    assert fresh.result is not None and fresh.result["depth"] == 5
    newer = Sums(judge_version="exact-2")
    with world.engine.begin() as connection:
        connection.execute(sa.update(schema.Judgement.__table__).values(judge="exact-2"))
    (fresh,) = refreshed(world, newer)
    assert fresh.result is not None and fresh.result["judge"] == "exact-2" and newer.asked  # those of cot are by the newer judge already


def test_a_judge_that_fails_leaves_its_problem_out_and_is_asked_again(world: World) -> None:
    drawn(world)
    task = Sums(fails=True)
    (curve,) = refreshed(world, task)
    assert curve.result is not None and curve.result["left_out"] == {"judge_failed": 1} and curve.result["problems"] == 3
    task.fails = False
    (curve,) = refreshed(world, task)
    assert curve.result is not None and curve.result["left_out"] == {} and curve.result["problems"] == 4


def test_tasks_that_changed_or_cannot_be_loaded_are_said(world: World) -> None:
    drawn(world)

    def missing(spec: Any) -> Any:
        raise UserError("there is no task 'sums'")

    found, notes = asyncio.run(curves.refresh(world.engine, missing))
    assert found[0].result is None and "there is no task" in notes[0]
    _, notes = asyncio.run(curves.refresh(world.engine, lambda spec: Sums(version=2)))
    assert "now version 2" in notes[0]
    _, notes = asyncio.run(curves.refresh(world.engine, lambda spec: Sums(count=0)))
    assert "none of its problems is the task's any more" in notes[0]
    (curve,) = refreshed(world, Sums(count=2))
    assert curve.result is not None and curve.result["left_out"] == {"not_asked_now": 2}


def test_a_class_with_right_and_wrong_samples_counts_by_its_share(world: World) -> None:
    class Loose(Sums):
        async def classes(self, answers: Sequence[str | None]) -> list[int]:
            return [-1 if a is None else 0 for a in answers]

    drawn(world, {"p0": ("0", "7", "7", "7")})
    (curve,) = refreshed(world, Loose(count=1))
    assert (
        curve.result is not None and curve.result["mixed_classes"] == 1 and values(curve, "self_consistency") == pytest.approx([0.25] * 4)
    )


# --- intervals and the law of coverage ----------------------------------------------------------------------------------------------------


def pools(rates: Sequence[float], n: int, seed: int = 0) -> list[Pool]:
    rng = np.random.default_rng(seed)
    made = []
    for rate in rates:
        correct = (rng.random(n) < rate).tolist()
        made.append(Pool([correct], [[0 if c else 1 + int(rng.integers(3)) for c in correct]], [math.nan] * n, [math.nan] * n))
    return made


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    hits, tries = 0, 100
    for seed in range(tries):
        own = pools(rng.beta(1, 1, 60).tolist(), 8, seed)
        found = curves_values.values(own, 8)
        low, high = curves_values.band(found.by_problem["pass"], curves_values.resampled(60, 500))
        hits += low[3] <= 1 - 1 / 5 <= high[3]  # E[1 − (1 − p)^4] for p uniform
    assert 0.87 <= hits / tries <= 0.99


def test_problems_that_are_all_alike_have_wilsons_interval() -> None:
    from results.intervals import wilson

    low, high = curves_values.band(np.ones((20, 3)), curves_values.resampled(20))
    assert (low[0], high[0]) == wilson(20, 20)


def test_the_power_law_finds_its_parameters() -> None:
    k = np.arange(1, 65)
    shares = curves_values.resampled(30)
    law = curves_values.power_law(np.tile(np.exp(-1.2 * k**-0.4), (30, 1)), shares)
    assert isinstance(law, dict) and law["points"] > 20
    assert (law["a"], law["b"], law["error"]) == pytest.approx((-1.2, -0.4, 0.0), abs=1e-6)
    noisy = curves_values.values(pools(np.random.default_rng(0).beta(0.5, 1, 200).tolist(), 64), 64).by_problem["pass"]
    law = curves_values.power_law(noisy, curves_values.resampled(200))
    assert (
        isinstance(law, dict)
        and law["a_low"] < law["a"] < law["a_high"]
        and law["b_low"] < law["b"] < law["b_high"]
        and law["error"] < 0.02
    )


@pytest.mark.parametrize(("curve", "code"), [([[0.2, 0.3, 0.4]], "few_samples"), ([[1.0] * 8], "all_alike"), ([[0.0] * 8], "all_alike")])
def test_where_there_is_no_law_there_is_a_code(curve: Any, code: str) -> None:
    assert curves_values.power_law(np.array(curve), curves_values.resampled(1)) == code


def test_sampled_votes_carry_their_error_and_meet_the_others_where_there_is_no_choice() -> None:
    own = [
        Pool(p.right, p.classes, np.random.default_rng(n).normal(-1, 0.3, 32).tolist(), p.confidence)
        for n, p in enumerate(pools([0.4] * 5, 32))
    ]
    found = curves_values.values(own, 32)
    error = found.errors["weighted_logprob"]
    assert error[0] == error[-1] == 0 and (error[1:16] > 0).all() and error.max() < 0.01
    shares = curves_values.resampled(5)
    assert curves_values.estimates(found, shares)["weighted_logprob"]["error"] == error.tolist()
    firsts = {name: own.mean(axis=0)[0] for name, own in found.by_problem.items()}
    assert max(firsts.values()) - min(firsts.values()) < 1e-12


def test_without_answers_there_is_no_vote() -> None:
    own = [Pool([[True, False]], [[None, None]], [-1.0, -2.0], [math.nan] * 2)]
    found = curves_values.values(own, 2)
    assert found.reasons["self_consistency"] == found.reasons["weighted_logprob"] == "no_answers"
    assert found.by_problem["best_logprob"].tolist() == [[0.5, 1.0]]


# --- stored and shown ---------------------------------------------------------------------------------------------------------------------


def test_analyses_replace_those_with_their_key(world: World) -> None:
    one = analyses.Analysis(kind="x", key="k1", inputs="a", result={"n": 1})
    with world.engine.begin() as connection:
        analyses.put(connection, [one, analyses.Analysis(kind="x", key="k2", inputs="a", result={})])
        analyses.put(connection, [analyses.Analysis(kind="x", key="k1", inputs="b", result={"n": 2}, parameters={"p": [1]})])
        found = analyses.get(connection, "x")
        assert found["k1"].inputs == "b" and found["k1"].result == {"n": 2} and set(found) == {"k1", "k2"}
        assert set(analyses.get(connection, "x", ["k2", "k3"])) == {"k2"} and analyses.get(connection, "y") == {}
        assert found["k1"].computed >= one.computed


def test_a_table_always_has_self_consistency_and_fits_its_width(world: World) -> None:
    drawn(world, {problem: own * 8 for problem, own in DRAWN.items()})
    (told,) = curves.told(refreshed(world))
    names = curves_text.chosen(["pass"])
    assert names == ["pass", "self_consistency"]
    wide = curves_text.table(told, names)
    assert (
        wide[0].split() == ["k", "=", "1", "2", "4", "8", "16", "32"] and wide[2].startswith("pass@k ") and wide[3].startswith("self-con")
    )
    assert max(map(len, curves_text.table(told, names, 80))) <= 80
    shown = {f"{100 * v:.1f}" for v in told["estimates"]["self_consistency"]["value"]}
    assert wide[3].split()[-2] in shown
    assert curves_text.table(told, names, markdown=True)[0].startswith("|  | k = 1 | 2 |")
    with pytest.raises(UserError, match="self_consistency"):
        curves_text.chosen(["self_consistancy"])


@pytest.mark.parametrize("by", ["k", "output_tokens", "flop"])
def test_the_picture_marks_every_line_and_never_leaves_the_width(world: World, by: str) -> None:
    drawn(world)
    (told,) = curves.told(refreshed(world))
    lines = curves_text.picture(told, ["pass", "self_consistency", "all_pass"], by, 72)
    assert max(map(len, lines)) <= 72 and all(mark in "\n".join(lines[:22]) for mark in "●▲■")
    assert "● pass@k   ▲ self-consistency   ■ pass^k" in lines[-2] + lines[-1]
    coloured = curves_text.picture(told, ["pass"], by, 72, colour=True)
    assert any("\x1b[" in line for line in coloured)


def test_a_picture_that_cannot_be_drawn_says_why(world: World) -> None:
    drawn(world)
    (told,) = curves.told(refreshed(world))
    (line,) = curves_text.picture(told, ["pass"], "energy_j", 72)
    assert line == "No picture: no energy_j (unsettled)."
    with pytest.raises(UserError, match="energy"):
        curves_text.field("enrgy")
    assert curves_text.field("tokens") == "output_tokens" and curves_text.field("flop") == "flop"


def test_notes_say_what_is_missing_and_left_out(world: World) -> None:
    drawn(world, {"p0": ("0",), "p1": ("2", "2", "2"), "p2": ("4", "4", "4", "4")}, first=1)
    (told,) = curves.told(refreshed(world, Sums(count=3)))
    said = " ".join(curves_text.notes(told, [*told["estimates"], "best_logprob"]))
    assert "1 problem (fewer_samples)" in said and "(observation_missing)" in said and "(few_samples)" in said and "(unsettled)" in said


def test_an_unknown_experiment_is_a_sentence(world: World) -> None:
    drawn(world)
    with pytest.raises(PerPassError, match="no results of experiment"):
        curves.stored(world.engine, experiment="nope")
