"""A large database in a minute, for timing what reads it: `python tests/benchmarks/large_database.py FILE [--models 10] [--trials 4] …`.

Made-up attempts in results' own tables: models × strategies × tasks cells (500), each of problems × trials attempts (400): 200,000 in all.
Accuracy and cost grow with the model and the strategy's samples, so that frontiers look like real ones.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from results import schema, texts, writing
from results.database import open_database, transaction
from results.records import CellKey
from results.store import CellRow, Store
from tasks.types import Problem

TASKS: tuple[dict[str, Any], ...] = (
    {"kind": "sums", "digits": 2},
    {"kind": "sums", "digits": 3},
    {"kind": "rest", "base": {"kind": "sums"}, "s": 2},
    {"kind": "rest", "base": {"kind": "sums"}, "s": 6},
    {"kind": "procbench", "source": "generated"},
)
PROCEDURES = ("Sort", "Compare", "Encode", "Decode", "Rhythm")
TABLES: dict[str, Any] = {t.name: t for t in schema.Base.metadata.sorted_tables}
ATTEMPTS_A_WRITE = 4_000


def keys(given: argparse.Namespace) -> Iterator[CellKey]:
    """The identities of the cells."""
    for spec in TASKS[: given.tasks]:
        for model in range(given.models):
            for strategy in range(given.strategies):
                yield CellKey(
                    model={"name": f"made-up/{model + 1}b", "revision": "0", "dtype": "bfloat16"},
                    engine={"kind": "vllm", "settings": {"max_model_len": 4096}},
                    hardware={"name": "H100", "count": 1},
                    strategy={
                        "name": "self_consistency",
                        "version": 1,
                        "params": {"n": 2**strategy},
                        "sampling": {"temperature": 0.8, "max_tokens": 512},
                    },
                    task={"name": spec["kind"], "version": 1, "revision": "made-up", "spec": spec},
                    roles={},
                    seed=0,
                    mode="pooled",
                    concurrency=None,
                )


def problems(spec: dict[str, Any], count: int) -> list[Problem]:
    items = spec.get("s", 1)
    procbench = spec["kind"] == "procbench"
    return [
        Problem(
            key=f"p{n:05d}",
            question=f"What is {n} + {n}?",
            answer_format="a number",
            gold=(str(2 * n),) * items,
            meta={"procedure": PROCEDURES[n % len(PROCEDURES)], "steps": str(2 + n % 20)} if procbench else {"category": f"c{n % 4}"},
        )
        for n in range(count)
    ]


class Maker:
    """Writes cells one after the other, with ids of its own."""

    def __init__(self, engine: sa.Engine, given: argparse.Namespace):
        self.store, self.given, self.draw = Store(engine), given, random.Random(0)
        self.run = self.store.begin_run(
            "large", "name: large\n", ["bench", "run", "large.yaml"], {"python": "3.11", "packages": {}}, "main"
        )
        with transaction(engine) as connection:
            pieces = [("text", f"Let me think. The answer is {n}.") for n in range(200)]
            self.texts = list(texts.put(connection, pieces).values())
        self.attempts = 0
        self.rows: dict[str, list[dict[str, Any]]] = {}

    def cell(self, key: CellKey) -> None:
        row = self.store.cell(key, "main", "large", None, self.given.trials)
        found = problems(dict(key.task["spec"]), self.given.problems)
        ids = self.store.problem_ids(self.store.task_id(key.task), found)
        for problem in found:
            for trial in range(self.given.trials):
                self.attempt(row, key, ids[problem.key], len(problem.gold), trial)
        if len(self.rows.get("attempt", ())) >= ATTEMPTS_A_WRITE:
            self.flush()

    def attempt(self, row: CellRow, key: CellKey, problem: int, items: int, trial: int) -> None:
        self.attempts += 1
        number, size, samples = self.attempts, int(key.model["name"].split("/")[1][:-1]), key.strategy["params"]["n"]
        hard = (problem * 2654435761 % 1000) / 1000
        able = 1 - 0.9 / (1 + 0.3 * size) / (1 + 0.15 * samples**0.5)
        outcomes = ["correct" if self.draw.random() < able * (1.2 - hard) - 0.03 * n else "wrong" for n in range(items)]
        tokens, flop = 200 * samples + self.draw.randrange(100), 2e9 * size
        scores = {"exact": outcomes.count("correct") / items}
        if key.task["name"] == "procbench":
            scores |= {"PA": self.draw.random() ** (2 - able), "SM": scores["exact"] * (self.draw.random() < 0.8), "FM": scores["exact"]}
        started, latency = 1e9 + number, 0.01 * tokens / samples
        joules = {"energy_j": flop * tokens / 4e11, "device_s": 1e-4 * tokens, "energy_code": None}
        text = self.draw.choice(self.texts)
        common = {"id": number, "run_id": self.run, "problem_id": problem, "trial": trial, "text_id": text, "finish": "eos"}
        linear = {"flop_linear": flop * tokens, "flop_attention": flop, "flop_head": 0.0}
        own = {"role": "policy", "model_id": self.store.model_id(key.model), "kind": "generate"}
        self.put("attempt", common | joules, cell_id=row.id, answers=None, error=None, serial_tokens=tokens // samples, latency_s=latency)
        self.rows["attempt"][-1] |= {"ttft_s": 0.02, "started": started, "ended": started + latency, "energy_source": "nvml_counter"}
        self.rows["attempt"][-1]["codes"] = {"latency_s": "shared_load"}
        self.put("judgement", writing.judgement_row(number, "exact-1", outcomes, ["1"] * items, scores))
        charged = {"calls": samples, "prompt": 100, "cached": 0, "output": tokens, "reasoning": 0, "scored": 0}
        self.put("ledger", own | charged | linear | joules, attempt_id=number)
        self.put("sample", common | own | linear | joules, key=str(number), pool=None, position=None, seed=0, prompt_id=self.texts[0])
        self.rows["sample"][-1] |= {f"{name}_tokens": charged[name] for name in ("prompt", "cached", "output", "reasoning", "scored")}
        self.rows["sample"][-1] |= {f"{name}_id": None for name in ("token_ids", "logprobs", "confidence")}
        self.rows["sample"][-1] |= {"sent": started, "first": started + 0.02, "last": started + latency, "energy_source": "nvml_counter"}
        self.rows["sample"][-1] |= {f"{n}_id": getattr(self.store, f"{n}_id")(getattr(key, n)) for n in ("engine", "hardware")}
        self.put(
            "attempt_sample", {"attempt_id": number, "sample_id": number, "ordinal": 0, "role": "policy", "output": tokens, "cached": 0}
        )
        self.rows["attempt_sample"][-1] |= {"share": 1.0, "chosen": True}

    def put(self, table: str, row: dict[str, Any], **more: Any) -> None:
        self.rows.setdefault(table, []).append(row | more)

    def flush(self) -> None:
        with transaction(self.store.engine) as connection:
            for name in ("sample", "attempt", "judgement", "ledger", "attempt_sample"):
                wanted = set(TABLES[name].c.keys())
                connection.execute(
                    sa.insert(TABLES[name]), [{k: v for k, v in row.items() if k in wanted} for row in self.rows.pop(name, [])]
                )


def make(path: Path, given: argparse.Namespace) -> int:
    """The database; returns how many attempts it holds."""
    engine = open_database(path, create=True)
    maker = Maker(engine, given)
    for key in keys(given):
        maker.cell(key)
    if maker.rows:
        maker.flush()
    maker.store.end_run(maker.run, "done")
    engine.dispose()
    return maker.attempts


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    for name, value in {"models": 10, "strategies": 10, "tasks": len(TASKS), "problems": 100, "trials": 4}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser


if __name__ == "__main__":
    wanted = options().parse_args()
    begin = time.perf_counter()
    count = make(wanted.file, wanted)
    print(f"{wanted.file}: {count:,} attempts in {time.perf_counter() - begin:.0f} s, {wanted.file.stat().st_size / 2**20:.0f} MiB")
