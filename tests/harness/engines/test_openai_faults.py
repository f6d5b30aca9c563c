"""The openai engine on a server that fails: each fault alone, and a run of a thousand requests into a database."""
# ruff: noqa: F811  # fixtures are imported, and named again where they are used

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from energy import hardware
from harness.cell import Deployment
from harness.engines import openai_http
from harness.engines.openai import OpenAIEngine
from harness.engines.openai_errors import failure, retry_after
from harness.events import Options, Summary
from harness.runner import run
from harness.types import PromptTooLong, TransportFault
from perpass.errors import PerPassError
from results.database import open_database
from results.store import Store
from tests.harness.digits import Digits, cell
from tests.harness.engines.faulty_server import FAULTS, Server
from tests.harness.engines.openai_case import ASK, HOT, KEY, everything, key, made, use, vllm  # noqa: F401


# -- faults --------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_a_transport_fault_without_the_key(vllm: Server, fault: str) -> None:
    async def once(engine: OpenAIEngine) -> None:
        vllm.next_faults.append(fault)
        with pytest.raises(TransportFault) as caught:
            await engine.generate(ASK, HOT, 1)
        assert KEY not in everything(caught.value)
        assert caught.value.retry_after == (0.02 if fault == "429 with Retry-After" else None)
        assert (await engine.generate(ASK, HOT, 1)).text  # the engine is none the worse for it

    vllm.stall_s = 300
    use(made(vllm, timeout_s=2 if fault == "stall" else 300), once)


def test_what_no_other_try_can_overcome_is_no_transport_fault() -> None:
    said = '{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    for status, body, kind in (
        (429, said, PerPassError),
        (429, "{}", TransportFault),
        (404, "no such thing", PerPassError),
        (501, "", PerPassError),
        (503, "<html>", TransportFault),
        (400, '{"error": {"code": "context_length_exceeded", "message": "x"}}', PromptTooLong),
        (422, '{"detail": "inputs too long"}', PerPassError),
    ):
        error = failure(status, body, {}, "it")
        assert isinstance(error, kind) and isinstance(error, TransportFault) == (kind is TransportFault)
    assert "quota" in str(failure(429, said, {}, "it"))


def test_retry_after_in_seconds_or_as_a_date() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"retry-after-ms": "250", "Retry-After": "1"}) == 0.25
    dates = {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after(dates) == 30
    assert retry_after({"Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT"}) == 0
    assert retry_after({"Retry-After": "soon"}) is None and retry_after({}) is None and retry_after({"Retry-After": "nan"}) is None


def test_connections_are_reused(vllm: Server, patient: None) -> None:
    async def one_after_another(engine: OpenAIEngine) -> int:
        opened = len(vllm.peers)
        for seed in range(30):
            await engine.generate(ASK, HOT, seed)
        await asyncio.gather(*(engine.generate(ASK, HOT, seed) for seed in range(60)))
        return opened

    assert use(made(vllm, max_connections=8, timeout_s=300), one_after_another) == 1
    assert len(vllm.peers) <= 8


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy leaves connections idle for long; here they are not given up for it."""
    monkeypatch.setattr(openai_http, "KEEP_ALIVE_S", 60.0)
    monkeypatch.setattr(openai_http, "DRAIN_S", 60.0)


# -- a run ---------------------------------------------------------------------------------------------------------------------------
def go(server: Server, db: Path, options: Options, size: int, **settings: float) -> Summary:
    engine = open_database(f"sqlite:///{db}", create=True)
    cells = [cell("cot", Deployment(made(server, **settings), hardware.declared("H100x1")), Digits(size=size))]
    try:
        return asyncio.run(run(cells, Store(engine), name="test", text="", argv=["test"], options=options))
    finally:
        engine.dispose()


def table(db: Path, query: str) -> pd.DataFrame:
    with sa.create_engine(f"sqlite:///{db}").connect() as connection:
        return pd.read_sql(sa.text(query), connection)


def test_a_thousand_requests_on_a_faulty_server(tmp_path: Path, caplog: pytest.LogCaptureFixture, patient: None) -> None:
    """A fifth fails in one of twelve ways: every attempt ends judged or as an error with its cause, none lost, none double, no key kept.

    Only the stalls exceed the timeout, however busy the machine is. There are few, all at the start, so that they are waited for together.
    """
    db, log = tmp_path / "a.db", logging.FileHandler(tmp_path / "run.log")
    caplog.set_level(logging.DEBUG)
    logging.getLogger().addHandler(log)
    try:
        with Server(key=KEY, faults=0.2, stall_s=300, kinds=[fault for fault in FAULTS if fault != "stall"]) as server:
            first = go(_after_probes(server, *["stall"] * 5), db, Options(retries=1, backoff_s=0.01), 1000, timeout_s=10)
            assert set(FAULTS) <= set(server.served) and server.served["stall"] == 5
            assert len(server.peers) < 0.25 * len(server.bodies)  # only what a fault broke was connected anew
            errors = table(db, "select error from attempt where error is not null").error
            assert first.status == "errors" and 5 < len(errors) == first.state.errors
            assert 2 * len(errors) <= sum(server.served[fault] for fault in FAULTS) < 400  # each met two
            assert errors.str.contains("gave up after 2 tries").all() and errors.str.contains("127.0.0.1").all()
            assert errors.str.contains("[key]", regex=False).any()  # the server does repeat it
            nowhere(KEY, tmp_path, db)
            server.faults = 0.0
            second = go(server, db, Options(), 1000, timeout_s=300)
            assert (second.status, second.state.attempts) == ("done", len(errors))
            answered = table(db, "select * from sample")
    finally:
        logging.getLogger().removeHandler(log)
        log.close()
    attempts = table(db, "select problem_id, trial, error from attempt")
    assert len(attempts) == len(attempts.drop_duplicates(["problem_id", "trial"])) == 1000 and attempts.error.isna().all()
    assert len(answered) == answered.key.nunique() == 1000 and (answered.output_tokens > 0).all() and (answered.prompt_tokens > 0).all()
    assert len(table(db, "select * from judgement")) == 1000
    nowhere(KEY, tmp_path, db)
    assert KEY not in caplog.text


def nowhere(secret: str, folder: Path, db: Path) -> None:
    """The bytes of `secret` are in no file, the database's and the log among them, and in no text of the database, which are compressed."""
    paths = [p for p in folder.rglob("*") if p.is_file()]
    assert len(paths) >= 2 and not any(secret.encode() in p.read_bytes() for p in paths)
    texts = table(db, "select data from text").data
    assert len(texts) > 0 and not any(secret.encode() in zlib.decompress(data) for data in texts)


def test_a_run_waits_as_long_as_the_server_asks(tmp_path: Path, vllm: Server) -> None:
    vllm.retry_after = "0.7"
    asked = _after_probes(vllm, "429 with Retry-After")
    began = time.monotonic()
    assert go(asked, tmp_path / "a.db", Options(backoff_s=0.0), 1).status == "done"
    assert 0.7 <= time.monotonic() - began < 60


def _after_probes(server: Server, *faults: str) -> Server:
    """Let the first real requests meet the faults."""
    usual, left = server._fault, list(faults)

    def fault_now() -> str:
        if not left or server.bodies[-1].get("max_tokens", 0) <= 2:
            return usual()
        return left.pop(0)

    server._fault = fault_now  # type: ignore[method-assign]
    return server
