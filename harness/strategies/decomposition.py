"""Questions taken apart: facts established one after another, subquestions, proofs, and graphs of thoughts.

A reply that cannot be read says nothing, and ends a method as its paper lets it end. What was found leads to one last chain of thought,
which is `cot` itself where nothing was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field

from harness import prompts
from harness.cell import Cell
from harness.context import Context
from harness.replies import agreed, listed, numbered, numbers, premises, sentences, verdict
from harness.strategies.selection import belief
from harness.strategies.synthesis import MERGE
from harness.strategies.voting import plurality
from harness.strategy import Count, strategy
from harness.thinking import said
from harness.types import Answer, Sample
from tasks.extraction import without_thinking
from tasks.types import Prompt

KNOWN = "What has been found so far:"
PROPOSE = "State one more fact that follows from this and brings the answer nearer. One sentence, and not the answer itself."
VERIFY = "Proposed: {fact}\nDoes this follow from the above? Think it through, then end with yes or no."
REPORT = "Is this enough to answer the question? Reply with yes or no."
SELECT = "Which of the numbered statements lead, taken together, to something new that helps to answer this? Reply with their numbers."
INFER = "Write the one new statement that follows from these. Reply with it alone."
CHECK = "Does one of the numbered statements by itself tell whether this is true: {goal}\nEnd with true, false or unknown."
RULES = "Which of the numbered statements are rules whose conclusion is about this: {goal}\nReply with their numbers, or none."
REDUCE = "Rule: {rule}\nTo apply it to this: {goal}\nwhat has to be true first? Write each condition on a line of its own."
SIGN = "Rule: {rule}\nIts conditions hold. Is this then true: {goal}\nReply with yes or no."
BECAUSE = "This is {truth}: {claim}\nWhy? Reply with one sentence."
TRUE, NOT = "Is this true: {claim}\nReply with yes or no.", "It is not the case that: {claim}"
IMPROVE = "There may be an error in this. Check it, and write a better solution from the beginning."
THINK = "Which further questions, answered apart from each other, would help now? At most {most}, one a line; or write: none."
COMPLEX = "Does this need several steps to answer: {thought}\nReply with yes or no."
NATURAL = (
    "First write down the premises of the question, one a line, numbered #1, #2, and so on. Then reason in steps that go on with the "
    "numbering and name what they rest on, as in: #5. (by #1 #3) a conclusion. The last step states the answer."
)
FOLLOWS = "Given:\n{premises}\n\nConclusion: {step}\n\nDoes it follow from what is given, without other assumptions? End with yes or no."
SOUND = "Check the solution above. Is it correct? End with yes or no."
DESIGN = "Break this up: which tasks, done one after another by experts, solve it? One a line, as in: expert: task. At most {most}."
EXPERT = "Your part of this: {task}\nDo it, and reply with the result."
NEEDED, FOLLOW, BETWEEN = "Are follow up questions needed here:", "Follow up:", "Intermediate answer:"  # quoted from arXiv:2210.03350,
SO = "So the final answer is:"  # as this is
OWN: dict[str, Any] = {"family": "decomposition", "budget": 1}
FIRST: dict[str, Any] = {**OWN, "pool": "first stage"}
JUDGED = {"prompt_logprobs", "judge"}
Few = Annotated[int, Field(ge=0, le=100)]


def knowing(question: str, facts: Sequence[str], told: str) -> Prompt:
    """A question, what has been found so far, and what to do."""
    return Prompt.chat("\n\n".join((question, *([f"{KNOWN}\n{numbered(facts)}"] if facts else []), told)))


async def conclude(ctx: Context, facts: Sequence[str]) -> Answer:
    """A chain of thought from what has been found."""
    found = f"\n\n{KNOWN}\n{numbered(facts)}\n" if facts else ""
    return Answer.of(await ctx.one(prompts.step_by_step(ctx.problem.question + found, ctx.problem.answer_format)))


@strategy(name="cumulative_reasoning", version=1, paper="arXiv:2308.04371", needs={"judge"}, **OWN)
async def cumulative_reasoning(ctx: Context, n: Count = 2, tries: Count = 16) -> Answer:
    """A proposer states a fact, a verifier (role `judge`) accepts or rejects it, a reporter says after each accepted one whether they do;
    then, with `n` facts, or after `tries` proposals, the answer is reasoned from them. Numbers of the authors' program for FOLIO.

    Ours: the wording, no examples, no vote over whole runs; a proposal that was made before ends it."""
    question, facts, seen = ctx.problem.question, list[str](), set[str]()
    while len(seen) < tries:
        fact = await said(ctx, knowing(question, facts, PROPOSE))
        if not fact or fact in seen:
            break
        seen.add(fact)
        if agreed(await said(ctx, knowing(question, facts, VERIFY.format(fact=fact)), role="judge", temperature=0.0)):
            facts.append(fact)
            if len(facts) == n or agreed(await said(ctx, knowing(question, facts, REPORT), temperature=0.0)):
                break
    return await conclude(ctx, facts)


@strategy(name="selection_inference", version=1, paper="arXiv:2205.09712", **OWN)
async def selection_inference(ctx: Context, steps: Count = 4) -> Answer:
    """In turn the model selects statements, of the question or inferred, by their numbers, so that it makes none up, and infers a new one
    from these alone, without seeing the question; after `steps` turns the answer is reasoned from all that was inferred.

    Ours: statements are the question's sentences; the paper selects by likelihood, from examples; nothing selected, or new, ends it."""
    facts = sentences(ctx.problem.question)
    given, asked = len(facts), facts[-1]
    for _ in range(steps):
        picked = numbers(await said(ctx, Prompt.chat(f"{numbered(facts)}\n\n{asked}\n{SELECT}")), len(facts))
        told = "\n".join(facts[i - 1] for i in picked)
        new = await said(ctx, Prompt.chat(f"{told}\n\n{INFER}")) if picked else ""
        if not new or new in facts:
            break
        facts.append(new)
    return await conclude(ctx, facts[given:])


def true_or_false(cell: Cell) -> str | None:
    """The obstacle of strategies that decide whether a statement is true."""
    if all(str(gold).lower() in ("true", "false") for problem in cell.problems for gold in problem.gold):
        return None
    return f"strategy {cell.strategy.name} tells true from false, which is not what task {cell.task.name} asks for; task logic does"


async def decided(ctx: Context, truth: bool | None) -> Answer:
    """True or False as the answer; what is undecided is left to a chain of thought."""
    if truth is None:
        return await conclude(ctx, [])
    return Answer(text=f"\\boxed{{{truth}}}", items=(str(truth),) * ctx.cell.task.items)


@strategy(name="lambada", version=1, paper="arXiv:2212.13894", obstacle=true_or_false, **OWN)
async def lambada(ctx: Context, depth: Few = 5, goals: Count = 50) -> Answer:
    """Backward chaining. A goal is a known fact or not; else which rules conclude about it, which subgoals has each (proved likewise, one
    rule after another until all of one's are), and is the goal true by that rule, or false? The ledger counts the calls.

    `depth` rules deep, each goal once, `goals` at most. The goal is the question's last sentence, all others are its facts and rules.
    Ours: modules are greedy requests without examples, one each; what is neither proved nor disproved is left to a chain of thought."""
    *theory, statement = sentences(ctx.problem.question)
    found = dict[str, bool | None]()

    async def told(request: str) -> str:
        return await said(ctx, Prompt.chat(f"{numbered(theory)}\n\n{request}"), temperature=0.0)

    async def proved(goal: str, left: int) -> bool | None:
        if goal in found or len(found) >= goals:
            return found.get(goal)
        found[goal] = None  # until it is known, so that it is no proof of itself
        found[goal] = {"true": True, "false": False}.get(verdict(await told(CHECK.format(goal=goal)), "true", "false", "unknown") or "")
        about = numbers(await told(RULES.format(goal=goal)), len(theory)) if left and found[goal] is None else []
        for rule in (theory[i - 1] for i in about):
            needed = listed(await told(REDUCE.format(rule=rule, goal=goal)), 4)
            held = bool(needed)
            for subgoal in needed:
                held = held and await proved(subgoal, left - 1) is True
            if held:
                found[goal] = agreed(await told(SIGN.format(rule=rule, goal=goal)))
                break
        return found[goal]

    return await decided(ctx, await proved(statement, depth))


@dataclass
class Claim:
    """An explanation in a tree: whether it was given for its parent being true; its belief from −1 to 1, 0 where that is not firm."""

    text: str
    supports: bool = True
    weight: float = 0.0
    reasons: list[Claim] = field(default_factory=list)


def satisfied(claim: Claim, truth: bool) -> float:
    """Most weight of the clauses that hold with `claim` so: weighted MAX-SAT, solved exactly from the leaves up, as relations form a tree.

    Clauses: each firm belief, with its weight; each explanation implies what it was given for, with weight 1."""
    below = [max(satisfied(r, so) + (not so or r.supports == truth) for so in (True, False)) for r in claim.reasons]
    return max(claim.weight if truth else -claim.weight, 0.0) + sum(below)


@strategy(name="maieutic", version=1, paper="arXiv:2205.11822", needs={"prompt_logprobs"}, obstacle=true_or_false, **OWN)
async def maieutic(ctx: Context, width: Count = 3, depth: Count = 2, integrity: Annotated[float, Field(ge=0, le=1)] = 0.45) -> Answer:
    """Explanations why the statement is true and why it is false, `width` each; those not believed firmly are explained likewise, by one
    each, `depth` deep. Branches that end without a firm belief are dropped, and MAX-SAT over the rest says which it is.

    p: P(yes, it is true), q: of its negation, by teacher forcing. Firm: |p − q| > integrity; weight: (p − q) / (p + q). Authors' numbers.
    Ours: no second model adds relations by inference; the negation is a phrase; a statement believed firmly is so; `cot` breaks a tie."""
    question = ctx.problem.question

    async def weighed(claim: Claim, level: int) -> bool:
        """Give a claim its weight, or its reasons; whether it stays."""
        asked = [Prompt.chat(f"{question}\n{TRUE.format(claim=text)}") for text in (claim.text, NOT.format(claim=claim.text))]
        p, q = await ctx.gather(*(belief(ctx, ask, "policy") for ask in asked))
        if abs(p - q) > integrity:
            claim.weight = (p - q) / (p + q)
        elif level < depth:
            many, warmth, found = (1, 0.5, list[Claim]()) if level else (width, 1.0, list[Claim]())
            for truth in (True, False):
                ask = Prompt.chat(f"{question}\n{BECAUSE.format(truth=str(truth).lower(), claim=claim.text)}")
                texts = await ctx.gather(*(said(ctx, ask, max_tokens=64, temperature=warmth) for _ in range(many)))
                found += [Claim(text, truth) for text in dict.fromkeys(texts) if text]
            stays = await ctx.gather(*(weighed(reason, level + 1) for reason in found))
            claim.reasons = [reason for reason, stay in zip(found, stays, strict=True) if stay]
        return bool(claim.weight or claim.reasons)

    await weighed(root := Claim(sentences(question)[-1]), 0)
    so, not_so = satisfied(root, True), satisfied(root, False)
    return await decided(ctx, None if so == not_so else so > not_so)


@strategy(name="graph_of_thoughts", version=1, paper="arXiv:2308.09687", needs=JUDGED, **{**FIRST, "budget": "k"})
async def graph_of_thoughts(ctx: Context, k: Count = 5, keep: Count = 3, merged: Count = 10, rounds: Few = 1) -> Answer:
    """Generate `k` solutions, score, keep the best; aggregate these in `merged` ways, score, keep the best; `rounds` times improve it in
    `k` ways, score, keep the best. What was kept before competes.

    Ours: this graph (the paper makes one for each task); a score is the judge's P(yes) that the solution is correct."""
    ask, question, told = ctx.compose(prompts.STEP_BY_STEP), ctx.problem.question, ctx.problem.answer_format

    async def best(n: int, made: Sequence[Sample], kept: Sequence[tuple[float, Sample]] = ()) -> list[tuple[float, Sample]]:
        scores = await ctx.gather(*(belief(ctx, prompts.judge(ask, without_thinking(s.text))) for s in made))
        return sorted([*kept, *zip(scores, made, strict=True)], key=lambda node: -node[0])[:n]

    kept = await best(keep, await ctx.sample(ask, k))
    both = prompts.candidates(question, [without_thinking(s.text) for _, s in kept], f"{MERGE} {told}")
    kept = await best(1, await ctx.gather(*(ctx.one(both) for _ in range(merged))), kept)
    for _ in range(rounds):
        better = ask.then(without_thinking(kept[0][1].text), f"{IMPROVE} {told}")
        kept = await best(1, await ctx.gather(*(ctx.one(better) for _ in range(k))), kept)
    return Answer.of(kept[0][1])


@strategy(name="adaptive_graph", version=1, paper="arXiv:2502.05078", **OWN)
async def adaptive_graph(ctx: Context, depth: Few = 1, layers: Count = 3, width: Count = 3, nodes: Count = 30) -> Answer:
    """AGoT: layers of at most `width` thoughts, each layer seeing those before; a complex thought becomes such a graph itself, `depth`
    deep, all others are answered at once. Last the question is answered from the graph's results.

    Ours: thoughts are further questions, a layer without any is the last; the wording; at most `nodes` thoughts in all, what a layer leaves
    of them being shared evenly among its own thoughts and the next layer."""

    async def explored(question: str, thought: str, before: Sequence[str], level: int, share: int) -> str:
        asked = knowing(question, before, COMPLEX.format(thought=thought))
        hard = level < depth and share and agreed(await said(ctx, asked, temperature=0.0))
        nested = await graph(f"{question}\n{thought}", level + 1, share) if hard else []
        return f"{thought} {await said(ctx, knowing(question, [*before, *nested], thought))}"

    async def graph(question: str, level: int, left: int) -> list[str]:
        found = list[str]()
        for _ in range(layers):
            thoughts = listed(await said(ctx, knowing(question, found, THINK.format(most=width))), min(width, left)) if left else []
            share = (left - len(thoughts)) // (len(thoughts) + 1)
            found += await ctx.gather(*(explored(question, thought, tuple(found), level, share) for thought in thoughts))
            if not thoughts:
                break
            left -= len(thoughts) * (1 + share)
        return found

    return await conclude(ctx, await graph(ctx.problem.question, 0, nodes))


@strategy(name="deductive_verification", version=1, paper="arXiv:2306.03872", needs={"judge"}, **{**OWN, "budget": "n"})
async def deductive_verification(ctx: Context, n: Count = 10, checks: Count = 3) -> Answer:
    """Natural Program: `n` chains whose steps name the premises they rest on. The role `judge` sees a step and these only, `checks` times,
    and more than half have to say that it follows. Chains of which every step does vote; where there are none, all vote.

    Ours: the wording, no examples; a chain without steps, or with one whose premises cannot be found, is not verified."""
    chains = await ctx.sample(ctx.compose(NATURAL), n)

    async def holds(chain: Sample) -> bool:
        lines = premises(without_thinking(chain.text))
        steps = [([lines[i][1] for i in by if i in lines], text) for by, text in lines.values() if by]
        for given, step in steps:
            ask = Prompt.chat(FOLLOWS.format(premises="\n".join(given), step=step))
            marks = await ctx.sample(ask, checks, role="judge", temperature=0.7) if given else []
            if 2 * sum(agreed(without_thinking(mark.text)) for mark in marks) <= checks:
                return False
        return bool(steps)

    verified = [chain for chain, held in zip(chains, await ctx.gather(*map(holds, chains)), strict=True) if held]
    return await plurality(ctx, verified or chains)


@strategy(name="hdflow", version=1, paper="arXiv:2409.17433", **FIRST)
async def hdflow(ctx: Context, experts: Count = 5) -> Answer:
    """Hybrid thinking: a chain of thought, which is the answer unless the model, checking it, says no; then a workflow of at most `experts`
    tasks is designed and carried out one after another, and the answer is reasoned from their results.

    Ours: the wording; experts are requests to the same model, without the paper's Python and symbolic tools."""
    ask, question, done = ctx.compose(prompts.STEP_BY_STEP), ctx.problem.question, list[str]()
    fast = await ctx.one(ask)
    if verdict(await said(ctx, ask.then(without_thinking(fast.text), SOUND), temperature=0.0), "yes", "no") != "no":
        return Answer.of(fast)
    for task in listed(await said(ctx, Prompt.chat(f"{question}\n{DESIGN.format(most=experts)}")), experts):
        done.append(f"{task}\n{await said(ctx, knowing(question, done, EXPERT.format(task=task)))}")
    return await conclude(ctx, done)


@strategy(name="self_ask", version=1, paper="arXiv:2210.03350", needs={"prefix"}, **OWN)
async def self_ask(ctx: Context, hops: Count = 5) -> Answer:
    """The answer begins by asking itself whether follow up questions are needed. Each is answered by a call that sees it alone, its answer
    is put behind "Intermediate answer:", and the model goes on, at most `hops` times, to the final answer.

    Ours: the model answers them, where the paper asks a search engine or lets it write on; no examples."""
    ask, text = ctx.compose(), NEEDED
    for _ in range(hops):
        part = await ctx.one(ask.extend(text), stop=(BETWEEN,))
        text += part.text
        followed = re.findall(rf"{FOLLOW}\s*(.*\S)", part.text)
        if not followed or not text.endswith(BETWEEN):
            return Answer(text=text, finish=part.finish, samples=(part,))
        text += f" {' '.join((await said(ctx, Prompt.chat(followed[-1]))).split())}\n"
    last = await ctx.one(ask.extend(text + SO))
    return Answer(text=text + SO + last.text, finish=last.finish, samples=(last,))
