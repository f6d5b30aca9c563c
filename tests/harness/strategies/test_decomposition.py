"""Questions taken apart: what is accepted, what each call may see, when a method stops, and what an unreadable reply leads to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cell import Cell
from harness.prompts import as_text
from harness.strategies import decomposition as d
from harness.strategies.decomposition import Claim, satisfied
from harness.strategy import strategies
from harness.types import Sampling
from perpass.errors import UserError
from tasks.types import Problem, Prompt
from tests.harness.digits import Digits, cell, place
from tests.harness.strategies.obliging import Statements
from tests.harness.strategies.scripts import USER, answering, asked
from tests.harness.strategies.told import Told, ask

COT = "Please reason step by step. Box it.\n[assistant]"
NAMES = [name for name in strategies.names() if strategies.get(name).family == "decomposition"]


@dataclass(eq=False)
class Asking(Digits):
    """Asks `question`; whether that is true or false, where it says so."""

    question: str = ""

    def problems(self) -> Sequence[Problem]:
        return [replace(p, question=self.question) for p in super().problems()[:1]]


class Believing(Told):
    """Answers by what it is asked, and believes it by `yes`."""

    def __init__(self, reply: Callable[[str], str], yes: Callable[[str], float]):
        super().__init__(yes=yes)
        self.reply = reply

    def say(self, prompt: Prompt, sampling: Sampling, seed: int) -> str:
        return self.reply(as_text(prompt))


def test_cumulative_reasoning_keeps_what_the_verifier_accepts_until_the_reporter_is_content() -> None:
    proposals = iter(["a is 1", "b is 9", "b is 2", "never asked"])

    def reply(text: str) -> str:
        if d.PROPOSE in text:
            return next(proposals)
        if "Proposed:" in text:
            return "no" if "Proposed: b is 9" in text else "Let me see. Yes."
        return "yes" if d.REPORT in text and "b is 2" in text else "No \\boxed{3}"

    done = ask("cumulative_reasoning", answering(reply), n=3)
    assert [call.role for call in done.calls] == ["policy", "judge", "policy"] * 1 + ["policy", "judge"] * 2 + ["policy"] * 2
    assert asked(done)[-1] == f"\n{d.KNOWN}\n1. a is 1\n2. b is 2\n\n{COT}"
    same = ask("cumulative_reasoning", answering(lambda text: "again, no"))
    assert len(same.calls) == 4 and asked(same)[-1] == COT  # proposed, rejected, proposed again: then without facts


def test_selection_inference_infers_from_the_selected_alone() -> None:
    def reply(text: str) -> str:
        if d.SELECT in text:
            return "1 and 2, not 17" if "Fiona is smart" not in text else "none"
        return "Fiona is smart." if d.INFER in text else "\\boxed{1}"

    question = "Fiona is nice. Nice people are smart. Big people are slow. What is Fiona?"
    done = ask("selection_inference", answering(reply), Asking(question=question))
    texts = [as_text(call.prompt) for call in done.calls]
    assert texts[1] == f"[user]Fiona is nice.\nNice people are smart.\n\n{d.INFER}\n[assistant]"
    assert "5. Fiona is smart." in texts[2] and texts[3] == f"[user]{question}\n\n{d.KNOWN}\n1. Fiona is smart.\n\n{COT}"
    assert len(texts) == 4


THEORY = "Rex is a cat. Every cat is big. Every big thing is not fast. Every dog is fast. True or false: Rex is fast."


def modules(text: str) -> str:
    """LAMBADA's modules, as a careful reader would answer."""
    goal = text.rpartition("is true: " if "tell whether" in text else "this: ")[2].partition("\n")[0].removesuffix(".")
    if "tell whether" in text:
        return "true" if goal == "Rex is a cat" else "It is unknown."
    if "are rules" in text:
        return {"Rex is fast": "4, 3", "Rex is big": "2"}.get(goal, "none")
    if "has to be true first" in text:
        rule = text.partition("Rule: ")[2].partition("\n")[0]
        return {"Every dog is fast.": "Rex is a dog", "Every big thing is not fast.": "- Rex is big"}.get(rule, "1. Rex is a cat")
    if "conditions hold" in text:
        return "no" if "not fast" in text.partition("Rule: ")[2] else "yes"
    return "\\boxed{0}"


def test_lambada_proves_backwards_and_a_rule_of_the_other_sign_disproves() -> None:
    done = ask("lambada", answering(modules), Asking(question=THEORY))
    assert done.answer.items == ("False",) and done.answer.text == "\\boxed{False}"
    goals = [text.partition("is true: ")[2].partition("\n")[0] for text in asked(done) if "tell whether" in text]
    assert goals == ["Rex is fast.", "Rex is a dog", "Rex is big", "Rex is a cat"]
    # fast: check, rules; dog rule: reduce; dog: check, rules; big rule: reduce; big: check, rules, reduce; cat: check; two signs
    assert len(done.calls) == 12 and all(call.prompt.turns and not call.pooled for call in done.calls)


@pytest.mark.parametrize(("limit", "calls"), [({"depth": 0}, 2), ({"depth": 1}, 7), ({"goals": 3}, 10)])
def test_lambada_leaves_what_is_too_deep_to_a_chain_of_thought(limit: dict[str, int], calls: int) -> None:
    done = ask("lambada", answering(modules), Asking(question=THEORY), **limit)
    assert done.answer.items is None and asked(done)[-1].endswith(COT) and len(done.calls) == calls


def test_lambada_does_not_prove_a_goal_by_itself() -> None:
    def circle(text: str) -> str:
        return "1" if "are rules" in text else "Rex is fast." if "be true first" in text else "unknown, yes"

    done = ask("lambada", answering(circle), Asking(question=THEORY))
    assert done.answer.items is None and len(done.calls) == 4  # check, rules, reduce to itself, and a chain of thought


def trees(depth: int = 3) -> st.SearchStrategy[Claim]:
    leaf = st.builds(Claim, st.just("x"), st.booleans(), st.sampled_from([-0.9, -0.5, 0.0, 0.25, 1.0]))
    if not depth:
        return leaf
    return st.builds(Claim, st.just("x"), st.booleans(), st.sampled_from([-0.75, 0.0, 0.5]), st.lists(trees(depth - 1), max_size=2))


@given(trees(), st.booleans())
def test_max_sat_is_that_of_an_exhaustive_search(root: Claim, truth: bool) -> None:
    def walk(claim: Claim) -> Iterator[Claim]:
        yield claim
        for reason in claim.reasons:
            yield from walk(reason)

    claims = list(walk(root))
    best = 0.0
    for values in itertools.product((True, False), repeat=len(claims) - 1):
        so = dict(zip(map(id, claims), (truth, *values), strict=True))
        held = sum(abs(c.weight) for c in claims if so[id(c)] == (c.weight > 0))
        held += sum(not so[id(r)] or so[id(c)] == r.supports for c in claims for r in c.reasons)
        best = max(best, held)
    assert satisfied(root, truth) == pytest.approx(best)


def test_maieutic_believes_the_firm_explanation_and_drops_branches_without_one() -> None:
    def reply(text: str) -> str:
        claim = text.partition("This is ")[2]
        return ("T" if claim.startswith("true") else "F") + claim.partition(": ")[2].partition("\n")[0][:2]

    def yes(text: str) -> float:
        claim = text.partition("Is this true: ")[2].partition("\n")[0]
        return {"FRe": 0.9, d.NOT.format(claim="FRe"): 0.1}.get(claim, 0.5)

    question = "Every cat purrs. True or false: Rex purrs."
    done = ask("maieutic", Believing(reply, yes), Asking(question=question), width=1)
    assert done.answer.items == ("False",)  # explained firmly as false; the other explanation has no firm one below
    said = [call.kept.text for call in done.calls if call.kind == "generate"]
    assert said == ["TRe", "FRe", "TTR", "FTR"] and len(done.calls) == 4 + 2 * 2 * 5  # five claims and negations, yes and no each
    sure = ask("maieutic", Believing(reply, lambda text: 0.1 if "It is not" in text else 0.9), Asking(question=question))
    assert sure.answer.items == ("True",) and [call.kind for call in sure.calls] == ["score"] * 4
    torn = ask("maieutic", Believing(reply, lambda text: 0.5), Asking(question=question), width=1, depth=1)
    assert torn.answer.items is None and as_text(torn.calls[-1].prompt).endswith(COT)


def test_who_tells_true_from_false_is_not_asked_for_numbers() -> None:
    for name in ("lambada", "maieutic"):
        obstacle = strategies.get(name).obstacle
        assert obstacle is not None and obstacle(cell(name, place(), Statements())) is None
        assert f"strategy {name} tells true from false" in str(obstacle(cell(name, place())))


def test_a_graph_of_thoughts_aggregates_the_best_and_never_loses_one() -> None:
    made = iter(f"{name} \\boxed{{{i}}}" for i, name in enumerate(("a", "b", "c", "both", "worse", "worst", "bad"), 1))
    worth = {"a": 0.1, "b": 0.8, "c": 0.7, "both": 0.9}

    def yes(text: str) -> float:
        return worth.get(text.rpartition("[user]Is the")[0].rpartition("[assistant]")[2].partition(" ")[0], 0.2)

    done = ask("graph_of_thoughts", Believing(lambda text: next(made), yes), k=3, keep=2, merged=1, rounds=1)
    assert done.answer.text == "both \\boxed{4}"
    merging = next(text for text in asked(done) if "Candidate 1" in text)
    assert "Candidate 1:\nb " in merging and "Candidate 2:\nc " in merging and "a \\boxed" not in merging
    improving = [text for text in asked(done) if d.IMPROVE in text]
    assert len(improving) == 3 and all("both \\boxed{4}" in text for text in improving)
    assert [call.pooled for call in done.calls if call.kind == "generate"] == [True] * 3 + [False] * 4
    assert sum(call.kind == "score" for call in done.calls) == 2 * 7


def thinker(text: str) -> str:
    if "Which further questions" in text:
        return "1. Why?\n2. When?\n3. How?\n4. Too many?"
    return "yes" if "Does this need" in text else "because"


@pytest.mark.parametrize("nodes", [1, 2, 5, 12, 100])
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_adaptive_graph_has_no_more_thoughts_than_nodes(nodes: int, depth: int) -> None:
    done = ask("adaptive_graph", answering(thinker), nodes=nodes, depth=depth, width=3, layers=2)
    texts = asked(done)
    thoughts = [t for t in texts if not any(key in t for key in ("Which further", "Does this need", COT))]
    assert 1 <= len(thoughts) <= min(nodes, 6 + (36 if depth else 0) * (1 if depth == 1 else 7))
    assert (len(thoughts) == 6) == (nodes >= 6) if depth == 0 else True
    assert not depth or nodes < 12 or any("Which digit is number 0?\nWhy?" in as_text(call.prompt) for call in done.calls)
    assert texts[-1].endswith(COT) and f"{d.KNOWN}\n1. Why? because" in texts[-1]


def test_an_adaptive_graph_without_thoughts_is_a_chain_of_thought() -> None:
    done = ask("adaptive_graph", answering(lambda text: "none"))
    assert len(done.calls) == 2 and asked(done)[-1] == COT


CHAIN = "#1. a is 1\n#2. b is 2\n#3. (by #1 #2) a + b is {sum}\n#4. (by #3) the answer is \\boxed{{{sum}}}"


def test_only_chains_whose_every_step_follows_from_its_premises_vote() -> None:
    unread = "#1. it is so\n#2. (by #9) \\boxed{5}"
    made = iter([CHAIN.format(sum=4), unread, CHAIN.format(sum=3), unread])
    verdicts = itertools.cycle(["no", "Yes", "yes"])

    def reply(text: str) -> str:
        return next(made) if d.NATURAL in text else "no, no" if "is 4" in text else next(verdicts)

    done = ask("deductive_verification", answering(reply), n=4)
    assert done.answer.items == ("3",)
    checked = [text for text in asked(done) if "Conclusion" in text]
    assert [call.role for call in done.calls] == ["policy"] * 4 + ["judge"] * 9
    assert len(checked) == 9  # three of the first chain's wrong step, which ends it, and 2 × 3 of the third; the others cannot be checked
    step = d.FOLLOWS.format(premises="a + b is 3", step="the answer is \\boxed{3}")
    assert checked[-1] == f"[user]{step}\n[assistant]"
    none = iter([CHAIN.format(sum=4), CHAIN.format(sum=4), "just \\boxed{5}"])
    done = ask("deductive_verification", answering(lambda text: next(none) if d.NATURAL in text else "no"), n=3)
    assert done.answer.items == ("4",)


@pytest.mark.parametrize(("check", "calls"), [("yes", 2), ("hard to say", 2), ("no", 6)])
def test_hdflow_thinks_slowly_only_where_its_check_says_no(check: str, calls: int) -> None:
    def reply(text: str) -> str:
        if d.SOUND in text:
            return check
        if "done one after another by experts" in text:
            return "- counter: count them\n- adder: add them"
        return "done by " + text.partition("Your part of this: ")[2].partition(":")[0] if "Your part" in text else "\\boxed{2}"

    done = ask("hdflow", answering(reply))
    assert len(done.calls) == calls and done.calls[0].pooled
    if calls > 2:
        second = asked(done)[4]
        assert "1. counter: count them\ndone by counter" in second and "Your part of this: adder: add them" in second
        assert "2. adder: add them\ndone by adder" in asked(done)[-1] and asked(done)[-1].endswith(COT)


def test_self_ask_answers_each_follow_up_alone_and_goes_on() -> None:
    def reply(text: str) -> str:
        if "Which digit" not in text:
            return f"It is\n {7 if 'first' in text else 8}."
        if "8." in text:
            return "\nSo the final answer is: \\boxed{1}"
        return f" Yes.\nFollow up: {'second' if '7.' in text else 'first'}?\nIntermediate answer: never read"

    done = ask("self_ask", answering(reply))
    begun = "Are follow up questions needed here: Yes.\nFollow up: first?\nIntermediate answer: It is 7.\n"
    assert done.answer.text.startswith(begun) and done.answer.text.endswith("It is 8.\n\nSo the final answer is: \\boxed{1}")
    assert as_text(done.calls[1].prompt) == "[user]first?\n[assistant]"
    short = ask("self_ask", answering(reply), hops=1)
    assert short.answer.text == begun + "So the final answer is:" + short.calls[-1].kept.text and len(short.calls) == 3
    assert len(ask("self_ask", answering(lambda text: " No. \\boxed{4}")).calls) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reply", ["", "?", "so \\boxed{3}", "<think>never ending"])
def test_replies_that_cannot_be_read_end_in_an_answer(name: str, reply: str) -> None:
    made: Cell = cell(name, place(), Statements() if name in ("lambada", "maieutic") else None)
    done = ask(name, Believing(lambda text: reply, lambda text: 0.5), made.task)  # type: ignore[arg-type]
    assert done.answer is not None and len(done.calls) < 100


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("cumulative_reasoning", {"n": 0}, "n=0: input should be greater than or equal to 1"),
        ("maieutic", {"integrity": 1.5}, "integrity=1.5: input should be less than or equal to 1"),
        ("lambada", {"depth": -1}, "depth=-1: input should be greater than or equal to 0"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})


def test_users_questions_stand_first() -> None:
    done = ask("hdflow", answering(lambda text: "no"))
    assert all(as_text(call.prompt).startswith(USER) for call in done.calls)
