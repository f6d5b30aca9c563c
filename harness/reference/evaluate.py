"""Measure a reference model on held-out problems and write the result on its card: `python -m harness.reference.evaluate nano`."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness import prompts
from harness.reference import card
from harness.reference.data import OPERATIONS, Document, document
from harness.reference.export import write_accuracy
from perpass.errors import UserError
from tasks.arithmetic import Arithmetic
from tasks.procbench.procedures import REFERENCE
from tasks.procbench.task import ProcBench
from tasks.rest import Rest
from tasks.stories import stories
from tasks.types import Outcome, Problem, Prompt, Reply, Task

HERE = Path(__file__).parent
BATCH = 100
NEW_TOKENS = 320  # the longest trained answers, to three questions, have about 290
TEMPERATURE = 0.8


@dataclass(frozen=True)
class Model:
    """A loaded model folder: a causal language model in evaluation mode and its tokenizer, both of transformers."""

    network: Any
    tokenizer: Any

    @staticmethod
    def load(folder: Path, device: str = "cpu") -> Model:
        """Load a folder with the Auto classes, offline. Raises UserError when there is no model in it."""
        if not (folder / "model.safetensors").exists():
            raise UserError(f"there is no model in {folder}; train one with: python -m harness.reference.train {folder.name}")
        network: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        return Model(network.to(device).eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True))

    def reply(self, asked: Sequence[Prompt], temperature: float = 0.0) -> list[Reply]:
        """Answers in the order of `asked`; greedy at temperature 0. Prompts of similar length run together."""
        order = sorted(range(len(asked)), key=lambda i: len(str(asked[i])))
        found: dict[int, Reply] = {}
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            found |= dict(zip(chosen, self._batch([asked[i] for i in chosen], temperature), strict=True))
        return [found[i] for i in range(len(asked))]

    @torch.inference_mode()
    def _batch(self, asked: Sequence[Prompt], temperature: float) -> Iterator[Reply]:
        conversations = [[{"role": t.role, "content": t.content} for t in prompt.turns] for prompt in asked]
        texts = self.tokenizer.apply_chat_template(conversations, tokenize=False, add_generation_prompt=True)
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.network.device)
        how: dict[str, Any] = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
        output = self.network.generate(**inputs, max_new_tokens=NEW_TOKENS, **how)[:, inputs["input_ids"].shape[1] :]
        for row in output:
            finish = "eos" if (row == self.tokenizer.eos_token_id).any() else "length"
            yield Reply(self.tokenizer.decode(row, skip_special_tokens=True), finish)


Verdicts = list[tuple[str, bool]]  # (stratum, right), one per item
Mode = Callable[[str, str], Prompt]
SHORT = (2, 6)  # ProcBench's short problems


def measure(model: Model, size: int = 1500, seed: int = 0) -> dict[str, Any]:
    """Accuracy with Wilson 95 % intervals in three tables: word problems, procedures, several questions at once; and as a judge.

    `size` is the number of word problems; the other tables have as many questions, or nearly.
    """
    torch.manual_seed(seed)
    arithmetic = Arithmetic(size=size, seed=seed)
    procedures = ProcBench(source="generated", procedures=REFERENCE, instructions="brief", steps=SHORT, size=min(size, 600), seed=seed)
    stories, note = _stories(model, arithmetic, seed)
    asked = {"step by step, greedy": prompts.step_by_step, "direct, greedy": prompts.direct}
    several = [Rest(base={**arithmetic.spec, "size": max(size // (2 * s), s)}, s=s) for s in (1, 2, 3)]
    by_count = {mode: [v for task in several for v in _answered(model, task, ask, str(task.items))] for mode, ask in asked.items()}
    return {
        "tables": [
            _table(f"`arithmetic`, {size} problems, seed {seed}", "operations", stories),
            _table(
                f"`procbench`, generated, {SHORT[0]} to {SHORT[1]} steps, {len(procedures.problems())} problems, seed {seed}",
                "procedure",
                {mode: _answered(model, procedures, ask, "procedure") for mode, ask in asked.items()},
            ),
            _table("`rest` over `arithmetic`: accuracy per question", "questions at once", by_count),
        ],
        "note": note,
    }


def _stories(model: Model, task: Arithmetic, seed: int) -> tuple[dict[str, Verdicts], str]:
    problems = task.problems()
    asked = [prompts.step_by_step(p.question, p.answer_format) for p in problems]
    sampled = model.reply(asked, TEMPERATURE)
    right = _judged(task, problems, sampled, "operations")
    own = model.reply([prompts.judge(a, reply.text) for a, reply in zip(asked, sampled, strict=True)])
    trusted = [truth for (_, truth), reply in zip(right, own, strict=True) if _yes(reply)]
    modes = {
        "step by step, greedy": _judged(task, problems, model.reply(asked), "operations"),
        f"step by step, T={TEMPERATURE}": right,
        "direct, greedy": _answered(model, task, prompts.direct, "operations"),
        "judge, made-up solutions": _verdicts(model, len(problems), seed),
        "judge, own solutions": [(n, _yes(reply) == truth) for (n, truth), reply in zip(right, own, strict=True)],
    }
    note = (
        "The judge columns are the share of right verdicts: on solutions of which half were corrupted, and on the model's own samples, "
        f"of which {sum(t for _, t in right) / len(right):.1%} are correct; "
        f"of those that it calls correct, {sum(trusted) / max(len(trusted), 1):.1%} are."
    )
    return modes, note


def _answered(model: Model, task: Task, ask: Mode, stratum: str) -> Verdicts:
    """Greedy answers to all problems of `task`, judged."""
    problems = task.problems()
    return _judged(task, problems, model.reply([ask(p.question, p.answer_format) for p in problems]), stratum)


def _judged(task: Task, problems: Sequence[Problem], replies: Sequence[Reply], stratum: str) -> Verdicts:
    """A verdict per item; its stratum is the problem's `meta[stratum]`, or `stratum` itself where it has none."""

    async def judge() -> Verdicts:
        found = [await task.judge(p, r) for p, r in zip(problems, replies, strict=True)]
        return [(p.meta.get(stratum, stratum), o is Outcome.CORRECT) for p, j in zip(problems, found, strict=True) for o in j.items]

    return asyncio.run(judge())


def _verdicts(model: Model, size: int, seed: int) -> Verdicts:
    """Judgements of solutions to held-out problems, half of them corrupted in the way of the training data."""
    rng = random.Random(f"judge/{seed}")
    count = size // len(OPERATIONS)
    documents: list[tuple[str, Document]] = []
    for n in OPERATIONS:
        drawn = islice(stories(rng, n, held_out=True), count)
        documents += [(str(n), document(rng, "judge", chain, question)) for chain, question in drawn]
    replies = model.reply([Prompt(turns=d.turns[:-1]) for _, d in documents])
    return [(n, reply.text.strip() == d.turns[-1].content) for (n, d), reply in zip(documents, replies, strict=True)]


def _yes(reply: Reply) -> bool:
    return reply.text.strip() == "yes"


def _table(title: str, strata: str, modes: dict[str, Verdicts]) -> dict[str, Any]:
    names = sorted({stratum for verdicts in modes.values() for stratum, _ in verdicts})
    shares = {mode: {name: _share([right for n, right in verdicts if n == name]) for name in names} for mode, verdicts in modes.items()}
    for mode, verdicts in modes.items():
        shares[mode]["all"] = _share([right for _, right in verdicts])
    return {"title": title, "strata": strata, "modes": shares}


def _share(rights: Sequence[bool]) -> dict[str, float]:
    interval = binomtest(sum(rights), len(rights)).proportion_ci(method="wilson")
    return {"share": sum(rights) / len(rights), "low": float(interval.low), "high": float(interval.high), "n": len(rights)}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for a bad value or a missing model."""
    parser = argparse.ArgumentParser(prog="python -m harness.reference.evaluate", description="Measure a reference model; writes its card.")
    parser.add_argument("model", help="a size (nano, …) or a folder")
    parser.add_argument("--size", type=int, default=1500, help="number of word problems")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dry", action="store_true", help="print the table, write nothing")
    given = parser.parse_args(arguments)
    folder = HERE / given.model if (HERE / given.model).is_dir() else Path(given.model)
    try:
        accuracy = measure(Model.load(folder, given.device), given.size, given.seed)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n\n".join(map(card.table, accuracy["tables"])), end="\n\n")
    print(accuracy["note"])
    if not given.dry:
        write_accuracy(folder, accuracy)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
