"""Pools, seeds, clocks, the ledger: what cannot be retrofitted."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from harness.attempt import answer, ledger
from harness.context import Context, Made, Services
from harness.fork import current
from harness.pool import NotInPool, ObservationMissing
from harness.strategy import Strategy
from harness.testing import ScriptedEngine, attempt_alone, empty_pools
from harness.types import Answer, Observe, PromptTooLong, Sampling, TransportFault, Usage
from perpass.errors import PerPassError, UserError
from tests.harness.digits import Digits, cell, place


def custom(function: Any, engine: ScriptedEngine, *, needs: set[str] = frozenset(), **sampling: Any) -> Any:  # type: ignore[assignment]
    """A cell whose strategy is the given coroutine function."""
    made = Strategy(function.__name__, 1, "test", "", frozenset(needs), None, "no", {}, function)
    base = cell("cot", place(engine))
    bound = made.bind({}, Sampling(max_tokens=200).but(**sampling), {})
    return type(base)(base.policy, bound, base.task, roles=dict.fromkeys(made.roles, base.policy))


def run(c: Any, trial: int = 0, problem: int = 0, pools: Any = None) -> Any:
    return asyncio.run(attempt_alone(c, c.problems[problem], trial, pools))


def test_strategies_share_a_pool_and_spend_each_sample_once() -> None:
    engine = ScriptedEngine(latency=(0, 0.002))
    here, task = place(engine), Digits()
    cells = [cell("self_consistency", here, task, n=n) for n in (1, 4, 16)] + [cell("cot", here, task), cell("best_of_n", here, task, n=2)]

    async def all_of_them(chosen: list[Any]) -> tuple[list[Usage], Usage]:
        pools, made = empty_pools(), []
        services = Services("main", pools, made.append)
        done = await asyncio.gather(*(answer(c, p, 0, services) for c in chosen for p in task.problems()))
        charged = [sum((u for u, _ in ledger(d).values()), Usage()) for d in done]
        return charged, sum((m.sample.usage for m in made), Usage())

    observed = [type(c)(**{**vars_of(c), "observe": Observe(logprobs=True)}) for c in cells]
    charged, spent = asyncio.run(all_of_them(observed))
    _, alone = asyncio.run(all_of_them(observed[2:3]))
    assert spent == alone
    assert spent.calls == 16 * 6
    by_cell = [sum((charged[i * 6 + p] for p in range(6)), Usage()).calls for i in range(5)]
    assert by_cell == [6, 24, 96, 6, 12]


def vars_of(c: Any) -> dict[str, Any]:
    return {f: getattr(c, f) for f in ("policy", "strategy", "task", "roles", "seed", "mode", "concurrency", "limit", "trials", "observe")}


def test_trials_use_disjoint_samples_and_series_share_none() -> None:
    c = cell("self_consistency", place(), n=4)
    keys = [{m.key for m in run(c, trial)[1]} for trial in range(3)]
    assert len(set.union(*keys)) == 12
    seeds = [{m.seed for m in run(c, trial)[1]} for trial in range(3)]
    assert len(set.union(*seeds)) == 12


def test_position_not_grouping_decides_what_is_drawn() -> None:
    async def at_once(ctx: Context) -> Answer:
        return Answer("|".join(s.text for s in await ctx.sample(ctx.ask, 5)))

    async def one_by_one(ctx: Context) -> Answer:
        first = await ctx.sample(ctx.ask, 2)
        return Answer("|".join(s.text for s in [*first, *[await ctx.one(ctx.ask) for _ in range(3)]]))

    engine = ScriptedEngine(latency=(0, 0.003))
    texts = [run(custom(f, engine))[0].answered.answer.text for f in (at_once, one_by_one)]
    assert texts[0] == texts[1]


def test_calls_inside_gather_never_draw_from_a_pool() -> None:
    async def branching(ctx: Context) -> Answer:
        await ctx.gather(ctx.one(ctx.ask), ctx.one(ctx.ask))
        return Answer.of(await ctx.one(ctx.ask))

    judged, made = run(custom(branching, ScriptedEngine()))
    assert [call.pooled for call in judged.answered.calls] == [False, False, True]
    assert len({m.seed for m in made}) == 3


def test_clock_is_the_critical_path() -> None:
    async def branching(ctx: Context) -> Answer:
        async def long() -> None:
            for _ in range(3):
                await ctx.one(ctx.ask, max_tokens=10)

        await ctx.one(ctx.ask, max_tokens=5)
        await ctx.gather(long(), ctx.one(ctx.ask, max_tokens=20))
        await ctx.sample(ctx.ask, 4, max_tokens=7)
        return Answer("")

    judged, _ = run(custom(branching, ScriptedEngine(script=lambda *_: "x" * 100)))
    assert judged.answered.serial_tokens == 5 + 30 + 7
    assert sum(c.kept.usage.output for c in judged.answered.calls) == 5 + 30 + 20 + 28


def test_random_streams_are_per_fork_and_independent_of_latency() -> None:
    async def rolling(ctx: Context) -> Answer:
        async def roll(wait: float) -> float:
            await asyncio.sleep(random.random() * wait)
            return ctx.rng.random()

        rolls = await ctx.gather(*(roll(0.01) for _ in range(5)))
        assert len(set(rolls)) == 5
        return Answer(" ".join(map(str, [*rolls, ctx.rng.random()])))

    c = custom(rolling, ScriptedEngine())
    assert len({run(c)[0].answered.answer.text for _ in range(5)}) == 1
    assert run(c, trial=1)[0].answered.answer.text != run(c)[0].answered.answer.text


def test_watch_cuts_a_stored_trace_and_charges_what_was_kept() -> None:
    engine = ScriptedEngine(script=lambda *_: "abcdefghij" * 10)

    async def watching(ctx: Context) -> Answer:
        (kept,) = await ctx.sample(ctx.ask, watch=lambda part: len(part.text) >= 40, every=16)
        return Answer.of(kept)

    judged, made = run(custom(watching, engine))
    assert judged.answered.answer.text == ("abcdefghij" * 10)[:48]
    assert judged.answered.answer.finish == "stop"
    assert judged.answered.charged[0].output == 48
    assert made[0].sample.usage.output == 101  # the pool holds the whole trace


def test_greedy_calls_are_the_attempts_own_and_many_of_them_are_refused() -> None:
    async def greedy(ctx: Context) -> Answer:
        return (await ctx.sample(ctx.ask, 2, temperature=0.0)) and Answer("")

    judged, _ = run(custom(greedy, ScriptedEngine()))
    assert "temperature 0" in judged.answered.error
    with pytest.raises(UserError, match="raise the temperature or use n=1"):
        cell("self_consistency", place(), sampling={"temperature": 0.0}, n=4)
    assert cell("self_consistency", place(), sampling={"temperature": 0.0}, n=1).runs == 1


def test_roles_are_apart_in_the_ledger_and_add_up_to_the_engines_counters() -> None:
    policy, judge = ScriptedEngine(), ScriptedEngine()
    c = cell("best_of_n_judge", place(policy), n=3)
    c = type(c)(**{**vars_of(c), "roles": {"judge": place(judge)}})
    judged, _ = run(c)
    sums = {role: usage for (role, _, _), (usage, _) in ledger(judged.answered).items()}
    for role, engine in (("policy", policy), ("judge", judge)):
        counted = engine.counters()
        assert (sums[role].prompt, sums[role].output, sums[role].scored) == (counted.prompt, counted.output, counted.scored)


def test_an_undeclared_role_is_an_error() -> None:
    async def cheating(ctx: Context) -> Answer:
        return Answer.of(await ctx.one(ctx.ask, role="helper"))

    judged, _ = run(custom(cheating, ScriptedEngine()))
    assert "without declaring it" in judged.answered.error
    assert [str(o) for o in judged.judgement.items] == ["error"]


def test_reward_scores_go_to_their_own_role() -> None:
    async def rewarded(ctx: Context) -> Answer:
        scores = await ctx.reward(["one", "two"])
        return Answer(str(len(scores)))

    judged, made = run(custom(rewarded, ScriptedEngine(), needs={"reward"}))
    assert judged.answered.answer.text == "2"
    assert [(m.role, m.kind) for m in made] == [("reward", "reward")]


def test_faults_are_retried_and_then_named() -> None:
    class Broken(ScriptedEngine):
        tries = 0

        async def generate(self, *a: Any, **k: Any) -> Any:
            Broken.tries += 1
            raise TransportFault("connection reset", retry_after=0.0)

    judged, _ = run(cell("direct", place(Broken())))
    assert Broken.tries == 21
    assert judged.answered.error == "PerPassError: connection reset (gave up after 21 tries)"


def test_too_long_is_not_an_error() -> None:
    judged, _ = run(cell("cot", place(ScriptedEngine(context=20))))
    assert [str(o) for o in judged.judgement.items] == ["too_long"]
    assert judged.answered.error is None
    assert issubclass(PromptTooLong, PerPassError)


def test_offline_answers_from_the_pool_alone() -> None:
    pools = empty_pools(offline=True)
    judged, made = run(cell("cot", place()), pools=pools)
    assert "--offline" in judged.answered.error and not made
    judged, _ = run(cell("direct", place()), pools=empty_pools(offline=True))
    assert "--offline" in judged.answered.error
    assert issubclass(NotInPool, PerPassError)


def test_a_sample_without_the_observation_stops_the_cell() -> None:
    pools, here = empty_pools(), place()
    run_both = [cell("cot", here), cell("best_of_n", here, n=1)]

    async def both() -> None:
        made: list[Made] = []
        services = Services("main", pools, made.append)
        await answer(run_both[0], run_both[0].problems[0], 0, services)
        with pytest.raises(ObservationMissing, match="--fresh"):
            await answer(run_both[1], run_both[1].problems[0], 0, services)

    asyncio.run(both())


def test_no_strand_outside_an_attempt() -> None:
    with pytest.raises(LookupError):
        current.get()
