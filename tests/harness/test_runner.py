"""The runner on a real SQLite file: resume, kills, errors, budgets, conservation."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from harness import spending
from harness.cell import Cell
from harness.context import Context
from harness.events import Options, Status, Summary
from harness.runner import run
from harness.strategy import Strategy
from harness.testing import ScriptedEngine
from harness.types import Answer, Observe, Sampling, TransportFault
from perpass.errors import UserError
from perpass.identity import seed_from
from results.database import open_database
from results.store import Store
from tests.harness.digits import Digits, cell, place

QUICK = Options(backoff_s=0.0, window_s=0.2)


def go(cells: Sequence[Cell], db: Path, options: Options = QUICK, series: str = "main") -> Summary:
    engine = open_database(f"sqlite:///{db}", create=True)
    try:
        return asyncio.run(run(cells, Store(engine), name="test", text="", argv=["test"], series=series, options=options))
    finally:
        engine.dispose()


def table(db: Path, query: str) -> pd.DataFrame:
    with sa.create_engine(f"sqlite:///{db}").connect() as connection:
        return pd.read_sql(sa.text(query), connection)


def grid(engine: ScriptedEngine | None = None, task: Digits | None = None, trials: int = 2) -> list[Cell]:
    here, task = place(engine), task or Digits()
    ns = [cell("self_consistency", here, task, n=n, trials=trials) for n in (1, 4, 16)]
    return [cell("direct", here, task, trials=trials), cell("cot", here, task, trials=trials), *ns]


def test_everything_is_run_once_and_a_repeat_runs_nothing(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    first = go(grid(), db)
    assert (first.status, first.state.attempts_done) == ("done", 6 + 4 * 12)
    again = go(grid(), db)
    assert (again.status, again.state.attempts, again.state.attempts_before, again.state.calls) == ("done", 0, 54, 0)
    assert len(table(db, "select * from run")) == 1


def test_spent_is_the_largest_member_alone_and_charged_differs(tmp_path: Path) -> None:
    both, alone = tmp_path / "both.db", tmp_path / "alone.db"
    here, task = place(), Digits()
    ns = [cell("self_consistency", here, task, n=n) for n in (1, 4, 16)]
    together = go([*ns, cell("cot", here, task)], both)
    single = go([ns[-1]], alone)
    assert together.state.output_tokens == single.state.output_tokens
    tokens = "select sum(output_tokens) as spent from sample"
    assert table(both, tokens).spent[0] == table(alone, tokens).spent[0]
    per_cell = "select cell_id, sum(calls) as calls from ledger join attempt on attempt.id = attempt_id group by cell_id order by cell_id"
    charged = table(both, per_cell)
    assert charged.calls.tolist() == [6, 24, 96, 6]


def test_a_second_series_starts_afresh(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    go(grid()[:2], db)
    nightly = go(grid()[:2], db, series="nightly-2026-11-22")
    assert nightly.state.attempts_done == 18
    ordered = "(select * from attempt order by problem_id, trial) a join cell on cell.id = cell_id"
    texts = table(db, f"select series, group_concat(text_id) as texts from {ordered} group by cell_id")
    assert texts.texts.nunique() == 2  # seeds do not know the series: an unchanged nightly repeats its texts


def test_errors_are_outcomes_and_tried_again(tmp_path: Path) -> None:
    db = tmp_path / "a.db"

    class Flaky(ScriptedEngine):
        broken = True

        async def generate(self, *args: Any, **kwargs: Any) -> Any:
            if Flaky.broken and "number 3" in str(args[0]):
                raise TransportFault("connection reset")
            return await super().generate(*args, **kwargs)

    cells = [cell("cot", place(Flaky()))]
    first = go(cells, db, Options(retries=1, backoff_s=0.0))
    assert (first.status, first.state.errors, first.state.attempts_done) == ("errors", 1, 6)
    assert "gave up after 2 tries" in table(db, "select error from attempt where error is not null").error[0]
    Flaky.broken = False
    second = go(cells, db)
    assert (second.status, second.state.attempts, second.state.attempts_done) == ("done", 1, 1)
    assert len(table(db, "select * from attempt")) == 6
    assert table(db, "select error from attempt where error is not null").empty


def test_a_live_cell_draws_from_no_pool_and_is_judged_after_its_window(tmp_path: Path) -> None:
    db, task = tmp_path / "a.db", Digits()
    base = cell("self_consistency", place(ScriptedEngine(latency=(0.01, 0.02))), task, n=3)
    live = Cell(base.policy, base.strategy, task, mode="live", concurrency=2)
    done = go([live], db)
    assert done.status == "done" and (done.state.attempts_answered, done.state.attempts_unjudged) == (done.state.attempts_done, 0)
    assert table(db, "select * from sample where pool is not null").empty
    assert set(table(db, "select kind from window").kind) == {"whole", "steady"}
    window = table(db, "select max(ended) as ended from window").ended[0]
    assert window >= table(db, "select max(last) as newest from sample").newest[0]


def test_problems_arrive_at_a_rate_whatever_is_under_way(tmp_path: Path) -> None:
    db, base = tmp_path / "a.db", cell("cot", place(ScriptedEngine(latency=(0.3, 0.3))), Digits(size=30))
    live = Cell(base.policy, base.strategy, base.task, mode="live", rate=100.0)
    assert go([live], db).status == "done"
    assert table(db, "select mode, concurrency from cell").to_dict("records") == [{"mode": "live@100/s", "concurrency": None}]
    began = table(db, "select started from window where kind = 'whole'").started[0]
    sent = table(db, "select sent from sample order by problem_id").sent
    gaps = random.Random(seed_from("arrivals", 0))
    due = list(itertools.accumulate(gaps.expovariate(100.0) for _ in range(30)))
    assert all(at - began >= wanted - 0.01 for at, wanted in zip(sent, due, strict=True))  # never before its time
    running = max(sum(s <= at < s + 0.3 for s in sent) for at in sent)
    assert running > 5  # a closed loop of one would have had one
    codes = table(db, "select codes from attempt").codes
    assert set(codes) == {"{}"}  # taken alone on the device: no shared load


def test_a_missing_observation_skips_the_cell_and_names_fresh(tmp_path: Path) -> None:
    db, here = tmp_path / "a.db", place()
    go([cell("cot", here)], db)
    late = go([cell("best_of_n", here, n=2)], db)
    assert "observation_missing" in late.state.notes[0] and "--fresh" in late.state.notes[0]
    assert len(table(db, "select * from attempt")) == 6
    seen = cell("cot", here)
    together = [Cell(seen.policy, seen.strategy, seen.task, observe=Observe(logprobs=True)), cell("best_of_n", here, n=2)]
    assert go(together, tmp_path / "b.db").state.notes == []


def test_seconds_are_a_budget_and_the_rest_is_run_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, engine = tmp_path / "a.db", ScriptedEngine()
    # The clock that budgets are kept by: an hour passes with the tenth call.
    passed = lambda: 3600.0 if engine.counters().calls >= 10 else 0.0  # noqa: E731
    monkeypatch.setattr(spending, "time", SimpleNamespace(time=lambda: time.time() + passed(), monotonic=time.monotonic))
    cells = [cell("cot", place(engine), Digits(size=40))]
    stopped = go(cells, db, Options(in_flight=2, max_seconds=3600))
    assert stopped.status == "budget" and "--max-seconds 3600 reached" in stopped.stopped_by
    assert 10 <= stopped.state.attempts_done <= 11  # what was in flight is finished
    assert len(table(db, "select * from attempt")) == stopped.state.attempts_done
    assert table(db, "select status from run").status.tolist() == ["budget"]
    monkeypatch.undo()
    assert go(cells, db).state.attempts == 40 - stopped.state.attempts_done


def test_a_budget_that_cannot_be_counted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no token price of scripted"):
        go(grid(), tmp_path / "a.db", Options(max_usd=1.0))


class Held(ScriptedEngine):
    """Answers so many calls, then none; `reached` is set when it is asked once more."""

    def __init__(self, calls: int):
        super().__init__()
        self.left, self.reached = calls, asyncio.Event()

    async def generate(self, *args: Any, **kwargs: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            self.reached.set()
            await asyncio.Event().wait()
        return await super().generate(*args, **kwargs)


def test_interrupting_saves_the_state(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    engine = open_database(f"sqlite:///{db}", create=True)
    held = Held(calls=20)
    cells = [cell("cot", place(held), Digits(size=60))]

    async def interrupted() -> Summary:
        options = Options(in_flight=2)
        task = asyncio.ensure_future(run(cells, Store(engine), name="test", text="", argv=[], options=options))
        await asyncio.wait_for(held.reached.wait(), 300)
        task.cancel()
        return await task

    ended = asyncio.run(interrupted())
    assert ended.status == "interrupted" and 19 <= ended.state.attempts_done <= 20
    assert len(table(db, "select * from attempt")) == ended.state.attempts_done
    assert table(db, "select status from run").status.tolist() == ["interrupted"]


def test_the_garbage_collector_is_left_as_it_was(tmp_path: Path) -> None:
    during: list[int] = []
    seldom: list[int] = []
    before = gc.get_threshold()

    class Looking(ScriptedEngine):
        async def generate(self, *args: Any, **kwargs: Any) -> Any:
            during.append(gc.get_freeze_count())
            seldom.append(gc.get_threshold()[0])
            return await super().generate(*args, **kwargs)

    assert gc.get_freeze_count() == 0
    go([cell("cot", place(Looking()))], tmp_path / "a.db")
    assert min(during) > 0 and gc.get_freeze_count() == 0
    assert min(seldom) > before[0] and gc.get_threshold() == before
    gc.freeze()  # somebody else's affair
    try:
        frozen = gc.get_freeze_count()
        go([cell("cot", place(Looking()))], tmp_path / "b.db")
        assert gc.get_freeze_count() > frozen / 2
    finally:
        gc.unfreeze()


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[Status] = []
    go(grid(), tmp_path / "a.db", Options(progress=seen.append))
    assert seen[-1].attempts_done == seen[-1].attempts == 54
    assert seen[-1].cells_done == seen[-1].cells == 5
    assert [s.attempts_done for s in seen] == sorted(s.attempts_done for s in seen)


def test_charged_energy_adds_up_to_the_windows(tmp_path: Path) -> None:
    """Every attempt uses its samples alone here, so what attempts are charged is what the windows saw of known calls."""
    db = tmp_path / "a.db"
    go([cell("cot", place(ScriptedEngine(latency=(0.01, 0.03))))], db)
    samples = table(db, "select energy_j, energy_code from sample")
    assert samples.energy_j.notna().all() or samples.energy_code.notna().all()  # a number or a reason, never neither
    assert not (samples.energy_j == 0).any()


KILLED = """
import asyncio, sys
from harness.runner import run
from harness.events import Options
from results.database import open_database
from results.store import Store
from tests.harness.digits import Digits, cell, place
from harness.testing import ScriptedEngine
here, task = place(ScriptedEngine(latency=(0.0, 0.02), faults=0.05)), Digits(size=100)
votes = [cell("self_consistency", here, task, n=n) for n in (2, 4, 8)]
cells = [cell("direct", here, task), cell("cot", here, task), *votes, cell("best_of_n_judge", here, task, n=2)]
engine = open_database("sqlite:///" + sys.argv[1], create=True)
print("started", flush=True)
asyncio.run(run(cells, Store(engine), name="killed", text="", argv=[], options=Options(in_flight=8, backoff_s=0.0, window_s=0.5)))
"""


def attempts(db: Path) -> pd.DataFrame:
    return table(
        db,
        "select cell.identity, problem_id, trial, text_id, t.data, group_concat(l.role || l.calls || l.output) as ledger from attempt"
        " join cell on cell.id = cell_id join text t on t.id = text_id join ledger l on l.attempt_id = attempt.id"
        " group by attempt.id order by cell.identity, problem_id, trial",
    )


def test_killed_at_any_moment_it_resumes_with_nothing_lost_and_nothing_double(tmp_path: Path) -> None:
    """SIGKILL at five shares of the run's length; then the same 600 attempts, texts and ledgers as those of a run that nobody killed."""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}

    def start(db: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(db)], env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout and process.stdout.readline() == "started\n"
        return process

    whole, db = tmp_path / "whole.db", tmp_path / "killed.db"
    began = time.monotonic()
    assert start(whole).wait() == 0
    length = time.monotonic() - began
    for share in (0.1, 0.25, 0.2, 0.3, 0.05):
        process = start(db)
        time.sleep(length * share)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(db).wait() == 0
    expected, found = attempts(whole), attempts(db)
    assert len(found) == 600
    pd.testing.assert_frame_equal(expected.drop(columns="text_id"), found.drop(columns="text_id"))


def test_what_an_opened_engine_turns_out_to_lack_drops_the_cell_alone(tmp_path: Path) -> None:
    class Poorer(ScriptedEngine):
        async def open(self) -> None:
            self.capabilities = replace(self.capabilities, logprobs=False)

    here = place(Poorer())
    done = go([cell("cot", here), cell("best_of_n", here, n=2)], tmp_path / "a.db")
    assert done.status == "done" and done.state.attempts_done == 6
    assert done.state.notes == ["skipped scripted · scripted · best_of_n(n=2) · digits: its engine turned out to lack logprobs"]


def test_reward_scores_are_stored_with_their_call(tmp_path: Path) -> None:
    async def rewarded(ctx: Context) -> Answer:
        await ctx.reward(["one", "two", "three"])
        return Answer.of(await ctx.one(ctx.ask))

    here, db = place(), tmp_path / "a.db"
    declared = Strategy("rewarded", 1, "test", "", frozenset({"reward"}), None, "no", {}, rewarded)
    made = Cell(here, declared.bind({}, Sampling(), {}), Digits(size=2), roles={"reward": here})
    assert go([made], db).status == "done"
    stored = table(db, "select role, step, score from reward_score join sample on sample.id = sample_id")
    assert len(stored) == 2 * 3 and set(stored.role) == {"reward"} and stored.score.between(0, 1).all()


@pytest.mark.parametrize(("own", "given", "most"), [(3, None, 3), (3, 5, 5)])
def test_an_engine_says_how_many_problems_keep_it_busy(tmp_path: Path, own: int, given: int | None, most: int) -> None:
    under_way, seen, enough = [0], [], asyncio.Event()

    class Counting(ScriptedEngine):
        """Answers nothing before as many calls as expected are under way, and takes a while then, so that more would be seen."""

        in_flight = own

        async def generate(self, *args: Any, **kwargs: Any) -> Any:
            under_way[0] += 1
            seen.append(under_way[0])
            if under_way[0] >= most:
                enough.set()
            try:
                await asyncio.wait_for(enough.wait(), 60)
                for _ in range(100):
                    await asyncio.sleep(0)
                return await super().generate(*args, **kwargs)
            finally:
                under_way[0] -= 1

    done = go([cell("cot", place(Counting()), Digits(size=20))], tmp_path / "a.db", replace(QUICK, in_flight=given))
    assert done.status == "done" and max(seen) == most
