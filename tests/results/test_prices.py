"""The price book: what it knows, what it does not, and that a wrong file is one sentence."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from perpass.errors import UserError
from results import prices
from results.prices import PriceBook
from results.records import LedgerRecord
from tests.results.builders import World


@pytest.fixture(scope="module")
def book() -> PriceBook:
    return PriceBook.load()


def entry(prompt: int, cached: int, output: int, scored: int = 0) -> LedgerRecord:
    return LedgerRecord(
        role="policy",
        model_id=1,
        kind="generate",
        calls=1,
        prompt=prompt,
        cached=cached,
        output=output,
        reasoning=0,
        scored=scored,
        flop_linear=None,
        flop_attention=None,
        flop_head=None,
    )


def test_every_shipped_price_has_a_date_a_source_and_a_positive_rate(book: PriceBook) -> None:
    for price in book.entries:
        assert datetime.date.fromisoformat(price.date) <= datetime.date(2026, 11, 28)
        assert len(price.source) > 10 and all(rate > 0 for rate in price.rates.values())
    assert {e.kind for e in book.entries} == {"token", "hardware", "energy"}


def test_tokens_cost_their_list_price(book: PriceBook) -> None:
    # gpt-4o: 2.50 input, 1.25 cached, 10.00 output per million; of 1,000 prompt tokens 400 are cached
    assert book.call_cost("gpt-4o", prompt=1000, cached=400, output=100) == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)
    assert book.token_cost("gpt-4o", [entry(1000, 0, 100), entry(0, 0, 0, scored=1000)]) == pytest.approx(0.0035 + 0.0025)
    assert book.call_cost("GPT-4o-2024-08-06", prompt=1_000_000, cached=0, output=0) == 2.5


def test_what_nobody_sells_has_no_price(book: PriceBook) -> None:
    assert book.token_price("perpass/nano") is None
    assert book.call_cost("perpass/nano", prompt=1, cached=0, output=1) is None
    assert book.token_cost("gpt-4o-2024-05-13", [entry(1, 0, 1)]) is None  # sold at another price than today's gpt-4o
    assert book.hardware_price("Abacus") is None and book.energy_cost(1.0, "Atlantis") is None


def test_hardware_is_paid_by_the_device_or_by_the_core(book: PriceBook) -> None:
    assert book.hardware_cost({"name": "H100", "count": 8}, 3600.0) == book.hardware_price("H100")
    core = book.hardware_price("anything (1 core)")
    assert core is not None and book.hardware_price({"name": "AMD EPYC 7763 (16 cores)", "count": 1}) == pytest.approx(16 * core)
    assert book.hardware_cost("H100", None) is None


def test_energy_is_paid_by_the_kilowatt_hour(book: PriceBook) -> None:
    assert book.energy_cost(3.6e6) == book.energy_price("US") == pytest.approx(0.1648)


def test_the_newest_of_several_prices_counts(tmp_path: Path) -> None:
    path = tmp_path / "book.yaml"
    row = "{{subject: X, usd_per_device_hour: {}, date: {}, source: the shop}}"
    path.write_text(f"hardware:\n  - {row.format(1.0, '2026-01-01')}\n  - {row.format(3.0, '2024-01-01')}\n")
    book = PriceBook.load(path)
    assert book.hardware_price("X") == 1.0 and book.id != PriceBook.load().id


@pytest.mark.parametrize(
    "text, message",
    [
        ("token: [{subject: m, input: 1, cached: 1, output: 1, date: 2026-01-01}]", "token price of m: source is missing"),
        ("token: [{subject: m, input: 1, output: 1, date: 2026-01-01, source: s}]", "token price of m: expected input, cached, output"),
        ("hardware: [{subject: m, usd_per_device_hour: -1, date: 2026-01-01, source: s}]", "not negative"),
        ("hardware: [{subject: m, usd_per_hour: 1, date: 2026-01-01, source: s}]", "unknown key 'usd_per_hour'"),
        ("energy: [{subject: m, usd_per_kwh: 1, date: soon, source: s}]", "date must be YYYY-MM-DD, not 'soon'"),
        ("just text", "expected the keys token, hardware, energy"),
        ("token: [", "cannot read the price book"),
    ],
)
def test_a_wrong_book_is_one_sentence_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "book.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        PriceBook.load(path)
    assert str(path) in str(caught.value)


def test_rows_are_what_a_person_reads(book: PriceBook) -> None:
    rows = {row["name"]: row for row in book.rows()}
    assert rows["gpt-4o"]["price"] == "2.5 / 1.25 / 10 USD per M tokens (input / cached / output)"
    assert rows["US"]["price"] == "0.1648 USD per kWh"


def test_human_experts_have_the_papers_prices() -> None:
    assert [prices.human_price(t) for t in ("gsm8k", "math500", "aime")] == [3.5, 12.0, 20.0]
    assert prices.human_price({"name": "arithmetic"}) is None


def test_a_book_is_recorded_once_per_version(tmp_path: Path, book: PriceBook) -> None:
    world = World.make(tmp_path / "perpass.db")
    assert prices.record_book(world.engine) == book.id  # a run's beginning has already done it
    assert prices.record_book(world.engine) == prices.record_book(world.engine) == book.id
    with world.engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM price")).scalar() == len(book.entries)
