"""The shipped process reward model: its scores are guarded, its folder is what its card says, an experiment can name it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bench import plan
from bench.experiment import load
from energy import flops
from harness import models
from harness.calls import executed
from harness.engines.transformers import TransformersEngine
from harness.rewards.transformers import TransformersReward
from harness.types import Usage
from perpass.errors import UserError

FOLDER = models.SHIPPED / "prm"
GOLDEN = Path(__file__).parent / "rewards" / "prm-scores.json"

pytestmark = pytest.mark.skipif("perpass/prm" not in models.shipped(), reason="the reward model is not there")


def scores(samples: list[dict[str, object]]) -> list[tuple[float | None, ...]]:
    async def run() -> list[tuple[float | None, ...]]:
        reward = TransformersReward(models.resolve("perpass/prm", device="cpu"), device="cpu")
        await reward.open()
        try:
            found = await asyncio.gather(*(reward.steps(s["question"], s["steps"]) for s in samples))  # type: ignore[arg-type]
            return [f.scores for f in found]
        finally:
            await reward.close()

    return asyncio.run(run())


def test_scores_are_golden() -> None:
    """Twelve sampled solutions of held-out problems, float32. New weights need new scores: python -m tests.harness.test_prm."""
    stored = json.loads(GOLDEN.read_text())
    assert stored["revision"] == models.resolve("perpass/prm", device="cpu").revision, "the weights changed: look, then write new scores"
    assert len(stored["samples"]) == 12
    for found, sample in zip(scores(stored["samples"]), stored["samples"], strict=True):
        assert found == pytest.approx(sample["scores"], abs=1e-4)


def test_the_golden_verdicts_tell_right_from_wrong() -> None:
    samples = json.loads(GOLDEN.read_text())["samples"]
    pairs = [(score, right) for s in samples for score, right in zip(s["scores"], s["right"], strict=True)]
    right, wrong = [s for s, r in pairs if r], [s for s, r in pairs if not r]
    assert sum(right) / len(right) > 0.9 and sum(wrong) / len(wrong) < 0.2


def test_the_folder_is_small_and_carded() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2.9e6
    assert sum(path.stat().st_size for path in models.SHIPPED.glob("*/*")) < 20 * 2**20
    card = (FOLDER / "README.md").read_text()
    assert "AUC of a step's verdict" in card and "best of 8, last score" in card and "Not measured yet" not in card


def test_an_experiment_names_it_by_role() -> None:
    written = {
        "models": ["perpass/nano"],
        "tasks": [{"kind": "arithmetic", "size": 6}],
        "strategies": [{"kind": "best_of_n_reward", "n": 2}],
        "roles": {"reward": {"model": "perpass/prm", "engine": "transformers"}},
    }
    made = plan.build(load(written))
    assert not made.skipped
    place = made.cells[0].roles["reward"]
    assert isinstance(place.engine, TransformersReward) and place.engine.settings["format"] == "perpass"
    counted = executed(place, Usage(prompt=95, scored=5, calls=1))
    config = models.resolve("perpass/prm").config
    assert counted is not None and config is not None
    assert counted.head == 5 * flops.count(config, prompt=0, output=1).head


def test_it_writes_no_answers() -> None:
    with pytest.raises(UserError, match="'perpass/prm' is a reward model, which writes no answers: name it under `roles`"):
        TransformersEngine(models.resolve("perpass/prm", device="cpu"))
    with pytest.raises(UserError, match="how model 'perpass/nano' is asked is not known"):
        TransformersReward(models.resolve("perpass/nano", device="cpu"))


def write() -> None:
    """New golden scores, of solutions as `prm_evaluate` samples them: six right ones and six with a wrong step."""
    from harness.reference.prm_evaluate import TEMPERATURE, TOP_P, held_out
    from harness.reference.solutions import Solution, policy, sampled

    async def drawn() -> list[Solution]:
        engine, problems = policy("perpass/nano"), held_out(24, seed=9)
        await engine.open()
        try:
            return list(await asyncio.gather(*(sampled(engine, p, f"golden/{i}", TEMPERATURE, TOP_P) for i, p in enumerate(problems))))
        finally:
            await engine.close()

    found = asyncio.run(drawn())
    right, wrong = [s for s in found if all(s.verdicts)], [s for s in found if not all(s.verdicts)]
    samples: list[dict[str, object]] = [{"question": s.question, "steps": list(s.steps)} for s in (*right[:6], *wrong[:6])]
    for sample, solution, given in zip(samples, (*right[:6], *wrong[:6]), scores(samples), strict=True):
        sample |= {"right": solution.verdicts, "scores": [None if s is None else round(s, 6) for s in given]}
    revision = models.resolve("perpass/prm", device="cpu").revision
    GOLDEN.write_text(json.dumps({"revision": revision, "samples": samples}, indent=1) + "\n")


if __name__ == "__main__":
    write()
