"""GSM8K by lm-eval's protocol, against lm-eval itself on the published data."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

import tasks
from tasks import gsm8k_lmeval, lmeval_find
from tasks.types import Outcome, Prescribes, Problem, Prompt, Reply

pytestmark = pytest.mark.usefixtures("published")
NAMES = {"gsm8k-lmeval": "gsm8k", "gsm8k-cot": "gsm8k_cot"}
REPLIES = (
    "{answer}",
    "{answer}\n\nQuestion: And then?\nAnswer: #### 1",
    "So the answer is {gold}.",
    "The answer is {gold}. Q: The answer is 3.",
    "The answer is ${gold}.00.",
    "#### {gold}.",
    "#### ${gold}",
    "#### -{gold}, #### 2",
    "It is $1,000 and 7.",
    "nothing",
    "",
    ".",
    "#### ,",
    "THE ANSWER IS {gold}",
)


@pytest.fixture(scope="module")
def theirs(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """lm-eval's own tasks over the local copies, with all prompts of a whole run."""
    pytest.importorskip("lm_eval")
    import yaml

    folder = tmp_path_factory.mktemp("lmeval")
    files = {split: str(real_data / f"gsm8k/{split}.jsonl") for split in ("train", "test")}
    made = {}
    for name in NAMES.values():
        path, _ = lmeval_find.find(name)
        local = {"include": str(path), "dataset_path": "json", "dataset_name": None, "task": f"local_{name}"}
        here = folder / f"{name}.yaml"
        here.write_text(yaml.safe_dump({**local, "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")}}))
        made[name] = lmeval_find.make(here, name, None)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_every_prompt_is_lm_evals_to_the_byte(name: str, theirs: dict[str, Any]) -> None:
    ours = {p.key: p for p in tasks.load(name).problems()}
    whole = theirs[NAMES[name]].instances
    assert len(ours) == len(whole) == 1319
    assert all(ours[f"test/{request.doc_id}"].fixed == Prompt(raw=request.args[0]) for request in whole)


def test_the_examples_are_drawn_from_one_stream_in_the_order_of_the_source() -> None:
    ours = {p.key: str(p.fixed.raw) for p in tasks.load("gsm8k-lmeval").problems() if p.fixed}
    assert all(prompt.count("Question: ") == 6 and prompt.endswith("\nAnswer:") for prompt in ours.values())
    assert len({prompt.rpartition("Question: ")[0] for prompt in ours.values()}) == 1319
    cot = {str(p.fixed.raw).rpartition("Q: ")[0] for p in tasks.load("gsm8k-cot").problems() if p.fixed}
    assert len(cot) == 1 and cot.pop().count("Q: ") == 8


@pytest.mark.parametrize("name", NAMES)
def test_stop_strings_and_length_are_lm_evals(name: str, theirs: dict[str, Any]) -> None:
    from lm_eval.models.utils import normalize_gen_kwargs

    task, wanted = tasks.load(name), normalize_gen_kwargs(dict(theirs[NAMES[name]].config.generation_kwargs))
    assert isinstance(task, Prescribes) and task.replies == 1
    assert (task.sampling["stop"], task.sampling["max_tokens"]) == (tuple(wanted["until"]), wanted["max_gen_toks"])
    assert not wanted["do_sample"] and task.sampling["temperature"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_both_filters_score_as_lm_evals(name: str, theirs: dict[str, Any]) -> None:
    """Every kind of reply on every fiftieth problem, and the published solution on all."""
    task, reference = tasks.load(name), theirs[NAMES[name]]
    problems = {p.key: p for p in task.problems()}
    right = {"strict-match": 0, "flexible-extract": 0}
    for request in reference.instances:
        problem = problems[f"test/{request.doc_id}"]
        for text in REPLIES if request.doc_id % 50 == 0 else REPLIES[:1]:
            text = text.format(answer=request.doc["answer"], gold=problem.gold[0])
            judged = asyncio.run(task.judge(problem, Reply(text)))
            for filter_name, score in scored(reference, request, text).items():
                assert judged.scores[filter_name] == score, (filter_name, problem.key, text)
                right[filter_name] += int(score)
    assert min(right.values()) > 1319 // 50


def scored(reference: Any, request: Any, text: str) -> dict[str, float]:
    """lm-eval's exact_match by filter, of a reply that its model cut at the stop strings."""
    from dataclasses import replace

    for stop in reference.config.generation_kwargs["until"]:
        text = text.split(stop)[0]
    made, found = replace(request, resps=[text], filtered_resps={}), {}
    for chain in reference._filters:
        chain.apply([made])
        found[chain.name] = float(reference.process_results(request.doc, [made.filtered_resps[chain.name]])["exact_match"])
    return found


def problem(name: str, gold: str) -> tuple[Any, Problem]:
    task = tasks.load(name)
    return task, next(p for p in task.problems() if p.gold == (gold,))


def test_the_outcome_is_our_own_judgement_beside_the_two_filters() -> None:
    task, asked = problem("gsm8k-lmeval", "18")
    judged = asyncio.run(task.judge(asked, Reply("She makes 9 * 2 = $18.00 every day.\n\nQuestion: How many? #### 7", "stop")))
    assert judged.items == (Outcome.CORRECT,) and judged.extracted == ("18.00",)
    assert (judged.scores["strict-match"], judged.scores["flexible-extract"]) == (0, 0)  # 18.00. is not 18 to lm-eval
    cut = asyncio.run(task.judge(asked, Reply("She has", "length")))
    assert cut.items == (Outcome.TRUNCATED,)
    assert task.judge_version == "boxed-1+number-1+lm-eval-gsm8k-1"


def test_it_is_the_same_task_with_another_grader() -> None:
    task, asked = problem("gsm8k-cot", "18")
    strict = task.with_grader("exact")
    assert strict.judge_version.endswith("exact-1+lm-eval-gsm8k_cot-1")
    for each, outcome in ((task, Outcome.CORRECT), (strict, Outcome.WRONG)):
        assert asyncio.run(each.judge(asked, Reply("The answer is 18.0."))).items == (outcome,)


def test_a_quoted_file_is_whole() -> None:
    quoted = gsm8k_lmeval.strings()
    assert quoted["licence"].startswith("MIT") and len(quoted["gsm8k_cot"]["examples"]) == 8
