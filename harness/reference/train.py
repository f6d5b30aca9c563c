"""Train a reference model from scratch: `python -m harness.reference.train nano [--steps N] [--resume] …`.

The run checkpoints and exports the model every few minutes; killed at any moment it goes on with `--resume`.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections import deque
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from harness.reference import tokenizer as tok
from harness.reference.batches import POOL, Batch, Pool, pools, question_hash
from harness.reference.data import MIX
from harness.reference.export import export, load_state, save_state
from harness.reference.sizes import SIZES, Size, config
from perpass.errors import UserError, unknown
from tasks.arithmetic import Arithmetic
from tasks.procbench.procedures import REFERENCE
from tasks.procbench.task import ProcBench
from tasks.types import Task

HERE = Path(__file__).parent
WARM_UP = 300  # steps
LAST = 0.02  # the cosine ends at this share of the peak learning rate
# The tasks whose questions must not be met in training.
TEST_TASKS: tuple[Task, ...] = (
    *(Arithmetic(size=size, seed=seed) for size, seed in ((3000, 0), (600, 1), (600, 2), (600, 3))),
    *(ProcBench(source="generated", procedures=REFERENCE, instructions="brief", steps=(2, 8), size=700, seed=seed) for seed in range(6)),
)


@dataclass(frozen=True)
class Options:
    """How one run is carried out. The horizon of the learning rate is `minutes` if given, else `steps` (0: the size's own)."""

    size: str
    minutes: float = 0.0
    steps: int = 0
    seed: int = 0
    device: str = "auto"
    threads: int = 2
    resume: bool = False
    compile: bool = False
    bfloat16: bool = False  # multiply in bfloat16; weights and optimiser stay in float32
    every: float = 300.0  # seconds between checkpoints
    pool: int = POOL
    ahead: int = 2
    out: Path = HERE
    checkpoints: Path = HERE / ".checkpoints"


@dataclass
class Progress:
    """What a run has done so far; saved with every checkpoint. Seconds are of training, checkpoints included, over all resumed parts."""

    step: int = 0
    seconds: float = 0.0
    tokens: int = 0
    learned: int = 0
    documents: int = 0
    longest: int = 0
    next_pool: int = 0
    checked: int = 0  # training questions compared with the test questions
    parts: int = 1  # one more for every time that the run was resumed


def run(options: Options) -> Path:
    """Train, and return the exported folder. Raises UserError for an unknown size, a missing checkpoint or a met test question."""
    if options.size not in SIZES:
        raise unknown("size", options.size, SIZES)
    trainer = Trainer(options)
    trainer.train()
    return trainer.folder


class Trainer:
    """One training run: the model, its optimiser and its progress."""

    def __init__(self, options: Options):
        self.size: Size = SIZES[options.size]
        self.options = replace(options, steps=0 if options.minutes else options.steps or self.size.steps)
        self.folder = options.out / options.size
        self.state_path = options.checkpoints / options.size / "state.pt"
        self.device = "cuda" if options.device == "auto" and torch.cuda.is_available() else options.device.replace("auto", "cpu")
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        self.progress = Progress()
        self.losses: deque[float] = deque(maxlen=200)
        self.test_questions = _test_questions()
        state = self._saved() if options.resume else None
        self.tokenizer = Tokenizer.from_str(state["tokenizer"]) if state else tok.learn(seed=f"tokenizer/{options.seed}")
        # On a CPU the fused attention's backward pass takes five times as long as plain products at these lengths.
        model: Any = LlamaForCausalLM(config(self.size, attention="eager" if self.device == "cpu" else "sdpa"))
        self.model: LlamaForCausalLM = model.to(self.device)
        self.network = torch.compile(self.model.model, dynamic=True) if options.compile else self.model.model
        self.optimizer = torch.optim.AdamW(_groups(self.model), lr=self.size.learning_rate, betas=(0.9, 0.98), fused=True)
        if state:
            self._restore(state)

    def _saved(self) -> dict[str, Any]:
        try:
            return load_state(self.state_path)
        except FileNotFoundError as error:
            raise UserError(f"--resume: there is no checkpoint at {self.state_path}") from error

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(**state["progress"])
        self.progress.parts += 1
        self.losses.extend(state["losses"])

    def train(self) -> None:
        """Run to the horizon, with a checkpoint and an export on the way every `every` seconds and at the end."""
        started, before = time.monotonic(), self.progress.seconds
        saved = spoken = started
        source = pools(
            self.tokenizer.to_str(),
            self.options.seed,
            self.progress.next_pool,
            self.size.batch_tokens,
            self.options.pool,
            self.options.ahead,
        )
        for pool in source:
            self._check(pool)
            for batch in pool.batches:
                self.losses.append(self._step(batch))
                now = time.monotonic()
                self.progress.seconds = before + now - started
                done = self._share_done()
                if now - spoken > 15 or done >= 1:
                    self._say(now - started, done)
                    spoken = now
                if now - saved > self.options.every or done >= 1:
                    self._save(finished=done >= 1)
                    saved = now
                if done >= 1:
                    source.close()
                    return
            self.progress.next_pool = pool.index + 1

    def _share_done(self) -> float:
        """How far the run is towards its horizon, in [0, 1]."""
        if self.options.steps:
            return min(self.progress.step / self.options.steps, 1.0)
        return min(self.progress.seconds / (60 * self.options.minutes), 1.0)

    def _rate(self) -> float:
        """The learning rate: linear warm-up, then a cosine to the horizon."""
        warm = min((self.progress.step + 1) / WARM_UP, 1.0)
        cosine = (1 + math.cos(math.pi * self._share_done())) / 2
        return self.size.learning_rate * warm * (LAST + (1 - LAST) * cosine)

    def _step(self, batch: Batch) -> float:
        """One optimiser step; returns the loss in nats per weighted token. Padding is on the right, so causal attention never reads it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        ids = torch.from_numpy(batch.ids).to(self.device)
        weights = torch.from_numpy(batch.weights).to(self.device)[:, 1:]
        rows, columns = weights.nonzero(as_tuple=True)
        with torch.autocast(self.device.split(":")[0], dtype=torch.bfloat16, enabled=self.options.bfloat16):
            hidden = self.network(input_ids=ids, use_cache=False).last_hidden_state
            # Only positions that carry a loss go through the output layer.
            logits = self.model.lm_head(hidden[rows, columns])
        each = torch.nn.functional.cross_entropy(logits.float(), ids[rows, columns + 1], reduction="none")
        chosen = weights[rows, columns]
        loss = (each * chosen).sum() / chosen.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        progress = self.progress
        progress.step += 1
        progress.tokens += batch.tokens
        progress.learned += len(rows)
        progress.documents += len(ids)
        progress.longest = max(progress.longest, ids.shape[1])
        return loss.item()

    def _check(self, pool: Pool) -> None:
        """Stop at once if a training question is a test question."""
        met = self.test_questions.intersection(pool.questions)
        if met:
            raise UserError(f"{len(met)} training questions are test questions: the train/test separation is broken")
        self.progress.checked += len(pool.questions)

    def _say(self, elapsed: float, done: float) -> None:
        progress = self.progress
        speed = progress.tokens / max(progress.seconds, 1e-9)
        left = progress.seconds * (1 - done) / max(done, 1e-9)
        print(
            f"step {progress.step:>6}  loss {sum(self.losses) / len(self.losses):.4f}  lr {self._rate():.2e}  "
            f"{speed:,.0f} tokens/s  {progress.tokens / 1e6:.1f}M tokens  {left / 60:.1f} min left",
            flush=True,
        )

    def _save(self, finished: bool) -> None:
        """Write the checkpoint, then the export. A run resumed inside a pool skips the rest of that pool."""
        progress = vars(self.progress) | {"next_pool": self.progress.next_pool + 1}
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": progress,
            "losses": list(self.losses),
            "tokenizer": self.tokenizer.to_str(),
        }
        save_state(state, self.state_path)
        export(self.model, self.tokenizer, self._facts(finished), self.folder)
        print(f"saved {self.folder}", flush=True)

    def _facts(self, finished: bool) -> dict[str, Any]:
        """What the card says."""
        size, progress, options = self.size, self.progress, self.options
        horizon = f"--steps {options.steps}" if options.steps else f"--minutes {options.minutes:g}"
        flags = "".join(f" --{flag}" for flag in ("compile", "bfloat16") if getattr(options, flag))
        return {
            "name": options.size,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "layers": size.layers,
            "hidden": size.hidden,
            "heads": size.heads,
            "head_width": size.head_width,
            "intermediate": size.intermediate,
            "vocabulary": tok.VOCABULARY,
            "context": tok.CONTEXT,
            "longest": progress.longest,
            "command": f"python -m harness.reference.train {options.size} {horizon} --threads {options.threads}{flags}",
            "mix": ", ".join(f"{kind} {share:.0%}" for kind, share in MIX.items()),
            "procedures": ", ".join(REFERENCE),
            "seed": options.seed,
            "steps": progress.step,
            "tokens": progress.tokens,
            "learned": progress.learned,
            "documents": progress.documents,
            "learning_rate": size.learning_rate,
            "minutes": progress.seconds / 60,
            "parts": progress.parts,
            "hardware": _hardware(self.device),
            "threads": options.threads,
            "software": f"torch {torch.__version__}, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}",
            "loss": sum(self.losses) / len(self.losses),
            "finished": "yes" if finished else "no: an interim checkpoint",
            "train_questions": progress.checked,
            "test_questions": len(self.test_questions),
            "test_tasks": ", ".join(f"{t.name}, {t.spec['size']} at seed {t.spec['seed']}" for t in TEST_TASKS),
            "shared": 0,  # anything else has stopped the run
        }


def _groups(model: LlamaForCausalLM) -> list[dict[str, Any]]:
    """Weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    return [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]


@cache
def _test_questions() -> frozenset[str]:
    return frozenset(question_hash(problem.question) for task in TEST_TASKS for problem in task.problems())


def _hardware(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores seen)"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for a bad flag or a missing checkpoint."""
    parser = argparse.ArgumentParser(prog="python -m harness.reference.train", description="Train a reference model from scratch.")
    parser.add_argument("size", help=f"one of {', '.join(SIZES)}")
    parser.add_argument("--minutes", type=float, default=0.0, help="wall time to train for, instead of steps")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps to train for (default: the size's own)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, …")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads of torch")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--compile", action="store_true", help="compile the network with torch.compile (needs a C++ compiler on CPU)")
    parser.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16: about twice as fast where the CPU has AVX-512 BF16")
    parser.add_argument("--out", type=Path, default=HERE, help="folder that receives the model's folder")
    parser.add_argument("--checkpoints", type=Path, default=HERE / ".checkpoints", help="folder for what --resume needs")
    try:
        run(Options(**vars(parser.parse_args(arguments))))
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
