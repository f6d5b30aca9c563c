"""Guidance by the model itself: what a step is worth, what is looked ahead at, when it rewinds."""

from __future__ import annotations

import math

import pytest

from harness.strategy import strategies
from harness.types import Sampling
from perpass.errors import UserError
from tests.harness.strategies.stepped import Stepped, written
from tests.harness.strategies.told import ask

BOX = {digit: f"\\boxed{{{digit}}}" for digit in "123456789"}
TREE = {"": ["a\n", "b\n"], "a\n": [BOX["1"]], "b\n": [BOX["2"]]}


def likely(**probabilities: float) -> dict[str, list[float]]:
    """Log-probabilities of a text whose tokens all have one probability."""
    return {text: [math.log(p)] * 3 for text, p in probabilities.items()}


def believing(beliefs: dict[str, float]) -> Stepped:
    """P(yes) by the answer that the judge is shown."""

    def yes(prompt: str) -> float:
        return next(p for text, p in beliefs.items() if f"[assistant]{text}\n[user]" in prompt)

    observed = {text: [math.log(0.25)] * 3 for text in ("a\n", "b\n", BOX["1"], BOX["2"])}
    return Stepped(TREE, yes=yes, logprob=observed)


@pytest.mark.parametrize(("mix", "kept"), [(0.5, "b"), (0.9, "a")])
def test_self_evaluation_is_weighed_against_likelihood(mix: float, kept: str) -> None:
    engine = believing({"a\n": 0.2, "b\n": 0.9, f"a\n{BOX['1']}": 0.5, f"b\n{BOX['2']}": 0.5})
    engine.observed = {"a\n": [math.log(0.8)] * 2, "b\n": [math.log(0.4)] * 2, BOX["1"]: [-1.0], BOX["2"]: [-1.0]}
    # at 0.5: √(.8·.2) = 0.4 and √(.4·.9) = 0.6; at 0.9: .8^.9·.2^.1 = 0.70 and .4^.9·.9^.1 = 0.43
    done = ask("self_eval_beam", engine, width=2, fan=2, mix=mix, noise=0.0, step="\n")
    assert done.answer.text.startswith(kept)


def test_a_path_is_worth_the_geometric_mean_of_its_steps() -> None:
    beliefs = {"a\n": 0.9, "b\n": 0.4, f"a\n{BOX['1']}": 0.1, f"b\n{BOX['2']}": 0.4}
    done = ask("self_eval_beam", believing(beliefs), width=2, fan=1, noise=0.0, step="\n")
    assert done.answer.text == f"b\n{BOX['2']}"  # .4 · .4 against .9 · .1
    assert [c.role for c in done.calls].count("judge") == 8  # yes and no of four paths


def test_noise_makes_the_beam_stochastic_but_repeatable() -> None:
    beliefs = {"a\n": 0.9, "b\n": 0.8, f"a\n{BOX['1']}": 0.5, f"b\n{BOX['2']}": 0.5}
    runs = [written(ask("self_eval_beam", believing(beliefs), width=2, fan=2, noise=noise, step="\n")) for noise in (0.001, 5.0, 5.0)]
    assert runs[0][2:] == [f"a\n{BOX['1']}"] * 2 and runs[1] == runs[2]


PHI = {"": ["a\n", "b\n", "c\n", "d\n"], **{f"{x}\n": [f"{x} {BOX[d]}"] for x, d in zip("abcd", "1223", strict=True)}}


def test_phi_decoding_completes_what_is_likely_and_draws_by_advantage() -> None:
    observed = likely(**{"a\n": 0.9, "b\n": 0.9, "c\n": 0.9, "d\n": 0.01})
    observed |= {f"a {BOX['1']}": [math.log(0.9)], f"b {BOX['2']}": [math.log(0.1)], f"c {BOX['2']}": [math.log(0.1)]}
    done = ask("phi_decoding", Stepped(PHI, logprob=observed), width=4, fan=2, foresights=1, step="\n")
    # d is below mean − σ and is not completed; a's foresight is by far the likeliest, so that it is drawn, and its completion is the answer
    assert written(done) == ["a\n", "b\n", "c\n", "d\n", f"a\na {BOX['1']}", f"b\nb {BOX['2']}", f"c\nc {BOX['2']}"]
    assert done.answer.text == f"a\na {BOX['1']}"


def test_phi_decoding_stops_when_most_completions_agree() -> None:
    steps = {"": ["a\n"], "a\n": ["b\n", f"b\n{BOX['1']}"], "a\nb\n": ["c\n", BOX["1"]], "a\nb\nc\n": [BOX["1"]]}
    early = ask("phi_decoding", Stepped(steps, logprob=likely(**{"a\n": 0.5})), width=2, fan=1, least=1, step="\n")
    assert early.answer.text.endswith(BOX["1"])
    late = ask("phi_decoding", Stepped(steps, logprob=likely(**{"a\n": 0.5})), width=2, fan=1, least=9, step="\n")
    assert len(late.calls) > len(early.calls)


def test_rain_looks_ahead_rewinds_and_keeps_what_it_saw() -> None:
    beliefs = {"a\n": 0.3, "b\n": 0.6, f"b\n{BOX['2']}": 0.7}
    done = ask("rain", believing(beliefs), k=2, searches=2, enough=0.99, step="\n")
    # one look at a and b, one behind b, the better; then b is taken, and its end, which was seen already, is only visited again
    assert written(done) == ["a\n", "b\n", *[f"b\n{BOX['2']}"] * 2] and done.answer.text == f"b\n{BOX['2']}"
    assert [c.role for c in done.calls].count("judge") == 6


def test_rain_goes_on_at_once_when_it_is_sure_and_searches_on_when_not() -> None:
    beliefs = {"a\n": 0.9, "b\n": 0.1, f"a\n{BOX['1']}": 0.9, f"b\n{BOX['2']}": 0.9}
    sure = ask("rain", believing(beliefs), k=2, searches=5, enough=0.8, step="\n")
    assert written(sure) == ["a\n", "b\n", *[f"a\n{BOX['1']}"] * 2] and sure.answer.text == f"a\n{BOX['1']}"
    doubtful = ask("rain", believing({**beliefs, "a\n": 0.2, f"a\n{BOX['1']}": 0.1}), k=2, searches=5, enough=0.8, step="\n")
    assert f"b\n{BOX['2']}" in written(doubtful) and doubtful.answer.text == f"b\n{BOX['2']}"


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("self_eval_beam", {"mix": 1.0}, "mix=1.0: input should be less than 1"),
        ("self_eval_beam", {"width": 8}, "fan=16: must divide width=8"),
        ("phi_decoding", {"agree": 0.0}, "agree=0.0: input should be greater than 0"),
        ("rain", {"k": 0}, "k=0: input should be greater than or equal to 1"),
    ],
)
def test_bad_parameters_are_one_sentence(name: str, params: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        strategies.get(name).bind(params, Sampling(), {})
