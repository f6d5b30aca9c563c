"""Numbers and names as people read them."""

from __future__ import annotations

from results import wording
from tests.results.rows import row


def test_numbers_have_three_digits_and_one_scale_per_column() -> None:
    assert [wording.number(v) for v in (0.0, 0.01234, 3.14159, 42.0, 31415.9)] == ["0", "0.0123", "3.14", "42.0", "31,416"]
    assert wording.si_scale([2e9, 5e9, None, float("inf")]) == (1e-9, "G")
    assert wording.number(None) == "–" and wording.number(float("inf")) == "∞"


def test_lists_in_words() -> None:
    assert [wording.listed(list("abcde")[:n]) for n in (0, 1, 2, 3, 5)] == ["", "a", "a and b", "a, b and c", "a, b, c and 2 more"]


def test_a_name_has_as_few_words_as_tell_it_apart() -> None:
    nano, mini = row("cot"), row("cot", model="perpass/mini")
    assert wording.cell_name(nano, [nano, row("direct")]) == "cot"
    assert wording.cell_name(mini, [nano, mini]) == "perpass/mini cot" and wording.cell_name(mini, [nano, mini], model=False) == "cot"
    live = row("cot", mode="live", concurrency=4)
    assert wording.cell_name(live, [nano, live]) == "cot live@4"
