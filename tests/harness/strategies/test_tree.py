"""Tree search: which path is asked for, what telling changes, when it ends."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from harness.strategies import tree
from harness.strategies.search_rules import Path
from harness.strategies.tree import Node, puct, tell, thompson, visit
from harness.types import Sample, Timing, Usage
from tests.harness.strategies.stepped import Stepped, scored, written
from tests.harness.strategies.told import ask

BOX = {digit: f"\\boxed{{{digit}}}" for digit in "123456789"}


def path(text: str, value: float | None, done: bool = False) -> Path:
    return Path((Sample(text, (), "stop", Usage(), Timing(0, None, 0)),), (value,), done)


def grown(**values: float | None) -> Node:
    """A root with a child of each value."""
    root = Node(Path())
    tell(root, [path(text, value) for text, value in values.items()])
    return root


def test_telling_visits_all_above_and_equal_continuations_are_one_child() -> None:
    root = Node(Path())
    tell(root, [path("a", 0.4), path("b", None), path("a", 0.4), path("a", 0.4)])
    assert [(n.path.text, n.prior, n.visits, n.total) for n in root.children] == [("a", 0.75, 1, 0.4), ("b", 0.25, 1, 0.0)]
    tell(root.children[0], [path("c", 0.8)])
    assert [(n.visits, n.total) for n in (root, root.children[0])] == [(3, pytest.approx(1.2)), (2, pytest.approx(1.2))]


def test_puct_by_hand() -> None:
    root = grown(a=0.5, b=0.45)
    # N = 2, priors ½, one visit each: a bonus of 1.25·√2·½ / 2 = 0.44 for both, so a
    assert puct(root).path.text == "a"
    visit(root.children[0], 0.5)
    # N = 3: a has 0.5 + 1.25·√3·½ / 3 = 0.861, b has 0.45 + 1.25·√3·½ / 2 = 0.991
    assert puct(root).path.text == "b"
    assert puct(root, first=0.0).path.text == "a"  # without exploration the better mean
    tell(root.children[1], [path("c", 0.1)])
    assert puct(root, first=0.0) is root.children[0] and puct(Node(Path())).path == Path()


def test_thompson_goes_wider_or_deeper_as_their_values_say() -> None:
    def share(root: Node) -> float:
        rng = random.Random(5)
        return sum(thompson(root, rng) is root for _ in range(2_000)) / 2_000

    fresh = grown(a=0.5)  # nothing below a yet: Beta(1, 1) against Beta(½, ½), even by symmetry
    assert share(fresh) == pytest.approx(0.5, abs=0.03)
    poor, rich = grown(a=0.1, b=0.1), grown(a=0.9, b=0.9)
    for root, value in ((poor, 0.9), (rich, 0.1)):
        for child in root.children:
            tell(child, [path("c", value), path("d", value)])
    assert share(poor) < 0.2 and share(rich) > 0.8


def test_thompson_chooses_among_children_by_all_that_is_known_of_them() -> None:
    root, rng = grown(a=0.1, b=0.9), random.Random(1)
    for child, value in zip(root.children, (0.1, 0.9), strict=True):
        tell(child, [path(f"{i}", value) for i in range(6)])
    asked = [n for n in (thompson(root, rng) for _ in range(500)) if n is not root]
    chosen = Counter(root.children.index(n if n in root.children else n.parent) for n in asked)
    assert chosen[1] > 9 * chosen[0]


STEPS = {"": ["a\n", "b\n"], "a\n": ["c\n", BOX["1"]], "b\n": [BOX["2"]], "a\nc\n": [BOX["3"]]}


def test_a_star_expands_the_cheapest_and_the_first_finished_one_on_top_wins() -> None:
    worth = {"a": 0.9, "b": 0.6, "c": 0.5, BOX["1"]: 0.4, BOX["2"]: 0.95}
    done = ask("a_star", Stepped(STEPS, worth), n=9, k=2, step="\n")
    # f: a 0.1 + 0.1, b 0.1 + 0.4; a makes c 0.2 + 0.5 and box 1 0.2 + 0.6; b is next and makes box 2 twice at 0.2 + 0.05: on top, it wins
    assert written(done) == ["a\n", "b\n", "a\nc\n", f"a\n{BOX['1']}", *[f"b\n{BOX['2']}"] * 2]
    assert done.answer.text == f"b\n{BOX['2']}"
    assert scored(done) == ["a", "b", "a\nc", f"a\n{BOX['1']}", f"b\n{BOX['2']}"]


def test_equal_paths_are_expanded_once() -> None:
    done = ask("a_star", Stepped({"": ["a\n"], "a\n": [BOX["1"], "b\n"]}, {"a": 0.9, "b": 0.1, BOX["1"]: 0.9}), n=9, k=3, step="\n")
    assert written(done) == ["a\n"] * 3 + [f"a\n{BOX['1']}", "a\nb\n", f"a\n{BOX['1']}"]


def test_a_heavy_step_makes_a_star_search_breadth_first() -> None:
    worth = {"a": 0.9, "b": 0.1, "c": 0.9, BOX["1"]: 0.1, BOX["2"]: 0.1}
    assert written(ask("a_star", Stepped(STEPS, worth), n=3, k=2, weight=0.01, step="\n"))[4:] == [f"a\nc\n{BOX['3']}"] * 2
    assert written(ask("a_star", Stepped(STEPS, worth), n=3, k=2, weight=9.0, step="\n"))[4:] == [f"b\n{BOX['2']}"] * 2


def test_without_expansions_left_the_best_end_is_taken() -> None:
    done = ask("a_star", Stepped(STEPS, {"a": 0.2, "b": 0.9}), n=1, k=2, step="\n")
    assert written(done) == ["a\n", "b\n", f"b\n{BOX['2']}"] and done.answer.text == f"b\n{BOX['2']}"
    worth = {"a": 0.9, "b": 0.1, "c": 0.99, BOX["1"]: 0.0}
    assert ask("a_star", Stepped(STEPS, worth), n=2, k=2, step="\n").answer.text == f"a\n{BOX['1']}"  # finished, though c is cheaper


def test_mindstar_divides_the_depth_by_the_product_of_rewards() -> None:
    worth = {"a": 0.5, "b": 0.3, "c": 0.9, BOX["1"]: 0.2, BOX["2"]: 0.9}
    # 1/.5 = 2 before 1/.3 = 3.3; then c 2/.45 = 4.4 and box 1 2/.1 = 20, so b: box 2 at 2/.27 = 7.4; c first: box 3 at 3/.225 = 13
    done = ask("mindstar", Stepped(STEPS, worth), n=9, k=2, step="\n")
    assert written(done) == ["a\n", "b\n", "a\nc\n", f"a\n{BOX['1']}", *[f"b\n{BOX['2']}"] * 2, *[f"a\nc\n{BOX['3']}"] * 2]
    assert done.answer.text == f"b\n{BOX['2']}"
    none = ask("mindstar", Stepped(STEPS, {"a": None, "b": 0.01}), n=2, k=2, step="\n")
    assert written(none)[2] == f"b\n{BOX['2']}"  # what is over-long costs infinitely much


def test_mcts_expands_leaves_and_ends_as_the_best_finished_path() -> None:
    worth = {"a": 0.5, "b": 0.4, "c": 0.1, BOX["1"]: 0.2, BOX["2"]: 0.9}
    done = ask("mcts", Stepped(STEPS, worth), n=3, k=2, step="\n")
    # a, then b, since the poor children of a lower its mean; the third iteration comes upon box 2, which asks for nothing
    assert written(done) == ["a\n", "b\n", "a\nc\n", f"a\n{BOX['1']}", *[f"b\n{BOX['2']}"] * 2]
    assert done.answer.text == f"b\n{BOX['2']}"
    short = ask("mcts", Stepped(STEPS, worth), n=1, k=2, step="\n")
    assert written(short) == ["a\n", "b\n", "a\nc\n"] and short.answer.text == "a\nc\n"  # nothing has finished: the best at its end


def test_mcts_by_rollouts_values_a_step_by_a_whole_answer_and_may_give_that() -> None:
    steps = {"": ["a\n", "b\n"], "a\n": [f"x\n{BOX['1']}"], "b\n": [f"y\n{BOX['2']}"]}
    worth = {"a": 0.9, "b": 0.1, BOX["1"]: 0.2, BOX["2"]: 0.7}
    done = ask("mcts", Stepped(steps, worth), n=1, k=2, value="rollout", step="\n")
    assert scored(done) == [f"a\nx\n{BOX['1']}", f"b\ny\n{BOX['2']}"] and done.answer.text == f"b\ny\n{BOX['2']}"


@pytest.mark.parametrize("first", [0.02, 0.98])
def test_ab_mcts_goes_wider_where_first_answers_are_good_and_deeper_where_improvements_are(first: float) -> None:
    texts = [f"{letter}{'!' * depth}" for letter in "pqrst" for depth in range(8)]
    worth = {text: 1 - first if "!" in text else first for text in texts}
    engine = Stepped({"": [*"pqrst"], **{f"after {text}": [f"{text}!"] for text in texts}}, worth)
    done = ask("ab_mcts", engine, n=8)
    made = written(done)
    deeper = sum("!" in text for text in made)
    assert len(made) == 8 and (deeper >= 5 if first < 0.5 else deeper <= 3)
    assert done.answer.text == next(t for t in made if ("!" in t) == (first < 0.5))
    improving = [call.prompt for call in done.calls if len(call.prompt.turns) > 1]
    assert len(improving) == deeper
    assert all(f"gives this answer {worth[p.turns[-2].content]:.2f} out of 1" in p.turns[-1].content for p in improving)


def test_tree_of_thought_keeps_what_the_model_has_most_hope_for() -> None:
    steps = {"": ["a\n", "b\n", "b\n"], "a\n": [BOX["1"]], "b\n": [BOX["2"]]}
    hopes = {"a\n": ["Likely.", "sure", "I am not sure"], "b\n": ["unlikely, so impossible", "measured", "likely"]}
    hopes |= {f"a\n{BOX['1']}": ["sure"], f"b\n{BOX['2']}": ["sure"]}
    done = ask("tree_of_thought", Stepped(steps | {f"after {k}": v for k, v in hopes.items()}), width=3, fan=3, step="\n")
    assert done.answer.text == f"a\n{BOX['1']}"
    asked = [call.prompt.turns[-2].content for call in done.calls if len(call.prompt.turns) > 1]
    assert asked == ["a\n"] * 3 + ["b\n"] * 3 + [f"a\n{BOX['1']}"] * 3  # equal candidates are asked about once


def test_words_of_hope_have_the_values_of_the_paper() -> None:
    assert tree.HOPE == {"sure": 20.0, "likely": 1.0, "impossible": 0.001} and math.isclose(sum(tree.HOPE.values()), 21.001)
