"""An answer that is checked, and what the check says goes into the next one."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from harness import prompts
from harness.context import Context
from harness.strategies.convergence import same
from harness.strategy import Count, Tokens, strategy
from harness.thinking import said
from harness.types import Answer
from tasks.extraction import without_thinking
from tasks.types import Prompt

CORRECT = "it is correct"
FEEDBACK = f'Check this solution step by step. If there is no error in it, say "{CORRECT}". Otherwise say what is wrong.'
REFINE = "Solve the question again with this in mind."
DISTIL = "Distil these drafts into brief notes for a next try: what they agree on, where they contradict each other, what is still open."
NOTES = "Notes from earlier tries, which may be wrong:"
OUTLINE = "Plan the solution: the premises, each step with those that it rests on, and how they lead to a conclusion. Do not answer."
INTERROGATE = (
    "Answer each question about the plan with yes or no, on a line of its own. Does it start from stated premises? Is each backed by the "
    "question or a known fact? Does each step follow from those before it? Is the rule behind it valid? Is that rule backed by evidence? "
    "Were exceptions considered? Is the conclusion no stronger than its grounds? Does it answer what was asked?"
)
REPLAN = "Make the plan anew, so that every answer is yes. Do not answer the question yet."
FOLLOW = "Now answer the question by this plan."
CRITIQUE = "{question}\n\nInstruction: {told}\n\nAnswer so far: {answer}\n\nThe answer is not finished. What should it do better? Be brief."
IMPROVE = "Instruction: {told}\n\nFeedback on what it led to: {feedback}\n\nWrite a better instruction. Reply with it alone."
FAULTS = {
    "misread": "First restate what is given and what is asked.",
    "calculation": "Write out every calculation and do it twice.",
    "logic": "Say of each step which step before it rests on.",
    "incomplete": "Go on until every part is answered.",
}
VALIDATE = f"Is this solution valid? Reply with one word: valid, or what is wrong first: {', '.join(FAULTS)}."
FIND = "{masked}\nThe answer to this is {answer}. What is the value of X? End with the number."
HOLDS = "{masked}\nThe answer to this is {answer}. Work it out. End with true if that is right, else with false."
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?!\w)")


@strategy(name="self_refine", version=1, family="refinement", paper="arXiv:2303.17651", budget=1, pool="first stage")
async def self_refine(ctx: Context, attempts: Count = 4) -> Answer:
    """A chain of thought, feedback on it at temperature 0.7, a better one, and so on in one conversation: at most `attempts` solutions,
    or until the feedback says "it is correct". Ours: no examples, so solution, feedback and refinement are plain requests."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    solution = await ctx.one(ask)
    for _ in range(attempts - 1):
        checked = ask.then(without_thinking(solution.text), FEEDBACK)
        feedback = await said(ctx, checked, temperature=0.7)
        if CORRECT in feedback.lower():
            break
        ask = checked.then(feedback, f"{REFINE} {ctx.problem.answer_format}")
        solution = await ctx.one(ask)
    return Answer.of(solution)


@strategy(name="progressive_hint", version=1, family="refinement", paper="arXiv:2304.09797", budget=1, pool="first stage")
async def progressive_hint(ctx: Context, rounds: Count = 5) -> Answer:
    """PHP: the question again with "(Hint: The answer is near to …)" and all answers so far, until two in a row are the same.

    Ours: at most `rounds` questions with a hint; a try without an answer adds none."""
    question, hints = ctx.problem.question, list[str]()
    solution = await ctx.one(ctx.compose(prompts.STEP_BY_STEP))
    for _ in range(rounds):
        before = ctx.extract(solution.text)
        hints += [", ".join(item for item in before if item is not None)] if any(before) else []
        hint = f" (Hint: The answer is near to {', '.join(hints)})." if hints else ""
        solution = await ctx.one(prompts.step_by_step(question + hint, ctx.problem.answer_format))
        if await same(ctx, [before, ctx.extract(solution.text)]):
            break
    return Answer.of(solution)


@strategy(name="pdr", version=1, family="refinement", paper="arXiv:2510.01123", budget="drafts", pool="first stage")
async def pdr(ctx: Context, drafts: Count = 4, rounds: Count = 2, workspace: Tokens = 256) -> Answer:
    """Parallel-Distill-Refine: `rounds` times drafts in parallel, distilled into notes of at most `workspace` tokens, which the next ones
    are given; then one answer. Serial tokens count a round's longest draft only.

    With one draft it is sequential refinement, where the draft itself, uncut, stands for the notes. The numbers are ours: the paper's go
    with models that think for thousands of tokens. Of a thinking model's drafts what follows the thought is distilled."""
    ask = ctx.compose(prompts.STEP_BY_STEP)
    for _ in range(rounds):
        made = [without_thinking(sample.text).strip() for sample in await ctx.sample(ask, drafts)]
        notes = made[0]
        if drafts > 1:
            told = [ctx.problem.question, *(f"Draft {i}: {draft}" for i, draft in enumerate(made, 1)), DISTIL]
            notes = await said(ctx, Prompt.chat("\n\n".join(told)), max_tokens=workspace)
        ask = prompts.step_by_step(f"{ctx.problem.question}\n\n{NOTES}\n{notes}\n", ctx.problem.answer_format)
    return Answer.of(await ctx.one(ask))


@strategy(name="critical_questions", version=1, family="refinement", paper="arXiv:2412.15177", budget=1)
async def critical_questions(ctx: Context, plans: Count = 10, needed: Annotated[int, Field(ge=0, le=8)] = 7) -> Answer:
    """CQoT: a plan, eight critical questions about it after Toulmin's scheme of an argument, and when `needed` are answered yes the answer
    by it; otherwise a new plan, at most `plans` in all.

    Ours: the questions; a new plan sees the last one and its answers, so that it differs even when sampling is greedy; the numbers."""
    first = ask = Prompt.chat(f"{ctx.problem.question}\n{OUTLINE}")
    for number in range(plans):
        plan = await said(ctx, ask)
        probed = first.then(plan, INTERROGATE)
        verdict = await said(ctx, probed)
        if len(re.findall(r"\byes\b", verdict, re.IGNORECASE)) >= needed or number == plans - 1:
            break
        ask = probed.then(verdict, REPLAN)
    return Answer.of(await ctx.one(first.then(plan, f"{FOLLOW} {ctx.problem.answer_format}")))


@strategy(name="prorefine", version=1, family="refinement", paper="arXiv:2506.05305", needs={"judge"}, budget=1)
async def prorefine(ctx: Context, k: Count = 10, steps: Count = 25) -> Answer:
    """ProRefine: k, 2k, … tokens of an answer; after each try that is not finished feedback on it, by which the instruction is rewritten.

    Feedback and rewriting are the role `judge`'s. Ours: after `steps` tries a whole answer by the last instruction."""
    told = prompts.STEP_BY_STEP
    for step in range(1, steps + 1):
        part = await ctx.one(ctx.compose(told), max_tokens=step * k)
        if part.finish != "length":
            return Answer.of(part)
        critique = CRITIQUE.format(question=ctx.problem.question, told=told, answer=part.text)
        feedback = await said(ctx, Prompt.chat(critique), role="judge")
        told = await said(ctx, Prompt.chat(IMPROVE.format(told=told, feedback=feedback)), role="judge")
    return Answer.of(await ctx.one(ctx.compose(told)))


@strategy(name="adaptive_prompting", version=1, family="refinement", paper="arXiv:2410.08130", budget=1, pool="first stage")
async def adaptive_prompting(ctx: Context, rounds: Count = 3) -> Answer:
    """A chain of thought is validated; what is found wrong adds its own guidance to the prompt, which is asked anew, up to `rounds` times.

    Ours: four kinds of fault and their guidance; the first that the verdict names counts, a verdict that names none is "valid"."""
    told = prompts.STEP_BY_STEP
    solution = await ctx.one(ctx.compose(told))
    for _ in range(rounds):
        verdict = await said(ctx, ctx.compose(told).then(without_thinking(solution.text), VALIDATE), temperature=0.0)
        fault = re.search("|".join(FAULTS), verdict.lower())
        if fault is None:
            break
        told += " " + FAULTS[fault[0]]
        solution = await ctx.one(ctx.compose(told))
    return Answer.of(solution)


@strategy(name="self_verification", version=1, family="refinement", paper="arXiv:2212.09561", budget="n", pool="first stage")
async def self_verification(ctx: Context, n: Count = 5, checks: Count = 10) -> Answer:
    """n chains of thought; of their different answers the one wins from which the question's own numbers are found again most often.

    Each answer has `checks` backward samples: a number of the question is masked by X, the answer is given, and X is asked for; a question
    without numbers is asked whether the answer is right. A tie goes to the answer drawn first.
    Ours: the checks go over the numbers in turn; no examples; no rewriting of the answer into a
    sentence."""
    question, kept = ctx.problem.question, list[int]()
    samples = await ctx.sample(ctx.compose(prompts.STEP_BY_STEP), n)
    found = [ctx.extract(sample.text) for sample in samples]
    for i, answer in enumerate(found):
        if None not in answer and not any([await same(ctx, [answer, found[j]]) for j in kept]):
            kept.append(i)
    tests = [(FIND, f"{question[: m.start()]}X{question[m.end() :]}", m[0]) for m in NUMBER.finditer(question)]
    tests = tests or [(HOLDS, question, "true")]

    async def holds(i: int, form: str, masked: str, wanted: str) -> bool:
        asked = Prompt.chat(form.format(masked=masked, answer=", ".join(map(str, found[i]))))
        return re.findall(r"\d+(?:\.\d+)?|\btrue\b|\bfalse\b", (await said(ctx, asked)).lower())[-1:] == [wanted]

    verdicts = await ctx.gather(*(holds(i, *tests[check % len(tests)]) for i in kept for check in range(checks)))
    scores = [sum(verdicts[start : start + checks]) for start in range(0, len(verdicts), checks)]
    return Answer.of(samples[kept[scores.index(max(scores))] if kept else 0])
