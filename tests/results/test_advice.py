"""The sentence below a table: who is cheapest, most frugal and fastest, and what is not known."""

from __future__ import annotations

from results import advice
from results.report import Row
from tests.results.rows import compared, crowd, row


def said(*rows: Row) -> str:
    return " ".join(advice.sentences(compared(rows)))


def test_a_cell_within_the_interval_of_the_best_wins_by_its_cost() -> None:
    text = said(row("direct", 0.2, 5e7), row("cot", 0.8, 1e8), row("vote", 0.84, 4e8))
    assert text.startswith("At ≥ 79.0 % accuracy, cot is the cheapest ($0.312 per million correct answers) and the most frugal (")
    assert "50.0 mJ per correct answer, estimated)" in text
    assert "79.0 % is where the 95 % interval of the most accurate begins: vote, 84.0 %, for 3.81× the money and 3.81× the energy." in text


def test_a_cell_below_the_interval_of_the_best_does_not() -> None:
    assert said(row("cot", 0.7, 1e8), row("vote", 0.84, 4e8)).startswith("At ≥ 79.0 % accuracy, vote is the cheapest")


def test_what_reads_alike_is_a_tie() -> None:
    assert "cot and vote are equally cheapest ($0.312 per" in said(row("cot", 0.8, 1e8), row("vote", 0.8002, 1e8))


def test_the_winner_is_on_the_frontier_of_accuracy_and_its_own_resource() -> None:
    for seed in range(20):
        rows = crowd("sums", "accuracy", "cost_usd", seed=seed)
        assert all(winner["frontier"] for winner in advice.choices(rows)[0].winners)


def test_without_dollars_the_least_to_compute_is_named() -> None:
    rows = [row(s, a, f, cost_usd=None, cost_per_correct_usd=None) for s, a, f in (("cot", 0.8, 1e8), ("vote", 0.82, 4e8))]
    for r in rows:
        r["reasons"]["cost_per_correct_usd"] = "no_price"
    text = said(*rows)
    assert "cot is the least to compute (125 MFLOP per correct answer)" in text
    assert "the cheapest is not known: nobody sells this by the token" in text


def test_a_cell_without_a_known_cost_is_named_as_left_out() -> None:
    free = row("vote", 0.84, 4e8, cost_usd=None, cost_per_correct_usd=None)
    free["reasons"]["cost_per_correct_usd"] = "no_price"
    text = said(row("cot", 0.8, 1e8), free)
    assert "cot is the cheapest" in text and "the cheapest leaves out 1 cell whose money is not known (no_price)" in text


def test_times_under_shared_load_are_not_ranked_and_times_alone_are() -> None:
    assert "the fastest is not known: times were taken while other work ran beside" in said(row("cot", 0.8), row("vote", 0.8, 4e8))
    alone = [
        row(s, 0.8, f, mode="live", concurrency=4, latency_p50_s=t, reasons={"energy_valid": "estimated"})
        for s, f, t in (("cot", 1e8, 0.4), ("vote", 4e8, 0.2))
    ]
    assert "vote is the fastest (250 ms per correct answer by median latency)" in said(*alone)
    assert "the fastest leaves out 1 cell not timed alone" in said(*alone, row("other", 0.8))


def test_energy_of_different_sources_is_not_ranked_and_a_doubt_is_said() -> None:
    measured = row("vote", 0.8, 4e8, energy_source="rapl_counter", energy_valid=True)
    assert "the most frugal is not known: energy comes from different sources (estimated, rapl_counter)" in said(row("cot", 0.8), measured)
    lost = {"reasons": {"energy_valid": "window_lost"}, "energy_source": "rapl_counter"}
    assert "mJ per correct answer, in doubt: window_lost)" in said(row("cot", 0.8, **lost), row("vote", 0.8, 4e8, **lost))


def test_nothing_correct_and_nothing_to_compare() -> None:
    assert said(row("cot", 0.0), row("vote", 0.0)) == "No cell gave a correct answer: there is nothing to choose from."
    assert said(row("cot")) == "" and said(row("cot"), row("vote", partial=True)) == ""


def test_an_infinite_cost_wins_nothing() -> None:
    rows = [row(s, 0.8, cost_per_correct_usd=float("inf")) for s in ("cot", "vote")]
    assert "the cheapest is not known: it is infinite" in said(*rows)
