"""The bridge to lm-eval: the same replies get the same scores as from `lm_eval.simple_evaluate`."""

from __future__ import annotations

import asyncio
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import tasks
from perpass.errors import PerPassError, UserError
from tasks.types import Outcome, Problem, Prompt, Reply
from tests.tasks import lmeval_local

lm_eval = pytest.importorskip("lm_eval")
KINDS = list(lmeval_local.tasks())


def replies(context: str) -> list[str]:
    """What a pretended model writes, one reply after the other; some right, some wrong, some without an answer, some past a stop string."""
    stream = random.Random(context)
    return [
        stream.choice(
            [
                "So it is 5.\n#### 5",
                "#### 1,100 Question: and #### 7",
                "The sum is $42.",
                "I do not know",
                "#### 42</s>#### 9",
                "5",
                "42",
                "5",
                "42",
            ]
        )
        for _ in range(4)
    ]


def likelihood(context: str, text: str) -> tuple[float, bool]:
    stream = random.Random(repr((context.rstrip(), context[len(context.rstrip()) :] + text)))
    return -10 * stream.random(), stream.random() < 0.5


def fake(asked: list[tuple[Any, ...]]) -> Any:
    """An lm-eval model that gives these replies, cut at the stop strings as its own models do."""
    from lm_eval.api.model import LM

    class Fake(LM):
        def __init__(self) -> None:
            super().__init__()
            self.times: dict[str, int] = defaultdict(int)

        def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
            made = []
            for request in requests:
                context, options = request.args
                asked.append((context,))
                text = replies(context)[self.times[context]]
                self.times[context] += 1
                for stop in options["until"]:
                    text = text.split(stop)[0]
                made.append(text)
            return made

        def loglikelihood(self, requests: Any, disable_tqdm: bool = False) -> list[tuple[float, bool]]:
            asked.extend(request.args for request in requests)
            return [likelihood(*request.args) for request in requests]

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
            raise NotImplementedError

    return Fake()


def reply(problem: Problem) -> Reply:
    """The pretended model's answer to a problem of ours."""
    if problem.scored:
        return Reply(json.dumps([likelihood(str(prompt.raw), text) for prompt, text in problem.scored]))
    assert problem.fixed is not None
    texts = replies(str(problem.fixed.raw))
    return Reply(texts[0] if problem.request == "generate" else json.dumps(texts))


@pytest.mark.parametrize("name", KINDS)
def test_the_same_replies_get_the_same_scores(name: str, tmp_path: Path) -> None:
    from lm_eval.tasks import TaskManager

    path, asked = lmeval_local.write(tmp_path, name), list[tuple[Any, ...]]()
    theirs = lm_eval.simple_evaluate(
        fake(asked), tasks=[str(path)], task_manager=TaskManager(include_defaults=False), bootstrap_iters=0, log_samples=True
    )
    task = tasks.load(f"lm-eval:{path}")
    problems = {p.key: p for p in task.problems()}
    judged = {key: asyncio.run(task.judge(p, reply(p))) for key, p in problems.items()}

    samples = theirs["samples"][f"local_{name}"]
    assert len(samples) >= 3
    for sample in samples:
        for metric in sample["metrics"]:
            assert judged[f"test/{sample['doc_id']}"].scores[f"{metric},{sample['filter']}"] == sample[metric]
    assert sum(len(s["metrics"]) for s in samples) == sum(len(j.scores) for j in judged.values())
    assert len({o for j in judged.values() for o in j.items}) > 1, "the pretended model is neither always right nor always wrong"

    means = {k: v for k, v in theirs["results"][f"local_{name}"].items() if isinstance(v, float) and not k.startswith("perplexity")}
    for key, value in means.items():
        assert sum(j.scores[key] for j in judged.values()) / len(judged) == pytest.approx(value)
    assert means

    ours = [(str(p.fixed.raw),) for p in problems.values() if p.fixed for _ in range(4 if name == "votes" else 1)]
    ours += [(str(prompt.raw), text) for p in problems.values() for prompt, text in p.scored]
    assert sorted("".join(pair) for pair in ours) == sorted("".join(pair) for pair in asked)


def test_prompts_sampling_and_gold_are_those_of_the_task(tmp_path: Path) -> None:
    sums = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'sums')}")
    assert sums.name == "lm-eval:local_sums" and sums.spec["name"].endswith("sums.yaml")
    assert {k: sums.sampling[k] for k in ("temperature", "max_tokens", "stop")} == {  # type: ignore[attr-defined]
        "temperature": 0.0,
        "max_tokens": 256,
        "stop": ("Question:", "</s>"),
    }
    first = {p.key: p for p in sums.problems()}["test/0"]
    assert first.question == "Question: What is 2 + 3?\nAnswer:" and first.gold == (lmeval_local.SUMS[0]["answer"],)
    assert first.fixed is not None and str(first.fixed.raw).count("Question:") == 2 and str(first.fixed.raw).endswith(first.question)
    votes = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'votes')}")
    assert (votes.sampling["temperature"], votes.sampling["max_tokens"], votes.replies) == (0.2, 64, 4)  # type: ignore[attr-defined]
    assert {p.request for p in votes.problems()} == {"replies"}
    picks = {p.key: p for p in tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'picks')}").problems()}
    assert picks["test/1"].gold == ("green",) and [text for _, text in picks["test/1"].scored] == [" a very blue thing indeed", " green"]


def test_spaces_at_the_end_of_a_context_belong_to_the_scored_text(tmp_path: Path) -> None:
    endings = {p.key: p for p in tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'endings')}").problems()}
    assert endings["test/1"].scored == ((Prompt(raw="Salt and"), "  pepper"),)


def test_the_revision_follows_the_data_and_the_shots(tmp_path: Path) -> None:
    path = lmeval_local.write(tmp_path, "sums")
    named = {"kind": "lm-eval", "name": str(path)}
    first, more = tasks.load(named), tasks.load({**named, "shots": 2})
    assert first.revision == tasks.load(named).revision != more.revision
    assert [str(p.fixed.raw).count("Question:") for p in more.problems() if p.fixed] == [3] * 8


def judge(task: Any, text: str, **changes: Any) -> Any:
    return asyncio.run(task.judge({p.key: p for p in task.problems()}["test/0"], Reply(text, **changes)))


def test_outcomes_say_what_a_score_cannot(tmp_path: Path) -> None:
    sums = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'sums')}")
    assert judge(sums, "#### 5").items == (Outcome.CORRECT,)
    wrong = judge(sums, "#### 6 Question: #### 5")
    assert wrong.items == (Outcome.WRONG,) and wrong.extracted == ("6",)
    assert judge(sums, "it is 5").items == (Outcome.UNPARSABLE,) and judge(sums, "it is 5").scores["exact_match,flexible-extract"] == 1
    assert judge(sums, "it is", finish="length").items == (Outcome.TRUNCATED,)
    assert sums.extract("#### 7") == ("7",) and sums.extract("seven") == (None,)


def test_a_vote_among_its_own_answers_is_judged_and_others_are_refused(tmp_path: Path) -> None:
    sums = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'sums')}")
    assert asyncio.run(sums.classes(["5", "6", None, "5"])) == [0, 1, -1, 0]
    assert judge(sums, "#### 5", items=("5",)).items == (Outcome.CORRECT,)
    with pytest.raises(PerPassError, match="not answers found in another way"):
        judge(sums, "five", items=("5",))


def test_what_is_not_of_the_form_is_named(tmp_path: Path) -> None:
    votes = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'votes')}")
    picks = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'picks')}")
    endings = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'endings')}")
    for task, text, expected in (
        (votes, "#### 5", "a JSON list of 4 replies"),
        (votes, '["a"]', "a JSON list of 4 replies"),
        (picks, "blue", "a JSON list of 2 pairs"),
        (picks, "[[1, 2]]", "a JSON list of 2 pairs"),
        (picks, '[["x", true], [1, false]]', "a JSON list of 2 pairs"),
    ):
        with pytest.raises(UserError, match=f"expected {expected}"):
            judge(task, text)
    assert judge(picks, "[[-1.0, null], [-2.0, null]]").items == (Outcome.CORRECT,)  # acc and acc_norm need no more
    with pytest.raises(PerPassError, match="which the engine does not say"):
        judge(endings, "[[-1.0, null]]")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output_type": "loglikelihood_rolling", "metric_list": [{"metric": "word_perplexity"}]}, "asks for loglikelihood_rolling"),
        ({"unsafe_code": True}, "needs running the model's code on this machine"),
        ({"dataset_kwargs": {"data_files": {"test": "/nowhere.jsonl"}}}, "cannot load lm-eval task 'local_plain'"),
        ({"generation_kwargs": {"until": ["\n"], "num_beams": 4}}, "sets num_beams for generation, which has no counterpart here"),
    ],
)
def test_a_task_that_has_no_counterpart_is_refused(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    task = tasks.load(f"lm-eval:{lmeval_local.write(tmp_path, 'plain', **changes)}")
    with pytest.raises(UserError, match=said):
        task.problems()
        _ = task.sampling  # type: ignore[attr-defined]


def test_names_are_found_without_reading_lm_evals_index() -> None:
    assert tasks.load("lm-eval:gsm8k").spec == {"kind": "lm-eval", "name": "gsm8k", "shots": None}
    assert tasks.load({"kind": "lm-eval", "name": "minerva_math500", "shots": 2}).name == "lm-eval:minerva_math500"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("lm-eval:gsm8kk", "lm-eval has no task 'gsm8kk'; did you mean 'gsm8k'?"),
        ("lm-eval:minerva_math", "'minerva_math' is a group; name one of its tasks|has no task 'minerva_math'"),
        ("lm-eval:nowhere.yaml", "lm-eval task nowhere.yaml: no such file"),
        ("lm-eval", "task 'lm-eval' needs the parameter 'name'"),
        ({"kind": "lm-eval", "name": "gsm8k", "shots": -1}, "shots is -1, expected at least 0"),
    ],
)
def test_a_name_that_is_wrong(spec: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        tasks.load(spec)
