"""From an experiment to cells: crossing, identities, what is skipped and why, and what it would take."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bench import estimate, experiment, history, plan
from harness.cell import Cell
from harness.context import Context
from harness.engines import engines
from harness.engines.scripted import ScriptedEngine
from harness.strategy import strategies, strategy
from harness.types import Answer, Capabilities
from perpass.errors import UserError
from tasks.registry import tasks
from tasks.types import Judgement, Outcome, Problem, Prompt, Reply


class PlainEngine(ScriptedEngine):
    """An engine that offers nothing beyond text."""

    kind = "plain"
    capabilities = Capabilities()


class FixedTask:
    """One problem whose protocol fixes the exact prompt."""

    name, version, items, revision, spec, judge_version = "fixed", 1, 1, "1", {"kind": "fixed"}, "1"

    def problems(self) -> list[Problem]:
        return [Problem(key="a", question="?", answer_format="", gold=("1",), fixed=Prompt.chat("exactly this"))]

    def extract(self, text: str) -> tuple[str | None, ...]:
        return (text,)

    async def judge(self, problem: Problem, reply: Reply, ask: Any = None) -> Judgement:
        return Judgement((Outcome.WRONG,))

    async def classes(self, answers: Any) -> list[int]:
        return list(range(len(answers)))


class PrescribedTask(FixedTask):
    """A task whose protocol prescribes its sampling, and 4 replies where it takes several."""

    name = "prescribed"

    def __init__(self, request: str = "generate"):
        self.request, self.replies = request, 4 if request == "replies" else 1
        self.sampling = {"temperature": 0.0, "max_tokens": 256, "stop": ("Q:",)}

    def problems(self) -> list[Problem]:
        return [replace(p, request=self.request) for p in super().problems()]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def names() -> Iterator[None]:
    """An engine, a strategy and a task that only these tests know."""
    engines.add("plain", PlainEngine)
    tasks.add("fixed", FixedTask)

    @strategy(name="rewarded", version=1, family="test", needs={"reward"})
    async def rewarded(ctx: Context) -> Answer:
        """Needs a reward model."""
        return Answer.of(await ctx.one(ctx.ask))

    yield
    for registry, name in ((engines, "plain"), (tasks, "fixed"), (strategies, "rewarded")):
        del registry._found[name]


def build(**changes: Any) -> plan.Plan:
    content = {"engines": ["scripted"], "tasks": ["arithmetic"], "strategies": ["cot"], "limit": 3} | changes
    return plan.build(experiment.load(content))


def labels(made: plan.Plan) -> list[str]:
    return [cell.strategy.label for cell in made.cells]


def test_cells_are_the_product_in_the_order_of_the_file() -> None:
    made = build(
        engines=["scripted", {"kind": "scripted", "context": 5000}],
        tasks=["arithmetic", {"kind": "arithmetic", "seed": 1}],
        strategies=["direct", {"kind": "self_consistency", "n": [2, 4]}],
    )
    assert labels(made) == ["direct", "self_consistency(n=2)", "self_consistency(n=4)"] * 4
    assert [c.policy.engine.settings["context"] for c in made.cells] == [100_000] * 6 + [5000] * 6
    assert len({c.identity for c in made.cells}) == 12
    assert not made.skipped


def test_cells_of_one_deployment_share_the_engine() -> None:
    made = build(strategies=["direct", "cot"], roles={"judge": {"engine": "scripted"}})
    assert len({id(c.policy.engine) for c in made.cells}) == 1


def test_models_are_crossed_with_engines_but_not_with_one_that_names_its_model() -> None:
    both = build(models=["perpass/nano"], engines=["scripted", {"kind": "scripted", "context": 4096, "model": "perpass/nano"}])
    assert [c.policy.model.name for c in both.cells] == ["perpass/nano"] * 2


def test_duplicates_are_gone() -> None:
    assert labels(build(strategies=["cot", {"kind": "cot"}, "self_consistency(n=2)", {"kind": "self_consistency", "n": [2, 2]}])) == [
        "cot",
        "self_consistency(n=2)",
    ]


def test_a_protocols_sampling_is_over_the_experiments_and_under_an_entrys() -> None:
    tasks.add("prescribed", PrescribedTask)
    try:
        made = build(tasks=["prescribed"], strategies=["cot", {"kind": "cot", "temperature": 0.7}], sampling={"max_tokens": 9}, trials=3)
        assert [(c.strategy.sampling.temperature, c.strategy.sampling.max_tokens, c.runs) for c in made.cells] == [
            (0, 256, 1),
            (0.7, 256, 3),
        ]
        assert {c.strategy.sampling.stop for c in made.cells} == {("Q:",)} and len({c.identity for c in made.cells}) == 2
        voted = build(tasks=["prescribed"], strategies=["self_consistency(n=4)", {"kind": "self_consistency", "n": 4, "temperature": 1}])
        assert [c.strategy.sampling.temperature for c in voted.cells] == [1]
        assert [skipped.reason for skipped in voted.skipped] == [
            "task prescribed prescribes its sampling: temperature 0 with n=4 would draw 4 equal samples; "
            "give strategy self_consistency a temperature of its own"
        ]
    finally:
        del tasks._found["prescribed"]


def test_what_a_task_asks_for_is_done_by_the_strategies_that_do_it() -> None:
    tasks.add("prescribed", PrescribedTask)
    try:
        every = ["cot", "replies(n=2)", {"kind": "replies", "n": [2, 4], "temperature": 1}, "loglikelihood"]
        for request, label, reasons in (
            (
                "replies",
                ["replies(n=4)"],
                [
                    "strategy cot does not do what task prescribed asks for; replies(n=4) does",
                    "task prescribed judges 4 replies together, not 2; use replies(n=4)",
                    "strategy loglikelihood does not do what task prescribed asks for; replies(n=4) does",
                ],
            ),
            ("choice", ["loglikelihood"], None),
            ("generate", ["cot"], None),
        ):
            made = build(tasks=[{"kind": "prescribed", "request": request}], strategies=every)
            assert labels(made) == label
            assert reasons is None or [skipped.reason for skipped in made.skipped] == reasons
    finally:
        del tasks._found["prescribed"]


def test_an_interruption_needs_a_thought_and_an_update_a_task_that_has_one() -> None:
    thinks = {"id": "perpass/nano", "think": ["<think>", "</think>"]}
    asked = {
        "engines": ["scripted"],
        "tasks": ["arithmetic", "updated"],
        "strategies": ["cot", {"kind": "interruption", "mode": ["soft", "update"]}],
    }
    made = build(models=[thinks], **asked)
    assert [(c.task.name, c.strategy.label) for c in made.cells] == [
        ("arithmetic", "cot"),
        ("arithmetic", "interruption(mode=soft)"),
        ("updated", "interruption(mode=update)"),
    ]
    assert [skipped.reason for skipped in made.skipped] == [
        "interruption(mode=update) needs problems with an update; task arithmetic has none, {kind: updated, base: arithmetic} does",
        "strategy cot does not do what task updated asks for; interruption(mode=update) does",
        "task updated is about an update, which interruption(mode=soft) does not tell; interruption(mode=update) does",
    ]
    needs = "strategy interruption needs thinking, which engine scripted does not offer"
    assert needs in {skipped.reason for skipped in build(models=["perpass/nano"], **asked).skipped}
    live = build(models=[thinks], **asked, mode="live", concurrency=[4]).skipped
    assert sum("run it pooled" in skipped.reason for skipped in live) == 4


def test_sampling_entry_over_definition_over_experiment() -> None:
    made = build(strategies=["direct", {"kind": "direct", "temperature": 0.5}, "cot"], sampling={"temperature": 0.3, "max_tokens": 9})
    assert [c.strategy.sampling.temperature for c in made.cells] == [0.0, 0.5, 0.3]
    assert {c.strategy.sampling.max_tokens for c in made.cells} == {9}


def test_stop_strings_are_one_value() -> None:
    made = build(strategies=[{"kind": "cot", "stop": ["\n\n", "Q:"]}])
    assert [c.strategy.sampling.stop for c in made.cells] == [("\n\n", "Q:")]


def test_a_greedy_strategy_runs_one_trial() -> None:
    assert [c.runs for c in build(strategies=["direct", "cot"], trials=4).cells] == [1, 4]


def test_live_cells_may_arrive_at_rates_instead() -> None:
    made = build(mode="live", concurrency=[1], rate=[0.5, 20])
    modes = [(cell.key.mode, cell.key.concurrency) for cell in made.cells]
    assert modes == [("live", 1), ("live@0.5/s", None), ("live@20/s", None)] * (len(modes) // 3)
    assert len({cell.identity for cell in made.cells}) == len(made.cells)


def test_live_cells_are_crossed_with_concurrency() -> None:
    made = build(mode="live", concurrency=[1, 8])
    assert [c.concurrency for c in made.cells] == [1, 8]


def test_all_cells_of_a_deployment_record_what_any_of_them_needs() -> None:
    assert [c.observe.logprobs for c in build(strategies=["cot", "best_of_n"]).cells] == [True, True]
    assert [c.observe.logprobs for c in build(strategies=["cot"]).cells] == [False]


def test_the_judge_is_the_policy_unless_given() -> None:
    (own,) = build(strategies=["best_of_n_judge"]).cells
    assert own.roles["judge"] is own.policy
    (other,) = build(strategies=["best_of_n_judge"], roles={"judge": {"engine": {"kind": "scripted", "context": 4000}}}).cells
    assert other.roles["judge"] is not other.policy
    assert own.identity != other.identity


def test_only_roles_that_a_strategy_needs_are_part_of_its_cell() -> None:
    assert build(roles={"judge": {"engine": {"kind": "scripted", "context": 4000}}}).cells[0].identity == build().cells[0].identity


def test_hardware_that_an_engine_names() -> None:
    (cell,) = build(engines=[{"kind": "scripted", "hardware": "H100x2"}]).cells
    assert cell.policy.hardware.label == "H100x2"


def test_a_server_elsewhere_names_its_model_and_runs_on_unknown_hardware() -> None:
    there = {"kind": "openai", "base_url": "https://example.org/v1", "model": "some-model"}
    made = build(models=["perpass/nano"], engines=[there, {**there, "base_url": "http://localhost:8000"}, {**there, "hardware": "H100x8"}])
    assert [c.policy.model.name for c in made.cells] == ["some-model"] * 3
    assert made.cells[0].policy.hardware.name == "unknown" and not made.cells[0].policy.hardware.found
    assert made.cells[1].policy.hardware.found
    assert made.cells[2].policy.hardware.label == "H100x8"


def test_a_role_has_a_deployment_of_its_own() -> None:
    (cell,) = build(strategies=["best_of_n_judge"], roles={"judge": {"model": "perpass/nano", "engine": "transformers"}}).cells
    assert (cell.roles["judge"].model.name, cell.roles["judge"].engine.kind) == ("perpass/nano", "transformers")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"engines": ["plain"], "strategies": ["best_of_n"]}, "strategy best_of_n needs logprobs, which engine plain does not offer"),
        (
            {"engines": ["plain"], "strategies": ["best_of_n_judge"]},
            "strategy best_of_n_judge needs prompt_logprobs, which engine plain does not offer",
        ),
        ({"strategies": ["rewarded"]}, "strategy rewarded needs a model for the role 'reward'; give one under `roles`"),
        ({"strategies": ["rewarded"], "roles": {"reward": {"engine": "plain"}}}, None),
        (
            {"tasks": ["fixed"], "strategies": ["direct"]},
            "strategy direct writes its own prompt, but task fixed fixes the exact prompt of its protocol",
        ),
        ({"tasks": ["fixed"]}, None),
        ({"engines": ["plain"], "sampling": {"thinking": True}}, "sampling asks for thinking=True, which engine plain cannot switch"),
    ],
)
def test_what_cannot_run_is_skipped_with_the_reason(changes: dict[str, Any], reason: str | None) -> None:
    made = build(**changes)
    assert [s.reason for s in made.skipped] == ([reason] if reason else [])
    assert bool(made.cells) == (reason is None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"strategies": ["self_consistncy"]}, "experiment: unknown strategy 'self_consistncy'; did you mean 'self_consistency'?"),
        ({"strategies": ["self_consistency(m=4)"]}, "experiment: self_consistency: unknown parameter 'm'; known: n"),
        (
            {"strategies": [{"kind": "cot", "temprature": 1}]},
            "experiment: cot: unknown parameter 'temprature'; did you mean 'temperature'?",
        ),
        ({"strategies": ["self_consistency(n=0)"]}, "experiment: self_consistency: n=0: input should be greater than or equal to 1"),
        ({"strategies": ["self_consistency(n=two)"]}, "experiment: self_consistency: n='two': input should be a valid integer"),
        (
            {"strategies": ["self_consistency(n=4, temperature=0)"]},
            "experiment: self_consistency: temperature 0 with n=4 would draw 4 equal samples",
        ),
        ({"sampling": {"temprature": 1}}, "experiment: unknown sampling parameter 'temprature'; did you mean 'temperature'?"),
        ({"sampling": {"top_p": 2}}, "experiment: sampling: top_p must be between 0 and 1, not 2"),
        ({"tasks": ["arithmetik"]}, "experiment: unknown task 'arithmetik'; did you mean 'arithmetic'?"),
        ({"tasks": [{"kind": "arithmetic", "sed": 1}]}, "experiment: task 'arithmetic' has no parameter 'sed'; did you mean 'seed'?"),
        ({"engines": ["scriptd"]}, "experiment: unknown engine 'scriptd'; did you mean 'scripted'?"),
        ({"engines": ["scripted(latncy=1)"]}, "experiment: engine scripted: unknown setting 'latncy'; did you mean 'latency'?"),
        ({"engines": ["scripted(faults=2)"]}, "experiment: engine scripted: faults must be a share"),
        ({"engines": ["transformers"]}, "experiment: missing key 'models'; engine 'transformers' needs one, such as [perpass/nano]"),
        ({"models": ["perpass/nona"]}, "experiment: unknown model 'perpass/nona'; did you mean 'perpass/nano'?"),
        ({"models": [{"id": "perpass/nano", "dtyp": "float32"}]}, "experiment: model: unknown key 'dtyp'; did you mean 'dtype'?"),
        ({"engines": [{"kind": "scripted", "hardware": "H1OO"}]}, "experiment: unknown hardware 'H1OO'; did you mean 'h100'?"),
        ({"roles": {"jugde": {"engine": "scripted"}}}, "experiment: unknown role 'jugde'; did you mean 'judge'?"),
        ({"roles": {"judge": {"engin": "scripted"}}}, "experiment: unknown key 'engin'; did you mean 'engine'?"),
        ({"roles": {"judge": {"engine": "transformers"}}}, "experiment: role 'judge' needs a model"),
    ],
)
def test_names_that_are_wrong(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        build(**changes)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def total(cells: list[Cell], past: history.History = history.History()) -> estimate.Take:
    return sum(estimate.estimate(cells, past), estimate.Take())


def test_the_estimate_counts_a_pooled_sample_once() -> None:
    made = build(strategies=["cot", {"kind": "self_consistency", "n": [1, 4, 16]}], trials=2, limit=8)
    alone = build(strategies=["self_consistency(n=16)"], trials=2, limit=8)
    assert total(made.cells).calls == total(alone.cells).calls == estimate.Range(8 * 2 * 16, 8 * 2 * 16)


def test_the_estimate_counts_the_judges_calls() -> None:
    assert total(build(strategies=["best_of_n_judge(n=4)"], limit=8).cells).calls == estimate.Range(8 * 4 * 3, 8 * 4 * 3)


def test_the_estimate_bounds_what_the_scripted_engine_makes() -> None:
    take = total(build(sampling={"max_tokens": 64}).cells)
    assert take.output_tokens is not None
    assert (take.output_tokens.low, take.output_tokens.high) == (pytest.approx(3 * 64 / 20), 3 * 64)
    assert take.seconds is None and "no stored cell" in take.reasons["seconds"]
    assert take.basis == {"max_tokens and prompt lengths"}


def test_what_is_stored_is_not_counted() -> None:
    made = build(limit=4)
    stored = history.History(finished={made.cells[0].identity: 3})
    assert total(made.cells, stored).calls == estimate.Range(1, 1)
    assert total(made.cells, history.History(finished={made.cells[0].identity: 4})).calls == estimate.Range()


def test_history_gives_lengths_seconds_and_joules() -> None:
    made = build(limit=10)
    (cell,) = made.cells
    from perpass.identity import canonical, content_hash

    key = (content_hash(canonical(cell.policy.model.identity())), cell.policy.hardware.name, "policy", "generate")
    past = history.History({key: history.Rate(100, prompt=50, output=20, seconds=0.1, joules=2.0)})
    take = total(made.cells, past)
    low, high = estimate.SPREAD
    assert bounds(take.output_tokens) == pytest.approx((200 * low, 200 * high))
    assert bounds(take.seconds) == pytest.approx((low, high))
    assert bounds(take.joules) == pytest.approx((20 * low, 20 * high))
    assert take.usd is not None and take.basis == {"stored cells"}


def bounds(value: estimate.Range | None) -> tuple[float, float]:
    assert value is not None
    return value.low, value.high
