r"""How right and how fast answers are graded: `PERPASS_DATA=… python -m tests.benchmarks.grading [--replies 4000]`.

First the gold answers of MATH-500 in ten presentations, each to be accepted, and wrong answers made from them, each to be rejected.
Then replies per second of the default grader, extraction and its pool of processes included, and of Math-Verify alone with its defaults in
this process, over the same replies in alternation: GSM8K's published solutions, and MATH-500's, a third of them with a wrong final answer.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Iterator

from math_verify import parse, verify

import tasks
from tasks import answers
from tasks.data import data_dir

Written = tuple[str, str]  # gold, reply
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
CONVENTIONAL = re.compile(r"-?\d{4,}")


def presentations(gold: str) -> Iterator[tuple[str, str]]:
    """Name and reply of each presentation that a gold answer can have."""
    yield "boxed", rf"\boxed{{{gold}}}"
    yield "sentence", f"Therefore, the answer is ${gold}$."
    if r"\frac" in gold:
        yield r"\dfrac", "\\boxed{" + gold.replace(r"\frac", r"\dfrac") + "}"
    if elements := _unordered(gold):
        yield "set reordered", rf"\boxed{{{', '.join(reversed(elements))}}}"
    if NUMBER.fullmatch(gold):
        yield "unit", rf"\boxed{{{gold} \text{{ cm}}}}"
    if CONVENTIONAL.fullmatch(gold):
        yield "thousands separators", rf"\boxed{{{int(gold):,}}}"
        yield "thousands separators", rf"\boxed{{{f'{int(gold):,}'.replace(',', '{,}')}}}"
    yield "trailing punctuation", rf"So we get \boxed{{{gold}.}}."
    yield "text after the box", rf"\boxed{{{gold}}}" + "\n\nI hope this helps! With x = 3 it would be another one."
    yield "several boxes", rf"First \boxed{{-77}}, but that was a slip. In fact it is \boxed{{{gold}}}."
    yield "think tags", rf"<think>Perhaps \boxed{{-77}}? Or 12?</think>The answer is \boxed{{{gold}}}."


def mistakes(gold: str) -> Iterator[tuple[str, str]]:
    """Name and reply of each wrong answer that can be made from a gold one."""
    if NUMBER.fullmatch(gold):
        value = float(gold) if "." in gold else int(gold)
        yield "off by one", rf"\boxed{{{value + 1}}}"
        if value:
            yield "sign", rf"\boxed{{{-value}}}"
    elif re.fullmatch(r"\\frac\{?\d+\}?\{?\d+\}?|\\sqrt\{?\d+\}?|\d+\\sqrt\{?\d+\}?|\d+\\pi", gold):
        yield "sign", rf"\boxed{{-{gold}}}"
        yield "off by one", rf"\boxed{{{gold} + 1}}"
    if parts := _tuple(gold):
        if parts[0] != parts[-1]:
            yield "tuple swapped", rf"\boxed{{({', '.join(reversed(parts))})}}"
        yield "element missing", rf"\boxed{{({', '.join(parts[:-1])})}}"
    if elements := _unordered(gold):
        yield "element missing", rf"\boxed{{{', '.join(elements[:-1])}}}"


def _unordered(gold: str) -> list[str]:
    """The elements of a set or a list without brackets."""
    if CONVENTIONAL.fullmatch(gold.replace(",", "")) or "!" in gold:
        return []
    bare = re.sub(r"^\\\{(.*)\\\}$", r"\1", gold)
    return [part.strip() for part in bare.split(",")] if re.fullmatch(r"[^()\[\]]+(?:,[^()\[\]]+)+", bare) else []


def _tuple(gold: str) -> list[str]:
    """The elements of a tuple; intervals with an infinite end are none."""
    found = re.fullmatch(r"(?:\\left)?\s*\((.*?)(?:\\right)?\)", gold)
    if not found or "infty" in gold or "cup" in gold or "," not in found[1]:
        return []
    return [part.strip() for part in found[1].split(",")]


def table(title: str, golds: list[str], made: Callable[[str], Iterator[tuple[str, str]]], wanted: bool) -> None:
    """Share of the answers that are judged as they should be, by kind."""
    right: dict[str, list[bool]] = {}
    failed = []
    for gold in golds:
        for name, reply in made(gold):
            good = answers.equivalent(gold, reply) == wanted
            right.setdefault(name, []).append(good)
            if not good:
                failed.append((name, gold, reply))
    print(f"\n| {title} | answers | as wanted |\n| --- | ---: | ---: |")
    for name, each in right.items():
        print(f"| {name} | {len(each):,} | {sum(each) / len(each):.2%} |")
    every = [one for each in right.values() for one in each]
    print(f"| all | {len(every):,} | {sum(every) / len(every):.2%} |")
    for name, gold, reply in failed[:20]:
        print(f"  not as wanted: {name}: gold {gold!r}, reply {reply[-90:]!r}")


def replies(name: str, count: int) -> list[Written]:
    """Golds with published solutions as replies; every third ends in another number."""
    rng, found = random.Random(0), []
    for problem in tasks.load(name).problems()[:count]:
        gold = str(problem.gold[0])
        last = gold if rng.random() < 2 / 3 else str(rng.randrange(1000))
        found.append((gold, _solution(name, problem.key, last)))
    return found


_SOLUTIONS: dict[str, dict[str, str]] = {}


def _solution(name: str, key: str, last: str) -> str:
    if name not in _SOLUTIONS:
        _SOLUTIONS[name] = _solutions(name)
    return f"{_SOLUTIONS[name][key]}\nThe answer is $\\boxed{{{last}}}$."


def _solutions(name: str) -> dict[str, str]:
    """The published solutions by problem, without the final answer's mark."""
    import json

    root = data_dir()
    assert root is not None
    if name == "math500":
        rows = json.loads((root / "math/math500.json").read_text()).values()
        return {row["unique_id"]: re.sub(r"\\boxed\{", "{", row["solution"]) for row in rows}
    lines = [json.loads(line) for line in (root / "gsm8k/test.jsonl").read_text().splitlines()]
    texts = [re.sub(r"<<.*?>>", "", row["answer"]).partition("####")[0].strip() for row in lines]
    return dict(zip((p.key for p in tasks.load(name).problems()), texts, strict=True))


async def ours(written: list[Written], numeric: bool) -> int:
    """How many are judged right, by the default extractor and grader."""
    grader = "number" if numeric else "default"
    each = [answers.matches(gold, answers.extract(reply, numeric), grader) for gold, reply in written]
    return sum(await asyncio.gather(*each))


def alone(written: list[Written]) -> int:
    """How many are judged right by Math-Verify's defaults."""
    return sum(verify(parse(f"${gold}$"), parse(reply)) for gold, reply in written)


def speeds(name: str, count: int, pairs: int) -> None:
    """Replies per second of both, in alternation; every round on replies that neither has seen."""
    every = replies(name, count)
    asyncio.run(ours([(f"x+{n}", f"\\boxed{{{n}+x}}") for n in range(16)], False))  # starts the whole pool
    alone([("x+1", "\\boxed{1+x}")])
    size = len(every) // pairs
    print(f"\n{name}: {size} replies a round")
    spent = {"ours": 0.0, "alone": 0.0}
    for pair in range(pairs):
        part, rates, right = every[pair * size : (pair + 1) * size], {}, {}
        for kind in ("ours", "alone") if pair % 2 else ("alone", "ours"):
            began = time.perf_counter()
            right[kind] = asyncio.run(ours(part, name == "gsm8k")) if kind == "ours" else alone(part)
            seconds = time.perf_counter() - began
            rates[kind], spent[kind] = size / seconds, spent[kind] + seconds
        print(
            f"  ours {rates['ours']:,.0f}/s ({right['ours']} right), Math-Verify alone {rates['alone']:,.0f}/s ({right['alone']} right):"
            f" {rates['ours'] / rates['alone']:.1f} times"
        )
    print(f"  all: {spent['alone'] / spent['ours']:.1f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replies", type=int, default=1319)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--only", choices=("tables", "speeds"))
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    if given.only != "speeds":
        golds = [str(problem.gold[0]) for problem in tasks.load("math500").problems()]
        table("presentation of a MATH-500 gold answer", golds, presentations, True)
        table("wrong answer made from one", golds, mistakes, False)
    if given.only != "tables":
        speeds("gsm8k", given.replies, given.pairs)
        speeds("math500", min(given.replies, 500), given.pairs)


if __name__ == "__main__":
    main()
