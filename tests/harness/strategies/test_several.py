"""Several models: when the larger one is asked, what it sees, what is charged to whom, to the token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.prompts import as_text
from harness.routing import QUESTION, SAMPLE
from harness.strategies import several
from harness.strategy import strategies
from harness.testing import ScriptedEngine
from harness.types import Sampling
from perpass.errors import UserError
from tasks.types import Prompt
from tests.harness.digits import Digits
from tests.harness.strategies.obliging import obliging
from tests.harness.strategies.pair import ask, large, paired, roles
from tests.harness.strategies.scripts import answering, asked
from tests.harness.strategies.told import Told, boxes, numbered, outputs
from tests.harness.test_golden import GOLDEN, arguments
from tests.harness.test_runner import go, table

COT = "Please reason step by step. Box it.\n[assistant]"
FAMILIES = ("decomposition", "several models", "memory")
MINE = [name for name in strategies.names() if strategies.get(name).family in FAMILIES]


def says(text: str) -> ScriptedEngine:
    return large(lambda prompt, sampling, seed: text)


@pytest.mark.parametrize(("texts", "who", "items"), [("11112", "ppppp", ("1",)), ("11122", "ppppph", None), (".....", "ppppph", None)])
def test_a_cascade_by_agreement_asks_the_larger_model_below_the_threshold(texts: str, who: str, items: Any) -> None:
    done = ask("cascade_agreement", Told(boxes(texts)), says("\\boxed{9}"))
    assert roles(done) == who and done.answer.items == items and (items or done.answer.text == "\\boxed{9}")
    assert all(call.pooled for call in done.calls) and len(set(asked(done))) == 1


def test_a_cascade_by_agreement_needs_it_on_every_item() -> None:
    texts = [f"\\boxed{{{a}}} \\boxed{{{b}}}" for a, b in ("12", "12", "13", "14", "15")]
    assert roles(ask("cascade_agreement", Told(texts), says("\\boxed{9} \\boxed{8}"), Digits(items=2))) == "ppppph"


@pytest.mark.parametrize(
    ("params", "who"),
    [({"threshold": 0.5}, "p"), ({"threshold": 0.7}, "ph"), ({"threshold": 0.1, "quantile": 0.0}, "p"), ({"quantile": 0.0}, "ph")],
)
def test_a_cascade_by_confidence_takes_the_mean_or_a_quantile_of_its_tokens(params: dict[str, Any], who: str) -> None:
    text = boxes("1")[0]
    likely = {text: [-2.0, *[-0.4] * len(text)]}  # geometric mean 0.61, least 0.14
    assert roles(ask("cascade_confidence", Told([text], logprob=likely), says("\\boxed{9}"), **params)) == who


def routing(path: Path, names: tuple[str, ...], weights: dict[str, float], bias: float) -> str:
    zero = [0.0] * len(names)
    found = {"names": names, "mean": zero, "scale": [1.0] * len(names), "weights": [weights.get(n, 0.0) for n in names], "bias": bias}
    path.write_text(json.dumps({"kind": "perpass router", "router": found}))
    return str(path)


def test_a_router_asks_one_model_and_one_that_reads_the_sample_charges_it(tmp_path: Path) -> None:
    ask_policy = routing(tmp_path / "a.json", QUESTION, {"words": 1.0}, 0.0)  # log 6: P = 0.86
    both = Told(boxes("1")), says("\\boxed{9}")
    assert roles(ask("router", *both, file=ask_policy)) == "p"
    assert roles(ask("router", Told(boxes("1")), both[1], file=ask_policy, threshold=0.9)) == "h"
    after = routing(tmp_path / "b.json", (*QUESTION, *SAMPLE), {"tokens": -1.0}, 2.5)  # log(1 + 13): below a half; short ones are kept
    assert roles(ask("router", Told(boxes("1")), both[1], file=after)) == "ph"
    assert roles(ask("router", Told(["\\boxed{1}"]), both[1], file=after)) == "p"


def test_a_router_is_identified_by_its_content_not_its_folder(tmp_path: Path) -> None:
    bound = [strategies.get("router").bind({"file": routing(tmp_path / f"{x}.json", QUESTION, {}, 1.0)}, Sampling(), {}) for x in "ab"]
    other = strategies.get("router").bind({"file": routing(tmp_path / "a.json", QUESTION, {}, 2.0)}, Sampling(), {})
    names = [b.params["file"].partition("#") for b in (*bound, other)]
    assert [n[0] for n in names] == ["a.json", "b.json", "a.json"] and names[0][2] == names[1][2] != names[2][2]
    assert json.loads(json.dumps(bound[0].identity()["params"]))["file"] == "".join(names[0]) in bound[0].label


@pytest.mark.parametrize("content", ["{", "{}", '{"kind": "perpass router", "router": {"names": ["x"]}}', '[1, "2"]'])
def test_what_is_no_router_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"^strategy router: file='.*r\.json': expected a file that `bench train-router` made$"):
        strategies.get("router").bind({"file": str(path)}, Sampling(), {})
    with pytest.raises(UserError, match="no such file; `bench train-router` makes one"):
        strategies.get("router").bind({"file": str(tmp_path / "none.json")}, Sampling(), {})


def test_a_portfolio_ends_with_the_first_answer_that_is_believed() -> None:
    worth = {"1": 0.5, "2": 0.95, "3": 0.2, "9": 0.6}

    def yes(text: str) -> float:
        return worth[text.rpartition("\\boxed{")[2][0]]

    done = ask("portfolio", Told(boxes("12"), yes=yes), says("\\boxed{9}"))
    assert roles(done) == "pJJpJJ" and done.answer.text == boxes("2")[0]
    done = ask("portfolio", Told(boxes("13"), yes=yes), says("\\boxed{9}"), methods=2, enough=0.96)
    assert roles(done) == "pJJpJJhJJhJJ" and done.answer.text == "\\boxed{9}"  # nothing is believed: the most likely of all
    assert len({as_text(call.prompt) for call in done.calls if call.kind == "generate"}) == 2


def small(script: dict[str, str]) -> ScriptedEngine:
    """Continues an open answer by what its last line is."""
    return ScriptedEngine(script=lambda prompt, sampling, seed: script[prompt.prefix.rpartition("\n\n")[0].rpartition("\n\n")[2]])


def test_the_helper_writes_where_a_peek_reflects_and_what_it_replaces_is_charged() -> None:
    policy = small({"": "two and two\n\nis", "two and two": "Wait, is it 5? \\boxed{5}", "helped": "so \\boxed{4}"})
    helper = large(lambda prompt, sampling, seed: "helped\n\nand more than it may write")
    done = ask("speculative_thinking", policy, helper, peek=8)
    assert done.answer.text == "two and two\n\nhelped\n\nso \\boxed{4}" and roles(done) == "pphp"
    assert outputs(done) == [13, 8, 8, 13]  # the peek is charged
    unmoved = small({"": "two and two\n\nis", "two and two": "is \\boxed{4}"})
    assert roles(ask("speculative_thinking", unmoved, helper, peek=30)) == "pp"


def test_who_verifies_goes_on_and_too_many_reflections_are_checked() -> None:
    policy = ScriptedEngine(script=lambda prompt, sampling, seed: "hold on\n\n" if len(prompt.prefix) < 60 else "\\boxed{1}")
    helper = large(lambda prompt, sampling, seed: "wait, verify this first")
    done = ask("speculative_thinking", policy, helper, peek=12, recap=4, patience=2)
    # policy to the step; peek, helper's 12 tokens, 4 more since it verifies, policy to the step; again; then the recap
    assert roles(done)[:8] == "pphhpphh" and several.RECAP in done.answer.text
    recap = next(call for call in done.calls if call.prompt.prefix.endswith(several.RECAP))
    assert recap.role == "helper" and recap.kept.usage.output == 4
    assert done.answer.text.endswith("\\boxed{1}") and done.answer.finish == "eos"


def test_speculative_thinking_has_no_more_tokens_than_one_answer() -> None:
    policy = ScriptedEngine(script=lambda prompt, sampling, seed: "on and\n\n" * 9)
    done = ask("speculative_thinking", policy, says("wait"), sampling={"max_tokens": 50})
    assert done.answer.finish == "length" and sum(outputs(done)) == len(done.answer.text) == 50


def test_agents_of_a_layer_see_the_layer_before() -> None:
    policy, helper = Told(numbered("123456")), says("\\boxed{9}")
    done = ask("mixture_of_agents", policy, helper, proposers=2)
    assert roles(done) == "pphhphphh" and [call.pooled for call in done.calls] == [True] * 4 + [False] * 5
    first, last = asked(done)[4], asked(done)[-1]
    assert "Candidate 1:\n0: it is \\boxed{1}" in first and "Candidate 4:\n\\boxed{9}" in first and "Candidate 5" not in first
    assert "2: it is \\boxed{3}" in last and "0: it is" not in last and done.answer.text == "\\boxed{9}"
    assert roles(ask("mixture_of_agents", Told(numbered("1234")), helper, proposers=2, layers=2, aggregator="policy")) == "pphhp"


@pytest.mark.parametrize(("window", "reads"), [(6, [[0, 1, 2, 3]]), (3, [[0, 1, 2], ["m", 3]]), (2, [[0, 1], ["m", 2], ["m", 3]])])
def test_self_moa_reads_a_window_that_begins_with_the_last_synthesis(window: int, reads: list[list[Any]]) -> None:
    done = ask("self_moa", Told([*numbered("1234"), "m \\boxed{5}", "m \\boxed{6}", "m \\boxed{7}"]), says(""), n=4, window=window)
    merging = [text for text in asked(done) if "Candidate 1" in text]
    assert [[part[0] for part in text.split("Candidate ")[1:]] for text in merging] == [list(map(str, range(1, len(r) + 1))) for r in reads]
    starts = [[part.partition("\n")[2][0] for part in text.split("Candidate ")[1:]] for text in merging]
    assert starts == [[str(x) for x in r] for r in reads] and done.answer.text.startswith("m")


def test_debaters_see_the_others_and_vote_after_the_last_round() -> None:
    done = ask("debate", Told(numbered("122") + numbered("333")), says(""), agents=3)
    assert done.answer.items == ("3",) and [call.pooled for call in done.calls] == [True] * 3 + [False] * 3
    second = done.calls[4].prompt
    assert second.turns[1].content == "1: it is \\boxed{2}" and "0: it is \\boxed{1}\n\n2: it is \\boxed{2}" in second.turns[2].content
    assert done.serial_tokens == 2 * max(outputs(done))
    assert ask("debate", Told(numbered("122")), says(""), rounds=1).answer.items == ("2",)


def test_the_judge_ends_a_debate_once_it_is_settled_and_answers_itself() -> None:
    def reply(text: str) -> str:
        if several.SETTLED in text:
            return "yes" if "Third" in text or text.count("side:") == 4 else "no"
        if several.RULE in text:
            return "\\boxed{4}"
        return "objection" if several.OPPOSE in text else "defence" if several.REPLY in text else "\\boxed{3}"

    done = ask("debate_judge", answering(reply), says(""))
    assert roles(done) == "ppjppjj" and done.answer.text == "\\boxed{4}"
    assert asked(done)[-1].count("First side:") == asked(done)[-1].count("Second side:") == 2
    assert roles(ask("debate_judge", answering(reply), says(""), rounds=1)) == "ppjj"


def test_points_of_a_sketch_are_written_out_at_once_each_alone() -> None:
    def reply(text: str) -> str:
        return f"wrote {text.partition('Write out point ')[2][:1]}" + " \\boxed{2}" * text.endswith("Box it.\n[assistant]")

    done = ask("sketch_expand", answering(reply), says("1. count\n2. answer\n3. never"), parts=2)
    assert roles(done) == "hpp" and done.answer.text == "wrote 1\n\nwrote 2 \\boxed{2}"
    assert all("Sketch:\n1. count\n2. answer\n\n" in text for text in asked(done)[1:])
    assert done.serial_tokens == outputs(done)[0] + max(outputs(done)[1:])
    assert asked(ask("sketch_expand", answering(reply), says("none")))[-1] == COT


LEDGER = """select l.role, m.name, sum(calls) calls, sum(prompt) prompt, sum(output) output, sum(reasoning) reasoning, sum(scored) scored
            from ledger l join model m on m.id = l.model_id group by l.role, m.name"""
SPENT = """select m.name, count(*) calls, sum(prompt_tokens) prompt, sum(output_tokens) output, sum(scored_tokens) scored
           from sample s join model m on m.id = s.model_id group by m.name"""
TWO = [n for n in MINE if "helper" in strategies.get(n).needs or strategies.get(n).memory or strategies.get(n).family == "several models"]


@pytest.mark.parametrize("name", TWO)
def test_ledgers_add_up_to_what_the_engines_counted(tmp_path: Path, name: str) -> None:
    """By role and model, to the token, through the runner and SQLite: with latency, so that calls arrive in any order, and faults."""
    policy, helper = ScriptedEngine(script=obliging, latency=(0, 0.002), faults=0.1), large(obliging)
    made = paired(name, policy, helper, Digits(size=5), trials=2, **arguments(name))
    assert go([made], tmp_path / "a.db").status == "done"
    ledger, spent = table(tmp_path / "a.db", LEDGER), table(tmp_path / "a.db", SPENT)
    for engine in (policy, helper):
        own, counted = ledger[ledger["name"] == engine.model.name], engine.counters()
        sums = {field: own[field].sum() for field in ("calls", "prompt", "output", "reasoning", "scored")}
        assert sums == {field: getattr(counted, field) for field in sums}
        made_here = spent[spent["name"] == engine.model.name].sum(numeric_only=True)
        assert all(made_here.get(field, 0) == getattr(counted, field) for field in ("calls", "prompt", "output", "scored"))
    assert {(role, model == "large") for role, model in zip(ledger["role"], ledger["name"], strict=True)} == {
        (role, role == "helper") for role in ledger["role"]
    }
    assert policy.counters().calls and (helper.counters().calls > 0) == ("helper" in strategies.get(name).needs)


def test_every_strategy_asks_something_else() -> None:
    traces = {}
    for name in MINE:
        calls = json.loads((GOLDEN / f"{name}@{strategies.get(name).version}.json").read_text())["calls"]
        traces.setdefault(json.dumps([(c["role"], c["kind"], c["prompt"]) for c in calls]), []).append(name)
    assert len(MINE) >= 23 and all(len(names) == 1 for names in traces.values())


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("cascade_agreement", {"threshold": 0.0}, "threshold=0.0: input should be greater than 0"),
        ("cascade_confidence", {"quantile": 2.0}, "quantile=2.0: input should be less than or equal to 1"),
        ("mixture_of_agents", {"layers": 1}, "layers=1: input should be greater than or equal to 2"),
        ("self_moa", {"window": 1}, "window=1: input should be greater than or equal to 2"),
        ("debate", {"agents": 1}, "agents=1: input should be greater than or equal to 2"),
        ("speculative_thinking", {"step": ""}, "step='': string should have at least 1 character"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^strategy {name}: {message}$"):
        strategies.get(name).bind(params, Sampling(), {})


REPEATS = ("cascade_agreement", "mixture_of_agents", "self_moa", "debate", "graph_of_thoughts", "deductive_verification")


def test_greedy_sampling_is_refused_where_it_would_repeat_itself() -> None:
    for name in REPEATS:
        with pytest.raises(UserError, match="equal samples"):
            strategies.get(name).bind({}, Sampling(temperature=0.0), {})


@pytest.mark.parametrize("name", [n for n in MINE if n not in REPEATS])
def test_greedy_sampling_works_everywhere_else(name: str) -> None:
    done = ask(name, ScriptedEngine(script=obliging), large(obliging), sampling={"temperature": 0.0}, **arguments(name))
    assert done.answer is not None


def nothing(prompt: Prompt, sampling: Sampling, seed: int) -> str:
    return ""


@pytest.mark.parametrize("name", [n for n in TWO if strategies.get(n).family == "several models"])
def test_silent_models_end_in_an_answer(name: str) -> None:
    assert ask(name, ScriptedEngine(script=nothing), large(nothing), **arguments(name)).answer is not None
