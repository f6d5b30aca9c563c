"""Synthesis: what the synthesizer reads, and hint marginalization by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from harness.prompts import as_text
from harness.strategy import strategies
from harness.types import Sampling
from perpass.errors import UserError
from tasks.types import Prompt
from tests.harness.digits import Digits
from tests.harness.strategies.told import Told, ask, boxes


def test_one_more_call_reads_all_candidates_and_answers_anew() -> None:
    done = ask("synthesizer", Told([*boxes("12"), "<think>hm</think>three", *boxes("7")]), n=3)
    read = as_text(done.calls[-1].prompt)
    assert done.answer.text == boxes("7")[0] and done.answer.items is None and len(done.calls) == 4
    assert "Candidate 3:\nthree\n" in read and "hm" not in read and read.endswith(" Box it.\n[assistant]")
    assert done.calls[-1].pooled and done.serial_tokens == 23 + 16


class Hinted(Told):
    """The first round says `texts`; a hint is answered by `after[hint]` in turn."""

    def __init__(self, texts: list[str], after: dict[str, str]):
        super().__init__(texts)
        self.after = {hint: boxes(digits) for hint, digits in after.items()}
        self.hints: Counter[str] = Counter()

    def say(self, prompt: Prompt, sampling: Sampling, seed: int) -> str:
        hint = as_text(prompt).partition("near to ")[2].partition(").")[0]
        if not hint:
            return super().say(prompt, sampling, seed)
        self.hints[hint] += 1
        return self.after[hint].pop(0)


def test_hints_are_weighted_by_their_probability() -> None:
    # P(1) = 5/8, P(2) = 2/8, P(3) = 1/8: five, two and one samples. 1 → 1 1 2 2 2, 2 → 2 2, 3 → 1.
    # P(1) = 5/8 · 2/5 + 1/8 = 0.375, P(2) = 5/8 · 3/5 + 2/8 = 0.625
    engine = Hinted(boxes("11111223"), {"1": "11222", "2": "22", "3": "1"})
    done = ask("hint_marginalization", engine, n=8, rounds=1)
    assert engine.hints == {"1": 5, "2": 2, "3": 1} and done.answer.items == ("2",)
    assert [c.pooled for c in done.calls] == [True] * 8 + [False] * 8 and done.serial_tokens == 32


def test_a_second_round_hints_by_the_new_distribution() -> None:
    engine = Hinted(boxes("11111223"), {"1": "11222" + "444", "2": "22" + "44422", "3": "1"})
    done = ask("hint_marginalization", engine, n=8, rounds=2)  # 8 · 0.375 = 3 samples after 1, 8 · 0.625 = 5 after 2
    assert engine.hints == {"1": 8, "2": 7, "3": 1}
    assert done.answer.items == ("4",)  # 0.375 + 0.625 · 3/5


def test_a_rare_hint_gets_one_sample_and_a_silent_one_is_left_out() -> None:
    engine = Hinted(boxes("1111111112"), {"1": "3333.....", "2": "2"})
    done = ask("hint_marginalization", engine, n=10, rounds=1)
    assert engine.hints == {"1": 9, "2": 1} and done.answer.items == ("3",)  # P(3 | 1) = 1 of those that answered


def test_nobody_answers() -> None:
    assert ask("hint_marginalization", Hinted(boxes(".."), {}), n=2).answer.items == (None,)
    assert ask("hint_marginalization", Hinted(boxes("12"), {"1": ".", "2": "."}), n=2).answer.items == ("1",)


def test_several_items_make_one_hint() -> None:
    engine = Hinted(["\\boxed{1} \\boxed{2}"] * 2, {})
    engine.after = {"1, 2": ["\\boxed{3} \\boxed{2}"] * 2}
    assert ask("hint_marginalization", engine, Digits(items=2), n=2, rounds=1).answer.items == ("3", "2")


@pytest.mark.parametrize("params", [{"rounds": 0}, {"n": 0}])
def test_bad_parameters_are_one_sentence(params: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="^strategy hint_marginalization: .*greater than or equal to 1$"):
        strategies.get("hint_marginalization").bind(params, Sampling(), {})
