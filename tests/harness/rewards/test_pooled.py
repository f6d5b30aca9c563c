"""Verdicts are pooled: judged and spent once, charged to everyone who used them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from energy.hardware import Hardware
from harness.cell import Cell, Deployment
from harness.context import Context
from harness.events import Options
from harness.strategy import Strategy
from harness.testing import ScriptedEngine
from harness.types import Answer, Model, Sampling
from tests.harness.digits import Digits, place
from tests.harness.test_runner import QUICK, go, table

COUNT = 3  # samples that are judged


def judging(name: str, how: Any) -> Strategy:
    async def function(ctx: Context) -> Answer:
        samples = await ctx.sample(ctx.ask, COUNT)
        scores = await how(ctx, [s.text.split() for s in samples])
        return Answer.of(samples[max(range(COUNT), key=lambda i: scores[i][-1])])

    return Strategy(name, 1, "test", "", frozenset({"reward"}), COUNT, "full", {}, function)


async def in_turn(ctx: Context, texts: list[list[str]]) -> list[list[float | None]]:
    return [await ctx.reward(steps) for steps in texts]


async def at_once(ctx: Context, texts: list[list[str]]) -> list[list[float | None]]:
    return await ctx.gather(*(ctx.reward(steps) for steps in texts))


async def twice(ctx: Context, texts: list[list[str]]) -> list[list[float | None]]:
    await at_once(ctx, texts)
    return await in_turn(ctx, texts)


def cells(policy: Deployment, reward: Deployment, **more: Any) -> list[Cell]:
    task = Digits(size=4)
    made = [judging(name, how) for name, how in (("turn", in_turn), ("once", at_once), ("twice", twice))]
    return [Cell(policy, s.bind({}, Sampling(), {}), task, roles={"reward": reward}, **more) for s in made]


def places() -> tuple[Deployment, Deployment, ScriptedEngine]:
    judge = ScriptedEngine(Model("judge", "1", "none", context=100_000))
    hardware = Hardware("another CPU (2 cores)", "cpu", "another CPU", 1, cores=2, found=True)
    return place(), Deployment(judge, hardware), judge


CHARGED = """select strategy.name, sum(ledger.calls) calls, sum(ledger.prompt) prompt from ledger
    join attempt on attempt.id = attempt_id join cell on cell.id = cell_id join strategy on strategy.id = strategy_id
    where ledger.role = 'reward' group by 1"""


def test_a_verdict_is_spent_once_and_charged_to_each_strategy(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    policy, reward, judge = places()
    assert go(cells(policy, reward), db).status == "done"
    spent = table(db, "select * from sample where kind = 'reward'")
    texts = table(db, "select distinct problem_id, text_id from sample where kind = 'generate'")
    assert len(spent) == len(texts), "one verdict per different sample"
    assert judge.counters().calls == len(spent) and judge.counters().prompt == spent.prompt_tokens.sum()
    charged = table(db, CHARGED)
    assert set(charged.name) == {"turn", "once", "twice"}
    assert set(charged.calls) == {len(spent)} and set(charged.prompt) == {spent.prompt_tokens.sum()}
    assert len(table(db, "select * from reward_score")) > len(spent)


def test_a_later_run_reads_verdicts_from_the_database_and_offline_can(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    policy, reward, _ = places()
    first, second, third = cells(policy, reward)
    go([first], db)
    policy, reward, judge = places()
    _, second, third = cells(policy, reward)
    assert go([second], db).status == "done"
    assert go([third], db, Options(offline=True, window_s=0.2)).status == "done"
    assert judge.counters().calls == 0
    charged = table(db, CHARGED)
    assert len(set(charged.calls)) == 1 and len(set(charged.prompt)) == 1
    answers = table(db, "select problem_id, text_id from attempt order by problem_id")
    assert len(answers.drop_duplicates()) == 4, "the same verdicts choose the same samples"


def test_a_live_cell_judges_for_itself(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    policy, reward, judge = places()
    first = cells(policy, reward)[0]
    go([first], db)
    before = judge.counters().calls
    go(cells(policy, reward, mode="live", concurrency=2)[:1], db, QUICK)
    assert judge.counters().calls == before + 4 * COUNT
    assert len(table(db, "select * from sample where kind = 'reward' and pool is null")) == 4 * COUNT
