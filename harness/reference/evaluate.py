"""Measure a reference model on held-out problems and write the result on its card: `python -m harness.reference.evaluate nano`."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from transformers import AutoModelForCausalLM, AutoTokenizer

from harness import prompts
from harness.reference.data import OPERATIONS, Document, document
from harness.reference.export import write_accuracy
from perpass.errors import UserError
from tasks.arithmetic import Arithmetic
from tasks.stories import stories
from tasks.types import Outcome, Problem, Prompt, Reply

HERE = Path(__file__).parent
BATCH = 100
NEW_TOKENS = 160  # the longest trained answer has about 95
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


Verdicts = list[tuple[int, bool]]  # (operations, right)


def measure(model: Model, size: int = 3000, seed: int = 0) -> dict[str, Any]:
    """Accuracy by number of operations, with Wilson 95 % intervals: step by step, direct, sampled, and as a judge of answers."""
    task = Arithmetic(size=size, seed=seed)
    problems = task.problems()
    torch.manual_seed(seed)
    asked = [prompts.step_by_step(p.question, p.answer_format) for p in problems]
    sampled = model.reply(asked, TEMPERATURE)
    right = _judged(task, problems, sampled)
    own = model.reply([prompts.judge(a, reply.text) for a, reply in zip(asked, sampled, strict=True)])
    modes = {
        "step by step, greedy": _judged(task, problems, model.reply(asked)),
        f"step by step, T={TEMPERATURE}": right,
        "direct, greedy": _judged(task, problems, model.reply([prompts.direct(p.question, p.answer_format) for p in problems])),
        "judge, made-up solutions": _verdicts(model, size, seed),
        "judge, own solutions": [(n, _yes(reply) == truth) for (n, truth), reply in zip(right, own, strict=True)],
    }
    trusted = [truth for (_, truth), reply in zip(right, own, strict=True) if _yes(reply)]
    note = (
        "The judge columns are the share of right verdicts: on solutions of which half were corrupted, and on the model's own samples, "
        f"of which {sum(t for _, t in right) / len(right):.1%} are correct; "
        f"of those that it calls correct, {sum(trusted) / max(len(trusted), 1):.1%} are."
    )
    return {
        "task": f"size {size}, seed {seed}",
        "problems": len(problems),
        "note": note,
        "modes": {mode: _by_operations(verdicts) for mode, verdicts in modes.items()},
    }


def _judged(task: Arithmetic, problems: Sequence[Problem], replies: Sequence[Reply]) -> Verdicts:
    async def judge() -> Verdicts:
        found = [await task.judge(p, r) for p, r in zip(problems, replies, strict=True)]
        return [(int(p.meta["operations"]), j.items[0] is Outcome.CORRECT) for p, j in zip(problems, found, strict=True)]

    return asyncio.run(judge())


def _verdicts(model: Model, size: int, seed: int) -> Verdicts:
    """Judgements of solutions to held-out problems, half of them corrupted in the way of the training data."""
    rng = random.Random(f"judge/{seed}")
    count = size // len(OPERATIONS)
    documents: list[tuple[int, Document]] = []
    for n in OPERATIONS:
        documents += [(n, document(rng, "judge", chain, question)) for chain, question in islice(stories(rng, n, held_out=True), count)]
    replies = model.reply([Prompt(turns=d.turns[:-1]) for _, d in documents])
    return [(n, reply.text.strip() == d.turns[-1].content) for (n, d), reply in zip(documents, replies, strict=True)]


def _yes(reply: Reply) -> bool:
    return reply.text.strip() == "yes"


def _by_operations(verdicts: Verdicts) -> dict[str, dict[str, float]]:
    strata = {str(n): [right for m, right in verdicts if m == n] for n in OPERATIONS}
    return {name: _share(rights) for name, rights in (strata | {"all": [right for _, right in verdicts]}).items()}


def _share(rights: Sequence[bool]) -> dict[str, float]:
    interval = binomtest(sum(rights), len(rights)).proportion_ci(method="wilson")
    return {"share": sum(rights) / len(rights), "low": float(interval.low), "high": float(interval.high), "n": len(rights)}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for a bad value or a missing model."""
    parser = argparse.ArgumentParser(prog="python -m harness.reference.evaluate", description="Measure a reference model; writes its card.")
    parser.add_argument("model", help="a size (nano, …) or a folder")
    parser.add_argument("--size", type=int, default=3000, help="number of problems")
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
    for mode, cells in accuracy["modes"].items():
        print(f"{mode:28}", *(f"{name} {cell['share']:.1%}" for name, cell in cells.items()), sep="  ")
    print(accuracy["note"])
    if not given.dry:
        write_accuracy(folder, accuracy)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
