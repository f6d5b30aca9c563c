"""The steady state of a run, by hand and by law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.codes import Code
from energy.steady import Request, find


def test_a_run_computed_by_hand() -> None:
    """Two at a time (B = 2), six requests of 10 s, the second slot half a request behind; first token after 1 s, 91 tokens each.

    First tokens at 1, 6, 11, 16, 21, 26: the second at 6. N − B − 1 = 3 have finished at 10, 15, 20: the end is 20.
    """
    requests = [Request(5.0 * i, 5.0 * i + 1, 5.0 * i + 10, 91) for i in range(6)]
    span = find(requests, 2)
    assert span is not None and (span.start_s, span.end_s) == (6.0, 20.0)
    # Tokens after 6 s and up to 20 s: request 0: (10 − 6) × 10; request 1: all but its first = 90; request 2 (11 to 20): 91;
    # request 3 (first at 16): 1 + 4 × 10. Requests 4 and 5 begin to write later.
    assert span.tokens == pytest.approx(40 + 90 + 91 + 41)
    # At work: request 0: 4 s, 1: 9 s, 2: 10 s, 3: 5 s (sent at 15), none else before 20.
    assert span.running == pytest.approx((4 + 9 + 10 + 5) / 14 / 2)
    assert span.codes == (Code.WINDOW_TOO_SHORT,)


def test_a_stream_counts_the_tokens_that_came() -> None:
    request = Request(0, 1, 9, 10, chunks=((1, 1), (2, 8), (9, 10)))
    assert [request.streamed(t) for t in (0.5, 1, 1.9, 2, 8.9, 9)] == [0, 1, 1, 8, 8, 10]


def full(batch: int, rounds: int, seconds: float = 10.0, tokens: int = 100) -> list[Request]:
    return [Request(r * seconds, r * seconds + 0.1, (r + 1) * seconds, tokens) for r in range(rounds) for _ in range(batch)]


def test_a_full_and_long_one_is_valid_and_an_empty_one_is_not() -> None:
    span = find(full(4, 6), 4)
    assert span is not None and span.codes == () and span.running == pytest.approx(1.0, abs=0.02)
    lonely = find(full(1, 40), 4)
    assert lonely is not None and lonely.codes == (Code.BATCH_UNDERFILLED,) and lonely.running == pytest.approx(0.25, abs=0.02)


def test_too_few_requests_have_no_steady_state() -> None:
    assert find(full(4, 1), 4) is None
    assert find([], 1) is None
    with pytest.raises(ValueError, match="batch of 0"):
        find(full(1, 5), 0)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0.01, 5), st.floats(0.01, 20), st.integers(1, 500)), min_size=3, max_size=40),
    st.integers(1, 6),
)
def test_no_more_tokens_than_were_written_and_never_outside(rows: list[tuple[float, float, float, int]], batch: int) -> None:
    requests = [Request(sent, sent + wait, sent + wait + work, output) for sent, wait, work, output in rows]
    span = find(requests, batch)
    if span is not None:
        assert 0 <= span.tokens <= sum(r.output for r in requests) + 1e-6
        assert min(r.first for r in requests) <= span.start_s < span.end_s <= max(r.last for r in requests)
        assert span.running >= 0
