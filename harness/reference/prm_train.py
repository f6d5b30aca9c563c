"""Train `perpass/prm` from `perpass/micro`: `python -m harness.reference.prm_train [--epochs N] [--shards N]`.

Solutions are sampled first, then the model is trained. Stopped at any moment, the same command goes on where it was.

What the model learns: the solver's next token behind everything that is right so far, the place of the first error included; and, on the
least likely token so far, verdicts that are calibrated. A head that reads verdicts off the last layer was tried first. It stayed at an AUC
of 0.85 to 0.9 in this time, with more layers too: the prediction that a verdict needs is made in the last layer, too late to be compared.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers
from scipy.optimize import minimize
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM

from harness.reference import prm_export, solutions
from harness.reference.batches import question_hash
from harness.reference.export import load_state, save_state
from harness.reference.prm_rows import NONE, Batch, batches, rows
from harness.reference.sizes import SIZES
from harness.reference.tokenizer import END, SPECIALS
from harness.reference.train import HERE, _groups, _hardware, _test_questions
from harness.rewards.scoring import smallest
from perpass.errors import UserError

BASE = "micro"
WARM_UP = 50
LAST = 0.02
LEARNING_RATE, CALIBRATION_RATE = 5e-4, 1e-2
BATCH_TOKENS = 4096
VERDICT_WEIGHT = 0.3  # of verdicts beside next tokens: a rare wrong step must not undo what all right ones teach


@dataclass(frozen=True)
class Options:
    """How the run is carried out."""

    epochs: int = 1
    shards: int = 10
    seed: int = 0
    threads: int = 1
    bfloat16: bool = False
    every: float = 120.0
    out: Path = HERE / "prm"
    checkpoints: Path = HERE / ".checkpoints" / "prm"


class Trainer:
    """One training run: the rows, the model, its optimiser and its progress."""

    def __init__(self, options: Options):
        self.options = options
        torch.set_num_threads(options.threads)
        torch.manual_seed(options.seed)
        found = solutions.read(solutions.shards(options.checkpoints / "solutions", options.shards, options.seed))
        if met := {question_hash(s.question) for s in found} & _test_questions():
            raise UserError(f"{len(met)} training questions are test questions: the train/test separation is broken")
        self.solutions = found
        self.tokenizer = Tokenizer.from_file(str(HERE / BASE / "tokenizer.json"))
        made = rows(self.tokenizer, found)
        kept = len(made) - len(made) // options.shards  # the last shard calibrates, and is not trained on
        self.rows, self.unseen = made[:kept], made[kept:]
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            HERE / BASE, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
        )
        self.calibration = torch.nn.Parameter(torch.tensor([1.0, 3.0]))  # scale, shift
        groups = [*_groups(self.model), {"params": [self.calibration], "weight_decay": 0.0, "of": CALIBRATION_RATE}]
        self.optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
        self.closing = [*self.tokenizer.encode(solutions.SEPARATOR, add_special_tokens=False).ids, SPECIALS.index(END)]
        self.losses: deque[list[float]] = deque(maxlen=200)
        self.step, self.tokens, self.seconds, self.parts = 0, 0, 0.0, 1
        self.state_path = options.checkpoints / "state.pt"
        if self.state_path.exists():
            self._restore(load_state(self.state_path))

    def _restore(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.calibration.data.copy_(state["calibration"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.tokens, self.seconds, self.parts = state["step"], state["tokens"], state["seconds"], state["parts"] + 1
        self.losses.extend(state["losses"])

    def train(self) -> None:
        """Run all epochs, with a checkpoint every `every` seconds and an export at the end."""
        plan = [list(batches(self.rows, f"{self.options.seed}/{epoch}", BATCH_TOKENS)) for epoch in range(self.options.epochs)]
        todo = [batch for epoch in plan for batch in epoch]
        started = saved = spoken = time.monotonic()
        before = self.seconds
        while self.step < len(todo):
            self.losses.append(self._step(todo[self.step], len(todo)))
            now = time.monotonic()
            self.seconds = before + now - started
            if now - spoken > 15 or self.step == len(todo):
                spoken = now
                self._say(len(todo))
            if now - saved > self.options.every:
                saved = now
                self._save()
        self._save()
        scale, shift = self._calibrated()
        prm_export.export(self.model, self.tokenizer, self._facts(scale, shift), {"scale": scale, "shift": shift}, self.options.out)

    def _step(self, batch: Batch, total: int) -> list[float]:
        """One optimiser step; returns the two losses in nats: next tokens, verdicts."""
        warm = min((self.step + 1) / WARM_UP, 1.0)
        share = warm * (LAST + (1 - LAST) * (1 + math.cos(math.pi * self.step / total)) / 2)
        for group in self.optimizer.param_groups:
            group["lr"] = group.get("of", LEARNING_RATE) * share
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.options.bfloat16):
            hidden = self.model.model(input_ids=torch.from_numpy(batch.ids), use_cache=False).last_hidden_state
        following, verdicts = self._losses(hidden.float(), batch)
        (following + VERDICT_WEIGHT * verdicts).backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.tokens += batch.tokens
        return [following.item(), verdicts.item()]

    def _losses(self, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Mean losses in nats of `hidden` (rows, length, width): the solver's next tokens, verdicts at ends of steps."""
        ids, answer, verdicts, following = (torch.from_numpy(x) for x in (batch.ids, batch.answer, batch.verdicts, batch.next))
        wanted, ends = following != NONE, verdicts != NONE
        learned = functional.cross_entropy(self.model.lm_head(hidden[wanted]), following[wanted])
        least = smallest(self.model.lm_head, hidden, ids, answer, ends, self.closing)[ends]
        scale, shift = self.calibration
        return learned, functional.binary_cross_entropy_with_logits(scale * least + shift, verdicts[ends].float())

    @torch.no_grad()
    def _calibrated(self) -> tuple[float, float]:
        """Scale and shift with the smallest loss on verdicts of the last shard: logistic regression on one number."""
        least, verdicts = [], []
        for batch in batches(self.unseen, "calibration", BATCH_TOKENS):
            ids, answer, found = (torch.from_numpy(x) for x in (batch.ids, batch.answer, batch.verdicts))
            hidden, ends = self.model.model(input_ids=ids, use_cache=False).last_hidden_state, found != NONE
            least += smallest(self.model.lm_head, hidden, ids, answer, ends, self.closing)[ends].tolist()
            verdicts += found[ends].tolist()
        x, sign = np.asarray(least), 2 * np.asarray(verdicts) - 1.0
        fitted = minimize(lambda given: np.logaddexp(0, -sign * (given[0] * x + given[1])).mean(), self.calibration.tolist())
        return round(float(fitted.x[0]), 4), round(float(fitted.x[1]), 4)

    def _mean(self) -> list[float]:
        return [sum(column) / len(self.losses) for column in zip(*self.losses, strict=True)]

    def _say(self, total: int) -> None:
        following, verdicts = self._mean()
        left = self.seconds / self.step * (total - self.step) / 60
        scale, shift = self.calibration.tolist()
        print(
            f"step {self.step}/{total}  next {following:.4f}  verdicts {verdicts:.4f}  scale {scale:.2f}  shift {shift:.2f}  "
            f"{self.tokens / self.seconds:,.0f} tokens/s  {left:.1f} min left",
            flush=True,
        )

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(),
            "calibration": self.calibration.detach(),
            "optimizer": self.optimizer.state_dict(),
            "losses": list(self.losses),
            **{name: getattr(self, name) for name in ("step", "tokens", "seconds", "parts")},
        }
        save_state(state, self.state_path)

    def _facts(self, scale: float, shift: float) -> dict[str, Any]:
        """What the card says."""
        options, size, found = self.options, SIZES[BASE], self.solutions
        verdicts = [v for s in found for v in s.verdicts]
        return {
            "base": BASE,
            "scale": scale,
            "shift": shift,
            "calibrating": len(self.unseen),
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "layers": size.layers,
            "hidden": size.hidden,
            "heads": size.heads,
            "head_width": size.head_width,
            "intermediate": size.intermediate,
            "context": self.model.config.max_position_embeddings,
            "longest": max(len(row.ids) for row in self.unseen),
            "command": f"python -m harness.reference.prm_train --epochs {options.epochs} --shards {options.shards}"
            + (" --bfloat16" if options.bfloat16 else ""),
            "policies": ", ".join(f"{name} {share:.0%}" for name, share in solutions.POLICIES.items()),
            "samplings": ", ".join(f"T={t:g} with top_p {p:g}" for t, p in solutions.SAMPLINGS),
            "stories": solutions.STORIES,
            "solutions": len(found),
            "right_solutions": sum(all(s.verdicts) for s in found) / len(found),
            "verdicts": len(verdicts),
            "right_verdicts": sum(verdicts) / len(verdicts),
            "seed": options.seed,
            "steps": self.step,
            "epochs": options.epochs,
            "tokens": self.tokens,
            "learning_rate": LEARNING_RATE,
            "minutes": self.seconds / 60,
            "parts": self.parts,
            "threads": options.threads,
            "hardware": _hardware("cpu"),
            "software": f"torch {torch.__version__}, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}",
            "loss": "{:.4f} next token, {:.4f} verdicts".format(*self._mean()) if self.losses else "none: not trained further",
            "questions": len({s.question for s in found}),
            "test_questions": len(_test_questions()),
        }


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 2 for a bad flag."""
    parser = argparse.ArgumentParser(prog="python -m harness.reference.prm_train", description="Train the process reward model.")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--shards", type=int, default=10, help=f"files of {solutions.SHARD} sampled solutions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch")
    parser.add_argument("--bfloat16", action="store_true", help="multiply in bfloat16")
    parser.add_argument("--out", type=Path, default=HERE / "prm", help="the model's folder")
    parser.add_argument("--checkpoints", type=Path, default=HERE / ".checkpoints" / "prm", help="folder for samples and checkpoints")
    try:
        Trainer(Options(**vars(parser.parse_args(arguments)))).train()
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
