"""What a run counts against its budget is what a report says it cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from harness.events import Options, Status
from harness.spending import Spending
from harness.types import Usage
from results.prices import PriceBook


def test_a_call_costs_what_the_price_book_says_scored_tokens_included() -> None:
    book = PriceBook.load()
    model = next(entry.subject for entry in book.entries if entry.kind == "token")
    usage = Usage(prompt=1000, cached=400, output=50, scored=300, calls=1)
    status = Status()
    made: Any = SimpleNamespace(place=SimpleNamespace(model=SimpleNamespace(name=model)), sample=SimpleNamespace(usage=usage))
    Spending(Options(max_usd=1.0), status).add(made)
    wanted, unread = (book.call_cost(model, prompt=1000, cached=400, output=50, scored=n) for n in (300, 0))
    assert wanted is not None and unread is not None and status.usd == pytest.approx(wanted) and wanted > unread
