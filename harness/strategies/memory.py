"""Memory across problems: what a model writes down after one problem stands in its prompt at later ones.

Problems run one after another, in the task's order or shuffled by `order`; several orders show what is luck. What is retrieved shares the
most words with the question: plain lexical overlap, where the papers use embeddings. Memories are bounded. No gold answer is seen, and
writing things down is charged to the problem after which it is done.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from harness import prompts
from harness.context import Context
from harness.replies import agreed, listed, numbered, numbers
from harness.strategy import Count, Tokens, strategy
from harness.thinking import said
from harness.types import Answer, Sample
from tasks.extraction import without_thinking
from tasks.types import Prompt

SHEET = "Your cheat sheet from earlier questions; use what helps:"
CURATE = "Cheat sheet so far:\n{sheet}\n\nQuestion:\n{question}\n\nSolution, which may be wrong:\n{solution}\n\n" + (
    "Rewrite the sheet for questions to come: keep, correct or drop what is there, and add what this solution teaches (insights, methods, "
    "pitfalls). Short, at most {size} tokens, between <cheatsheet> and </cheatsheet>."
)
BEHAVIORS = "Behaviors that helped before; name those that you use:"
REFLECT = "Reflect on this solution: is it right, which steps of it would recur in other questions, and how could they be done shorter?"
NAME = "Write these recurring steps down as behaviors for questions to come, one a line, as in: behavior_name: instruction"
CONCEPTS = "Concepts that may help:"
CHOOSE = "Which of these concepts apply to the question above? Think about it, then reply with their numbers alone, or none."
ABSTRACT = "Which concepts does this teach that also apply to other questions? One a line, as in: situation -> suggestion. At most {most}."
LESSONS = "What was learned from similar questions:"
JUDGE = "Is this solution correct? Think it through, then end with yes or no."
DISTIL = "This solution {how}. Why? Then write down at most {most} {what} for other questions, one a line, as in: title: what to do"
MEMORY: dict[str, Any] = {"family": "memory", "budget": 1, "memory": True}
Order = Annotated[int, Field(ge=0, le=1_000_000)]
Entry = list[str]  # the question that it came from, and what was written down


async def solved(ctx: Context, heading: str, notes: Sequence[str]) -> tuple[Prompt, Sample]:
    """A chain of thought below what memory holds for it, with its prompt; `cot` itself where that is nothing."""
    told = f"{heading}\n{chr(10).join(notes)}\n\n" if notes else ""
    ask = prompts.step_by_step(told + ctx.problem.question, ctx.problem.answer_format)
    return ask, await ctx.one(ask)


def nearest(question: str, texts: Sequence[str], k: int) -> list[int]:
    """Places of the k texts that share the most words of three letters or more with the question, out of all of both; later ones win."""
    own, *others = (set(re.findall(r"[^\W\d_]{3,}", text.lower())) for text in (question, *texts))
    shared = [len(own & other) / max(len(own | other), 1) for other in others]
    return sorted((i for i, share in enumerate(shared) if share), key=lambda i: (-shared[i], -i))[:k]


def remember(ctx: Context, entries: Sequence[Entry], new: Sequence[str], most: int) -> None:
    """Add what is new to memory; of more than `most` entries the oldest go."""
    known = {text for _, text in entries}
    ctx.memory.state = [*entries, *([ctx.problem.question, text] for text in new if text not in known)][-most:]


@strategy(name="dynamic_cheatsheet", version=1, paper="arXiv:2504.07952", **MEMORY)
async def dynamic_cheatsheet(ctx: Context, size: Tokens = 512, order: Order = 0) -> Answer:
    """The cumulative variant: a cheat sheet above the question; then the model as curator rewrites it, in view of question and solution.

    Ours: the wording; `size` tokens at most. A sheet that is cut off or without tags counts as far as it goes, an empty one not at all."""
    sheet = ctx.memory.state or ""
    _, sample = await solved(ctx, SHEET, [sheet] if sheet else [])
    told = CURATE.format(sheet=sheet or "(empty)", question=ctx.problem.question, solution=without_thinking(sample.text).strip(), size=size)
    written = await said(ctx, Prompt.chat(told), max_tokens=size)
    ctx.memory.state = written.rpartition("<cheatsheet>")[2].partition("</cheatsheet>")[0].strip() or sheet
    return Answer.of(sample)


@strategy(name="behavior_handbook", version=1, paper="arXiv:2509.13237", **MEMORY)
async def behavior_handbook(ctx: Context, k: Count = 8, most: Count = 200, order: Order = 0) -> Answer:
    """Metacognitive reuse: the `k` nearest behaviors of a handbook above the question; then the model reflects on its solution and writes
    what would recur down as behaviors, each a name and an instruction.

    Ours: the handbook grows on the way, where the paper makes it beforehand from other questions; the numbers; the wording."""
    entries: list[Entry] = ctx.memory.state or []
    near = [entries[i][1] for i in nearest(ctx.problem.question, [" ".join(e) for e in entries], k)]
    ask, sample = await solved(ctx, BEHAVIORS, near)
    reflecting = ask.then(without_thinking(sample.text), REFLECT)
    named = await said(ctx, reflecting.then(await said(ctx, reflecting), NAME))
    remember(ctx, entries, [line for line in listed(named, 5) if ":" in line], most)
    return Answer.of(sample)


@strategy(name="concept_memory", version=1, paper="arXiv:2509.04439", **MEMORY)
async def concept_memory(ctx: Context, k: Count = 5, most: Count = 50, new: Count = 3, order: Order = 0) -> Answer:
    """ArcMemo, open-ended: concepts, each a situation and a suggestion; the model chooses by their numbers at most `k` that apply, and
    after its solution abstracts at most `new` more.

    Ours: the model is not told whether it was right; the numbers; the wording."""
    entries: list[Entry] = ctx.memory.state or []
    offered = f"{ctx.problem.question}\n\n{CONCEPTS}\n{numbered(text for _, text in entries)}\n\n{CHOOSE}"
    chosen = numbers(await said(ctx, Prompt.chat(offered)), len(entries))[:k] if entries else []
    ask, sample = await solved(ctx, CONCEPTS, [entries[i - 1][1] for i in chosen])
    learned = await said(ctx, ask.then(without_thinking(sample.text), ABSTRACT.format(most=new)))
    remember(ctx, entries, [line for line in listed(learned, new) if "->" in line], most)
    return Answer.of(sample)


@strategy(name="reasoning_bank", version=1, paper="arXiv:2509.25140", needs={"judge"}, **MEMORY)
async def reasoning_bank(ctx: Context, k: Count = 1, new: Count = 3, most: Count = 300, order: Order = 0) -> Answer:
    """What was learned from the `k` nearest earlier questions above this one; then the role `judge` (by default the model itself) says
    whether the solution is correct, and at most `new` strategies are distilled from a success, or lessons from a failure.

    Ours: the wording; a title and a sentence each, where the paper has a description too; the bound."""
    entries: list[Entry] = ctx.memory.state or []
    asked = list(dict.fromkeys(question for question, _ in entries))
    near = [asked[i] for i in nearest(ctx.problem.question, asked, k)]
    ask, sample = await solved(ctx, LESSONS, [text for question, text in entries if question in near])
    answer = without_thinking(sample.text)
    right = agreed(await said(ctx, ask.then(answer, JUDGE), role="judge", temperature=0.0))
    how, what = ("succeeded", "strategies that worked") if right else ("failed", "lessons that would have prevented it")
    learned = await said(ctx, ask.then(answer, DISTIL.format(how=how, what=what, most=new)))
    remember(ctx, entries, [line for line in listed(learned, 9) if ":" in line][:new], most)
    return Answer.of(sample)
