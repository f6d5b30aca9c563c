"""A cell and an attempt as pages for people. Texts of models stand verbatim; nothing in them is ever read as markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from results import budgets, wording
from results import table as tables

Told = Mapping[str, Any]
WIDTH = 100


def cell(told: Told) -> Iterator[str]:
    """The page of `results.show.cell`, line by line."""
    yield f"cell {told['cell']} · series {told['series']}"
    yield told["label"]
    yield f"experiments: {', '.join(sorted(told['experiments'])) or 'none'}"
    if told["codes"]:
        yield f"codes: {', '.join(told['codes'])}"
    if told["report"]:
        yield from _section("numbers")
        yield tables.render([told["report"]])
        yield from _reasons(told["report"]["reasons"])
    yield from _section("identity")
    yield from _tree(told["identity"])
    yield from _section("attempts (up to five of each outcome; `bench show NUMBER` shows one)")
    for outcome, numbers in sorted(told["attempts"].items()):
        yield f"{outcome:<12} {', '.join(map(str, numbers))}"
    yield from _section("runs")
    for run in told["runs"]:
        yield from _run(run)
    yield from _windows(told["windows"])
    yield from _phases(told["phases"], told["report"])
    yield from _command(told["command"])


def attempt(told: Told) -> Iterator[str]:
    """The page of `results.show.attempt`, line by line."""
    yield f"attempt {told['attempt']} · cell {told['cell']} · series {told['series']} · trial {told['trial']}"
    yield told["label"]
    problem = told["problem"]
    yield from _section(f"problem {problem['key']}")
    yield problem["question"]
    if problem["meta"]:
        yield "".join(f"\n{k}: {v}" for k, v in problem["meta"].items()).strip()
    yield f"gold answer: {_joined(problem['gold'])}"
    if told["prompt"] is not None:
        yield from _section("prompt")
        yield told["prompt"]
    for number, sample in enumerate(told["samples"], start=1):
        yield from _sample(number, sample, told["prompt"])
    yield from _section("answer")
    yield told["answer"]["text"] or "(no text)"
    if told["answer"]["items"] is not None:
        yield f"decided by the strategy: {_joined(told['answer']['items'])}"
    if told["error"]:
        yield f"error: {told['error']}"
    yield from _section("judgement")
    for judged in told["judgements"]:
        yield from _judgement(judged)
    yield from _ledger(told["ledger"])
    if budget := told["budget"]:
        yield budgets.said(budget["tokens"], budget["counted"], budget["used"])
    yield from _section("time and energy")
    yield from _took(told)
    yield from _windows(told["windows"])
    if told["run"]:
        yield from _section("run")
        yield from _run(told["run"])
    yield from _command(told["command"])


def _section(title: str) -> Iterator[str]:
    yield f"\n── {title} {'─' * max(2, WIDTH - len(title) - 4)}"


def _sample(number: int, sample: Told, shown_prompt: str | None) -> Iterator[str]:
    tokens = f"{sample['prompt_tokens']} prompt, {sample['output_tokens']} output"
    if sample["scored_tokens"]:
        tokens += f", {sample['scored_tokens']} scored"
    chosen = " · chosen" if sample["charged"]["chosen"] else ""
    yield from _section(f"call {number}: {sample['kind']} by {sample['role']} · {tokens} tokens · {sample['finish']}{chosen}")
    if sample["prompt"] != shown_prompt:
        yield f"(prompt)\n{sample['prompt']}\n(text)"
    yield from _scored(sample) if sample["scores"] else (sample["text"],)
    position = "" if sample["position"] is None else f" position {sample['position']}"
    where = f"pool {sample['pool'][:12]} trial {sample['trial']}{position}" if sample["pool"] else "its own"
    parts = [where, f"seed {sample['seed']}", f"charged {sample['charged']['output']} output tokens"]
    if sample["logprobs"]:
        parts.append(f"mean log-probability {sum(sample['logprobs']) / len(sample['logprobs']):.4f}")
    if sample["energy_j"] is not None:
        parts.append(f"{sample['energy_j']:.4g} J")
    yield f"[{' · '.join(parts)}]"


def _scored(sample: Told) -> Iterator[str]:
    """A reward call: its path, and the reward of each step of it."""
    yield sample["text"]
    yield f"rewards: {', '.join('none' if score is None else f'{score:.3f}' for score in sample['scores'])}"


def _judgement(judged: Told) -> Iterator[str]:
    yield f"{_joined(judged['outcomes'])} (extracted: {_joined(judged['extracted'])})"
    scores = ", ".join(f"{k} {v:g}" for k, v in judged["scores"].items())
    yield f"judge {judged['judge']}{'' if judged['current'] else ', no longer current'}{'; scores: ' + scores if scores else ''}"


def _ledger(rows: Sequence[Told]) -> Iterator[str]:
    yield from _section("charged")
    names = ("role", "model", "kind", "calls", "prompt", "cached", "output", "reasoning", "scored", "energy_j", "device_s")
    from bench.commands.output import lines

    flops = [_sum(row, ("flop_linear", "flop_attention", "flop_head")) for row in rows]
    yield from lines([{**{n: row[n] for n in names}, "flop": flop} for row, flop in zip(rows, flops, strict=True)])


def _sum(row: Told, names: Sequence[str]) -> float | None:
    values = [row[n] for n in names]
    return None if any(v is None for v in values) else float(sum(values))


def _took(told: Told) -> Iterator[str]:
    yield f"started {_when(told['started'])}, latency {_seconds(told['latency_s'])}, first token after {_seconds(told['ttft_s'])}"
    yield f"serial tokens {told['serial_tokens']}, device-seconds {_seconds(told['device_s'])}"
    if told["energy_j"] is None:
        yield f"energy not known: {told['energy_code'] or 'not settled'}"
    else:
        yield f"energy {told['energy_j']:.4g} J ({told['energy_source']})"
    yield from _reasons(told["codes"])


def _reasons(codes: Told) -> Iterator[str]:
    for field, code in codes.items():
        yield f"{field}: {code}"


def _run(run: Told) -> Iterator[str]:
    environment = run["environment"] or {}
    yield f"run {run['id']} · {_when(run['started'])} · {run['status']} · experiment {run['experiment']}"
    packages = ", ".join(f"{k} {v}" for k, v in environment.get("packages", {}).items())
    commit = environment.get("git_commit")
    yield f"  perpass {environment.get('perpass')}{f' at {commit[:12]}' if commit else ''}, Python {environment.get('python')}, {packages}"


def _windows(windows: Sequence[Told]) -> Iterator[str]:
    if not windows:
        return
    yield from _section("energy windows")
    for w in windows[:8]:
        joules = "not known" if w["energy_j"] is None else f"{w['energy_j']:.4g} J"
        codes = f" ({', '.join(w['codes'])})" if w["codes"] else ""
        yield f"{_when(w['started'])}  {w['ended'] - w['started']:7.1f} s  {w['kind']:<7} {w['meter']:<9} {w['domain']:<5} {joules}{codes}"
    if len(windows) > 8:
        yield f"and {len(windows) - 8} more (--format json shows all)"


def _phases(rows: Sequence[Told], reported: Told | None) -> Iterator[str]:
    """Joules per attempt by role and phase, shared out by FLOPs and by tokens, marked as those of the report's row are."""
    if not rows:
        return
    from bench.commands.output import lines

    yield from _section("joules per attempt by role and phase")
    heads = {"flop_j": "J by FLOPs", "tokens_j": "J by tokens"}
    mark = wording.energy_mark(dict(reported)) if reported else ""
    shown = lambda joules: joules if joules is None else mark + wording.number(joules)  # noqa: E731
    yield from lines(
        [{n: row[n] for n in ("role", "phase", "tokens")} | {head: shown(row[n]) for n, head in heads.items()} for row in rows]
    )
    if mark:
        yield "~ estimated, not measured" if mark == "~" else "? in doubt: see the codes above"
    first = rows[0]
    for basis, count in first["attempts"].items():
        if reason := first["reasons"].get(f"{basis}_j"):
            yield f"{heads[f'{basis}_j']} not known: {reason}"
        elif count < first["of"]:
            yield f"{heads[f'{basis}_j']}: of {count} of {first['of']} attempts; the others used a call whose joules are not known"


def _command(command: str | None) -> Iterator[str]:
    if command:
        yield from _section("again")
        yield command


def _tree(value: Told, depth: int = 0) -> Iterator[str]:
    """Nested mappings, indented; an empty one on its key's line."""
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield f"{'  ' * depth}{key}:"
            yield from _tree(inner, depth + 1)
        else:
            yield f"{'  ' * depth}{key}: {inner if inner not in (None, {}, []) else '–'}"


def _joined(values: Sequence[Any] | None) -> str:
    return ", ".join("none" if v is None else str(v) for v in values or ()) or "none"


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M:%S")


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f} s"
