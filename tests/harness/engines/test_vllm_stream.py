"""Pieces of vLLM's output, put together. Needs no vLLM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.engines.vllm_stream import Stream
from harness.types import Observe
from perpass.errors import PerPassError


def output(tokens: list[int], finish: str | None = None, stop: Any = None, logprobs: Any = None) -> Any:
    part = SimpleNamespace(token_ids=tokens, finish_reason=finish, stop_reason=stop, logprobs=logprobs)
    return SimpleNamespace(outputs=[part], finished=finish is not None, num_cached_tokens=3, prompt_logprobs=None)


@pytest.mark.parametrize(
    ("finish", "stop", "ours"), [("stop", None, "eos"), ("stop", 151643, "eos"), ("stop", "\n\n", "stop"), ("length", None, "length")]
)
def test_how_it_ended_in_our_words(finish: str, stop: Any, ours: str) -> None:
    stream = Stream(Observe())
    assert not stream.feed(output([1]), 10.0) and not stream.feed(output([2, 3]), 11.0)
    assert stream.feed(output([4], finish, stop), 12.0)
    assert (stream.tokens, stream.finish, stream.first, stream.last, stream.cached) == ([1, 2, 3, 4], ours, 10.0, 12.0, 3)


def test_a_request_that_vllm_gave_up_is_an_error() -> None:
    with pytest.raises(PerPassError, match="abort"):
        Stream(Observe()).feed(output([], "abort"), 1.0)


@pytest.mark.parametrize("pieces", [[1] * 30, [1, 8, 8, 8, 5], [1, 29], [30]])
def test_watch_is_asked_at_exact_multiples_however_the_tokens_come(pieces: list[int]) -> None:
    asked: list[int] = []
    stream = Stream(Observe(), 0, lambda length: bool(asked.append(length)) or length == 24, 8)
    sent = 0
    for piece in pieces:
        sent += piece
        done = stream.feed(output([0] * piece, "length" if sent == 30 else None), float(sent))
        if done:
            break
    assert asked == [8, 16, 24] and len(stream.tokens) == 24 and stream.finish == "stop"
    at_the_end: list[int] = []
    Stream(Observe(), 0, lambda length: bool(at_the_end.append(length)), 8).feed(output([0] * 16, "length"), 1.0)
    assert at_the_end == [8]


def test_log_probabilities_of_flat_pieces() -> None:
    # Two positions: the drawn token beside the two likeliest, and the same as vLLM merges it, a token only once.
    flat = SimpleNamespace(start_indices=[0, 3], end_indices=[3, 5], logprobs=[-5.0, -0.5, -1.0, -1.0, -3.0])
    stream = Stream(Observe(logprobs=True, confidence=True), 2)
    stream.feed(output([4, 9], logprobs=flat), 1.0)
    assert stream.logprobs == [-5.0, -1.0] and stream.confidence == [0.75, 2.0]
