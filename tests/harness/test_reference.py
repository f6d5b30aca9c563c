"""The reference models: their data, their tokenizer, their training, and the models that are shipped."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import psutil
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from harness import prompts  # noqa: E402
from harness.reference import evaluate, train  # noqa: E402
from harness.reference import tokenizer as tok  # noqa: E402
from harness.reference.batches import pool  # noqa: E402
from harness.reference.data import MIX, corrupted, documents, states  # noqa: E402
from harness.reference.sizes import SIZES, config  # noqa: E402
from perpass.errors import UserError  # noqa: E402
from tasks.arithmetic import Arithmetic  # noqa: E402
from tasks.procbench import reading, scoring  # noqa: E402
from tasks.procbench.procedures import REFERENCE, problems  # noqa: E402
from tasks.procbench.task import STATE_FORMAT, ProcBench  # noqa: E402
from tasks.rest import REST_FORMAT, merged  # noqa: E402
from tasks.stories import draw_chain  # noqa: E402

NANO = Path(train.__file__).parent / "nano"
UNICODE = "naïve – 你好 🙂\n\t\u0000 x² ½ ٣  end "


@pytest.fixture(scope="module")
def learned():
    return tok.learn(3000)


@pytest.fixture(scope="module")
def auto(learned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tok.save(learned, folder)
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


@pytest.fixture(scope="module")
def nano():
    return evaluate.Model.load(NANO)


def options(tmp_path, **changes) -> train.Options:
    given = train.Options("nano", steps=5, threads=1, pool=300, ahead=0, out=tmp_path, checkpoints=tmp_path / "checkpoints")
    return replace(given, **changes)


# documents


def test_the_mix_and_all_operation_counts_are_there():
    drawn = list(islice(documents("mix"), 4000))
    for kind, share in MIX.items():
        assert abs(sum(d.kind == kind for d in drawn) / 4000 - share) < 0.03
    lines = {d.turns[-1].content.count("=") for d in drawn if d.kind == "cot"}
    assert lines == {1, 2, 3, 4, 5, 6}


def test_documents_use_the_strategies_prompts():
    for document in islice(documents("prompts"), 300):
        if document.kind in ("drill", "copy"):
            continue
        several = document.kind.startswith("several")
        question = merged(document.questions) if several else document.questions[0]
        form = "Put your final answer within \\boxed{}."
        form = STATE_FORMAT if document.kind.startswith("procedure") else REST_FORMAT if several else form
        if "direct" in document.kind:
            assert document.turns[:-1] == prompts.direct(question, form).turns
            assert re.fullmatch(r"(\\boxed\{.+\}\n?)+", document.turns[-1].content)
        else:
            assert document.turns[:1] == prompts.step_by_step(question, form).turns
        if document.kind == "judge":
            assert document.turns[2].content == prompts.JUDGE


def test_wrong_solutions_are_shown_but_never_learned():
    judged = [d for d in islice(documents("judge"), 3000) if d.kind == "judge"]
    verdicts = [d.turns[-1].content for d in judged]
    assert 0.4 < verdicts.count("yes") / len(verdicts) < 0.6
    for document in judged:
        assert document.weights[1] == (1.0 if document.turns[-1].content == "yes" else 0.0)
        assert document.weights[0] == document.weights[2] == 0.0


def test_a_corrupted_solution_ends_wrong_and_carries_its_error_on():
    rng = random.Random(0)
    for _ in range(500):
        chain = draw_chain(rng, rng.randint(1, 6))
        *lines, box = corrupted(rng, chain).splitlines()
        assert box != f"\\boxed{{{chain.answer}}}"
        words = [line.split() for line in lines]
        assert words[0][0] == str(chain.start) and box == f"\\boxed{{{words[-1][-1]}}}"
        assert all(a[-1] == b[0] for a, b in pairwise(words))


def test_no_training_question_is_a_test_question():
    procedures = ProcBench(source="generated", procedures="reference", instructions="brief", steps=(2, 8), size=700, seed=9)
    tasks = (Arithmetic(size=3000), procedures)
    asked = {p.question for task in tasks for p in task.problems()}
    assert not asked & {question for d in islice(documents("separate"), 20_000) for question in d.questions}


def test_several_questions_are_answered_in_order():
    several = [d for d in islice(documents("several"), 400) if d.kind == "several direct"]
    assert {len(d.questions) for d in several} == {1, 2, 3}
    for document in several:
        assert document.turns[-1].content.count("\\boxed{") == len(document.questions)


def test_a_procedure_is_written_a_step_per_line():
    written = [d.turns[-1].content for d in islice(documents("states"), 300) if d.kind == "procedure"]
    assert {text.count("\n") for text in written} == set(range(1, 8))  # 2 to 8 steps
    assert all("\\boxed{" in text.splitlines()[-1] for text in written)


@pytest.mark.parametrize("name", REFERENCE)
def test_what_is_learned_is_read_as_the_label(name):
    rng = random.Random(name)
    for drawn in islice(problems(rng, name, rng.randint(2, 8), held_out=False), 40):
        assert scoring.score(drawn.label, reading.free(states(drawn), name, drawn.label))["SM"] == 1


def test_drills_are_right_lines():
    drills = [d for d in islice(documents("drill"), 500) if d.kind == "drill"]
    for line in (line for d in drills for line in d.turns[-1].content.splitlines()):
        left, sign, right, _, result = line.split()
        assert {"+": int.__add__, "-": int.__sub__, "*": int.__mul__, "/": int.__floordiv__}[sign](int(left), int(right)) == int(result)


def test_a_worker_ends_when_its_training_is_killed(learned, tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from harness.reference.batches import pools\n"
        "if __name__ == '__main__':\n"
        "    source = pools(Path(sys.argv[1]).read_text(), 0, 0, 4096, 100)\n"
        "    next(source)\n"
        "    import multiprocessing\n"
        "    print(multiprocessing.active_children()[0].pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "tokenizer.json").write_text(learned.to_str())
    (tmp_path / "run.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(NANO.parents[2])}
    process = subprocess.Popen(
        [sys.executable, tmp_path / "run.py", tmp_path / "tokenizer.json"], stdout=subprocess.PIPE, text=True, env=environment
    )
    worker = int(process.stdout.readline())
    process.kill()
    process.wait()
    deadline = time.monotonic() + 120
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE


# tokenizer


@pytest.mark.parametrize("text", [UNICODE, "12 + 5 = 17\n\\boxed{17}", "", "   ", "def f(x):\n    return x"])
def test_any_text_round_trips(auto, text):
    assert auto.decode(auto.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("string", ["roivthe", "pdrhast", "inonat", "---x-", "0001111"])
def test_what_procedures_work_on_is_spelled_the_same_wherever_it_is_cut(auto, string):
    whole = auto.encode("String:\n" + string, add_special_tokens=False)[-len(string) :]
    assert [auto.decode([i]) for i in whole] == list(string)
    assert auto.encode("\n" + string[3:], add_special_tokens=False)[-len(string) + 3 :] == whole[3:]


def test_every_digit_is_a_token(auto):
    pieces = [auto.decode([i]) for i in auto.encode("1234 + 56 = 1290\\boxed{1290}", add_special_tokens=False)]
    assert [p for p in pieces if any(c.isdigit() for c in p)] == list("1234561290" + "1290")


def test_chat_template_and_training_layout_agree(auto, learned):
    for document in islice(documents("layout"), 50):
        turns = [{"role": t.role, "content": t.content} for t in document.turns]
        text = auto.apply_chat_template(turns, tokenize=False)
        [(ids, weights)] = tok.encode(learned, [document])
        assert auto(text, add_special_tokens=False)["input_ids"] == ids
        opened = auto.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
        learned_part = ids[len(auto(opened, add_special_tokens=False)["input_ids"]) :]
        assert auto.decode(learned_part) == document.turns[-1].content + "<|end|>"
        if document.kind == "drill":
            text = "".join(auto.decode([i]) for i, w in zip(ids, weights, strict=True) if w > 0)
            assert text == "".join(line.split("= ")[1] for line in document.turns[-1].content.splitlines(keepends=True)) + "<|end|>"
        else:
            assert all(w > 0 for w in weights[-len(learned_part) :])


def test_template_text(auto):
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    assert auto.apply_chat_template(turns, tokenize=False, add_generation_prompt=True) == "<|system|>S<|end|><|user|>U<|end|><|assistant|>"
    assert (auto.eos_token, auto.pad_token) == ("<|end|>", "<|pad|>") and len(auto) <= tok.VOCABULARY


# training


def test_pools_are_pure_and_hold_every_document(learned):
    text = learned.to_str()
    first, again, other = (pool(text, 0, index, 4096, 300) for index in (4, 4, 5))
    assert all((a.ids == b.ids).all() for a, b in zip(first.batches, again.batches, strict=True))
    assert first.questions != other.questions
    assert sum(len(b.ids) for b in first.batches) == 300
    assert all(b.ids.size <= 4096 for b in first.batches)


def test_a_short_run_exports_resumes_and_counts_on(tmp_path):
    folder = train.run(options(tmp_path))
    facts = json.loads((folder / "training.json").read_text())
    assert facts["steps"] == 5 and facts["finished"] == "yes" and facts["shared"] == 0
    assert "# perpass/nano" in (folder / "README.md").read_text()
    resumed = json.loads((train.run(options(tmp_path, steps=8, resume=True)) / "training.json").read_text())
    assert resumed["steps"] == 8
    assert resumed["tokens"] > facts["tokens"] and resumed["minutes"] >= facts["minutes"]
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")], "a temporary folder was left behind"


def test_training_lowers_the_loss(tmp_path):
    trainer = train.Trainer(options(tmp_path, steps=25))
    trainer.train()
    assert sum(list(trainer.losses)[-5:]) < 0.95 * sum(list(trainer.losses)[:5])


def test_background_pools_give_the_same_run(tmp_path):
    texts = [(train.run(options(tmp_path / str(ahead), ahead=ahead)) / "training.json").read_text() for ahead in (0, 1)]
    losses, tokens = zip(*((json.loads(t)["loss"], json.loads(t)["tokens"]) for t in texts), strict=True)
    assert tokens[0] == tokens[1] and losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_a_met_test_question_stops_the_run(tmp_path):
    trainer = train.Trainer(options(tmp_path))
    trainer.test_questions |= frozenset(pool(trainer.tokenizer.to_str(), 0, 0, 4096, 300).questions[:1])
    with pytest.raises(UserError, match="separation is broken"):
        trainer.train()


def test_resuming_nothing_and_unknown_sizes_are_user_errors(tmp_path, capsys):
    with pytest.raises(UserError, match="there is no checkpoint"):
        train.run(options(tmp_path, resume=True))
    assert train.main(["nanno"]) == 2
    assert "did you mean 'nano'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", SIZES)
def test_sizes_fit_vllm_and_their_names(name):
    shape = config(SIZES[name])
    assert shape.head_dim >= 32 and shape.num_attention_heads * shape.head_dim == shape.hidden_size
    with torch.device("meta"):
        parameters = sum(p.numel() for p in transformers.LlamaForCausalLM(shape).parameters())
    low, high = {"nano": (0.25e6, 0.45e6), "micro": (0.7e6, 1.3e6), "mini": (2.4e6, 3.8e6)}[name]
    assert low < parameters < high


# the shipped model


def test_the_shipped_model_loads_offline_as_a_float32_llama(nano):
    assert type(nano.network).__name__ == "LlamaForCausalLM"
    assert {p.dtype for p in nano.network.parameters()} == {torch.float32}
    assert nano.network.config.max_position_embeddings == 2048
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"} <= {
        p.name for p in NANO.iterdir()
    }


def test_the_shipped_tokenizer_round_trips(nano):
    assert nano.tokenizer.decode(nano.tokenizer.encode(UNICODE, add_special_tokens=False)) == UNICODE


def test_it_generates_up_to_its_context(nano):
    ids = torch.randint(5, 512, (1, 2000), generator=torch.Generator().manual_seed(0))
    output = nano.network.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, min_new_tokens=48, do_sample=False)
    assert output.shape == (1, 2048)


def test_it_really_solves_problems_better_step_by_step(nano):
    problems = [p for p in Arithmetic(size=240).problems() if p.meta["operations"] in ("1", "4")]
    task = Arithmetic()

    def share(ask, operations: str) -> float:
        chosen = [p for p in problems if p.meta["operations"] == operations]
        judged = evaluate._judged(task, chosen, nano.reply([ask(p.question, p.answer_format) for p in chosen]), "operations")
        return sum(right for _, right in judged) / len(judged)

    assert share(prompts.step_by_step, "1") >= 0.7
    assert share(prompts.step_by_step, "4") > share(prompts.direct, "4")
