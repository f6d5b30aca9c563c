"""Listening, and being ended."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("streamlit", reason="needs streamlit: pip install 'perpass[leaderboard]'")

from leaderboard import serve
from perpass.errors import PerPassError
from tests.leaderboard.browser import ROOT
from tests.leaderboard.world import made


def test_the_next_free_port_is_taken_unless_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(serve, "PORTS", [taken, 0])  # 0: any that is free
        with serve.bound("127.0.0.1", None) as found:
            assert found.getsockname()[1] != taken
        with pytest.raises(PerPassError, match=f"cannot listen on 127.0.0.1: port {taken} is in use; name another by --port"):
            serve.bound("127.0.0.1", taken)
        monkeypatch.setattr(serve, "PORTS", [taken, taken])
        with pytest.raises(PerPassError, match=f"ports {taken} to {taken} are in use"):
            serve.bound("127.0.0.1", None)


def test_an_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(PerPassError, match=r"^cannot listen on 203.0.113.7, port 8501: [^()]+$"):
        serve.bound("203.0.113.7", None)


def test_no_answer_waits_for_the_browser_to_confirm_its_first_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "PORTS", [0])
    with serve.bound("127.0.0.1", None) as listening:
        with socket.create_connection(listening.getsockname()), listening.accept()[0] as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_well(tmp_path: Path, how: signal.Signals) -> None:
    words = [sys.executable, "-m", "bench.main", "leaderboard", "--db", str(made(tmp_path / "board.db")), "--no-open"]
    with subprocess.Popen([*words, "--host", "127.0.0.1"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = server.stdout.readline().split()
        assert said[:4] == ["The", "leaderboard", "is", "at"]
        with urllib.request.urlopen(f"{said[4]}/_stcore/health", timeout=60) as answer:
            assert answer.read() == b"ok"
        server.send_signal(how)
        _, wrong = server.communicate(timeout=60)
        assert (server.returncode, wrong) == (0, "")
