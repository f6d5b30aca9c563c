"""How `perpass/prm` is made: verdicts on sampled steps, rows and batches of them, a training that can be stopped."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from tokenizers import Tokenizer

from harness import models
from harness.reference import prm_train
from harness.reference.prm_evaluate import Judged, auc, best, majority, single, weighted
from harness.reference.prm_rows import NONE, batches, rows
from harness.reference.solutions import Solution, read, split

pytestmark = pytest.mark.skipif("perpass/micro" not in models.shipped(), reason="the reference model is not there")
RIGHT = ("12 + 5 = 17", "17 * 3 = 51", "\\boxed{51}")


def solution(*steps: str, question: str = "Ana has 12 apples.") -> Solution:
    return Solution("story", question, RIGHT, steps, "perpass/nano", 0.8)


def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(models.SHIPPED / "micro" / "tokenizer.json"))


@pytest.mark.parametrize(
    ("steps", "verdicts"),
    [
        (RIGHT, [True, True, True]),
        (("12 + 5 = 18", "18 * 3 = 54", "\\boxed{54}"), [False, False, False]),
        (("12 + 5 = 17", "17 * 3 = 52", "17 * 3 = 51"), [True, False, False]),
        (("12 + 5 = 17", "\\boxed{51}"), [True, False]),  # a step left out
        ((*RIGHT, "\\boxed{51}"), [True, True, True, False]),  # a step too many
        ((), []),
    ],
)
def test_a_step_is_right_while_all_up_to_it_are_the_solvers(steps: tuple[str, ...], verdicts: list[bool]) -> None:
    assert solution(*steps).verdicts == verdicts


@given(st.lists(st.sampled_from([*RIGHT, "12 + 5 = 18", "1", ""]), max_size=5))
def test_rows_say_what_verdicts_say_and_nothing_is_learned_behind_an_error(steps: list[str]) -> None:
    made = solution(*steps)
    (row,) = rows(tokenizer(), [made])
    assert [bool(v) for v in row.verdicts if v != NONE] == made.verdicts
    assert len(row.ids) == len(row.verdicts) == len(row.next) and set(row.verdicts[: row.begin]) <= {NONE}
    learned = [place for place, token in enumerate(row.next) if token != NONE]
    assert learned == list(range(row.begin - 1, row.begin - 1 + len(learned))), "from the first token on, without gaps"
    if False in made.verdicts:
        wrong_end = row.verdicts.index(0)
        assert row.begin - 1 + len(learned) <= wrong_end


def test_next_tokens_are_the_solvers_where_the_sample_goes_wrong() -> None:
    words = tokenizer()
    (row,) = rows(words, [solution("12 + 5 = 18")])
    last = max(place for place, token in enumerate(row.next) if token != NONE)
    assert words.decode([row.ids[last + 1]]) == "8" and words.decode([row.next[last]]) == "7"
    assert words.decode([t for t in row.next if t != NONE]) == "12 + 5 = 17"


def test_behind_its_last_line_the_solver_ends() -> None:
    words = tokenizer()
    (row,) = rows(words, [solution(*RIGHT)])
    assert words.decode([row.next[-2]], skip_special_tokens=False) == "<|end|>" and row.verdicts[-1] == 1


def test_every_row_is_met_once_in_an_order_of_the_seed() -> None:
    made = rows(tokenizer(), [solution(f"12 + 5 = {n}", question="q " * (n % 7)) for n in range(50)])
    seen = [tuple(i for i in row if i != 0) for b in batches(made, "a", 512) for row in b.ids.tolist()]
    assert sorted(seen) == sorted(tuple(row.ids) for row in made)
    assert [b.ids.tolist() for b in batches(made, "a", 512)] == [b.ids.tolist() for b in batches(made, "a", 512)]
    assert [b.ids.tolist() for b in batches(made, "a", 512)] != [b.ids.tolist() for b in batches(made, "b", 512)]
    assert all(b.ids.size <= 512 and b.tokens == np.count_nonzero(b.ids) for b in batches(made, "a", 512))


def test_solutions_come_back_from_their_file(tmp_path: Path) -> None:
    made = [solution(*split("12 + 5 = 17\n\n17 * 3 = 51\n")), solution("x")]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(asdict(s)) + "\n" for s in made))
    assert read([tmp_path / "a.jsonl"]) == made and made[0].steps == RIGHT[:2]


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prm_train, "BATCH_TOKENS", 1024)

    def options(name: str) -> prm_train.Options:
        folder = tmp_path / name / "solutions"
        folder.mkdir(parents=True, exist_ok=True)
        for shard in range(2):  # the second calibrates
            made = [solution(*(RIGHT if n % 2 else ("12 + 5 = 18", "\\boxed{18}")), question=f"{shard}: {n}") for n in range(60)]
            (folder / f"0-00{shard}.jsonl").write_text("".join(json.dumps(asdict(s)) + "\n" for s in made))
        return prm_train.Options(epochs=1, shards=2, every=0, out=tmp_path / name / "prm", checkpoints=tmp_path / name)

    whole = prm_train.Trainer(options("whole"))
    whole.train()
    steps, taken = whole.step, prm_train.Trainer._step
    assert steps > 2

    def failing(self: prm_train.Trainer, *given: object) -> list[float]:
        if self.step == 2:
            raise KeyboardInterrupt
        return taken(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(prm_train.Trainer, "_step", failing)
    with pytest.raises(KeyboardInterrupt):
        prm_train.Trainer(options("parts")).train()
    monkeypatch.setattr(prm_train.Trainer, "_step", taken)
    rest = prm_train.Trainer(options("parts"))
    assert (rest.step, rest.parts) == (2, 2)
    rest.train()
    assert rest.step == steps
    a, b = (load_file(tmp_path / name / "prm" / "model.safetensors") for name in ("whole", "parts"))
    assert a.keys() == b.keys() and all(torch.allclose(a[k].float(), b[k].float(), atol=2e-3) for k in a)
    assert "2 part(s)" in (tmp_path / "parts" / "prm" / "README.md").read_text()
    assert json.loads((tmp_path / "parts" / "prm" / "config.json").read_text())["reward"]["scale"] > 0


def judged(*answers: str, scores: list[float]) -> Judged:
    made = tuple(solution("12 + 5 = 17", f"\\boxed{{{a}}}") for a in answers)
    return Judged(made, tuple((1.0, s) for s in scores))


def test_choosers() -> None:
    made = judged("51", "50", "50", "50", "51", "1", "2", "3", scores=[0.9, 0.1, 0.1, 0.1, 0.8, 0.0, 0.0, 0.0])
    assert (single(made), majority(made), weighted(made)) == (0.25, 0.0, 1.0)
    assert best(lambda s: s[-1])(made) == 1.0 and best(lambda s: -s[-1])(made) == 0.0


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc([True, True, False], [0.9, 0.4, 0.4]) == 0.75
    assert auc([True, False], [0.0, 1.0]) == 0.0
    assert math.isnan(auc([True, True], [0.0, 1.0]))
